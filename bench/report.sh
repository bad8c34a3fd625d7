#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A short look at how fast external memory is on this machine: some two minutes
# of measuring over loopback, and a page with plots to look at.
#
#	bench/report.sh BUILD FOLDER [OPTION...]
#
#	BUILD   where extmem-bench and extmemd were built
#	FOLDER  gets index.html, the plots (*.svg) and what they were made from
#	Options go to every run of extmem-bench: --transport ofi+shm, ...
#
# Plots are drawn by gnuplot (Debian: gnuplot-nox). Without it the page has the
# tables alone, and says so. With XM_BENCH_SHORT=1 everything is as short as can
# be, for a test of this script.
. "$(dirname "$0")/common.sh"

[ $# -ge 2 ] || usage
bench=$1/extmem-bench
out=$2
shift 2
failed=0

[ -x "$bench" ] || fail "no $bench"
mkdir -p "$out" || exit 1
: >"$out/runs.jsonl"
: >"$out/commands.txt"

run() { # SUBCOMMAND OPTION...
	say "extmem-bench $*"
	echo "extmem-bench $*" >>"$out/commands.txt"
	timeout 120 "$bench" "$@" --json >>"$out/runs.jsonl" || {
		say "extmem-bench $1 failed"
		failed=1
	}
}

# --- runs -----------------------------------------------------------------------

pages=20000 repeat=3 time=20ms ops=500000 size=32M shares=100,50,25
kernels='gups stream sort zipf pagerank kmeans'
if [ "${XM_BENCH_SHORT:-0}" = 1 ]; then
	pages=5000 repeat=1 time=1ms ops=10000 size=4M shares=100,50
	kernels=sort
fi
run fault --pages $pages --local 100,75,50,25,12.5 --repeat $repeat \
	--pattern random-read,random-rmw,seq-read,seq-write "$@"
run rma --depth 1,8 --time $time "$@"
run alloc --ops $ops --repeat $repeat "$@"
for kernel in $kernels; do
	case $kernel in
	# A miss for nearly every update: one round of the four of the rules.
	gups) run gups --local $shares --size 4M --rounds 1 "$@" ;;
	*) run "$kernel" --local $shares --size $size "$@" ;;
	esac
done

# --- what the plots are made from ---------------------------------------------------

# usage: lines PROGRAM [VARIABLE=VALUE]...: json over the runs
lines() {
	json "$@" "$out/runs.jsonl"
}

# A block for each pattern, parted by two empty lines: gnuplot's `index`.
for pattern in random-read random-rmw seq-read seq-write; do
	lines 'text("bench") == "fault" && text("pattern") == want {
		print number("local_pct"), number("us_per_access"), text("pattern")
	}' want=$pattern
	printf '\n\n'
done >"$out/fault.dat"

for depth in 1 8; do
	for op in read write; do
		lines 'text("bench") == "rma" && text("op") == op &&
			number("depth") == depth && text("api") == api {
			raw = number("raw_MBps")
			print number("bytes"), number("MBps"), raw == "" ? "?" : raw
		}' op=$op depth=$depth \
			api=$([ $depth -eq 1 ] && echo plain || echo async) |
			sort -n
		printf '\n\n'
	done
done >"$out/rma.dat"

lines 'number("slowdown") != "" && text("memory") != "ordinary" {
	name = text("bench")
	if (!(name in seen)) { seen[name] = 1; names[++count] = name }
	at[name, number("local_pct")] = number("slowdown")
}
function of(name, share) {
	return (name, share) in at ? at[name, share] : "?"
}
END {
	for (i = 1; i <= count; i++)
		print names[i], of(names[i], 100), of(names[i], 50), \
			of(names[i], 25)
}' >"$out/kernels.dat"

t_net=$(lines 'text("bench") == "fault" { print number("t_net_us"); exit }')
f=$(lines 'text("bench") == "fault" { print number("f_us"); exit }')

# --- plots ----------------------------------------------------------------------------

# Colours of Okabe and Ito, which those who are colour-blind can tell apart too.
style='
	set terminal svg size 760,430 font "Helvetica,13" background "white"
	set encoding utf8
	set border 3 lc rgb "#666666"
	unset mytics
	set tics nomirror out textcolor rgb "#333333"
	set grid ytics lc rgb "#dddddd" lw 1 lt 1
	set key outside right center Left reverse samplen 2 spacing 1.3
	set datafile missing "?"
	set style line 1 lc rgb "#0072b2" lw 2.5 pt 7 ps 0.8
	set style line 2 lc rgb "#d55e00" lw 2.5 pt 5 ps 0.8
	set style line 3 lc rgb "#009e73" lw 2.5 pt 9 ps 1
	set style line 4 lc rgb "#cc79a7" lw 2.5 pt 13 ps 1
	set style line 5 lc rgb "#888888" lw 1.5 dt 2'

plot_fault() {
	LC_ALL=C.UTF-8 gnuplot <<END
$style
	set output "$out/fault.svg"
	set title "An access, by how much of the pages is local"
	set xlabel "local memory, % of the pages"
	set ylabel "µs an access (log)"
	set logscale y
	set xrange [105:8]
	set xtics (100, 75, 50, 25, 12.5)
	set label 1 "t_{net} = ${t_net:-?} µs" at 101,${t_net:-10} offset 0,0.6 \
		textcolor rgb "#666666" font ",11"
	set label 2 "f = ${f:-?} µs" at 101,${f:-3} offset 0,0.6 \
		textcolor rgb "#666666" font ",11"
	plot for [i=0:3] "$out/fault.dat" index i using 1:2 with linespoints ls i+1 \
		title word("random-read random-rmw seq-read seq-write", i+1), \
		${t_net:-1/0} ls 5 notitle, ${f:-1/0} ls 5 notitle
END
}

plot_rma() { # read|write NUMBER
	LC_ALL=C.UTF-8 gnuplot <<END
$style
	set output "$out/$1.svg"
	set title "Explicit ${1}s, by size"
	set xlabel "bytes"
	set ylabel "MB/s (log)"
	set logscale y
	set logscale x 2
	set xtics ("8" 8, "64" 64, "512" 512, "4K" 4096, "32K" 32768, \
		"256K" 262144, "1M" 1048576, "4M" 4194304)
	plot "$out/rma.dat" index $2 using 1:2 with linespoints ls 1 \
			title "extmem, one at a time", \
		"" index $2 using 1:3 with linespoints ls 1 lw 1.2 dt 2 pt 6 \
			title "libfabric, one at a time", \
		"" index $(($2 + 2)) using 1:2 with linespoints ls 2 \
			title "extmem, 8 under way", \
		"" index $(($2 + 2)) using 1:3 with linespoints ls 2 lw 1.2 dt 2 pt 4 \
			title "libfabric, 8 under way"
END
}

plot_kernels() {
	LC_ALL=C.UTF-8 gnuplot <<END
$style
	set output "$out/kernels.svg"
	set title "Programs, against the same on ordinary memory"
	set ylabel "times as long (log)"
	set logscale y
	set yrange [0.5:*]
	set style data histogram
	set style histogram clustered gap 1
	set style fill solid 0.9 border lc rgb "white"
	set xtics scale 0
	plot "$out/kernels.dat" using 2:xtic(1) ls 1 title "100 % local", \
		"" using 3 ls 3 title "50 % local", \
		"" using 4 ls 2 title "25 % local", 1 ls 5 notitle
END
}

plots=no
if command -v gnuplot >/dev/null; then
	plots=yes
	plot_fault && plot_rma read 0 && plot_rma write 1 || failed=1
	[ ! -s "$out/kernels.dat" ] || plot_kernels || failed=1
else
	say "no plots: gnuplot is not there (Debian: gnuplot-nox)"
fi

# --- the page ----------------------------------------------------------------------------

figure() { # NAME
	[ -s "$out/$1.svg" ] && echo "<p><img src=\"$1.svg\" alt=\"$1\"></p>"
}

# usage: table HEADS PROGRAM: a row for each line the program prints, with tabs
table() {
	echo "<table><tr>"
	echo "$1" | tr '|' '\n' | sed 's/.*/<th>&<\/th>/'
	echo "</tr>"
	lines "$2" | sed 's/	/<\/td><td>/g; s/^/<tr><td>/; s/$/<\/td><\/tr>/'
	echo "</table>"
}

page() {
	cat <<'END'
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>extmem on this machine</title>
<style>
body { font: 15px/1.5 sans-serif; max-width: 52em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px }
th, td { padding: 2px 10px; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
img { max-width: 100% } code, pre { font-size: 13px } h2 { margin-top: 2em }
</style></head><body>
<h1>extmem on this machine</h1>
END
	lines 'text("bench") == "fault" {
		printf "<p>extmem %s; %s %s, endpoint %s, paging %s; %s, %s processors; ", \
			text("version"), text("provider"), \
			text("provider_version"), text("endpoint"), \
			text("paging"), text("cpu"), cpus
		printf "t<sub>net</sub> %.2f µs, f %.2f µs, B<sub>net</sub> %.0f MB/s.</p>\n", \
			number("t_net_us"), number("f_us"), number("B_net_MBps")
		exit
	}' "cpus=$(nproc)"
	cat <<'END'
<p>Client and appliance share this machine: these are figures of its loopback, or of its
memory, not of a network, and other programs that ran meanwhile are in them. Ratios within one
table mean something; for the rest see docs/BENCHMARKS.md.
<i>t<sub>net</sub></i> is the median round trip of one explicit read of 4 KiB, <i>f</i> a fault without network
or library, <i>B<sub>net</sub></i> the rate of explicit reads at the best size.</p>
END
	[ $plots = yes ] ||
		echo "<p>There are no plots: gnuplot was not there (Debian: gnuplot-nox).</p>"
	echo "<h2>Paging</h2>"
	figure fault
	table 'pattern|local %|µs an access|µs a miss|p50|p99|misses|MB/s' '
		text("bench") == "fault" {
			printf "%s\t%s\t%.3f\t%s\t%s\t%s\t%d\t%s\n", text("pattern"), \
				number("local_pct"), number("us_per_access"), \
				shown(number("us_per_miss"), "%.1f"), \
				shown(number("p50_us"), "%.1f"), \
				shown(number("p99_us"), "%.1f"), number("misses"), \
				shown(number("MBps"), "%.0f")
		}'
	echo "<h2>Explicit access, beside libfabric's own calls</h2>"
	figure read
	figure write
	table 'call|bytes|depth|µs|MB/s|raw µs|raw MB/s|ratio' '
		text("bench") == "rma" {
			printf "%s, %s\t%d\t%d\t%.2f\t%.1f\t%s\t%s\t%s\n", \
				text("op"), text("api"), number("bytes"), \
				number("depth"), number("us"), number("MBps"), \
				shown(number("raw_us"), "%.2f"), \
				shown(number("raw_MBps"), "%.1f"), \
				shown(number("ratio"), "%.2f")
		}'
	if [ -s "$out/kernels.dat" ]; then
		echo "<h2>Programs</h2>"
		figure kernels
		table 'program|local %|seconds|times as long|misses|MiB read' '
			number("slowdown") != "" && text("memory") != "ordinary" {
				printf "%s\t%s\t%.3f\t%.2f\t%d\t%.1f\n", text("bench"), \
					number("local_pct"), number("seconds"), \
					number("slowdown"), number("misses"), \
					number("pages_read") / 256
			}'
	fi
	echo "<h2>Slabs and objects, beside malloc</h2>"
	table 'list|ns an operation|malloc|jemalloc|to malloc|to jemalloc' '
		text("bench") == "alloc" {
			printf "%s\t%.1f\t%s\t%s\t%s\t%s\n", text("kind"), \
				number("ns_per_op"), \
				shown(number("malloc_ns_per_op"), "%.1f"), \
				shown(number("jemalloc_ns_per_op"), "%.1f"), \
				shown(number("ratio_to_malloc"), "%.2f"), \
				shown(number("ratio_to_jemalloc"), "%.2f")
		}'
	echo "<h2>How</h2><pre>"
	cat "$out/commands.txt"
	echo "</pre><p>Every figure is in <a href=\"runs.jsonl\">runs.jsonl</a>, a line a row.</p>"
	echo "</body></html>"
}

page >"$out/index.html"
rm -f "$out/commands.txt"
say "$out/index.html"
exit $failed
