#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The kernel is given external memory that is away, in every way a program can:
# what comes of it is as on any memory.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_calls

for use in all threads stacks cancel descriptors; do
	"$program" "$use" >"$scratch/plain" 2>&1
	try "$extmem" run --local 3M --external 64M -- "$program" "$use"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: as plain" $((status + $?))
	if [ -n "$unprivileged" ]; then
		try $unprivileged "$extmem" run --local 3M --external 64M -- \
			"$program" "$use"
		cmp -s "$scratch/plain" "$scratch/out"
		verdict "$use: the same as an unprivileged user" $((status + $?))
	fi
	try "$extmem" run --local 3M --external 64M --paging thread -- \
		"$program" "$use"
	if grep -q 'not allowed\|not permitted\|EPERM' "$scratch/err"; then
		echo "skipped: paging by a thread: not allowed here"
	else
		cmp -s "$scratch/plain" "$scratch/out"
		verdict "$use: where the kernel's faults are served" \
			$((status + $?))
	fi
done
summary
