#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs that confine themselves by seccomp(2) keep their external memory, and
# stay confined.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_confined
[ "$(uname -m)" = x86_64 ] ||
	skip "the filters of this program are for x86-64"
"$program" wrong >/dev/null 2>&1 || skip "seccomp is not to be had here"

# usage: compare NAME COMMAND...: of $use, begun by that command.
compare() {
	name=$1
	shift
	try "$@" --local 4M --external 96M -- "$program" "$use"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: $name" $((status + $?))
}

for use in touches external strict grows stays forks leaves traps threads \
	wrong; do
	"$program" "$use" >"$scratch/plain" 2>&1
	compare "as plain" "$extmem" run
	[ -z "$unprivileged" ] ||
		compare "as an unprivileged user" $unprivileged "$extmem" run
done
use=touches
"$program" "$use" >"$scratch/plain" 2>&1
compare "where a thread serves faults" "$extmem" run --paging thread
compare "with wrapped calls alone" "$extmem" run --calls wrap
try sh -c 'ulimit -n 1000 && exec "$@"' sh "$extmem" run --local 4M \
	--external 96M -- "$program" "$use"
grep -q 'seccomp: refused: .*4096 descriptors' "$scratch/err"
verdict "with few descriptors: refused in words" $?
summary
