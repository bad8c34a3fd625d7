#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The lines that one client and one appliance are to reach, as ratios measured
# in one run, medians of REPEAT (5):
#
#	bench/lines.sh BUILD [TRANSPORT]    ofi+tcp (default), ofi+shm, loop
#
# A line ends in "yes" or "no"; the exit status says only whether all was
# measured. t_net: one 4 KiB one-sided read; f: a fault without network and
# library; B_net: one-sided reads at the best size. All of this very run.
. "$(dirname "$0")/common.sh"
set -e

[ $# -ge 1 ] || usage
build=$1
transport=${2:-ofi+tcp}
repeat=${REPEAT:-5}
pages=${PAGES:-50000}
bench=$build/extmem-bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

line() { # words, measured, limit, "le" or "ge"
	awk -v w="$1" -v m="$2" -v l="$3" -v how="$4" 'BEGIN {
		ok = how == "le" ? m <= l : m >= l
		printf "%-46s %8.2f  %s %-7s %s\n", w, m,
			how == "le" ? "<=" : ">=", l, ok ? "yes" : "no" }'
}

fault() { # name of the file, options
	out=$work/$1
	shift
	"$bench" fault --json --transport "$transport" --pages "$pages" \
		--repeat "$repeat" "$@" >"$out"
}

# usage: figure FILE EXPRESSION [PATTERN]: of its first line, or that pattern's
figure() {
	json 'want == "" || text("pattern") == want {
		print '"$2"'
		exit
	}' want="${3-}" "$work/$1"
}

"$bench" --version
echo "$transport, $pages pages, medians of $repeat"
fault cold --local 100 --cold --pattern random-read
fault warm --local 25 \
	--pattern random-read,random-rmw,seq-read,seq-write
for key in t_net_us f_us B_net_MBps; do
	echo "$key $(figure warm "number(\"$key\")")"
done
over='number("us_per_miss_minus_t_net_in_f")'
line "fault, nothing to evict: t_net + x f" \
	"$(figure cold "$over" random-read)" 1.3 le
line "25 % local, random read: t_net + x f" \
	"$(figure warm "$over" random-read)" 1.5 le
line "  p99 / p50" \
	"$(figure warm 'number("p99_us") / number("p50_us")' random-read)" 3 le
line "25 % local, random rmw: t_net + x f" \
	"$(figure warm "$over" random-rmw)" 3 le
share='number("share_of_B_net_pct")'
line "25 % local, sequential read: % of B_net" \
	"$(figure warm "$share" seq-read)" 85 ge
line "25 % local, sequential write: % of B_net" \
	"$(figure warm "$share" seq-write)" 60 ge
"$bench" rma --json --transport "$transport" --api plain --bytes 4K,64K,1M \
	--depth 1,8 --repeat "$repeat" --calibrate "$work/link" >"$work/rma"
for op in read write; do
	for bytes in 4096 65536 1048576; do
		ratio=$(json 'text("op") == op && number("depth") == 1 &&
			number("bytes") == bytes { print number("ratio") }' \
			op=$op bytes=$bytes "$work/rma")
		[ -z "$ratio" ] || line "explicit $op of $bytes: x the raw call" \
			"$ratio" 1.1 le
	done
done
# Of the depths the better.
for op in read write; do
	for bytes in 65536 1048576; do
		line "explicit $op of $bytes: % of B_net" "$(json '
			text("op") == op && number("bytes") == bytes &&
				number("share_of_B_net_pct") > best {
				best = number("share_of_B_net_pct")
			}
			END { print best + 0 }' op=$op bytes=$bytes "$work/rma")" \
			95 ge
	done
done
# All of it local: what loads and stores cost beside those of ordinary memory, which
# may have huge pages where the kernel gives them.
"$bench" stream --json --transport "$transport" --local 100 --size 64M \
	--repeat "$repeat" >"$work/hit"
line "a hit: stream all local, x ordinary memory" "$(json \
	'text("memory") == "external" { print number("slowdown") }' \
	"$work/hit")" 1.05 le
# One client and one appliance for both.
fault threads --local 25 --threads 1,2 --lanes 2 --pattern random-read
line "faults a second, 2 threads over 1" "$(json '
	{ us[number("threads")] = number("us_per_access") }
	END { print us[1] / us[2] }' "$work/threads")" 1.3 ge
[ "$transport" != loop ] || exit 0
# What a client uses for 1 GiB less what it uses for 8 MiB, with 2 MiB local.
for count in 2048 264192; do
	"$bench" idle --json --transport "$transport" --seconds 1 \
		--pages $count >"$work/idle.$count"
done
use='number("client_KiB")'
line "local memory for a remote page: bytes" "$(awk -v a="$(figure \
	idle.2048 "$use")" -v b="$(figure idle.264192 "$use")" 'BEGIN {
		print (b - a) * 1024 / 262144 }')" 24 le
if [ -x "$build/extmem-sim" ]; then
	for count in 1 16; do
		"$build/extmem-sim" --link "$work/link" --local 25 --json \
			--workload random-read --threads $count \
			--lanes $count >"$work/foreseen.$count"
	done
	us() {
		sed -n 's/.*"us_per_miss": *\([0-9.]*\).*/\1/p' \
			"$work/foreseen.$1"
	}
	line "the same, 16 over 1, foreseen" "$(awk -v a="$(us 1)" \
		-v b="$(us 16)" 'BEGIN { print a / b }')" 10 ge
else
	echo "16 threads over 1: extmem-sim is not built"
fi
