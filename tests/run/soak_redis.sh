#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: soak_redis.sh SECONDS [FOLDER]
#
# Redis under load for so long, with a quarter of its memory local. Each round
# loads it with redis-benchmark while it is read and written by a client that
# knows what must be there; saves it in the background meanwhile (a plain server
# then loads what was saved, and must come to the same digest); and measures the
# server and the appliance when they are at rest. No error, no descriptor and no
# thread more, no local memory more than in the first rounds. In the end the
# appliance has all its memory back, the statistics of both agree, and after a
# restart of the appliance another run works at once. What was measured goes to
# FOLDER/rounds.txt (soak-redis). `make soak-redis SECONDS=3600`.
. "$XM_SRCDIR/tests/support/run.sh"

seconds=${1:-3600}
folder=${2:-soak-redis}
keys=40000
for command in redis-server redis-cli redis-benchmark; do
	command -v $command >/dev/null || {
		echo "skipped: $command is not there (Debian: redis-server redis-tools)"
		exit 77
	}
done
mkdir -p "$folder" || exit 1
rounds=$folder/rounds.txt
socket=$scratch/socket
port=$((20000 + $$ % 20000))
run=
plain=
stop_all() {
	for pid in $run $plain; do
		kill "$pid" 2>/dev/null
	done
	end
}
trap stop_all EXIT

# usage: ask COMMAND...: the server under test.
ask() {
	timeout 120 redis-cli -s "$socket" "$@"
}
answers() {
	[ "$(ask PING 2>/dev/null)" = PONG ] &&
		ask INFO persistence | grep -q '^loading:0'
}
# usage: info NAME: a figure of its own.
info() {
	ask INFO everything | tr -d '\r' | sed -n "s/^$1://p"
}
# usage: server [PREFIX...]: is one, started by PREFIX.
server() {
	exec "$@" redis-server --port 0 --save '' --appendonly no \
		--enable-debug-command yes --loglevel warning \
		--dir "$scratch" --unixsocket "$socket"
}
fail() {
	tail -n 20 "$scratch/err" "$scratch/out" "$scratch/benchmark" \
		>"$scratch/said" 2>/dev/null
	verdict "$*" 1 "$scratch/said"
	summary
	exit 1
}

# The same load for all: keys of a bounded number, lists that are emptied too.
load() {
	redis-benchmark -s "$socket" -q -n "$1" -c 20 -P 8 -d 900 -r $keys \
		-t set,get,incr,mset,hset >"$scratch/benchmark" 2>&1 ||
		return 1
	! grep -i err "$scratch/benchmark"
}

# What the client who knows writes and reads: a pattern that follows from the
# number of the round.
put() {
	ask EVAL 'for i = 1, 3000 do redis.call("SET", "known:" .. i,
		string.rep(ARGV[1] .. ":" .. i .. ";", 60)) end
		return redis.call("SET", "known", ARGV[1])' 0 "$1" >"$scratch/out"
	[ "$(cat "$scratch/out")" = OK ]
}
holds() {
	ask EVAL 'local bad = 0
		for i = 1, 3000 do if redis.call("GET", "known:" .. i) ~=
			string.rep(ARGV[1] .. ":" .. i .. ";", 60) then
			bad = bad + 1 end end
		return bad' 0 "$1" >"$scratch/out"
	[ "$(cat "$scratch/out")" = 0 ]
}

# Saves while it is loaded; a plain server comes to the digest of that moment.
saves() {
	digest=$(ask DEBUG DIGEST)
	ask BGSAVE >/dev/null || return 1
	load 2000 || return 1
	saved() { ask INFO persistence | grep -q '^rdb_bgsave_in_progress:0'; }
	await saved || await saved || return 1
	ask INFO persistence | grep -q '^rdb_last_bgsave_status:ok' || return 1
	mv "$scratch/dump.rdb" "$scratch/saved.rdb"
	redis-server --port 0 --save '' --enable-debug-command yes \
		--dir "$scratch" --dbfilename saved.rdb --loglevel warning \
		--unixsocket "$scratch/plain.socket" >"$scratch/plain.log" 2>&1 &
	plain=$!
	plain_answers() {
		redis-cli -s "$scratch/plain.socket" INFO persistence |
			grep -q '^loading:0'
	}
	await plain_answers || return 1
	again=$(redis-cli -s "$scratch/plain.socket" DEBUG DIGEST)
	redis-cli -s "$scratch/plain.socket" SHUTDOWN NOSAVE >/dev/null 2>&1
	wait "$plain"
	plain=
	[ -n "$digest" ] && [ "$digest" = "$again" ] && return
	echo "saved $digest, loaded $again" >"$scratch/out"
	return 1
}

# usage: descriptors PID
descriptors() {
	find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}
# usage: field PID NAME: of /proc/PID/status
field() {
	sed -n "s/^$2:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$1/status"
}
# usage: far NAME: of the appliance's status
far() {
	"$extmem" status --json "$address" |
		sed -n "s/^  \"$1\": \([0-9]*\).*/\1/p"
}

appliance_at() {
	: >"$scratch/address"
	"$XM_BUILDDIR/extmemd" --listen "ofi+tcp://127.0.0.1:$port" \
		--memory 512M --ready-fd 9 9>"$scratch/address" \
		2>>"$scratch/log" &
	daemon=$!
	await test -s "$scratch/address" || fail "no appliance: $(cat "$scratch/log")"
	address=$(cat "$scratch/address")
}

# usage: begin LOCAL: a server with external memory.
begin() {
	: >"$scratch/stats"
	server "$extmem" run --local "$1" --appliance "$address" \
		--stats "$scratch/stats" -- >"$scratch/server.log" \
		2>"$scratch/err" &
	run=$!
	await answers || fail "the server did not come up"
	pid=$(info process_id)
}

finish() {
	ask SHUTDOWN NOSAVE >/dev/null 2>&1
	status=0
	wait "$run" || status=$?
	run=
	return $status
}

# --- how much it comes to use -----------------------------------------------------

server >"$scratch/server.log" 2>&1 &
plain=$!
await answers || fail "a plain server did not come up"
put 0 && load 20000 || fail "a plain server cannot be loaded"
use=$(info used_memory)
ask SHUTDOWN NOSAVE >/dev/null 2>&1
wait "$plain"
plain=
local_size=$((use / 4))
echo "Redis comes to use $((use / 1048576)) MiB; $((local_size / 1048576)) MiB are local"

# --- the soak ----------------------------------------------------------------------

appliance_at
begin $local_size
echo "# second round digest descriptors threads anonymous_KiB leased appliance_descriptors appliance_KiB" >"$rounds"
began=$(date +%s)
round=0
put 0 && load 20000 || fail "it cannot be loaded"
while :; do
	now=$(($(date +%s) - began))
	[ $now -lt "$seconds" ] || [ $round -lt 4 ] || break
	load 8000 || fail "round $round: the load met an error"
	holds $round || fail "round $round: $(cat "$scratch/out") values are wrong"
	round=$((round + 1))
	put $round || fail "round $round: it cannot be written to"
	digest=-
	if [ $((round % 2)) -eq 0 ]; then
		saves || fail "round $round: what was saved is not what was there"
	fi
	# At rest: no client is left, nor a child.
	rests() {
		[ "$(info connected_clients)" = 1 ] &&
			! grep -q . "/proc/$pid/task/$pid/children"
	}
	await rests || fail "round $round: it does not come to rest"
	echo "$now $round $digest $(descriptors "$pid") $(field "$pid" Threads)" \
		"$(field "$pid" RssAnon) $(far leased) $(descriptors "$daemon")" \
		"$(field "$daemon" RssAnon)" >>"$rounds"
	[ ! -s "$scratch/err" ] || fail "round $round: something was said"
done
verdict "$round rounds in $now s: no error, every value and every save right" 0

# From the third round on there is nothing new. Of what can be counted, the least
# of the second half is that of the first: a connection may be on its way out when
# it is looked at, but what leaks never comes back.
accrues() { # COLUMN
	awk -v column="$1" '!/^#/ { n++; at[n] = $column }
		END { for (i = 3; i <= n; i++) {
				half = i > n / 2 + 1
				if (!half && (!first || at[i] < first)) first = at[i]
				if (half && (!last || at[i] < last)) last = at[i]
			}
			if (!first) first = at[2]
			printf "at first %d, then %d\n", first, last
			exit last > first
		}' "$rounds"
}
# Of memory, the most of the second half is that of the first.
grows() { # COLUMN SLACK
	awk -v column="$1" -v slack="$2" '!/^#/ { n++; at[n] = $column }
		END { for (i = 3; i <= n; i++) {
				half = i > n / 2 + 1
				if (!half && at[i] > first) first = at[i]
				if (half && at[i] > last) last = at[i]
			}
			if (!first) first = at[2]
			printf "at first %d, then %d\n", first, last
			exit last > first + slack
		}' "$rounds"
}
: >"$scratch/err"
# usage: holds_still NAME COMMAND...: and what it says of the rounds.
holds_still() {
	name=$1
	shift
	"$@" >"$scratch/out"
	status=$?
	verdict "$name: $(cat "$scratch/out")" $status
}
holds_still "no more descriptors" accrues 4
holds_still "no more threads" accrues 5
holds_still "no more local memory, in KiB" \
	grows 6 $((local_size / 1024 / 10 + 2048))
holds_still "the appliance has no more descriptors" accrues 8
holds_still "nor memory, in KiB" grows 9 1024

# --- what both say ------------------------------------------------------------------

[ "$(info total_error_replies)" = 0 ]
verdict "the server counts no error" $?
leased=$(far leased)
finish
verdict "it ends with 0" $?
cp "$scratch/stats" "$folder/stats.json"
page=$(number page_size)
[ "$(number pages_lost)" -eq 0 ] && [ "$(number reconnects)" -eq 0 ] &&
	[ "$(number refused)" -eq 0 ] && [ "$(number overflow)" -eq 0 ]
verdict "nothing was lost, refused or local instead" $?
[ "$(number local_peak_bytes)" -le "$(number local_limit_bytes)" ] &&
	[ "$(number local_limit_bytes)" -eq $local_size ]
verdict "the budget held" $?
[ "$(number bytes_written)" -eq $((($(number pages_written) + \
	$(number fork_pages_spilled)) * page)) ] &&
	[ "$(number bytes_read)" -ge $(($(number pages_read) * page)) ]
verdict "bytes and pages agree" $?
[ "$(number pages_read)" -gt 0 ] && [ "$(number faults)" -ge "$(number misses)" ] &&
	[ "$(number forks)" -eq $((round / 2)) ] &&
	[ "$(number region_bytes)" -ge "$leased" ] && [ "$leased" -gt 0 ]
verdict "and so do faults and misses, saves and forks, and what is lent" $?
given_back() {
	[ "$(far leased)" = 0 ] && [ "$(far quarantined)" = 0 ] &&
		[ "$(far free)" = "$(far pool)" ] && [ "$(far clients)" = 0 ]
}
await given_back
verdict "the appliance has all its memory back" $?
# A program ends without a farewell: its lease runs out.
[ "$(far malformed)" -eq 0 ] && [ "$(far expired)" -le 1 ]
verdict "and nobody spoke nonsense" $?

# --- once more -------------------------------------------------------------------------

kill "$daemon"
wait "$daemon"
verdict "the appliance ends with 0 when told to" $?
appliance_at
begin $local_size
put 7 && load 4000 && holds 7 && saves
verdict "after its restart another run works" $?
finish && [ "$(number pages_lost)" -eq 0 ] && [ "$(number forks)" -eq 1 ]
verdict "to its end" $?
summary
