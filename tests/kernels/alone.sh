# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What runs in a guest that has no neighbour; read by guest.sh, with $tests,
# and $tests_twice, those that are made once more as another user.
item costs 300 "$XM_BUILDDIR/tests/kernels/costs"
for test in tests/kernels/basics.sh tests/kernels/mappings.sh $tests $tests_twice
do
	case $test in
	*.sh) item "$(basename "$test" .sh)" 2400 "$XM_SRCDIR/$test" ;;
	*) item "$(basename "$test")" 2400 "$XM_BUILDDIR/$test" ;;
	esac
done
for test in $tests_twice; do
	item "$(basename "$test"), another user" 2400 $user "$XM_BUILDDIR/$test"
done
item test_run_forks 3600 "$XM_SRCDIR/tests/run/test_run_forks.sh"
