#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A program that waits for pages most of its time is told so, and what would help.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_program
line='the program waited for pages [0-9]* % of its time'

# usage: begin USE OPTION...: a program of 32 MiB.
begin() {
	use=$1
	shift
	try "$extmem" run --external 128M --stats "$scratch/stats" "$@" -- \
		"$program" "$use" 32
	[ "$status" -eq 0 ] && grep -q "$use: as it should be" "$scratch/out"
}

begin waits --local 8M && [ "$(grep -c "$line" "$scratch/err")" -eq 1 ] &&
	grep -q 'see --local, --advise and extmem-run(7)' "$scratch/err"
verdict "a program that waits is told once" $?
[ -z "$(grep -a '^extmem run\|^  ' "$scratch/err" | grep '.\{81\}')" ]
verdict "within 80 columns" $?

# At random: a tenth of its time needs nearly all of it.
wanted=$(sed -n 's/.*with --local=\([0-9]*\)M.*/\1/p' "$scratch/err")
if [ -n "$wanted" ]; then
	[ "$wanted" -ge 24 ] && [ "$wanted" -le 32 ]
else
	grep -q 'a tenth only with all of its 3[2-9] MiB local' "$scratch/err"
fi
verdict "the local memory that it wants is what it uses" $?

begin computes --local 8M && ! grep -q "$line" "$scratch/err"
verdict "a program that computes is told nothing" $?

begin waits --local 64M && ! grep -q "$line" "$scratch/err"
verdict "nor one that has all of its memory local" $?

# In the table.
"$extmem" run --external 128M --local 8M -- "$program" touch-forever 32 \
	>"$scratch/out" 2>/dev/null &
run=$!
await grep -q touching "$scratch/out"
"$extmem" top --once --interval 500ms >"$scratch/top"
kill "$run"
wait "$run" || :
grep -A2 run_program "$scratch/top" | tr -d '\n' |
	grep -q 'waits for pages [0-9]* % of its time: *[0-9]* misses a second'
verdict "extmem top has a line for it" $?
summary
