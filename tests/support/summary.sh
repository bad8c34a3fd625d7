#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: summary.sh BUILD-FOLDER
# Adds up what the tests of a build said: each log below tests/ ends with a line
# "N passed, M failed". A test that failed without saying how many counts as
# one. Prints the tests that failed with what their logs say of it, so that the
# output of a machine that is gone is enough to know what failed, and the sum as
# the last line; ends 1 if any failed, or if there was none.
set -u
cd "$1/tests" || exit 1

# usage: complaint LOG: each check that failed, with the lines that are indented
# below it, and how the log ends, which is all there is when a test was killed.
complaint() {
	awk '
		/FAILED/ { deep = match($0, /[^ \t]/); left = 15; print; next }
		left > 0 && match($0, /[^ \t]/) > deep { left--; print; next }
		{ left = 0 }
	' "$1" | cut -c 1-200 | head -n 60
	echo '... and its end:'
	tail -n 15 "$1" | cut -c 1-200
}
passed=0
failed=0
for trs in */*.trs; do
	[ -f "$trs" ] || continue
	name=${trs%.trs}
	result=$(sed -n 's/^:global-test-result: *//p' "$trs")
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$name.log" |
		tail -n 1)
	p=${counts%% passed*}
	f=${counts#* passed, }
	f=${f%% failed*}
	case $result in
	PASS) ;;
	SKIP)
		echo "skipped: $name: $(grep -v '^$' "$name.log" |
			grep -v '^SKIP ' | tail -n 1)"
		p=0
		f=0
		;;
	*)
		echo "failed: $name ($result), see $1/tests/$name.log"
		complaint "$name.log" | sed 's/^/    /'
		[ "${f:-0}" -gt 0 ] || f=1
		;;
	esac
	passed=$((passed + ${p:-0}))
	failed=$((failed + ${f:-0}))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
