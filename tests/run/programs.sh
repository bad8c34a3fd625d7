#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: programs.sh [--short] [PROGRAM]...
#
# Programs that nobody here wrote, each run plain and under `extmem run` with
# 100, 50 and 25 % of what it comes to use local, as root and as another user,
# for whom userfaultfd is the kernel's smallest offer. Their output must be the
# same to the byte, and the statistics must say that pages left and came back:
# a run that never paged proves nothing. What is not installed is skipped, in
# words. `make check-programs` runs all of them, `make check` the short list at
# 25 %.
#
# A program is two functions: NAME_input makes what it reads, in $in; NAME runs
# it, in a folder of its own, by $under; everything it leaves there is compared.
# NAME_needs lists the commands that must be there.
. "$XM_SRCDIR/tests/support/run.sh"
export TZ=UTC

all='sort shuf diff gawk perl python numpy sqlite redis redis_threads gcc xz
	zstd git imagemagick node bc cxx tar bash fork_python'
short='sort perl sqlite gcc cxx'
skipped=0
in=$scratch/in
mkdir "$in"

say() {
	printf '%s\n' "$*"
}

calc() {
	awk "BEGIN { printf \"%${2:-.1f}\", $1 }"
}

now() {
	date +%s.%N
}

# A text of some size that is the same everywhere: LINES of it.
text() {
	awk -v lines="$1" 'BEGIN {
		x = 12345
		for (i = 0; i < lines; i++) {
			x = (x * 1103515245 + 12345) % 2147483648
			printf "%s %d the %d-th line, of word%d and word%d\n",
				substr("abcdefghijklmnopqrstuvwxyz", x % 20 + 1, 6),
				x, i, x % 5003, x % 977
		}
	}'
}

# --- the programs -----------------------------------------------------------------

sort_needs=sort
sort_input() { text 150000 >"$in/sort"; }
sort_() { $under sort -S 32M --parallel=2 -o sorted "$in/sort"; }

shuf_needs=shuf
shuf_input() { text 200000 >"$in/shuf"; }
shuf_() { $under shuf --random-source="$in/shuf" "$in/shuf" >shuffled; }

diff_needs='diff awk'
diff_input() {
	text 200000 >"$in/diff.1"
	awk '{ $2 = $2 * 7 % 1000003; print }' "$in/diff.1" >"$in/diff.2"
}
diff_() {
	$under diff --speed-large-files "$in/diff.1" "$in/diff.2" >differences
	[ $? -eq 1 ]
}

gawk_needs=gawk
gawk_input() { text 24000 >"$in/gawk"; }
gawk_() {
	$under gawk '{ seen[$2 "-" NR] = $0; count[$NF]++; sum[$1] += $2 }
		END { n = asorti(seen, order)
			for (i = 1; i <= n; i += 97) print order[i], seen[order[i]]
			m = asorti(count, names)
			for (i = 1; i <= m; i++) print names[i], count[names[i]]
			k = asorti(sum, letters)
			for (i = 1; i <= k; i++) print letters[i], sum[letters[i]]
		}' "$in/gawk" >counts
}

perl_needs=perl
perl_input() {
	cat >"$in/perl" <<'END'
my (%value, @list);
$value{"key $_"} = "value " . ($_ * 7919 % 200003) for 1 .. 24000;
push @list, { name => $_, length => length $value{$_} }
	for sort keys %value;
my $sum = 0;
for my $item (sort { $a->{length} <=> $b->{length} or
		     $b->{name} cmp $a->{name} } @list) {
	$sum = ($sum * 31 + $item->{length} + ord substr $item->{name}, -1)
		% 1000000007;
}
print "$sum\n";
my $text = join ',', map { $value{$_} } sort keys %value;
$text =~ s/value (\d)/<$1>/g;
print length($text), " ", unpack("%32C*", $text), "\n";
END
}
perl_() { $under perl "$in/perl" >sums; }

python=/usr/bin/python3
python_needs=$python
python_input() {
	cat >"$in/python" <<'END'
import hashlib, random, json
random.seed(7)
rows = [(random.randrange(2000), random.random(), "name%d" % i)
        for i in range(24000)]
groups = {}
for key, value, name in rows:
    groups.setdefault(key, []).append((value, name))
for key in sorted(groups)[::50]:
    g = groups[key]
    print(key, len(g), "%.9f" % sum(v for v, _ in g), max(g)[1])
text = json.dumps(rows)
back = json.loads(text)
back.sort(key=lambda r: (r[1], r[2]))
print(hashlib.sha256(repr(back).encode()).hexdigest())
END
}
python_() { $under $python "$in/python" >groups; }

numpy_needs=$python
numpy_has() { $python -c 'import numpy' 2>/dev/null; }
numpy_input() {
	cat >"$in/numpy" <<'END'
import hashlib, numpy as np
rng = np.random.default_rng(7)
a = rng.integers(0, 1000, (900, 900)).astype(np.float64)
b = rng.integers(0, 1000, (900, 900)).astype(np.float64)
c = a @ b                       # exact: all below 2 ** 53
print("product", int(c.sum()), hashlib.sha256(c.tobytes()).hexdigest())
x = rng.integers(0, 1 << 60, 3_000_000)
y = np.sort(x)
print("sort", hashlib.sha256(y.tobytes()).hexdigest())
keys = rng.integers(0, 5000, 1_000_000)
values = rng.integers(0, 1 << 20, 1_000_000)
order = np.argsort(keys, kind="stable")
k, v = keys[order], values[order]
starts = np.flatnonzero(np.r_[True, k[1:] != k[:-1]])
sums = np.add.reduceat(v, starts)
print("groups", len(sums), int(sums.sum()),
      hashlib.sha256(sums.tobytes()).hexdigest())
y.tofile("numbers")
print("file", int(np.fromfile("numbers", dtype=np.int64)[::1000].sum() % 997))
END
}
numpy_() { $under $python "$in/numpy" >arrays; }

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

# The compiler proper: the driver only starts it.
gcc_needs=gcc
gcc_has() { cc1=$(gcc -print-prog-name=cc1) && [ -x "$cc1" ]; }
gcc_input() {
	awk 'BEGIN {
		print "struct s { int a[8]; double d; struct s *next; };"
		for (i = 0; i < 900; i++) {
			printf "static int f%d(struct s *s, int x) {\n", i
			printf "\tint t[16], i, r = x * %d;\n", i + 3
			printf "\tfor (i = 0; i < 16; i++) t[i] = r ^ (i * %d);\n", i
			printf "\twhile (s && r > %d) { r -= s->a[r & 7];", i
			printf " s->d += t[r & 15] * 0.5; s = s->next; }\n"
			printf "\tswitch (r & 7) { case 0: return t[1];"
			printf " case 1: return t[2] + %d; case 5: r += t[9];", i
			printf " default: return r; }\n}\n"
		}
		print "int all(struct s *s, int x) { int r = 0;"
		for (i = 0; i < 900; i++) printf "\tr += f%d(s, x + r);\n", i
		print "\treturn r; }"
	}' >"$in/gcc.c"
}
gcc_() { $under "$cc1" -quiet -O1 "$in/gcc.c" -o gcc.s; }

# Its tables are planned for 674 MiB, whatever it reads.
xz_needs=xz
xz_options='--external 1G'
xz_input() { text 5000 >"$in/xz"; }
xz_() { $under xz -9 -T1 -c "$in/xz" >xz.xz && xz -t xz.xz; }

zstd_needs=zstd
zstd_options='--external 1G'
zstd_input() { text 10000 >"$in/zstd"; }
zstd_() {
	$under zstd -q --ultra -20 --long=26 --single-thread -c "$in/zstd" \
		>zstd.zst && zstd -q -t --long=26 zstd.zst
}

# A repository with a history: what was packed must be what was there. The
# statistics are of the last run, which packs by itself; gc has it done by others.
git_needs=git
git_options=--children=same
git_input() {
	git init -q -b main "$in/git" &&
		awk 'BEGIN {
		for (c = 1; c <= 50; c++) {
			print "commit refs/heads/main"
			print "committer A <a@example.com> " 1700000000 + c " +0000"
			m = "change " c "\n"
			print "data " length(m); printf "%s", m
			for (f = 0; f < 4; f++) {
				t = ""
				for (l = 0; l < 1500; l++)
					t = t "line " l " of file " f " " \
						(l * c * (f + 3)) % 65537 "\n"
				print "M 100644 inline folder" (c + f) % 9 \
					"/file" (c * 7 + f) % 40
				print "data " length(t); printf "%s", t
			}
		}
	}' | git -C "$in/git" fast-import --quiet && chmod -R a+rX "$in/git"
}
git_() {
	git config --global --get safe.directory >/dev/null 2>&1
	cp -R "$in/git" repository && chmod -R a+rwX repository &&
		HOME=$PWD $under git -C repository -c safe.directory='*' \
			-c pack.threads=1 -c gc.auto=0 gc -q &&
		HOME=$PWD $under git -C repository -c safe.directory='*' \
			pack-objects -q --threads=1 --window=60 --all \
			--no-reuse-delta --no-reuse-object "$PWD/packed" \
			</dev/null >name &&
		git -C repository -c safe.directory='*' fsck --full \
			>fsck 2>&1 &&
		git -C repository -c safe.directory='*' rev-list --objects \
			--all | sort >objects &&
		git -C repository -c safe.directory='*' archive main |
		cksum >files
	status=$?
	rm -rf repository
	return $status
}

imagemagick_needs=/usr/bin/convert-im6.q16
imagemagick_input() { :; }
imagemagick_() {
	$under /usr/bin/convert-im6.q16 -limit memory 1GiB -limit map 1GiB \
		-limit thread 2 -size 700x500 -seed 7 plasma:red-blue \
		-blur 0x3 -resize 450x350\! -depth 8 rgb:picture
}

node_needs=node
node_input() {
	cat >"$in/node" <<'END'
const crypto = require('crypto'), fs = require('fs');
let x = 12345;
const random = () => x = (Math.imul(x, 1103515245) + 12345) >>> 0;
const numbers = new Float64Array(3000000);
for (let i = 0; i < numbers.length; i++) numbers[i] = random();
numbers.sort();
const bytes = Buffer.from(numbers.buffer);
console.log(crypto.createHash('sha256').update(bytes).digest('hex'));
const buffers = [];
for (let i = 0; i < 200; i++) {
	const b = Buffer.alloc(150000);
	for (let k = 0; k < b.length; k += 7) b[k] = random() & 255;
	buffers.push(b);
}
const all = Buffer.concat(buffers);
fs.writeFileSync('buffers', all);
const back = fs.readFileSync('buffers');
console.log(all.equals(back), back.length,
	crypto.createHash('sha1').update(back).digest('hex'));
const map = new Map();
for (let i = 0; i < 100000; i++) map.set('key' + i, { value: random() });
let sum = 0;
for (const [key, { value }] of map) sum = (sum + value + key.length) % 1000003;
console.log(sum);
require('zlib').deflate(all, (error, packed) => {
	console.log(error, crypto.createHash('sha1').update(packed).digest('hex'));
});
END
}
node_() { $under node "$in/node" >sums; }

bc_needs=bc
# A million digits, and sums and remainders of such numbers; a product of fewer.
bc_input() {
	{
		awk 'BEGIN {
			printf "x = 7"
			for (i = 1; i < 1000000; i++) {
				r = (r * 1103515245 + 12345) % 2147483648
				printf "%d%s", int(r / 65536) % 10,
					i % 60 ? "" : "\\\n"
			}
			print ""
		}'
		cat <<'END'
length(x)
for (i = 0; i < 30; i++) a[i] = x + i * i
for (i = 0; i < 30; i++) a[i] = a[i] + a[29 - i]
s = 0
for (i = 0; i < 30; i++) s = s + a[i]
for (i = 0; i < 30; i += 10) { length(a[i]); a[i] % 1000000007 }
s
7 ^ 30000 * 11 ^ 20000
quit
END
	} >"$in/bc"
}
bc_() { $under bc "$in/bc" </dev/null >digits; }

cxx_needs=$XM_BUILDDIR/tests/run/run_cxx
cxx_input() { :; }
cxx_() { $under "$XM_BUILDDIR/tests/run/run_cxx" 64 700 >sums; }

tar_needs=tar
tar_input() {
	mkdir "$in/tar" && text 150000 | split -l 300 - "$in/tar/part." &&
		text 300000 >"$in/tar/large"
}
tar_() {
	$under tar -b 40000 --sort=name --mtime=@0 --owner=0 --group=0 \
		-C "$in" -cf archive tar && tar -tf archive >list
}

bash_needs=bash
bash_input() {
	cat >"$in/bash" <<'END'
declare -A count
declare -a lines
mapfile -t lines < "$1"
for line in "${lines[@]}"; do
	set -- $line
	count[$1]=$(( ${count[$1]:-0} + $2 % 1000 ))
done
for k in "${!count[@]}"; do echo "$k ${count[$k]}"; done | sort
( echo "${#lines[@]} ${lines[100]}" )
x=$(for i in 1 500 20000; do echo "${lines[i]}"; done | wc -c)
echo "$x"
END
	text 60000 >"$in/bash.text"
}
bash_() { $under bash "$in/bash" "$in/bash.text" >counts; }

# Children that read what the parent had when it forked, while it goes on.
fork_python_needs=$python
fork_python_input() {
	cat >"$in/fork_python" <<'END'
import multiprocessing, hashlib, os
rows = ["row %d of many %d" % (i, i * 7919 % 10007) for i in range(150000)]
def part(n):
    h = hashlib.sha256()
    for row in rows[n::8]:
        h.update(row.encode())
    return n, h.hexdigest()
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        waiting = pool.map_async(part, range(8))
        rows = [r[::-1] for r in rows]
        for n, digest in waiting.get():
            print(n, digest)
    print(hashlib.sha256("".join(rows).encode()).hexdigest())
END
}
fork_python_() { $under $python "$in/fork_python" >digests; }

# --- running them --------------------------------------------------------------------

myself=$(id -un)

# usage: run NAME FOLDER: runs it there, within limits; its status.
run() {
	mkdir -p "$2"
	chmod 777 "$2"
	(
		trap - EXIT INT TERM HUP
		cd "$2" || exit 1
		server=
		"${1}_"
	) 2>"$2.err"
}

# usage: judge NAME USER PERCENT LOCAL: one run under extmem.
judge() {
	name=$1
	user=$2
	percent=$3
	folder=$scratch/$name.$user.$percent
	eval "options=\${${name}_options-}"
	[ "$user" = nobody ] && as=$unprivileged || as=
	under="$as timeout ${XM_PROGRAMS_TIMEOUT:-300} $extmem run --local $4 \
		--external 512M ${XM_PROGRAMS_OPTIONS-} $options \
		--stats $folder.stats --"
	: >"$folder.stats"
	chmod 666 "$folder.stats"
	began=$(now)
	run "$name" "$folder"
	status=$?
	seconds=$(calc "$(now) - $began")
	why=
	peak=$(number external_peak_bytes "$folder.stats")
	in_bytes=$(number bytes_read "$folder.stats")
	out_bytes=$(number bytes_written "$folder.stats")
	if [ $status -ne 0 ]; then
		why="status $status"
	elif ! diff -r "$scratch/$name.plain" "$folder" >"$folder.diff" 2>&1
	then
		why="the output is not that of the plain run"
	elif [ -z "$peak" ]; then
		why="no statistics"
	elif [ "$percent" -lt 100 ] && { [ "$in_bytes" -eq 0 ] ||
		[ "$out_bytes" -eq 0 ]; }; then
		why="it never paged: nothing is proven"
	fi
	what="$name, $user, $percent % local"
	figures="of $(calc "${peak:-0} / 1048576") MiB; in $(calc \
		"${in_bytes:-0} / 1048576"), out $(calc \
		"${out_bytes:-0} / 1048576") MiB; $seconds s, plain $plain s"
	if [ -z "$why" ]; then
		verdict "$what $figures" 0
		rm -rf "$folder" "$folder.diff" "$folder.err"
	else
		for file in err diff; do
			head -c 2000 "$folder.$file" >"$folder.said.$file"
		done
		[ ! -f "$folder/log" ] || head -c 2000 "$folder/log" >"$folder.said.log"
		verdict "$what: $why; $figures" 1 "$folder.said".*
		[ -z "${XM_PROGRAMS_KEEP-}" ] || cp -R "$folder" "$folder".* \
			"$XM_PROGRAMS_KEEP"
		rm -rf "$folder"
	fi
}

missing() {
	eval "needs=\$${1}_needs"
	for command in $needs; do
		command -v "$command" >/dev/null || {
			echo "$command is not there"
			return
		}
	done
	if command -v "${1}_has" >/dev/null && ! "${1}_has"; then
		echo "it cannot be used here"
	fi
}

program() {
	name=$1
	why=$(missing "$name")
	if [ -n "$why" ]; then
		skipped=$((skipped + 1))
		say "skipped: $name: $why"
		return
	fi
	! command -v "${name}_has" >/dev/null || "${name}_has"
	"${name}_input" || {
		verdict "$name: its input can be made" 1
		return
	}
	chmod -R a+rX "$in"
	under=
	began=$(now)
	if ! run "$name" "$scratch/$name.plain"; then
		verdict "$name: plain, it fails as well" 1 "$scratch/$name.plain.err"
		return
	fi
	plain=$(calc "$(now) - $began")
	judge "$name" "$myself" 100 512M
	if [ -z "$peak" ] || [ "$peak" -lt 8388608 ]; then
		verdict "$name: no more than ${peak:-0} bytes were external" 1
		return
	fi
	# What it never touches (xz plans for more than it reads) is no use of it.
	use=$(number local_peak_bytes "$scratch/$name.$myself.100.stats")
	[ "$use" -lt "$peak" ] || use=$peak
	for percent in $percents; do
		[ "$percent" -eq 100 ] ||
			judge "$name" "$myself" "$percent" $((use * percent / 100))
		[ -z "$unprivileged" ] ||
			judge "$name" nobody "$percent" $((use * percent / 100))
	done
	rm -rf "${scratch:?}/$name".* "${in:?}/$name"*
}

percents='100 50 25'
if [ "${1-}" = --short ]; then
	all=$short
	percents=25
	shift
fi
[ $# -gt 0 ] || {
	set -- $all
}
for name; do
	command -v "${name}_" >/dev/null || {
		say "programs.sh: no program $name; there are: $all"
		exit 2
	}
	program "$name"
done
[ $skipped -eq 0 ] || say "$skipped programs skipped"
summary
