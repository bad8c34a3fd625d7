#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# An appliance within a hypervisor: QEMU, with its memory's owner as a plugin, lends memory of
# its own process while a guest runs in it. A client takes a region there and finds its
# bytes; when QEMU ends, the client is told.
. "$XM_SRCDIR/tests/faces/rig.sh"

case ${XM_FLAGS-} in
*-fsanitize*) skip "no sanitizer's library is in QEMU" ;;
esac
command -v qemu-system-x86_64 >/dev/null ||
	skip "qemu-system-x86_64 is not here (Debian: qemu-system-x86)"
witness=$XM_BUILDDIR/tests/shell/witness
plugin=$XM_BUILDDIR/.libs/qemu-extmem.so
export LD_LIBRARY_PATH="$XM_BUILDDIR/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# usage: hypervisor SETTINGS: in $qemu, with the firmware as its guest; $address.
hypervisor() {
	: >"$scratch/err"
	qemu-system-x86_64 -accel tcg -machine pc -m 32 -nodefaults -no-user-config \
		-display none -monitor none \
		-plugin "$plugin,program=$XM_BUILDDIR/extmemd,$1" \
		>"$scratch/out" 2>"$scratch/err" 8>&- &
	qemu=$!
	others="$others $qemu"
	await eval 'grep -q "ready at" "$scratch/err" || ! kill -0 "$qemu" 2>/dev/null'
	address=$(sed -n 's/^qemu-extmem: ready at //p' "$scratch/err")
	[ -n "$address" ]
}

# usage: refused WORDS SETTINGS: QEMU says so, and does not begin.
refused() {
	! hypervisor "$2" && grep -qF -e "$1" "$scratch/err"
	verdict "refused: $1" $? "$scratch/err"
}
hypervisor listen=ofi+tcp://127.0.0.1:0
! grep -q 'nvalid option\|plugin.*not supported' "$scratch/err" ||
	skip "this QEMU takes no plugins: $(head -n 1 "$scratch/err")"
refused 'memory is missing' listen=ofi+tcp://127.0.0.1:0
refused 'is for extmemd alone' listen=ofi+tcp://127.0.0.1:0,memory=1M,store=/tmp/none
refused 'cannot execute extmemd' \
	listen=ofi+tcp://127.0.0.1:0,memory=1M,program=/nowhere

hypervisor listen=ofi+tcp://127.0.0.1:0,memory=128M,name=within
verdict "a hypervisor lends memory of its own process" $? "$scratch/err"
grep -q 'memfd:extmem-bank' "/proc/$qemu/maps"
verdict "which has it mapped" $? "$scratch/err"
check "it answers as an appliance" eval '"$extmem" status "$address" | grep -q within'
interface=$(cat "/proc/$qemu/task/"*/children 2>/dev/null | tr -d ' ')
[ "$(cat "/proc/$interface/comm")" = extmemd-iface ]
verdict "what moves bytes is another process" $? "$scratch/err"

# A program fills external memory with a marker, and asks for it later.
head -c 32 /dev/urandom >"$scratch/marker"
mkfifo "$scratch/ask" "$scratch/told"
program() {
	timeout 120 "$extmem" run --local 2M --open-after 0 --appliance "$address" -- \
		"$witness" write 16 "$scratch/marker" <"$scratch/ask" >"$scratch/told" \
		2>"$scratch/run" 8>&- &
	program=$!
	exec 5>"$scratch/ask" 6<"$scratch/told"
	read -r line <&6
	[ "$line" = written ]
}
program
verdict "a client fills memory that it has there" $? "$scratch/run"
if [ "$(id -u)" -eq 0 ]; then
	[ "$("$witness" memory "$qemu" "$scratch/marker")" -gt 100000 ]
	verdict "which is in the hypervisor's memory" $? "$scratch/run"
else
	echo "skipped: what is in the hypervisor's memory: that needs root"
fi
echo >&5
read -r line <&6
ends "$program"
verdict "and finds what it has put there" $? "$scratch/run"
exec 5>&- 6<&-

# Its decisions are taken on a thread of QEMU's process, and nowhere else.
kill -STOP "$qemu"
timeout 5 "$extmem" status "$address" >"$scratch/out" 2>&1
status=$?
kill -CONT "$qemu"
[ $status -ne 0 ]
verdict "while the hypervisor stands still, nobody decides" $? "$scratch/out"
check "when it goes on, somebody does" await \
	eval '"$extmem" status "$address" | grep -q " 0.0 MiB leased"'

# A client whose memory is there when the hypervisor ends.
program
verdict "another one fills it" $? "$scratch/run"
kill "$qemu"
ends "$qemu"
verdict "it ends when it is told to, as without the plugin" $? "$scratch/err"
check "and what moved bytes with it" await eval '! kill -0 "$interface" 2>/dev/null'
echo >&5
ends "$program"
[ $? -ne 0 ] && grep -q 'extmem.*\(lost\|appliance\)' "$scratch/run"
verdict "its client has lost that, and hears it in words" $? "$scratch/run"
exec 5>&- 6<&-
timeout 30 "$extmem" status "$address" >"$scratch/out" 2>&1
[ $? -ne 0 ] && grep -qi 'refused\|cannot be reached\|no answer' "$scratch/out"
verdict "a client hears that nobody is there" $? "$scratch/out"

# What a hypervisor lends can be another appliance's memory, whose client it is.
appliance --name lender
lender=$address
PATH=$XM_BUILDDIR:$PATH
if hypervisor "listen=ofi+tcp://127.0.0.1:0,memory=64M,name=between,borrow=$lender"; then
	check "a hypervisor borrows, and lends that" \
		eval '"$extmem" status "$address" | grep -q "64.0 MiB borrowed from others"'
	check "it is the lender's client" \
		eval '"$extmem" status "$lender" | grep -q "borrowed .*between"'
	program
	verdict "a client fills memory there" $? "$scratch/run"
	echo >&5
	ends "$program"
	verdict "and finds what it has put there again" $? "$scratch/run"
	exec 5>&- 6<&-
	kill "$qemu"
	ends "$qemu"
	verdict "it ends" $? "$scratch/err"
	check "and has given back what it had" await \
		eval '! "$extmem" status "$lender" | grep -q between'
else
	grep -q '/dev/fuse' "$scratch/err"
	verdict "without /dev/fuse nothing is borrowed, in words" $? "$scratch/err"
fi
summary
