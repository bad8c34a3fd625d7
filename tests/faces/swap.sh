#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem swap`, as root, on this machine: `make check-swap`, never by `make check`, since
# it changes the machine's swap. A program four times as large as its cgroup verifies
# each word, while appliances are stopped and killed. Whatever hangs is ended by a
# watchdog of the test's own, which knows nothing of extmem: after SWAP_PATIENCE seconds
# (120) it ends every FUSE connection that was not there at the start.
. "$XM_SRCDIR/tests/faces/rig.sh"
configured FUSE || skip "the file face is not built (Debian: libfuse3-dev)"
[ "$(id -u)" -eq 0 ] || skip "swap is root's to change"
for tool in losetup mkswap; do
	command -v $tool >/dev/null || skip "$tool is not here (Debian: mount)"
done

connections=/sys/fs/fuse/connections
mountpoint -q $connections || mount -t fusectl none $connections ||
	skip "without fusectl nothing could end a swap that hangs"
before=" $(cd $connections && echo *) "
patience=${SWAP_PATIENCE:-120}
(
	sleep "$patience"
	for connection in "$connections"/*; do
		case $before in
		*" ${connection##*/} "*) ;;
		*) echo 1 >"$connection"/abort ;;
		esac
	done
	echo "the test's watchdog ended it after $patience s" >"$scratch/hung"
) </dev/null >/dev/null 2>&1 8>&- &
dog=$!

# --- a small memory cgroup, of version 1 or 2 --------------------------------------------

group=
if [ -d /sys/fs/cgroup/memory ]; then
	group=/sys/fs/cgroup/memory/extmem-test.$$
	mkdir $group && echo 32M >$group/memory.limit_in_bytes &&
		echo 100 >$group/memory.swappiness || group=
elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then
	group=/sys/fs/cgroup/extmem-test.$$
	mkdir $group && echo 32M >$group/memory.max || group=
fi
tidy() {
	kill $dog 2>/dev/null
	"$extmem" swap off >/dev/null 2>&1
	[ -z "$group" ] || rmdir "$group" 2>/dev/null
	stop_all
}
trap tidy EXIT
[ -n "$group" ] || skip "no memory cgroup can be made here"

# usage: hog SECONDS: begins one; its process is $hog. Returns when it is filled.
hog() {
	: >"$scratch/hog"
	sh -c 'echo $$ >"$1"/cgroup.procs && exec "$2" 128 "$3"' hog "$group" \
		"$XM_BUILDDIR/tests/faces/hog" "$1" >"$scratch/hog" 2>&1 8>&- &
	hog=$!
	others="$others $hog"
	await begins_or_ends "$scratch/hog" $hog
	grep -q filled "$scratch/hog"
}
right() {
	wait $hog && grep -q 'bad 0' "$scratch/hog"
}

# --- what it does -------------------------------------------------------------------------

appliance --memory 512M || skip "no appliance came up"
first=$address first_process=$appliance
appliance --memory 512M || skip "no appliance came up"
check "swap on two appliances" "$extmem" swap on 256M --strategy 'mirror 2' \
	-a "$first" -a "$address" --deadline 45
check "twice is refused" eval '! "$extmem" swap on 64M -a "$address"'
check "a program four times its cgroup runs" hog 4
check "every word is right" right
grep -q /dev/loop /proc/swaps
verdict "by our device" $? /proc/swaps

check "another" hog 12
kill -STOP "$first_process" "$appliance"
sleep 4
kill -CONT "$first_process" "$appliance"
kill -9 "$first_process"
wait "$first_process" 2>/dev/null
check "is right though both were stopped for 4 s and one died" right
check "swap off" "$extmem" swap off
check "leaves nothing" eval '! grep -q /dev/loop /proc/swaps && [ ! -e /run/extmem-swap ]'

check "swap without a mirror" "$extmem" swap on 256M -a "$address" --deadline 10 \
	-o timeout=4s -o loss_timeout=2s
check "a program" hog 60
kill -9 "$appliance"
wait "$appliance" 2>/dev/null
! right
verdict "ends, or waits for no longer than the watchdog, when its appliance dies" $? \
	"$scratch/hog"
[ "$(grep -c 'bad [1-9]' "$scratch/hog")" -eq 0 ]
verdict "and has seen no wrong word" $? "$scratch/hog"
check "swap off, all the same" "$extmem" swap off
[ ! -e "$scratch/hung" ]
verdict "nothing hung" $? "$scratch/hung"
summary
