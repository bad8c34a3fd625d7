#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest moves between two machines, which are two folders here, while it reads and changes
# all of its memory: what it has read is right, its memory is not copied, and after a kill or a
# cut at any time exactly one side runs it. VM_MOVES=50 VM_CUTS=50 for more of each.
. "$XM_SRCDIR/tests/faces/rig.sh"

configured FUSE && [ -x "$XM_BUILDDIR/extmem-vm" ] ||
	skip "extmem-vm is not built (Debian: libfuse3-dev libjansson-dev)"
# usage: refused WORDS ARGUMENT...: `extmem vm ARGUMENT...`
refused() {
	words=$1
	shift
	timeout 120 "$extmem" vm "$@" >"$scratch/out" 2>&1 8>&-
	[ $? -ne 0 ] && grep -qF -e "$words" "$scratch/out"
	verdict "refused: $words" $? "$scratch/out"
}
export XDG_RUNTIME_DIR="$scratch/a"
mkdir "$scratch/a" "$scratch/b"
refused 'a name has up to 31' run --name ../a -- qemu-system-x86_64
refused 'which machine?' run --name a
refused 'is not QEMU' run --name a -- sleep 1
refused 'is ours to give' run --name a -- qemu-system-x86_64 -object memory-backend-ram
refused 'how much memory?' run --name a -- qemu-system-x86_64 -m much
refused 'where to?' move a
refused 'no guest a is here' move a b
refused 'no guest a is here' resume a
refused 'which guest?' resume
refused 'takes no name' list a
[ -z "$("$extmem" vm list)" ] && [ "$("$extmem" vm list --json)" = '[]' ]
verdict "there are no guests yet" $?
refused 'is another version' receive a </dev/null
chmod 777 "$scratch/a"
refused 'others may write there' run --name a -- qemu-system-x86_64
chmod 755 "$scratch/a"

need_files
command -v qemu-system-x86_64 >/dev/null ||
	skip "qemu-system-x86_64 is not here (Debian: qemu-system-x86)"
case ${XM_FLAGS-} in
*-fsanitize*) skip "the guest's times are for a build without sanitizers" ;;
esac
# shellcheck disable=SC2086 # a compiler may have arguments
{
	${XM_CC-cc} -m32 -O2 -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-pic -no-pie \
		-fno-stack-protector -nostdlib -static \
		-Wl,-T,"$XM_SRCDIR/tests/faces/guest.ld" -Wl,--build-id=none \
		"$XM_SRCDIR/tests/faces/guest_moves.c" -o "$scratch/guest" &&
		${XM_CC-cc} -O2 -std=gnu11 -Wall -Wextra -Werror -DNATIVE \
			"$XM_SRCDIR/tests/faces/guest_moves.c" -o "$scratch/native"
} 2>"$scratch/err" ||
	skip "no guest can be compiled here: $(head -n 1 "$scratch/err")"
appliance --memory 512M || skip "no appliance came up"
need_mount -s 1M -a "$address"
kill "$files"
ends "$files"

# The two machines: what executes a command on the other one, and counts what QEMU sends.
for side in a b; do
	cat >"$scratch/to-$side" <<-END
		#!/bin/sh
		shift
		export XDG_RUNTIME_DIR="$scratch/$side" PATH="$PWD/$XM_BUILDDIR:$XM_BUILDDIR:$PATH"
		echo \$\$ >"$scratch/rsh.\$3"
		if [ "\$3" = stream ]; then
			tee "$scratch/sent" | "\$@"
		else
			exec "\$@"
		fi
	END
	chmod +x "$scratch/to-$side"
done
console=$scratch/console
: >"$console"
stop_guest() {
	for side in a b; do
		pkill -TERM -f "$scratch/$side/vm-guest/qmp" 2>/dev/null
	done
	await eval '! pgrep -f "$scratch/[ab]/vm-guest" >/dev/null'
	for side in a b; do # of a process that was killed
		fusermount3 -u -q -z "$scratch/$side/vm-guest/files" 2>/dev/null
	done
	stop_all
}
trap stop_guest EXIT

laps() {
	wc -l <"$console"
}
# It says something new.
goes_on() {
	before=$(laps)
	await eval '[ "$(laps)" -gt $((before + 1)) ]'
}
# The sides whose QEMU is there, and not paused.
sides() {
	for s in a b; do
		pgrep -f "^qemu-system-x86_64 .*$scratch/$s/vm-guest/qmp" >/dev/null &&
			printf '%s' "$s"
	done
}
# Each lap once, with the hash of one machine that never moved.
right() {
	head -n -1 "$console" >"$scratch/said"
	laps=$(tail -n 1 "$scratch/said" | cut -c 1-8)
	"$scratch/native" "0x$laps" | cmp - "$scratch/said"
}
move() { # FROM TO
	XDG_RUNTIME_DIR=$scratch/$1 exec timeout 300 "$extmem" vm move --rsh \
		"$scratch/to-$2" guest "machine-$2" >"$scratch/moved" 2>&1 8>&-
}

begin() {
	: >"$console"
	XDG_RUNTIME_DIR=$scratch/$side "$extmem" vm run --name guest -a "$address" -- \
		qemu-system-x86_64 -accel tcg -m 128 -nodefaults -no-user-config \
		-display none -no-reboot -machine pc -kernel "$scratch/guest" \
		-chardev "file,id=c,path=$console,append=on" \
		-device isa-debugcon,chardev=c,iobase=0xe9 -S >"$scratch/run" 2>&1 8>&- &
	run=$!
	await listed prelaunch && XDG_RUNTIME_DIR=$scratch/$side "$extmem" vm resume guest &&
		goes_on
}
# What `extmem vm list` says of the guest on the side that has it.
listed() {
	XDG_RUNTIME_DIR=$scratch/$side "$extmem" vm list | grep -q "^guest  *128  $1"
}
side=a other=b
begin
verdict "a guest that begins paused is resumed; its memory is a region" $? "$scratch/run"
refused 'a guest guest is here already' run --name guest -a "$address" -- \
	qemu-system-x86_64 -m 128
check "it is listed, and runs" listed running
pgrep -f "$scratch/$side/vm-guest/qmp" >"$scratch/pid"
XDG_RUNTIME_DIR=$scratch/$side "$extmem" vm list --json >"$scratch/out"
python3 - "$scratch/out" "$scratch/pid" <<-END
	import json, sys
	guest, = json.load(open(sys.argv[1]))
	assert guest["name"] == "guest" and guest["size"] == 128 << 20
	assert str(guest["qemu"]) in open(sys.argv[2]).read().split()
END
verdict "and so it is in JSON" $? "$scratch/out"
swap() {
	t=$side side=$other other=$t
}
i=0 bytes=0
while [ $i -lt "${VM_MOVES:-3}" ]; do
	i=$((i + 1))
	(move $side $other)
	verdict "move $i: it goes to the other machine" $? "$scratch/moved" "$scratch/run"
	echo "  $(cat "$scratch/moved")"
	swap
	goes_on && [ "$(sides)" = $side ]
	verdict "and goes on there, and only there" $?
	size=$(stat -c %s "$scratch/sent")
	[ "$size" -gt "$bytes" ] && bytes=$size
done
[ "$bytes" -gt 0 ] && [ "$bytes" -lt 1342177 ]
verdict "at most $bytes bytes were sent, under 1 % of its memory" $?
check "all that it has read is right" right
[ $failed -eq 0 ] || {
	summary
	exit 1
}
wait "$run"
verdict "who kept it first has ended with status 0" $? "$scratch/run"

refused_move() {
	XDG_RUNTIME_DIR=$scratch/$side timeout 300 "$extmem" vm move --rsh "$1" \
		guest nowhere >"$scratch/moved" 2>&1
	[ $? -eq 1 ] && grep -qF -e "$2" "$scratch/moved" && goes_on &&
		[ "$(sides)" = $side ]
	verdict "it stays: $2" $? "$scratch/moved"
}
refused_move "$scratch/none" 'nothing is heard'
printf '#!/bin/sh\nexit 1\n' >"$scratch/to-none"
chmod +x "$scratch/to-none"
refused_move "$scratch/to-none" 'nothing is heard'

# A kill or a cut after so many milliseconds, from none to as long as a move takes.
strike() {
	qemu=$(pgrep -f "^qemu-system-x86_64 .*$scratch/$other/vm-guest/qmp")
	case $1 in
	0) kill -9 $mover ;;
	1) kill -9 "$(cat "$scratch/rsh.receive")" ;;
	2) pkill -KILL -P "$(cat "$scratch/rsh.stream")" ;;
	3) kill -9 "$qemu" ;;
	4) kill -9 "$(ps -o ppid= -p "$qemu" | tr -d ' ')" ;;
	5) pkill -KILL -f "extmem-mount .*$scratch/$other/vm-guest" ;;
	esac
}
# One side has the guest, and nobody keeps one on the other.
one_side() {
	case $(sides) in
	a | b) [ "$(sides)" = $side ] || swap ;;
	*) return 1 ;;
	esac
	[ ! -e "$scratch/$other/vm-guest/lock" ] ||
		flock -n "$scratch/$other/vm-guest/lock" true
}
# What was killed where it ran already is gone, rightly; another one begins.
was_there() {
	[ "$1" -ge 3 ] && grep -q -e 'has moved to' -e 'is not known' "$scratch/moved" "$scratch/run" &&
		right && swap && await eval '[ -z "$(sides)" ]' && begin
}
i=0
while [ $i -lt "${VM_CUTS:-6}" ]; do
	rm -f "$scratch"/rsh.*
	move $side $other &
	mover=$!
	delay=$((i * 311 % 900))
	sleep "0.$(printf %03d $delay)"
	strike $((i % 6)) 2>/dev/null
	wait $mover 2>/dev/null
	{ goes_on && await one_side && goes_on; } || was_there $((i % 6))
	verdict "cut $i ($((i % 6)), after $delay ms): one side runs it: $side" $? \
		"$scratch/moved" "$scratch/run"
	i=$((i + 1))
done
check "all that it has read is right" right
summary
