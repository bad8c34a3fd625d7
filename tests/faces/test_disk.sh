#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A disk in an appliance's memory, as nbdkit serves it and as clients of disks use it.
. "$XM_SRCDIR/tests/faces/rig.sh"
need_disk

same() {
	cmp "$scratch/in" "$scratch/back"
}
map() {
	nbdinfo --map "$uri" | sed 's/  *$//' >"$scratch/out"
}
# usage: hole FROM SIZE: a line of the map
hole() {
	map && awk -v from="$1" -v size="$2" '
		$1 == from && $2 == size && /hole,zero/ { found = 1 }
		END { exit !found }' "$scratch/out"
}

appliance || skip "no appliance came up"
mib=1048576
check "extmem disk serves one" disk -s 32M -a "$address" --
nbdinfo --json "$uri" >"$scratch/out" 2>&1
for can in flush fua trim zero fast_zero multi_conn; do
	grep -q "\"can_$can\": true" "$scratch/out" || echo "no can_$can"
done >"$scratch/err"
grep -q '"export-size": 33554432' "$scratch/out" || echo "wrong size" >>"$scratch/err"
complaints "it says what it can" "$scratch/err"
check "a new disk is a hole" hole 0 $((32 * mib))

# Neither a multiple of a page nor of a block.
head -c 5000001 /dev/urandom >"$scratch/in"
truncate -s 32M "$scratch/in"
check "a file is copied to it" nbdcopy "$scratch/in" "$uri"
check "and back, equal" eval 'nbdcopy "$uri" "$scratch/back" && same'
check "what was not written to is a hole" hole 5001216 $((32 * mib - 5001216))
check "several connections at once" \
	eval 'nbdcopy -C 4 -T 4 "$uri" "$scratch/back" && same'

if command -v qemu-io >/dev/null; then
	try_qemu() {
		timeout 120 qemu-io -f raw "$uri" "$@" >"$scratch/out" 2>&1 &&
			! grep -qE 'failed|mismatch|error' "$scratch/out"
	}
	check "writes and reads at any offset" try_qemu \
		-c 'write -P 0x5a 1M 2M' -c 'read -P 0x5a 1M 2M' \
		-c 'write -P 7 1048579 5' -c 'read -P 7 1048579 5' \
		-c 'read -P 0x5a 1M 3' -c 'read -P 0x5a 1048584 4088'
	check "what was discarded reads as zero" try_qemu \
		-c 'discard 1M 1M' -c 'read -P 0 1M 1M' -c 'read -P 0x5a 2M 1M'
	check "and is a hole again" hole $mib $mib
	check "zeros at any offset" try_qemu \
		-c 'write -P 0x5a 1M 1M' -c 'write -z 1049000 100001' \
		-c 'read -P 0 1049000 100001' -c 'read -P 0x5a 1M 424' \
		-c 'read -P 0x5a 1149001 4000' -c 'write -z 8M 7' \
		-c 'write -P 1 8388615 1' -c 'read -P 0 8M 7'
	check "flush, and writes that are flushed" try_qemu \
		-c 'write -f -P 3 5M 4k' -c flush -c 'read -P 3 5M 4k'
	check "the last byte" try_qemu -c 'write -P 9 33554431 1' \
		-c 'read -P 9 33554431 1'
else
	echo "skipped patterns: qemu-io is not here (Debian: qemu-utils)"
fi
if command -v fio >/dev/null && fio --enghelp 2>/dev/null | grep -qw nbd; then
	for depth in 1 16; do
		# The engine prints noise into the report.
		check "fio finds what it has written, depth $depth" \
			timeout 300 fio --name=v --ioengine=nbd --uri="$uri" \
			--rw=randwrite --bs=4k --size=32M --io_size=4M \
			--iodepth=$depth --verify=crc32c --verify_fatal=1 \
			--verify_state_save=0 \
			--output="$scratch/fio"
	done
else
	echo "skipped fio: it is not here, or has no nbd engine (Debian: fio)"
fi
kill "$disk"
ends "$disk"
verdict "a signal ends it with status 0" $? "$scratch/disk"

# nbdkit by itself, as its own manual page says; a size that is no multiple of anything.
odd() {
	timeout 120 nbdkit -U - "$plugin" 5000001 appliance="$address" label=odd \
		--run 'nbdinfo --size "$uri" && nbdcopy '"$scratch/odd"' "$uri" &&
			nbdcopy "$uri" - | cmp - '"$scratch/odd" >"$scratch/out" 2>&1 &&
		grep -qx 5000001 "$scratch/out"
}
head -c 5000001 /dev/urandom >"$scratch/odd"
check "nbdkit runs the plugin by itself" odd
check "its memory is free then" await \
	eval '"$extmem" status "$address" | grep -q " 0.0 MiB leased"'
sealed() {
	timeout 120 nbdkit -U - "$plugin" 8M appliance="$address" seal=all \
		--run 'nbdcopy '"$scratch/odd"' "$uri" &&
			nbdcopy "$uri" - | cmp -n 5000001 - '"$scratch/odd"
}
if configured OPENSSL; then
	check "sealed" sealed
fi
summary
