#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: programs.sh [--list] [--short] [--one-user] [--percents "100 50 25"]
#	[--results FILE] [PROGRAM|PATTERN]...
#
# Programs that nobody here wrote, each run plain and under `extmem run` with
# 100, 50 and 25 % of what it comes to use local, as root and as another user,
# for whom userfaultfd is the kernel's smallest offer. Their output must be the
# same to the byte, and the statistics must say that pages left and came back:
# a run that never paged proves nothing. All local memory that is resident must
# be within the budget and 32 MiB. What is not installed is skipped, in words.
# `make check-programs` runs all of them, `make check` the short list at 25 %.
# FILE gets a line of figures, parted by tabs, for each run; --one-user leaves out
# the other user.
#
# The programs stand in programs/, a file for each kind. A program is two
# functions: NAME_input makes what it reads, in $in; NAME_ runs it, in a folder of
# its own, by $under; everything it leaves there is compared. NAME_needs lists the
# commands that must be there, NAME_has says whether they can be used, NAME_options
# are options of `extmem run`, NAME_most is the most it may have (512M), and
# NAME_rest says in words why it has more local memory than the budget, if it must.
. "$XM_SRCDIR/tests/support/run.sh"
export TZ=UTC
# All that they allocate is to be external.
export EXTMEM_OPEN_AFTER=0
# Where their memory goes; survive.sh sets it.
[ -z "${XM_PROGRAMS_STRATEGY-}" ] || export EXTMEM_STRATEGY="$XM_PROGRAMS_STRATEGY"

short='sort perl sqlite gcc cxx'
skipped=0
in=$scratch/in
table=$scratch/table
mkdir "$in"
: >"$table"

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

all=
python=/usr/bin/python3
for file in "$XM_SRCDIR"/tests/run/programs/*.sh; do
	# shellcheck source=/dev/null
	. "$file"
done

# --- running them --------------------------------------------------------------------

myself=$(id -un)
: "${results:=/dev/null}"

# usage: run NAME FOLDER: runs it there, within limits; its status.
run() {
	mkdir -p "$2" "$2.home"
	chmod 777 "$2" "$2.home"
	(
		trap - EXIT INT TERM HUP
		cd "$2" || exit 1
		export HOME="$2.home"
		server=
		"${1}_"
	) 2>"$2.err"
}

# usage: wrong NAME LOCAL FOLDER: why that run proves nothing, in $why; "" if it does.
wrong() {
	why=
	if [ "$status" -ne 0 ]; then
		why="status $status"
	elif ! diff -r "$scratch/$1.plain" "$3" >"$3.diff" 2>&1; then
		why="the output is not that of the plain run"
	elif [ -z "$peak" ]; then
		why="no statistics"
	elif [ "$percent" -lt 100 ] &&
		{ [ "$in_bytes" -eq 0 ] || [ "$out_bytes" -eq 0 ]; }; then
		why="it never paged: nothing is proven"
	elif [ $((local_bytes + rest_bytes)) -gt $(($2 + (32 << 20))) ] &&
		eval "[ -z \"\${${1}_rest-}\" ]"; then
		why="local memory is not within the budget and 32 MiB"
	fi
}

mib() {
	calc "${1:-0} / 1048576"
}

# usage: judge NAME USER PERCENT LOCAL: one run under extmem, LOCAL bytes.
judge() {
	name=$1 user=$2 percent=$3
	folder=$scratch/$name.$user.$percent
	eval "options=\${${name}_options-} most=\${${name}_most:-512M}"
	[ "$user" = nobody ] && as=$unprivileged || as=
	under="$as timeout ${XM_PROGRAMS_TIMEOUT:-300} $extmem run --local $4 \
		--external $most ${XM_PROGRAMS_OPTIONS-} $options \
		--stats $folder.stats --"
	: >"$folder.stats"
	chmod 666 "$folder.stats"
	began=$(now)
	run "$name" "$folder"
	status=$?
	seconds=$(calc "$(now) - $began")
	peak=$(number external_peak_bytes "$folder.stats")
	in_bytes=$(number bytes_read "$folder.stats")
	out_bytes=$(number bytes_written "$folder.stats")
	local_bytes=$(number local_peak_bytes "$folder.stats")
	rest_bytes=$(number local_rest_bytes_peak "$folder.stats")
	wrong "$name" "$4" "$folder"
	figures="of $(mib "$peak") MiB; in $(mib "$in_bytes"), out $(mib \
		"$out_bytes"), rest $(mib "$rest_bytes") MiB; $seconds s, plain $plain s"
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$user" \
		"$percent" "$4" "${peak:-0}" "${in_bytes:-0}" "${out_bytes:-0}" \
		"${local_bytes:-0}" "${rest_bytes:-0}" "$seconds" "$plain" \
		"${why:-right}" | tee -a "$table" >>"$results"
	what="$name, $user, $percent % local"
	if [ -z "$why" ]; then
		verdict "$what $figures" 0
		rm -rf "$folder" "$folder.diff" "$folder.err" "$folder.home"
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
	if ! "${name}_input" >"$scratch/said" 2>&1; then
		verdict "$name: its input can be made" 1 "$scratch/said"
		return
	fi
	chmod -R a+rX "$in"
	under=
	began=$(now)
	if ! run "$name" "$scratch/$name.plain"; then
		verdict "$name: plain, it fails as well" 1 "$scratch/$name.plain.err"
		return
	fi
	plain=$(calc "$(now) - $began")
	eval "most=\${${name}_most:-512M}"
	judge "$name" "$myself" 100 "$((${most%M} << 20))"
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

# A line for each program: what it had, its times over the plain one, and what was
# wrong. Two users: the slower.
table_print() {
	awk -F '\t' '
	!($1 in peak) { order[++n] = $1 }
	{
		peak[$1] = peak[$1] + 0 > $5 ? peak[$1] : $5
		rest[$1] = rest[$1] + 0 > $9 ? rest[$1] : $9
		plain[$1] = $11
		times = $10 / ($11 > 0 ? $11 : 0.1)
		if (times > time[$1, $3] + 0) time[$1, $3] = times
		if ($12 != "right") wrong[$1] = wrong[$1] " " $2 "," $3
	}
	function ratio(name, share) {
		return (name, share) in time ? \
			sprintf("%.1f", time[name, share]) : "-"
	}
	END {
		if (!n) exit
		printf "\n%-16s %8s %6s %7s %6s %6s %6s  %s\n", "program", \
			"MiB", "rest", "plain s", "100 %", "50 %", "25 %", "wrong"
		for (i = 1; i <= n; i++) {
			p = order[i]
			printf "%-16s %8.1f %6.1f %7.1f %6s %6s %6s %s\n", p, \
				peak[p] / 1048576, rest[p] / 1048576, plain[p], \
				ratio(p, 100), ratio(p, 50), ratio(p, 25), wrong[p]
		}
		print ""
	}' "$table"
}

percents='100 50 25'
while [ $# -gt 0 ]; do
	case $1 in
	--list)
		for name in $all; do
			say "$name: $(missing "$name" | grep . || echo installed)"
		done
		exit 0
		;;
	--short)
		all=$short
		percents=25
		;;
	--percents)
		percents=$2
		shift
		;;
	--one-user) unprivileged= ;;
	--results)
		results=$2
		: >"$results"
		shift
		;;
	-*)
		say "programs.sh: no option $1"
		exit 2
		;;
	*) break ;;
	esac
	shift
done
chosen=
for pattern; do
	found=
	for name in $all; do
		# shellcheck disable=SC2254
		case $name in
		$pattern) found="$found $name" ;;
		esac
	done
	[ -n "$found" ] || {
		say "programs.sh: no program $pattern; there are:" $all
		exit 2
	}
	chosen="$chosen $found"
done
[ $# -gt 0 ] || chosen=$all
set -f
set -- $chosen
set +f
count=0
for name; do
	count=$((count + 1))
	say "$count of $#: $name"
	program "$name"
done
table_print
[ $skipped -eq 0 ] || say "$skipped programs skipped"
summary
