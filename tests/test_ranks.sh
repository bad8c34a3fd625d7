#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# extmem-sim in several processes, and under mpirun where that is there: one
# report, the same as one process makes.
set -u

sim="$XM_BUILDDIR/extmem-sim"
passed=0
failed=0

check() { # NAME CONDITION...
	name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $name" >&2
	fi
}

# All that a report says but the time it took.
report() {
	"$@" --runs 40 --json --fail-on weather.kill_client 2>/dev/null |
		grep '^{' | sed 's/"wall_s":[^,]*,//; s/\("simulated_s":[0-9]*\.[0-9][0-9]\)[0-9]*/\1/'
}

if [ ! -x "$sim" ]; then
	echo "extmem-sim is not built (Debian: libjansson-dev)" >&2
	exit 77
fi
alone=$(report "$sim")
check "a report is made" test -n "$alone"
check "two jobs report as one process" \
	test "$(report "$sim" --jobs 2)" = "$alone"
check "seven jobs, too" test "$(report "$sim" --jobs 7)" = "$alone"
"$sim" --runs 40 --jobs 2 --quiet --fail-on weather.kill_client >/dev/null 2>&1
check "a failure in a job is the status of all" test $? -eq 1
"$sim" --runs 4 --jobs 2 --quiet >/dev/null
check "and none is 0" test $? -eq 0

if grep -q '^#define HAVE_MPI' "$XM_BUILDDIR/config.h" &&
	command -v mpirun >/dev/null; then
	many="mpirun -n 3"
	mpirun --version 2>/dev/null | grep -q 'Open MPI' &&
		many="mpirun --oversubscribe -n 3"
	[ "$(id -u)" -eq 0 ] && many="$many --allow-run-as-root"
	# shellcheck disable=SC2086
	check "three ranks report as one process" \
		test "$(report $many "$sim")" = "$alone"
else
	echo "skipped: no MPI"
fi

echo "$passed passed, $failed failed"
test "$failed" -eq 0
