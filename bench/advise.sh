#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# How well `extmem advise` foresees: the misses that it says of five programs, beside those
# of real runs with as much local memory. They depend little on what else the machine does.
#
#	bench/advise.sh [-b BUILD] [-p PROGRAMS] [-l SHARES]
#
#	-b  where extmem was built (.)
#	-p  programs ("sort sqlite perl scan gcc")
#	-l  local shares in per cent (75,50,25)
#
# Exits with 1 if a run fails; a prediction that is wrong is in the table.
set -u
export LC_ALL=C
unset EXTMEM_APPLIANCE EXTMEM_LOCAL EXTMEM_EXTERNAL
build=.
chosen='sort sqlite perl scan gcc'
shares=75,50,25
while getopts b:p:l: option; do
	case $option in
	b) build=$OPTARG ;;
	p) chosen=$OPTARG ;;
	l) shares=$OPTARG ;;
	*) exit 2 ;;
	esac
done
build=$(cd "$build" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

lines() {
	awk -v lines="$1" 'BEGIN {
		x = 12345
		for (i = 0; i < lines; i++) {
			x = (x * 1103515245 + 12345) % 2147483648
			printf "%d line %d of many\n", x, i
		}
	}'
}

sort_make() { lines 100000 >"$work/lines"; }
sort_run() { "$@" sort -S 10M --parallel=1 "$work/lines"; }

sqlite_make() {
	cat >"$work/sql" <<'END'
PRAGMA cache_size = -1000000;
CREATE TABLE sold (part INTEGER, place TEXT, many INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO sold SELECT i * 31337 % 50000 + 1, 'place ' || (i * 17 % 211),
	i % 13, 'note of some length, number ' || (i * 104729 % 2500007) FROM n;
CREATE INDEX sold_part ON sold (part, place);
SELECT place, count(*), sum(many) FROM sold GROUP BY place ORDER BY 3 DESC, 1;
UPDATE sold SET many = many + 1 WHERE part % 50 = 0;
SELECT count(*), sum(many), max(note) FROM sold;
END
}
sqlite_run() { "$@" sqlite3 :memory: <"$work/sql"; }

perl_make() { :; }
perl_run() {
	"$@" perl -e 'my (%h, $x) = ((), 12345);
		for my $i (1 .. 40000) {
			$x = ($x * 1103515245 + 12345) % 2147483648;
			$h{$x % 30000} .= "line $i ";
		}
		my $s = 0;
		$s += length $h{$_} for sort keys %h;
		print "$s\n";'
}

# Thrice through a string of 12 MiB, in order.
scan_make() { :; }
scan_run() {
	"$@" perl -e 'my ($s, $sum) = ("x" x (12 << 20), 0);
		for my $turn (1 .. 3) {
			for (my $i = 0; $i < length $s; $i += 512) {
				$sum += ord substr $s, $i, 1;
			}
		}
		print "$sum\n";'
}

gcc_make() {
	cc1=$(gcc -print-prog-name=cc1)
	awk 'BEGIN {
		print "struct s { int a[8]; double d; struct s *next; };"
		for (i = 0; i < 150; i++) {
			printf "int f%d(struct s *s, int x) {\n", i
			printf "\tint t[16], i, r = x * %d;\n", i + 3
			printf "\tfor (i = 0; i < 16; i++) t[i] = r ^ (i * %d);\n", i
			printf "\twhile (s && r > %d) { r -= s->a[r & 7];", i
			printf " s->d += t[r & 15] * 0.5; s = s->next; }\n"
			printf "\tswitch (r & 7) { case 0: return t[1];"
			printf " case 1: return t[2] + %d; default: return r; }\n}\n", i
		}
	}' >"$work/large.c"
}
gcc_run() { "$@" "$cc1" -quiet -O1 "$work/large.c" -o /dev/stdout; }

# usage: figures NAME: of the JSON that is being read, one a line.
figures() {
	sed -n "s/^ *\"$1\": \([0-9.]*\).*/\1/p" "$work/json"
}

wrong=0
echo "| program | use MiB | local % | foreseen | real | foreseen / real |"
echo "|---|---|---|---|---|---|"
for name in $chosen; do
	"${name}_make"
	"${name}_run" "$build/extmem" advise --json -o "$work/json" \
		--local 1M --shares "$shares" -- >"$work/out" 2>"$work/err" || {
		echo "$name: advise failed: $(head -n 1 "$work/err")" >&2
		wrong=1
		continue
	}
	use=$(figures external_peak_bytes)
	figures local_pct >"$work/pct"
	figures local_bytes >"$work/local"
	# Those of shares, before those of sites.
	figures misses | head -n "$(wc -l <"$work/pct")" >"$work/misses"
	paste -d ' ' "$work/pct" "$work/local" "$work/misses" >"$work/table"
	while read -r percent local foreseen <&3; do
		"${name}_run" "$build/extmem" run --local "$local" --paging inline \
			--stats "$work/stats" -- >"$work/out2" 2>"$work/err" &&
			cmp -s "$work/out" "$work/out2" || {
			echo "$name, $percent %: the run failed" >&2
			wrong=1
		}
		real=$(sed -n 's/^  "misses": \([0-9]*\).*/\1/p' "$work/stats")
		echo "$name $use $percent $foreseen $real" | awk '{
			ratio = "-"
			if ($5 + 0 > 0) ratio = sprintf("%.2f", $4 / $5)
			printf "| %s | %.0f | %d | %d | %d | %s |\n", $1,
				$2 / 1048576, $3, $4, $5, ratio }'
	done 3<"$work/table"
done
exit $wrong
