#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The durable store beside its disk and two databases, in one run: how long until 1, 16 and
# 1,024 pages that were written are durable, beside pwrite() and fdatasync() of as many, and
# beside a transaction of SQLite's (WAL, synchronous=full) and of LMDB's that updates as many;
# and how long an appliance takes to begin with a store after kill -9, beside reading its files.
#
#	bench/durable.sh [-b BUILD] [-d DIR] [-r ROUNDS] [-m MIB]
#
#	-b  where extmemd and tests/shell/durable were built (.)
#	-d  a folder on the disk that is meant (.); what is made there is removed
#	-r  rounds, each of 41 turns, of which the median counts (3)
#	-m  MiB that are durable when the appliance is killed (256)
#
# Needs python3 with sqlite3, and make tests/shell/durable; without LMDB (Debian: liblmdb-dev,
# before ./configure) its column is "-". Prints the least and the most of
# all rounds. Files are dropped from the page cache before they are read.
. "$(dirname "$0")/common.sh"

build=. folder=. rounds=3 mib=256
while getopts b:d:r:m: option; do
	case $option in
	b) build=$OPTARG ;;
	d) folder=$OPTARG ;;
	r) rounds=$OPTARG ;;
	m) mib=$OPTARG ;;
	*) usage ;;
	esac
done
client=$build/tests/shell/durable
[ -x "$client" ] || fail "no $client: make it, and say with -b where it was built"
python3 -c 'import sqlite3' 2>/dev/null || fail "python3 with sqlite3 is not here"
scratch=$(mktemp -d -p "$folder") || exit 1
daemon=
trap '[ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

now() {
	date +%s.%N
}
since() { # BEGAN: seconds
	echo "$1 $(now)" | awk '{ printf "%.3f", $2 - $1 }'
}
begin() { # OPTION...: until it is ready; its address is in $address
	: >"$scratch/ready"
	"$build/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory $((2 * mib + 64))M \
		--ready-fd 7 "$@" 7>"$scratch/ready" 2>"$scratch/log" &
	daemon=$!
	until [ -s "$scratch/ready" ]; do
		kill -0 $daemon 2>/dev/null || fail "it did not begin: $(cat "$scratch/log")"
		sleep 0.01
	done
	address=$(cat "$scratch/ready")
}
end() {
	# shellcheck disable=SC2046 # several
	kill -9 $(pgrep -P $daemon) $daemon
	wait $daemon 2>/dev/null
	# Another process of it may end a moment later.
	[ ! -e "$scratch/store/lock" ] || flock "$scratch/store/lock" true
	daemon=
}

# usage: database: µs for each count of pages
database() {
	python3 - "$scratch/database" <<-'END'
	import os, sqlite3, statistics, sys, time
	d = sqlite3.connect(sys.argv[1], isolation_level=None)
	d.execute("pragma page_size=8192")
	d.execute("pragma journal_mode=wal")
	d.execute("pragma synchronous=full")
	d.execute("create table if not exists t (page integer primary key, bytes blob)")
	d.execute("begin")
	d.executemany("insert or replace into t values (?, zeroblob(4096))",
	              ((i,) for i in range(4096)))
	d.execute("commit")
	for count in 1, 16, 1024:
	    took = []
	    for turn in range(41):
	        bytes = os.urandom(4096)
	        began = time.perf_counter()
	        d.execute("begin")
	        d.executemany("update t set bytes = ? where page = ?",
	                      ((bytes, 4 * i) for i in range(count)))
	        d.execute("commit")
	        took.append(time.perf_counter() - began)
	    print(count, round(statistics.median(took) * 1e6))
	END
}

# usage: other_database: likewise; "-" without it
other_database() {
	rm -f "$scratch/lmdb" "$scratch/lmdb-lock"
	if [ -x "$build/bench/lmdb" ]; then
		"$build/bench/lmdb" "$scratch/lmdb" || fail "LMDB failed"
	else
		printf '%s -\n' 1 16 1024
	fi
}

[ -x "$build/bench/lmdb" ] || say "without LMDB: it was not there when extmem was configured"
begin --store "$scratch/store"
for round in $(seq "$rounds"); do
	say "round $round of $rounds"
	"$client" "$address" time "$scratch/file" | sed -n '2,$p' >"$scratch/times" ||
		fail "the client failed"
	database >"$scratch/others"
	other_database >"$scratch/more"
	paste "$scratch/times" "$scratch/others" "$scratch/more" >>"$scratch/all"
done
echo "µs, least to most of $rounds medians:"
awk '
function span(least, most) {
	return least == most ? least : least " to " most
}
function look(c, v) {
	if (!((n, c) in least) || v < least[n, c]) least[n, c] = v
	if (v > most[n, c]) most[n, c] = v
}
{ n = $1; look(1, $2); look(2, $3); look(3, $5); look(4, $7); if (!(n in seen)) order[++k] = n; seen[n] = 1 }
END {
	printf "%8s %20s %20s %20s %20s\n", "PAGES", "DURABLE", "PWRITE+FDATASYNC", "SQLITE", "LMDB"
	for (i = 1; i <= k; i++) {
		n = order[i]
		printf "%8s %20s %20s %20s %20s\n", n, span(least[n, 1], most[n, 1]),
			span(least[n, 2], most[n, 2]), span(least[n, 3], most[n, 3]),
			span(least[n, 4], most[n, 4])
	}
}' "$scratch/all"

"$client" "$address" fill "$mib" >"$scratch/token" || fail "it could not be filled"
end
forget() { # the files, from the page cache
	for file in "$scratch"/store/*; do
		sync "$file"
		dd of="$file" oflag=nocache conv=notrunc count=0 2>/dev/null
	done
}
echo "s, of $rounds rounds, $mib MiB:"
printf '%12s %12s %12s\n' READ RECOVER 'WITHOUT'
for round in $(seq "$rounds"); do
	forget
	began=$(now)
	cat "$scratch"/store/* >/dev/null
	read=$(since "$began")
	forget
	began=$(now)
	begin --store "$scratch/store"
	recover=$(since "$began")
	end
	began=$(now)
	begin
	without=$(since "$began")
	end
	printf '%12s %12s %12s\n' "$read" "$recover" "$without"
done
