#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pages whose rights a program changes by mprotect(2), under `extmem run`: each touch, each
# system call and each child finds the rights and the bytes that are there on any memory.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_rights

for use in guards barrier calls large storm children; do
	"$program" "$use" >"$scratch/plain" 2>&1
	verdict "$use: plain" $?
	try "$extmem" run --local 3M --external 256M --threshold 4K -- \
		"$program" "$use"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: as plain" $((status + $?))
done
summary
