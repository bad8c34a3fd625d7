#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A machine's memory in an appliance: a guest of QEMU's fills and checks 64 MiB with 16 MiB
# local under `extmem vm run`, and again with its memory in a file of `extmem mount`.
. "$XM_SRCDIR/tests/faces/rig.sh"

# usage: refused WORDS ARGUMENT...: `extmem vm run ARGUMENT...`
refused() {
	words=$1
	shift
	timeout 60 "$extmem" vm run "$@" >"$scratch/out" 2>&1
	[ $? -eq 2 ] && grep -qF -e "$words" "$scratch/out"
	verdict "refused: $words" $? "$scratch/out"
}
refused 'which machine?' --local 16M
refused 'is not QEMU' -- sleep 1
refused 'use -accel tcg' -- qemu-system-x86_64 -enable-kvm
refused 'use -accel tcg' -- qemu-system-x86_64 -machine q35,accel=kvm
refused 'use memory-backend-ram' -- qemu-system-x86_64 -object \
	memory-backend-memfd,id=ram,size=1G
check "what vm does is said" eval '"$extmem" vm --help | grep -q "accel tcg"'

command -v qemu-system-x86_64 >/dev/null ||
	skip "qemu-system-x86_64 is not here (Debian: qemu-system-x86)"
# shellcheck disable=SC2086 # a compiler may have arguments
${XM_CC-cc} -m32 -O2 -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-pic -no-pie \
	-fno-stack-protector -nostdlib -static -Wl,-T,"$XM_SRCDIR/tests/faces/guest.ld" \
	-Wl,--build-id=none "$XM_SRCDIR/tests/faces/guest.c" -o "$scratch/guest" \
	2>"$scratch/err" ||
	skip "no guest can be compiled here: $(head -n 1 "$scratch/err")"

# usage: guest COMMAND...: QEMU with a guest, whose memory is the object `ram`.
guest() {
	timeout $((600 * ${XM_SLOW:-1})) "$@" -accel tcg -m 128 -nodefaults \
		-no-user-config -display none -no-reboot \
		-machine pc,memory-backend=ram -kernel "$scratch/guest" \
		-debugcon stdio -device isa-debug-exit,iobase=0xf4 \
		>"$scratch/out" 2>"$scratch/err"
	status=$?
	[ $status -eq 33 ] && grep -qx right "$scratch/out"
}
# usage: figure NAME: of the statistics
figure() {
	sed -n 's/^  "'"$1"'": \([0-9]*\),*$/\1/p' "$scratch/stats"
}

appliance --memory 512M || skip "no appliance came up"
case ${XM_FLAGS-} in
*-fsanitize*) echo "skipped the guest: no sanitizer's library is in QEMU" ;;
*)
	check "a guest finds in its memory what it has put there" guest \
		"$extmem" vm run --local 16M -a "$address" --stats "$scratch/stats" -- \
		qemu-system-x86_64 -object memory-backend-ram,id=ram,size=128M
	[ "$(figure local_peak_bytes)" -le 16777216 ]
	verdict "with 16 MiB of local memory" $? "$scratch/stats"
	[ "$(figure pages_written)" -ge 12288 ] # 48 MiB
	verdict "the rest was in the appliance" $? "$scratch/stats"
	check "which has it no longer" await \
		eval '"$extmem" status "$address" | grep -q " 0.0 MiB leased"'
	;;
esac

need_files
need_mount -s 128M -a "$address"
truncate -s 128M "$folder/ram"
check "so does one whose memory is a file in a folder" guest qemu-system-x86_64 -object \
	memory-backend-file,id=ram,size=128M,share=on,mem-path="$folder/ram"
check "and that is in the appliance, too" eval 'sync "$folder/ram" &&
	[ "$(getfattr --only-values -n user.extmem.size "$folder/ram" 2>/dev/null ||
		echo 67108864)" -ge 67108864 ]'
kill "$files"
ends "$files"
verdict "and ends with status 0" $? "$scratch/files"
summary
