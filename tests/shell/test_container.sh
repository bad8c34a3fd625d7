#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmemd in a container: the process that decides who owns which bytes, and the one that
# serves them, in bubblewrap, with processes, devices and a file system of their own,
# which are read-only. Programs outside use its memory. The network is the host's.
. "$XM_SRCDIR/tests/support/daemons.sh"

command -v bwrap >/dev/null || skip "bubblewrap is not there (Debian: bubblewrap)"
container="bwrap --unshare-all --share-net --die-with-parent --new-session
	--ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --tmpfs /run
	--ro-bind $XM_BUILDDIR $XM_BUILDDIR"
# shellcheck disable=SC2086 # several words
$container true 2>/dev/null || skip "bubblewrap cannot make a container here"

: >"$scratch/ready"
# shellcheck disable=SC2086
$container "$extmemd" --ready-fd 7 --listen "$tcp" --memory 32M 7>"$scratch/ready" \
	2>>"$scratch/log" &
daemon=$!
daemons=$daemon
await begins_or_ends
address=$(cat "$scratch/ready")
check "an appliance begins in a container" test -n "$address"

# By the names of namespaces: none of its processes is in one of ours, but for the network.
apart() {
	inner=$(pgrep -P "$daemon" | head -n 1)
	for kind in pid mnt ipc uts; do
		[ "$(readlink "/proc/$inner/ns/$kind")" != "$(readlink "/proc/self/ns/$kind")" ] ||
			return 1
	done
	[ "$(readlink "/proc/$inner/ns/net")" = "$(readlink /proc/self/ns/net)" ]
}
if command -v pgrep >/dev/null; then
	check "in namespaces of its own" apart
else
	echo "skipped: in namespaces of its own: pgrep is not there (Debian: procps)"
fi

program=$XM_BUILDDIR/tests/run/run_program
"$program" malloc 16 >"$scratch/plain"
outside() {
	timeout 300 "$extmem" run --appliance "$address" --local 4M --external 24M -- \
		"$program" malloc 16 >"$scratch/out" 2>"$scratch/err" &&
		cmp "$scratch/plain" "$scratch/out"
}
if [ -e "$XM_BUILDDIR/.libs/libextmem-run.so" ]; then
	check "a program outside has its memory there" outside
fi
check "extmem status sees it" "$extmem" status "$address"
empty() {
	[ "$(leased "$address")" = 0 ]
}
check "and all is free again" await empty

kill "$daemon"
wait "$daemon" 2>/dev/null
check "it ends with its container" eval '! "$extmem" status --timeout 1 "$address"'
summary
