#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-sim: a process that crashes, or is in one step for too long, names its
# seed.
. "$XM_SRCDIR/tests/support/count.sh"
need_simulator

mkfifo "$scratch/trace"

# What a run says that gets a signal in its midst: it is when it tells of itself.
struck() {
	"$sim" --seed 7 --quiet --trace >/dev/null 2>"$scratch/trace" &
	exec 3<"$scratch/trace"
	read -r _ <&3
	kill -s "$signal" $!
	words=$(grep -A 1 'seed 7: law broken: ' <&3)
	exec 3<&-
	wait $!
	status=$?
}

for signal in SEGV BUS FPE ABRT; do
	struck
	check "who ends by SIG$signal names the seed" \
		expr "$words" : '.*seed 7: law broken: crash: '
	check "and the commit" expr "$words" : '.*at commit '
	check "and ends by it all the same" test "$status" -gt 128
done

summary
