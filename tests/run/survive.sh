#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: survive.sh [ROUNDS [PROGRAM]...]
#
# Programs that nobody here wrote (programs.sh), mirrored over three appliances which
# are killed (and started again, empty) and stopped (and continued) at random moments,
# one at a time: the next one is struck when all copies are whole again. Each program
# must come to the same bytes and end with the same status as it does plain. A round
# is one run of each program with a quarter of its memory local.
# `make check-survival ROUNDS=25`.
. "$XM_SRCDIR/tests/support/run.sh"

rounds=${1:-1}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- sort sqlite numpy redis
strikes=$scratch/strikes
: >"$strikes"

# usage: start NUMBER: that appliance, at the address that it has, if it has one.
start() {
	eval "appliance 768M \"\${address$1-}\"" || return 1
	eval "daemon$1=$daemon address$1=$address"
}

# usage: processes_of NUMBER: both.
processes_of() {
	eval "set -- \$daemon$1"
	echo "$1" "$(children_of "$1")"
}

# Do all programs have all copies? Nothing is known of one that has just begun.
whole() {
	"$extmem" top --once --json --interval 50ms >"$scratch/rows" || return 1
	! grep -qE '"members_missing":[1-9]' "$scratch/rows"
}
is_whole() {
	whole && whole
}

# usage: strike NUMBER HOW
strike() {
	grep -qE '"members":[1-9]' "$scratch/rows" && echo "$2" >>"$strikes"
	# shellcheck disable=SC2046
	case $2 in
	kill)
		kill -KILL $(processes_of "$1") 2>/dev/null
		eval "wait \$daemon$1" 2>/dev/null
		start "$1"
		;;
	stop)
		stopped=$(processes_of "$1")
		# shellcheck disable=SC2086
		kill -STOP $stopped
		sleep 1
		# shellcheck disable=SC2086
		kill -CONT $stopped
		;;
	esac
}

random() {
	od -An -N2 -tu2 /dev/urandom | tr -d ' '
}

# Starts the appliances, whose parent it is, and strikes until it is told to end,
# which it does between two strikes.
strike_all() {
	ends=
	trap 'ends=yes' TERM
	trap - EXIT
	for number in 0 1 2; do
		start $number || exit 1
	done
	echo "--appliance $address0 --appliance $address1 --appliance $address2" \
		>"$scratch/options"
	while [ -z "$ends" ]; do
		sleep "$(awk "BEGIN { print 0.2 + $(random) % 1500 / 1000 }")"
		await is_whole || {
			echo "not whole: $(cat "$scratch/rows")" >"$scratch/sick"
			break
		}
		how=kill
		[ $(($(random) % 2)) -eq 0 ] || how=stop
		strike $(($(random) % 3)) $how || {
			cp "$scratch/log" "$scratch/sick"
			break
		}
	done
	until [ -n "$ends" ]; do
		sleep 0.1
	done
	kill "$daemon0" "$daemon1" "$daemon2"
	wait
}

end_all() {
	kill -TERM "$chaos"
	wait "$chaos"
	end
}

strike_all &
chaos=$!
trap end_all EXIT
begun() {
	[ -s "$scratch/options" ] || ! kill -0 "$chaos"
}
await begun
export XM_PROGRAMS_STRATEGY='mirror 2'
XM_PROGRAMS_OPTIONS=$(cat "$scratch/options")
export XM_PROGRAMS_OPTIONS

round=0
while [ $round -lt "$rounds" ] && [ ! -e "$scratch/sick" ]; do
	round=$((round + 1))
	status=0
	"$XM_SRCDIR/tests/run/programs.sh" --percents 25 "$@" \
		>"$scratch/said" 2>&1 || status=$?
	verdict "round $round of $rounds: $*: $(wc -l <"$strikes") strikes so far" \
		$status "$scratch/said"
done
if [ -e "$scratch/sick" ]; then
	verdict "after each strike all copies were made whole" 1 "$scratch/sick"
else
	verdict "after each strike all copies were made whole" 0
fi
status=0
[ -s "$strikes" ] || status=1
verdict "$(grep -c kill "$strikes") killed, $(grep -c stop "$strikes") stopped" $status
summary
