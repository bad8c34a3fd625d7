#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Random sequences of what a program does with memory, on external memory and on
# ordinary memory (run_random.c); the first that differs is shrunk: steps are left out
# as long as it still differs.
#
#	random.sh BUILD [SEED [COUNT [STEPS [WITHOUT...]]]]
#
# COUNT sequences (1,000) are made in runs of 500, each of its own appliance. WITHOUT
# names kinds of steps, as "protect", that are left out.
set -u
build=${1:?usage: random.sh BUILD [SEED [COUNT [STEPS [WITHOUT...]]]]}
seed=${2:-1}
count=${3:-1000}
steps=${4:-40}
shift $(($# < 4 ? $# : 4))

said=$(mktemp)
trap 'rm -f "$said"' EXIT

# usage: run FIRST COUNT WITHOUT...
run() {
	first=$1 many=$2
	shift 2
	timeout 600 "$build/extmem" run --open-after 0 --local 1M --external 128M -- \
		"$build/tests/run/run_random" "$seed" "$many" "$first" \
		"$steps" "$@" >"$said" 2>&1
}

first=0
while [ "$first" -lt "$count" ]; do
	many=$((count - first < 500 ? count - first : 500))
	run "$first" "$many" "$@" || break
	first=$((first + many))
done
if [ "$first" -ge "$count" ]; then
	echo "seed $seed: $count sequences of $steps steps are the same"
	exit 0
fi
failing=$(sed -n 's/.*sequence \([0-9]*\), step.*/\1/p' "$said" | head -1)
if [ -z "$failing" ]; then
	cat "$said"
	echo "seed $seed: it ended between sequences $first and $((first + many))"
	exit 1
fi
if run "$failing" 1 "$@"; then
	echo "seed $seed: sequence $failing differs after others alone; from $first on:"
	run "$first" $((failing - first + 1)) "$@"
	cat "$said"
	exit 1
fi
step=0
while [ "$step" -lt "$steps" ]; do
	if run "$failing" 1 "$@" "$step"; then
		: it is needed
	elif grep -q "sequence $failing, step" "$said"; then
		set -- "$@" "$step"
	fi
	step=$((step + 1))
done
run "$failing" 1 "$@"
cat "$said"
echo "again: extmem run --open-after 0 --local 1M --external 128M -- run_random $seed 1 $failing $steps $*"
exit 1
