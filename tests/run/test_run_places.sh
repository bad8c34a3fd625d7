#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem run` where programs are kept small: in containers, under a memory
# cgroup, with limits on addresses and on locked memory. What cannot be made here
# is skipped, in words.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_program
cgroup=
stop() {
	[ -z "$cgroup" ] || rmdir "$cgroup"
	end
}
trap stop EXIT

# usage: runs NAME PREFIX...: a program and its fork, as plain.
"$program" malloc 16 >"$scratch/plain"
"$program" fork-exec 16 >>"$scratch/plain"
runs() {
	what=$1
	shift
	try "$@" "$extmem" run --local 4M --external 64M -- "$program" malloc 16
	first=$status
	cp "$scratch/out" "$scratch/first"
	try "$@" "$extmem" run --local 4M --external 64M -- "$program" fork-exec 16
	cat "$scratch/first" "$scratch/out" | cmp -s - "$scratch/plain"
	verdict "$what" $(($? + first + status))
}

# usage: in_container NAME COMMAND...: or a word about why not.
in_container() {
	name=$1
	shift
	if ! command -v "$1" >/dev/null; then
		echo "skipped: $name: $1 is not there"
	elif ! "$@" true 2>/dev/null; then
		echo "skipped: $name: it cannot be made here"
	else
		runs "$name" "$@"
	fi
}

in_container "in a user namespace" unshare -Ur
in_container "in namespaces of its own but for the network's" \
	unshare -Urmpiuf --mount-proc
in_container "in bubblewrap, with devices of its own" \
	bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp \
	--ro-bind "$XM_BUILDDIR" "$XM_BUILDDIR" --bind "$scratch" "$scratch" \
	--unshare-pid --unshare-ipc
[ "$(id -u)" -ne 0 ] || in_container "by chroot" chroot /

# Begun by the program itself.
if ! bwrap --ro-bind / / --dev /dev --proc /proc true 2>/dev/null; then
	echo "skipped: bubblewrap under extmem run: it is not there, or cannot be"
else
	try "$extmem" run -- bwrap --ro-bind / / --dev /dev --proc /proc true
	verdict "bubblewrap under extmem run" "$status"
fi
if unshare -Ur true 2>/dev/null; then
	try "$extmem" run -- unshare -Ur true
	says 'a user namespace cannot be begun here' 1
	verdict "a user namespace under extmem run: refused in words" $?
fi
if [ -n "$unprivileged" ]; then
	try "$extmem" run -- $unprivileged true
	[ "$status" -lt 128 ] && grep -q ': refused: .* may not' "$scratch/err"
	verdict "setpriv under extmem run: refused in words" $?
fi

# Little room for addresses: the arena is smaller then.
for kib in 4000000 600000; do
	(
		ulimit -v $kib
		try "$extmem" run --local 4M --external 64M -- \
			"$program" malloc 16
		exit $status
	)
	verdict "with ulimit -v $kib" $?
done
(
	ulimit -v 60000
	try "$extmem" run --local 4M --external 64M -- "$program" malloc 16
	# Refused, in words, before the program begins; or it works.
	[ "$status" -eq 0 ] || { [ "$status" -ne 0 ] && [ -s "$scratch/err" ] &&
		! grep -q malloc "$scratch/out"; }
)
verdict "with ulimit -v too low: in words" $?
if (ulimit -l 0) 2>/dev/null; then
	(
		ulimit -l 0
		try $unprivileged "$extmem" run --local 4M --external 64M -- \
			"$program" malloc 16
		exit $status
	)
	verdict "with ulimit -l 0" $?
fi

# A memory cgroup of half of what the program uses; the appliance is elsewhere.
limits=/sys/fs/cgroup/memory
if [ "$(id -u)" -eq 0 ] && [ -f $limits/memory.limit_in_bytes ] &&
	mkdir "$limits/extmem-test.$$" 2>/dev/null; then
	cgroup=$limits/extmem-test.$$
	echo 33554432 >"$cgroup/memory.limit_in_bytes"
	appliance 128M
	cat >"$scratch/inside" <<'END'
echo $$ >"$1/cgroup.procs" || exit 1
shift
exec "$@"
END
	try sh "$scratch/inside" "$cgroup" "$extmem" run --local 8M \
		--appliance "$address" --stats "$scratch/stats" -- \
		"$program" malloc 64
	[ "$(number external_peak_bytes)" -gt 50000000 ]
	verdict "in a memory cgroup of 32 MiB, with more than that in use" \
		$((status + $?))
	try sh "$scratch/inside" "$cgroup" "$extmem" run --external 64M -- true
	says 'did not come up' 125 && says 'ended by signal 9' 125
	verdict "in one that the run's own appliance does not fit in: in words" $?
	try sh "$scratch/inside" "$cgroup" "$extmem" doctor
	grep -q '^memory cgroup  *limited.* 32' "$scratch/out"
	verdict "doctor sees that cgroup's limit" $?
else
	echo "skipped: a memory cgroup: that takes root, and cgroups of version 1"
fi
summary
