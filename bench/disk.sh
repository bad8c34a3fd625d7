#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The disk face beside nbdkit's own memory plugin, in one run: fio on each in turn, and the
# ratio of the medians. Both are reached by the same protocol and socket, so what differs
# is where the bytes are.
#
#	bench/disk.sh [-b BUILD] [-n SECONDS] [-r REPEAT] [-a ADDRESS] [-- SETTING...]
#
#	-b  where extmemd and the plugin were built (.)
#	-n  seconds of one measurement (2)   -r  repetitions, whose median counts (5)
#	-a  an appliance (one is started on loopback)
#	Settings after -- go to the disk: seal=all, lanes=2
#
# Needs nbdkit, and fio with its nbd engine. Prints a table; the last column is extmem's
# share of the memory plugin's rate. It needs a quiet machine.
. "$(dirname "$0")/common.sh"

build=. seconds=2 repeat=5 address=
while getopts b:n:r:a: option; do
	case $option in
	b) build=$OPTARG ;;
	n) seconds=$OPTARG ;;
	r) repeat=$OPTARG ;;
	a) address=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
build=$(cd "$build" && pwd)
plugin=$build/.libs/nbdkit-extmem-plugin.so
[ -r "$plugin" ] || fail "no $plugin: say with -b where it was built"
fio --enghelp 2>/dev/null | grep -qw nbd || fail "fio with an nbd engine is not here"
size=256M

scratch=$(mktemp -d) || exit 1
processes=
# shellcheck disable=SC2086 # several
trap 'kill $processes 2>/dev/null; wait; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

await() { # FILE PROCESS
	until [ -s "$1" ]; do
		kill -0 "$2" 2>/dev/null || fail "it did not come up: $(cat "$scratch/log")"
		sleep 0.1
	done
}
if [ -z "$address" ]; then
	"$build/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 512M --ready-fd 7 \
		7>"$scratch/address" 2>"$scratch/log" &
	processes=$!
	await "$scratch/address" $!
	address=$(cat "$scratch/address")
fi
serve() { # NAME PLUGIN PARAMETER...
	name=$1
	shift
	nbdkit -f -U "$scratch/$name" -P "$scratch/$name.pid" "$@" 2>>"$scratch/log" &
	processes="$processes $!"
	await "$scratch/$name.pid" $!
	# Every byte is written once: fresh pages cost nothing.
	head -c "$(numfmt --from=iec $size)" /dev/urandom |
		nbdcopy - "nbd+unix:///?socket=$scratch/$name" || exit 1
}
serve extmem "$plugin" $size appliance="$address" "$@"
serve memory memory $size

# usage: rate NAME PATTERN BLOCK DEPTH: operations a second. The engine prints noise.
rate() {
	fio --name=x --ioengine=nbd --uri="nbd+unix:///?socket=$scratch/$1" \
		--rw="$2" --bs="$3" --iodepth="$4" --size=$size --time_based \
		--runtime="$seconds" --output-format=terse --terse-version=3 \
		--output="$scratch/fio" >/dev/null 2>&1 || fail "fio failed"
	grep '^3;' "$scratch/fio" | awk -F';' '{ print $8 + $49 }'
}
median() { # FILE
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

echo '| pattern | block | depth | extmem, op/s | memory, op/s | ratio |'
echo '|---|---|---|---|---|---|'
for what in 'randread 4k 1' 'randread 4k 16' 'randwrite 4k 1' 'randwrite 4k 16' \
	'read 256k 4' 'write 256k 4'; do
	rm -f "$scratch"/rates.*
	for _ in $(seq "$repeat"); do
		for name in extmem memory; do
			# shellcheck disable=SC2086 # three words
			rate $name $what >>"$scratch/rates.$name"
		done
	done
	echo "$what $(median "$scratch/rates.extmem") $(median "$scratch/rates.memory")" |
		awk '{ printf "| %s | %s | %s | %.0f | %.0f | %.2f |\n",
			$1, $2, $3, $4, $5, $4 / $5 }'
done
