#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The main job: sort a large text with a quarter of the memory.
#
#	examples/main-job.sh [BUILDDIR]
#
# Gathers 201 MiB of lines from what is readable under /usr/share and
# /usr/include, sorts them with the system's own sort, and again under
# `extmem run` with at most a quarter of sort's memory local and the rest on
# an appliance, which is started for it, over TCP. Then compares the outputs
# and the times. Ends 0 when the outputs are identical and the local memory
# stayed within its budget.
#
# Needs what any Debian has: sh, coreutils, findutils, grep, sed, awk.
# EXTMEM_JOB_MIB sets another size; TMPDIR another place for three files of it.
set -eu
export LC_ALL=C

build=$(cd "${1:-build}" && pwd)
size=$((${EXTMEM_JOB_MIB:-201} * 1048576))
work=
pid=
began=$(date +%s)

fail() {
	echo "main job: $*" >&2
	exit 1
}

clean_up() {
	status=$?
	trap - EXIT INT TERM HUP
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
	[ -z "$pid" ] || wait "$pid" 2>/dev/null || :
	[ -z "$work" ] || rm -rf "$work"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() {
	echo "main job [$(($(date +%s) - began)) s]: $*"
}

now() {
	date +%s.%N
}

calc() {
	awk "BEGIN { printf \"%${2:-.1f}\", $1 }"
}

mib() {
	calc "$1 / 1048576" .0f
}

file_size() {
	stat -c %s "$1" 2>/dev/null || echo 0
}

# Waits for $pid; a line a second; the peak of its memory into $peak (bytes).
watch_it() {
	peak=0
	tick=0
	while kill -0 "$pid" 2>/dev/null; do
		kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' \
			"/proc/$pid/status" 2>/dev/null) || kib=
		[ -z "$kib" ] || peak=$((kib * 1024))
		tick=$((tick + 1))
		[ $((tick % 10)) -ne 0 ] || say "$1, $(mib "$(file_size "$2")") MiB"
		sleep 0.1
	done
	status=0
	wait "$pid" || status=$?
	pid=
}

# --- gather --------------------------------------------------------------------

[ -x "$build/extmem" ] || fail "$build/extmem is not there: build first"
place=${TMPDIR:-/tmp}
need_kib=$((size * 3 / 1024 + 65536))
free_kib=$(df -Pk "$place" | awk 'NR == 2 { print $4 }')
[ "$free_kib" -ge "$need_kib" ] || fail "$place has $((free_kib / 1024)) MiB" \
	"free, $((need_kib / 1024)) are needed; set TMPDIR to a place that has"
work=$(mktemp -d "$place/extmem-job.XXXXXX")

gather() {
	find /usr/share /usr/include -xdev -type f -readable -size -4096k \
		-print0 2>/dev/null | sort -z |
		xargs -0 -n 2000 grep -Ih '' 2>/dev/null | head -c "$size"
}

say "gathering text from /usr/share and /usr/include"
gather >"$work/in" &
pid=$!
watch_it "gathering" "$work/in"
found=$(file_size "$work/in")
[ "$found" -ge 1048576 ] || fail "only $found bytes of text were found"
if [ "$found" -lt "$size" ]; then
	say "$(mib "$found") MiB found; repeated until there is enough"
	mv "$work/in" "$work/once"
	while [ "$(file_size "$work/in")" -lt "$size" ]; do
		cat "$work/once" >>"$work/in"
	done
	rm "$work/once"
	truncate -s "$size" "$work/in"
fi
echo >>"$work/in"
lines=$(wc -l <"$work/in")
say "$(mib "$(file_size "$work/in")") MiB in $lines lines"

# --- sort, plain -----------------------------------------------------------------

# A buffer that holds it all: the text, and what sort keeps for each line. With
# nowhere to put temporary files, sort fails rather than use one.
buffer=$(((size / 10 * 11 + lines * 72) / 1048576 + 1))
nowhere=$work/nowhere

say "sort -S ${buffer}M, plain"
t0=$(now)
sort -S "${buffer}M" --parallel=1 -T "$nowhere" -o "$work/plain" "$work/in" &
pid=$!
watch_it "plain sort" "$work/plain"
t1=$(now)
[ "$status" -eq 0 ] || fail "plain sort ended with status $status"
plain_peak=$peak
[ "$plain_peak" -gt "$size" ] || fail "sort's memory peaked at" \
	"$(mib "$plain_peak") MiB: it did not hold the data"

# --- sort, with external memory -----------------------------------------------------

# A quarter of what sort used, all in all: the program, its libraries and
# ours take some, the cache may have the rest.
quarter=$((plain_peak / 4))
local=$(((quarter / 1048576 - 16) * 1048576))
[ "$local" -ge 8388608 ] || fail "too small a job: a quarter of sort's" \
	"memory is $(mib "$quarter") MiB"

say "sort -S ${buffer}M, extmem run --local $(mib "$local")M"
t2=$(now)
"$build/extmem" run --progress --local "$local" --external "$((buffer + 16))M" \
	--stats "$work/stats" -- \
	sort -S "${buffer}M" --parallel=1 -T "$nowhere" -o "$work/external" \
	"$work/in" &
pid=$!
status=0
wait "$pid" || status=$?
pid=
t3=$(now)
[ "$status" -eq 0 ] || fail "sort under extmem run ended with status $status"

identical=no
cmp -s "$work/plain" "$work/external" && identical=yes

# --- say ------------------------------------------------------------------------------

stat_of() {
	sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" \
		"$work/stats"
}

row() {
	printf '  %-34s %18s %18s\n' "$1" "$2" "$3"
}

plain_s=$(calc "$t1 - $t0")
external_s=$(calc "$t3 - $t2")
local_limit=$(stat_of local_limit_bytes)
local_peak=$(stat_of local_peak_bytes)
resident=$(stat_of peak_resident_bytes)
bytes_in=$(stat_of bytes_read)
bytes_out=$(stat_of bytes_written)
echo
row "sort, $(mib "$size") MiB, $lines lines" plain 'extmem run'
row ---------------------------------- ------ ----------
row 'time, s' "$plain_s" "$external_s"
row 'memory of the program, peak, MiB' "$(mib "$plain_peak")" "$(mib "$resident")"
row '  of that local cache, limit, MiB' - "$(mib "$local_limit")"
row '  of that local cache, peak, MiB' - "$(mib "$local_peak")"
row 'appliance, over TCP, MiB' - "$(mib "$(stat_of region_bytes)")"
row 'moved in, MiB' - "$(mib "$bytes_in")"
row 'moved out, MiB' - "$(mib "$bytes_out")"
row 'faults' - "$(stat_of faults)"
row '  of them waited for the appliance' - "$(stat_of misses)"
row 'fault, p50 and p99, us' - \
	"$(calc "$(stat_of fault_p50_us)"), $(calc "$(stat_of fault_p99_us)")"
row 'provider, paging' - "$(stat_of provider), $(stat_of paging)"
row 'local share of what sort needs' '100 %' \
	"$(calc "100 * $local_peak / $plain_peak" .0f) %"
row 'time beside the plain run' '1.0 x' \
	"$(calc "($t3 - $t2) / ($t1 - $t0)") x"
row 'outputs identical' - "$identical"
echo

[ "$identical" = yes ] || fail "the outputs differ"
[ "$local_peak" -le "$local_limit" ] || fail "local memory went over its limit"
[ "$bytes_in" -gt 0 ] && [ "$bytes_out" -gt 0 ] ||
	fail "nothing moved: the job did not need the appliance"
say "done"
