#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pages that are lost, where a process may have few mappings: before Linux 6.6
# (UFFDIO_POISON) each run of them is one. As root, in a guest: it lowers
# vm.max_map_count.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/kernels/lost_pages

# usage: lost N MAPPINGS: the last try lost all but what was local of N pages,
# and had so many mappings more, most.
lost() {
	cat "$scratch/out"
	set -- "$1" "$2" $(sed -n 's/^\([0-9]*\) lost, \([-0-9]*\) mappings.*/\1 \2/p' \
		"$scratch/out")
	[ $# -eq 4 ] && [ "$3" -ge $(($1 - 512)) ] && [ "$4" -le "$2" ]
}

try "$program" inline 4096 1
lost 4096 10
verdict "inline: 4096 lost pages are no mappings" $((status + $?))
# Pages that are still here lie between them.
try "$program" thread 4096 1
lost 4096 200
verdict "by a thread: 4096 neighbours that are lost are few mappings" \
	$((status + $?))

[ "$(id -u)" -eq 0 ] && [ -n "${XM_GUEST-}" ] || {
	echo "skipped: with few mappings allowed: this is no guest"
	summary
	exit
}
sysctl -q vm.max_map_count=1000
try "$program" thread 8192 2
if grep -q 'cannot be marked so' "$scratch/err"; then
	[ "$status" -eq 135 ]
	verdict "too many mappings: the process ends by SIGBUS, in words" $?
	cat "$scratch/err"
else
	lost 4096 10
	verdict "this kernel marks lost pages without mappings" $((status + $?))
fi
summary
