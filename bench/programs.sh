#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs that nobody here wrote, timed with a share of their memory local:
# under `extmem run`, and in a memory cgroup whose rest the kernel swaps to zram,
# or to a file on a disk; beside all of it local, in one run.
#
#	bench/programs.sh [-b BUILD] [-o FOLDER] [-d FOLDER] [-l LOCALS]
#	                  [-p PROGRAMS] [-s SWAPS] [-t SECONDS] [-- OPTION...]
#
#	-b  where extmem and extmemd were built (.)
#	-o  where programs.jsonl and programs.md are written (bench-programs)
#	-d  where the swap file is made; a disk's (the folder of -o)
#	-l  local shares in per cent (50,25)
#	-p  programs ("sort sqlite redis numpy gcc")
#	-s  "zram disk", one of them, or none at all (both)
#	-t  seconds that one run may take (100)
#	Options after -- go to `extmem run`.
#
# What a program comes to use is the most external memory it has when all of it
# may be local. A share of that is the budget of `extmem run`; what such a run
# has resident at most, code and libraries included, is the limit of the cgroup.
# The appliance is on this machine. Outputs must be those of the plain run.
#
# Needs root, a memory cgroup (of version 1 or 2), and zram's module for zram;
# what is missing is said, and left out. What swap is made of is taken away
# again, whatever happens.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/swap.sh"
unset EXTMEM_APPLIANCE EXTMEM_LOCAL EXTMEM_EXTERNAL

locals=50,25
chosen='sort sqlite redis numpy gcc'
patience=100
while getopts b:o:d:l:p:s:t: option; do
	case $option in
	t) patience=$OPTARG ;;
	*) comparison_option ;;
	esac
done
shift $((OPTIND - 1))
comparison_open extmem
extmem=$build/extmem
work=$(mktemp -d)
bytes=$((1 << 30)) # of a swap area

# --- the programs -------------------------------------------------------------------

# Each is three functions: NAME_has says whether it is there, NAME_make makes what
# it reads, NAME runs it by $under and leaves what must be the same in result.

# usage: summed COMMAND...: what it prints, as a sum in result. Not by a file:
# what is written there counts in the cgroup until it is on the disk.
summed() {
	{
		"$@"
		echo $? >status
	} | cksum >result
	return "$(cat status)"
}

sort_has() { :; }
sort_make() {
	awk 'BEGIN {
		x = 12345
		for (i = 0; i < 1200000; i++) {
			x = (x * 1103515245 + 12345) % 2147483648
			printf "%d line %d of many\n", x, i
		}
	}' >"$work/lines"
}
sort_run() {
	summed $under sort -S 110M --parallel=1 "$work/lines"
}

sqlite_has() { command -v sqlite3 >/dev/null; }
sqlite_make() {
	cat >"$work/sql" <<'END'
PRAGMA cache_size = -1000000;
CREATE TABLE sold (part INTEGER, place TEXT, many INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000)
INSERT INTO sold SELECT i * 31337 % 50000 + 1, 'place ' || (i * 17 % 211),
	i % 13, 'note of some length, number ' || (i * 104729 % 2500007) FROM n;
CREATE INDEX sold_part ON sold (part, place);
SELECT place, count(*), sum(many) FROM sold GROUP BY place ORDER BY 3 DESC, 1
	LIMIT 20;
SELECT count(*), sum(b.many) FROM sold a JOIN sold b ON b.part = a.part
	WHERE a.part % 250 = 0;
UPDATE sold SET many = many + 1 WHERE part % 50 = 0;
SELECT count(*), sum(many), max(note) FROM sold;
END
}
sqlite_run() { $under sqlite3 :memory: <"$work/sql" >result; }

redis_has() {
	command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null
}
redis_make() {
	awk 'BEGIN {
		value = "0123456789abcdefghijklmnopqrstuvwxyz"
		while (length(value) < 1000) value = value value
		for (i = 0; i < 100000; i++)
			printf "SET key:%012d %s%d\r\n", i, substr(value, 1, 990), i
	}' >"$work/keys"
}
redis_run() {
	$under redis-server --port 0 --unixsocket "$PWD/socket" --save '' \
		--loglevel warning --dir "$PWD" >log 2>&1 &
	server=$!
	tries=0
	until redis-cli -s "$PWD/socket" PING >/dev/null 2>&1; do
		sleep 0.05
		tries=$((tries + 1))
		[ $tries -lt 400 ] || break
	done
	redis-cli -s "$PWD/socket" --pipe <"$work/keys" >loaded &&
		redis-benchmark -s "$PWD/socket" -q -n 60000 -c 8 -P 4 -d 1000 \
			-r 100000 -t get >/dev/null &&
		redis-cli -s "$PWD/socket" GET key:000000077777 | cksum >result
	status=$?
	redis-cli -s "$PWD/socket" SHUTDOWN NOSAVE >/dev/null 2>&1
	wait "$server" || status=1
	rm -f socket log loaded
	return $status
}

python=/usr/bin/python3
numpy_has() { $python -c 'import numpy' 2>/dev/null; }
numpy_make() {
	cat >"$work/sums.py" <<'END'
import hashlib, numpy as np
rng = np.random.default_rng(7)
x = rng.integers(0, 1 << 60, 7_000_000)
y = np.sort(x)
print(hashlib.sha256(y[::100].tobytes()).hexdigest())
a = rng.integers(0, 1000, (1500, 1500)).astype(np.float64)
c = a @ a.T
print(int(c.sum()))
keys = x % 5003
print(int((np.bincount(keys, weights=(x >> 40)) % 97).sum()))
END
}
numpy_run() { $under $python "$work/sums.py" >result; }

gcc_has() {
	cc1=$(gcc -print-prog-name=cc1 2>/dev/null) && [ -x "$cc1" ]
}
gcc_make() {
	awk 'BEGIN {
		print "struct s { int a[8]; double d; struct s *next; };"
		for (i = 0; i < 1200; i++) {
			printf "static int f%d(struct s *s, int x) {\n", i
			printf "\tint t[16], i, r = x * %d;\n", i + 3
			printf "\tfor (i = 0; i < 16; i++) t[i] = r ^ (i * %d);\n", i
			printf "\twhile (s && r > %d) { r -= s->a[r & 7];", i
			printf " s->d += t[r & 15] * 0.5; s = s->next; }\n"
			printf "\tswitch (r & 7) { case 0: return t[1];"
			printf " case 1: return t[2] + %d; default: return r; }\n}\n", i
		}
		print "int all(struct s *s, int x) { int r = 0;"
		for (i = 0; i < 1200; i++) printf "\tr += f%d(s, x + r);\n", i
		print "\treturn r; }"
	}' >"$work/large.c"
}
gcc_run() {
	summed $under "$cc1" -quiet -O1 "$work/large.c" -o /dev/stdout
}

# --- one run --------------------------------------------------------------------------

number() {
	sed -n "s/^  \"$1\": \([0-9.]*\).*/\1/p" "$work/stats"
}

# usage: run NAME HOW: by $under; how long it took in $seconds, null if it failed.
run() {
	rm -rf "$work/run"
	mkdir "$work/run"
	began=$(date +%s.%N)
	(cd "$work/run" && "${1}_run") 4>&- 2>"$work/said"
	status=$?
	seconds=$(echo "$(date +%s.%N) $began" | awk '{ printf "%.2f", $1 - $2 }')
	if [ $status -ne 0 ]; then
		say "$1, $2: status $status after $seconds s"
		head -n 5 "$work/said" >&2
		seconds=null
		[ $status -eq 124 ] || [ $status -eq 137 ] || status=1
	elif [ "$2" = local ]; then
		cp "$work/run/result" "$work/result"
	elif ! cmp "$work/run/result" "$work/result" >&2; then
		fail "$1, $2: the output is not that of the plain run"
	fi
	say "$1, $2, $share % local: $seconds s"
}

# usage: record NAME HOW
record() {
	printf '{"program":"%s","how":"%s","local_pct":%s,"seconds":%s,"status":%s,"use_bytes":%s,"limit_bytes":%s,"bytes_read":%s,"bytes_written":%s}\n' \
		"$1" "$2" "$share" "$seconds" "$status" "${use:-null}" "${limit:-null}" \
		"${moved_in:-null}" "${moved_out:-null}" >>"$lines"
}

# usage: with_extmem NAME BUDGET
with_extmem() {
	under="timeout -k 5 $patience $extmem run --local $2 \
		--appliance $address --stats $work/stats $options --"
	: >"$work/stats"
	run "$1" extmem
	limit=$(number peak_resident_bytes)
	moved_in=$(number bytes_read)
	moved_out=$(number bytes_written)
}

# What runs by this has no more memory than the cgroup.
cat >"$work/in_cgroup" <<'END'
#!/bin/sh
echo $$ >"$1/cgroup.procs" || exit 1
shift
exec "$@"
END
chmod 755 "$work/in_cgroup"
limit_to() {
	if [ -f "$cgroup/memory.limit_in_bytes" ]; then
		echo 0 >"$cgroup/memory.force_empty" 2>/dev/null
		echo 100 >"$cgroup/memory.swappiness"
		echo "$1" >"$cgroup/memory.limit_in_bytes"
	else
		echo "$1" >"$cgroup/memory.max"
	fi
}

# usage: with_swap NAME zram|disk: under $limit.
with_swap() {
	eval "area=\${area_$2-}"
	[ -n "$area" ] && [ -n "$limit" ] && limit_to "$limit" &&
		swapon -p 32767 "$area" || return
	under="timeout -k 5 $patience $work/in_cgroup $cgroup"
	run "$1" "$2"
	limit_to $((1 << 40))
	swapoff "$area"
}

# usage: program NAME
program() {
	if ! "${1}_has"; then
		say "no $1: it is not there"
		return
	fi
	"${1}_make"
	use= limit= moved_in= moved_out= share=100
	under="timeout -k 5 $patience"
	run "$1" local
	record "$1" local
	[ $seconds != null ] || return
	with_extmem "$1" 1G
	use=$(number external_peak_bytes)
	record "$1" extmem
	[ -n "$use" ] || return
	for share in $(echo "$locals" | tr ',' ' '); do
		with_extmem "$1" $((use / 100 * share))
		record "$1" extmem
		moved_in= moved_out=
		for swap in $swaps; do
			with_swap "$1" "$swap" && record "$1" "$swap"
		done
	done
}

comparison_begin
undo_by "rm -rf '$work'"
for swap in $swaps; do
	swap_begin "$swap" && swapoff "$area" && eval "area_$swap=\$area"
done
# One for all runs: its start and end are not what is measured.
"$build/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 1G --ready-fd 9 \
	9>"$work/address" 2>"$work/log" 4>&- &
undo_by "kill $!"
tries=0
until [ -s "$work/address" ]; do
	sleep 0.1
	tries=$((tries + 1))
	[ $tries -lt 200 ] || fail "no appliance: $(cat "$work/log")"
done
address=$(cat "$work/address")

options=$*
for name in $chosen; do
	program "$name"
done

# --- the table ----------------------------------------------------------------------

comparison_table '
function cell(how, key) {
	if (!((how, key) in status)) return "-"
	if (status[how, key] == 124) return "too long"
	if (status[how, key] == 137) return "killed"
	if (status[how, key] != 0) return "failed"
	return sprintf("%.1f", seconds[how, key])
}
{
	key = text("program") SUBSEP number("local_pct")
	if (!(key in seen)) { seen[key] = 1; keys[++count] = key }
	seconds[text("how"), key] = number("seconds")
	status[text("how"), key] = number("status")
	if (text("how") == "local") plain[text("program")] = number("seconds")
	if (number("use_bytes") != "") use[text("program")] = number("use_bytes")
	if (number("limit_bytes") != "") limit[key] = number("limit_bytes")
}
END {
	print "# Programs with a share of their memory local\n"
	print "Seconds. Use: the most external memory it had. Limit: of the memory"
	print "cgroup, what the run under extmem had resident at most. Killed: the"
	print "kernel found nothing to reclaim in the cgroup.\n"
	print "| program | use MiB | local % | limit MiB | all local | extmem | zram | disk | extmem / local | extmem / zram | extmem / disk |"
	print "|---|---|---|---|---|---|---|---|---|---|---|"
	for (i = 1; i <= count; i++) {
		split(keys[i], part, SUBSEP)
		a = seconds["extmem", keys[i]]; b = seconds["zram", keys[i]]
		c = seconds["disk", keys[i]]; d = plain[part[1]]
		print "| " part[1] " | " sprintf("%.0f", use[part[1]] / 1048576) \
			" | " part[2] " | " sprintf("%.0f", limit[keys[i]] / 1048576) \
			" | " sprintf("%.1f", d) " | " cell("extmem", keys[i]) \
			" | " cell("zram", keys[i]) " | " cell("disk", keys[i]) " | " \
			share(a, d) " | " share(a, b) " | " share(a, c) " |"
	}
}'
