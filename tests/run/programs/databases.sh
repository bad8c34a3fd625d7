# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Databases and servers.
all="$all sqlite redis redis_threads memcached"

sqlite_needs=sqlite3
sqlite_input() {
	cat >"$in/sqlite" <<'END'
PRAGMA cache_size = -1000000;
CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT, price REAL);
CREATE TABLE sold (part INTEGER, place TEXT, many INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO part SELECT i, 'part ' || (i * 7919 % 20011), i % 997 / 8.0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO sold SELECT i * 31337 % 5000 + 1, 'place ' || (i * 17 % 211),
	i % 13, 'note of some length, number ' || (i * 104729 % 250007) FROM n;
CREATE INDEX sold_part ON sold (part, place);
CREATE INDEX sold_note ON sold (note);
SELECT place, count(*), sum(many * price) FROM sold JOIN part
	ON part.id = sold.part GROUP BY place ORDER BY 3 DESC, 1 LIMIT 20;
SELECT a.name, count(*) FROM part a JOIN sold ON sold.part = a.id
	WHERE a.name LIKE 'part 1%' GROUP BY a.name ORDER BY 2 DESC, 1 LIMIT 20;
SELECT note FROM sold WHERE note > 'note of some length, number 24' ORDER BY
	note LIMIT 20;
UPDATE sold SET many = many + 1 WHERE part % 3 = 0;
DELETE FROM sold WHERE part % 5 = 0;
SELECT count(*), sum(many), max(note) FROM sold;
PRAGMA integrity_check;
END
}
sqlite_() { $under sqlite3 :memory: <"$in/sqlite" >rows; }

# Redis: loaded, saved in the background, and once more while every key is
# written to; then a plain server is started from what was saved, which must be
# what there was before the second save began.
redis_ask() {
	redis-cli -s "$PWD/socket" "$@"
}
redis_await() {
	waited=0
	until [ "$(redis_ask PING 2>/dev/null)" = PONG ]; do
		sleep 0.1
		waited=$((waited + 1))
		[ $waited -lt 300 ] || return 1
		kill -0 "$server" 2>/dev/null || return 1
	done
	# What was saved is loaded.
	until [ "$(redis_ask INFO persistence | tr -d '\r' |
		sed -n 's/^loading://p')" = 0 ]; do
		sleep 0.1
	done
}
# usage: redis_saved [FILE]: saves in the background, while what FILE says is done.
redis_saved() {
	redis_ask BGSAVE >/dev/null || return 1
	[ $# -eq 0 ] || redis_ask --pipe <"$1" >/dev/null || return 1
	waited=0
	until redis_ask INFO persistence | tr -d '\r' |
		grep -q '^rdb_bgsave_in_progress:0'; do
		sleep 0.05
		waited=$((waited + 1))
		[ $waited -lt 600 ] || return 1
	done
	redis_ask INFO persistence | tr -d '\r' |
		grep -q '^rdb_last_bgsave_status:ok'
}
redis_needs='redis-server redis-cli'
redis_input() {
	awk 'BEGIN {
		value = "0123456789abcdefghijklmnopqrstuvwxyz"
		value = value value value value value value value value
		for (i = 0; i < 60000; i++) {
			print "SET key:" i, value i
			if (i % 4 == 0) print "HSET hash:" i % 500, "f" i, "v" i
			if (i % 5 == 0) print "RPUSH list:" i % 300, "item" i
			if (i % 7 == 0) print "ZADD set:" i % 100, i, "m" i
		}
	}' >"$in/redis"
	# Every key once more, and others instead of some.
	awk 'BEGIN {
		for (i = 0; i < 60000; i++) {
			print (i % 3 ? "APPEND" : "SET") " key:" i, "later" i
			if (i % 5 == 0) print "LPOP list:" i % 300
			if (i % 7 == 0) print "DEL hash:" i % 500
		}
	}' >"$in/redis.later"
}
# usage: redis_run [OPTION]... of the server
# shellcheck disable=SC2120
redis_run() {
	$under redis-server --port 0 --unixsocket "$PWD/socket" --dir "$PWD" \
		--save '' --enable-debug-command yes --loglevel warning \
		"$@" >log 2>&1 &
	server=$!
	redis_await && redis_ask --pipe <"$in/redis" >loaded &&
		redis_saved && redis_ask DEBUG DIGEST >digest &&
		redis_saved "$in/redis.later"
	status=$?
	redis_ask SHUTDOWN NOSAVE >/dev/null 2>&1
	wait "$server" || status=$?
	[ $status -eq 0 ] || return $status
	redis-server --port 0 --unixsocket "$PWD/socket" --dir "$PWD" \
		--save '' --enable-debug-command yes --loglevel warning \
		>>log 2>&1 &
	server=$!
	redis_await && redis_ask DEBUG DIGEST >again &&
		redis_ask HGETALL hash:8 | sort >hash.8 && redis_ask GET key:7 >key.7 &&
		redis_ask EVAL 'local n = 0
			for _, k in ipairs(redis.call("KEYS", "key:*")) do
				n = n + #redis.call("GET", k) end
			return n' 0 >lengths
	status=$?
	redis_ask SHUTDOWN NOSAVE >/dev/null 2>&1
	wait "$server" || status=$?
	server=
	cmp digest again || status=1
	rm -f dump.rdb digest again socket log
	return $status
}
# shellcheck disable=SC2119
redis_() { redis_run; }

redis_threads_needs='redis-server redis-cli redis-benchmark'
redis_threads_input() { :; }
redis_threads_() {
	$under redis-server --port 0 --unixsocket "$PWD/socket" --dir "$PWD" \
		--save '' --io-threads 4 --io-threads-do-reads yes \
		--loglevel warning >log 2>&1 &
	server=$!
	redis_await &&
		redis-benchmark -s "$PWD/socket" -q -n 8000 -c 50 -P 16 \
			-d 1500 -r 8000 -t set,get,lpush,lrange_100 \
			>benchmark 2>&1
	status=$?
	grep -qi error benchmark && status=1
	redis_ask LLEN mylist >length
	redis_ask SHUTDOWN NOSAVE >/dev/null 2>&1
	wait "$server" || status=$?
	server=
	rm -f socket log benchmark
	return $status
}

memcached_needs="memcached $python"
memcached_input() {
	cat >"$in/memcached" <<'END'
import hashlib, socket, sys, time
for n in range(600):
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        break
    except OSError:
        time.sleep(0.1)
f = s.makefile("rwb")
h = hashlib.sha256()
def value(i):
    return (b"value %d " % i) * (10 + i % 60)
for round in range(2):
    for i in range(round, 30000, 1 + round * 2):
        v = value(i + round)
        f.write(b"set key%d 0 0 %d noreply\r\n%s\r\n" % (i, len(v), v))
    f.flush()
for i in range(0, 30000, 300):
    keys = [b"key%d" % ((i + k) * 7919 % 30000) for k in range(0, 300, 3)]
    f.write(b"get " + b" ".join(keys) + b"\r\n")
    f.flush()
    for line in f:
        if line == b"END\r\n":
            break
        h.update(line)
f.write(b"quit\r\n")
f.flush()
print(h.hexdigest())
END
}
memcached_() {
	user=
	[ "$(id -u)" -ne 0 ] || user='-u root'
	$under memcached $user -m 256 -t 2 -s "$PWD/socket" 2>said &
	server=$!
	timeout 200 $python "$in/memcached" "$PWD/socket" >digest
	status=$?
	# `extmem run` and timeout pass the signal on.
	kill "$server"
	wait "$server"
	rm -f socket said
	return $status
}
