#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-sim in several processes, and under mpirun where that is there: one
# report, the same as one process makes.
. "$XM_SRCDIR/tests/support/count.sh"
need_simulator

# All that a report says but the time it took.
report() {
	"$@" --runs 40 --json --fail-on weather.kill_client 2>/dev/null |
		grep '^{' | sed 's/"wall_s":[^,]*,//; s/\("simulated_s":[0-9]*\.[0-9][0-9]\)[0-9]*/\1/'
}

alone=$(report "$sim")
check "a report is made" test -n "$alone"
check "two jobs report as one process" \
	test "$(report "$sim" --jobs 2)" = "$alone"
check "seven jobs, too" test "$(report "$sim" --jobs 7)" = "$alone"
"$sim" --runs 40 --jobs 2 --quiet --fail-on weather.kill_client >/dev/null 2>&1
check "a failure in a job is the status of all" test $? -eq 1
"$sim" --runs 4 --jobs 2 --quiet >/dev/null
check "and none is 0" test $? -eq 0

if can_mpirun; then
	check "three ranks report as one process" \
		test "$(report $mpirun -n 3 "$sim")" = "$alone"
	story=a_fault_on_a_page_being_written_back
	check "three ranks tell a story once" \
		test "$($mpirun -n 3 "$sim" --story $story 2>/dev/null)" = \
		"$("$sim" --story $story)"
else
	echo "skipped: no MPI"
fi

summary
