#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Signals under `extmem run`: handlers that come at any moment, masks and
# actions are as on any memory, in children too.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_signals

for use in handler jump actions masks timer children forks; do
	"$program" "$use" >"$scratch/plain" 2>&1
	try "$extmem" run --local 3M --external 256M -- "$program" "$use"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: as plain" $((status + $?))
	try "$extmem" run --local 3M --external 256M --calls wrap -- \
		"$program" "$use"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: where libc's functions alone are watched" \
		$((status + $?))
done
summary
