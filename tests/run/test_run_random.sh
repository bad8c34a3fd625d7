#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Random sequences of what a program does with memory: the same on external memory
# as on ordinary memory, but for what extmem-run(7) lists. `make random` makes more.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_random

# usage: compare NAME COMMAND...
compare() {
	name=$1
	shift
	try "$@"
	[ "$status" -eq 0 ] && grep -q ': the same$' "$scratch/out"
	verdict "$name" $?
}

compare "two ordinary memories are the same" "$program" 1 200 0 40
for seed in 1 2; do
	compare "seed $seed, as ordinary memory" "$extmem" run --local 1M \
		--external 128M -- "$program" $seed 60 0 40
done
[ -z "$unprivileged" ] ||
	compare "as an unprivileged user" $unprivileged "$extmem" run \
		--local 1M --external 128M -- "$program" 3 60 0 40
summary
