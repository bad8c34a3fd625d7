#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem advise`: a program that it records does what it does without, and what it says of the
# misses is what a run with that much local memory has.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_program
json=$scratch/advice

try "$extmem" advise
says 'which program?' 2
verdict "without a program it says what to do" $?
try "$extmem" advise --shares 50,0 -- true
says '--shares 50,0: give up to 16 numbers from 1 to 100' 2
verdict "a share that is none is refused" $?
TMPDIR=$scratch/nowhere try "$extmem" advise -- true
says 'see --room, and TMPDIR' 125
verdict "a recording that has no place is said" $?
try "$extmem" advise -- "$scratch/nothing"
says 'No such file' 127
verdict "so is a program that is not there" $?
EXTMEM_OPEN_AFTER=8M try "$extmem" advise -- sh -c 'exit 7'
says 'had no external memory' 7
verdict "the status is the program's; without external memory it is said" $?

export TMPDIR="$scratch"
# It touches 8 MiB at random, a page each time.
try "$extmem" advise --link 30us --local 1M --flame "$scratch/flame.svg" -- \
	"$program" jumps 8
[ "$status" -eq 0 ] && grep -q 'jumps: as it should be' "$scratch/out" &&
	grep -q 'A link of 30.0 us a round trip' "$scratch/err" &&
	grep -q '^   25 %' "$scratch/err"
verdict "words say what shares cost" $?
[ -z "$(grep -a '^extmem advise\|^  ' "$scratch/err" | grep '.\{81\}')" ]
verdict "within 80 columns" $?
grep -q '^</svg>' "$scratch/flame.svg" && grep -q 'main (run_program)\|run_program+0x' \
	"$scratch/flame.svg" && grep -q 'misses, 100.0 %' "$scratch/flame.svg"
verdict "the flame graph has the program's calls" $?
if command -v xmllint >/dev/null; then
	check "it is XML" xmllint --noout "$scratch/flame.svg"
fi
[ -z "$(find "$scratch" -name 'extmem-advise.*')" ]
verdict "its file is gone" $?

if ! configured JANSSON; then
	echo "skipped: JSON: this build has no jansson"
	summary
	exit
fi
try "$extmem" advise --local 1M --json -o "$json" --shares 50,25 -- \
	"$program" jumps 8
[ "$status" -eq 0 ] && [ ! -s "$scratch/err" ] && [ -s "$json" ]
verdict "JSON goes to its file, and nothing to stderr" $?
local=$(sed -n 's/^ *"local_bytes": \([0-9]*\).*/\1/p' "$json" | tail -n 1)
foreseen=$(sed -n 's/^ *"misses": \([0-9]*\).*/\1/p' "$json" | sed -n 2p)
try "$extmem" run --local "$local" --paging inline --stats "$scratch/stats" -- \
	"$program" jumps 8
real=$(number misses)
echo "foreseen $foreseen, real $real"
[ "$((foreseen * 4))" -ge "$((real * 3))" ] && [ "$((foreseen * 4))" -le "$((real * 5))" ]
verdict "misses at random are foreseen within a quarter" $?
summary
