#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `make claims`: runs the tests that docs/CLAIMS.md names, and prints its table with what
# came of them. A row names tests in its third column, as `tests/...`; its fourth begins
# with yes, partly or not yet.
#
#	yes		all of them passed, and the row says yes
#	partly		they passed, and the row says what lacks
#	skipped		one of them cannot run here; its log says why
#	NO		one of them failed
#	not run		the row names none, but a command to be run by hand
#	not yet		the row says so
#
# Exit status 1: there is a NO. --list prints the tests and runs nothing.
claims=$XM_SRCDIR/docs/CLAIMS.md

rows() {
	sed -n 's/^| *\([0-9][^|]*\) *| *\([^|]*\) *| *\([^|]*\) *| *\([^|]*\) *|$/\1|\2|\3|\4/p' \
		"$claims"
}
tests_of() {
	printf '%s\n' "$1" | grep -oE '`tests/[a-z_/.]+`' | tr -d '`' | sort -u
}

all=$(tests_of "$(rows | cut -d '|' -f 3)" | tr '\n' ' ')
if [ "${1:-}" = --list ]; then
	echo "$all"
	exit 0
fi
# Results of an earlier day are not today's.
for test in $all; do
	rm -f "$XM_BUILDDIR/${test%.sh}.trs"
done
"${XM_MAKE:-make}" -s -C "$XM_BUILDDIR" check TESTS="$all" >"$XM_BUILDDIR/claims.log" 2>&1

result() {
	sed -n 's/^:global-test-result: //p' "$XM_BUILDDIR/${1%.sh}.trs" 2>/dev/null
}

# usage: shown TESTS WORDS: what came of a row.
shown() {
	word=${2%%[:;. ]*}
	[ "$word" != not ] || word='not yet'
	[ -n "$1" ] || [ "$word" = 'not yet' ] || word='not run'
	for test in $1; do
		case $(result "$test") in
		PASS) ;;
		SKIP) [ "$word" = NO ] || word=skipped ;;
		*) word=NO ;;
		esac
	done
	echo "$word"
}

bad=0
printf '%-10s %-8s %s\n' claim shown 'what must be seen'
rows >"$XM_BUILDDIR/claims.rows"
while IFS='|' read -r claim what by words; do
	shown=$(shown "$(tests_of "$by")" "$words")
	[ "$shown" != NO ] || bad=1
	printf '%-10s %-8s %s\n' "$claim" "$shown" "$what"
	[ "$shown" = yes ] || printf '%20s%s\n' '' "$words"
done <"$XM_BUILDDIR/claims.rows"
rm -f "$XM_BUILDDIR/claims.rows"
[ $bad -eq 0 ] || echo "a test has failed: see claims.log, and the log of each"
exit $bad
