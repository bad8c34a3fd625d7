#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Memory that is reserved first, committed in parts, protected, replaced, moved and given
# back, under `extmem run`: as plain, and bounded by --local.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_areas
uses="heap replace rights unmap move advice forks gone local random"

for use in $uses; do
	"$program" "$use" >"$scratch/plain" 2>&1
	try "$extmem" run --local 8M --external 256M -- "$program" "$use" \
		"$scratch/peak"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: as plain" $((status + $?))
	[ "$(cat "$scratch/peak")" -le $((8 + 32)) ]
	verdict "$use: at most the local budget and 32 MiB are resident" $?
	try "$extmem" run --local 8M --external 256M --calls wrap \
		--threshold 1 -- "$program" "$use"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: where libc's functions alone are watched" \
		$((status + $?))
done

# 80 MiB are used, a terabyte is reserved.
try "$extmem" run --local 8M --stats "$scratch/stats" -- "$program" heap
[ "$status" -eq 0 ] &&
	[ "$(number region_bytes)" -lt $((512 * 1048576)) ]
verdict "what is only reserved takes no memory of an appliance" $?

try "$extmem" run --local 8M --external 32M -- "$program" heap
says "no external memory" 1
verdict "what cannot be had is told to the program, and said" $?

try "$extmem" run --local 8M --external 32M --overflow local -- "$program" heap
says "it is local now" 0
verdict "--overflow=local: it is local" $?
summary
