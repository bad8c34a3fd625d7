#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Turns on each planted bug (core/pure/plant.h), or those named, and lets the
# simulator run seeds from 1 on until a law breaks. One line each: the bug, the
# law, the seed, which is also how many were tried, and the seconds it took.
# Without the bug that seed must break nothing. A bug that needs a rarer order of events
# than seeds meet in that time has a story (sim/stories.c), whose kept trace it changes.
# Exit status 1: one was not found within PLANTED_SECONDS.

sim=${XM_PLANTED_SIM:-./extmem-sim-planted}
seconds=${PLANTED_SECONDS:-120}
stories=${XM_SRCDIR:-.}/tests/sim/stories
words=$(mktemp) || exit 1
trap 'rm -f "$words"' EXIT
status=0 found=0 all=0

if [ $# -eq 0 ]; then
	# shellcheck disable=SC2046
	set -- $(sed -n 's/^	X(\([a-z_]*\),.*/\1/p' \
		"${XM_SRCDIR:-.}/core/pure/plant.h")
fi
printf '%-24s %-22s %8s %9s\n' bug 'law that broke' seeds seconds
for bug; do
	all=$((all + 1))
	began=$(date +%s.%N)
	kind=cluster interface=plain
	case $bug in
	interface_*) interface=model ;;
	snapshot_later_write | copy_*) kind=copies ;;
	snapshot_*) kind=snapshot ;;
	reader_* | share_* | release_* | roll_* | *_unmarked) kind=share ;;
	store_*) kind=store ;;
	rows_* | code_*) kind=parity ;;
	persist_* | hold_* | tree_*) kind=durable ;;
	claim_* | mends_held | token_* | orphan_* | hand_* | keep_* | kept_* | offer_* | foul_*) kind=hands ;;
	esac
	"$sim" --kind "$kind" --interface "$interface" --plant "$bug" --runs 10000000 \
		--seconds "$seconds" --first --quiet >/dev/null 2>"$words"
	rc=$?
	took=$(date +%s.%N | awk -v began="$began" '{ printf "%.2f", $1 - began }')
	line=$(grep -m 1 '^seed [0-9]*: law broken: ' "$words")
	# It says so too of a process that crashed, and that has a status of
	# its own.
	if { [ $rc -eq 1 ] || [ $rc -gt 128 ]; } && [ -n "$line" ]; then
		seed=${line#seed } seed=${seed%%:*}
		law=${line#*law broken: } law=${law%%:*}
		if "$sim" --kind "$kind" --interface "$interface" --plant none \
			--seed "$seed" --quiet >/dev/null 2>&1
		then
			found=$((found + 1))
		else
			law='broken without it' status=1
		fi
	elif [ $rc -gt 1 ]; then
		seed=- law="exit status $rc" status=1
	else
		seed=-
		story=$("$sim" --plant "$bug" --stories "$stories" 2>&1 </dev/null |
			sed -n 's/^FAILED: //p' | head -n 1)
		if [ -n "$story" ]; then
			found=$((found + 1)) law='a story'
		else
			law='not found' status=1
		fi
	fi
	printf '%-24s %-22s %8s %9s\n' "$bug" "$law" "$seed" "$took"
	[ "$law" != 'a story' ] || echo "    $story"
done
echo "$found of $all planted bugs found"
exit $status
