#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: coverage.sh OBJECT.lo... OBJECT.o...
# What of each file has been reached in this build (--enable-coverage): lines,
# and branches taken. A branch that leads into a failing XM_ASSERT is a
# promise broken, and is not counted. XM_MISSES=FILE keeps what was not
# reached, a line each. Exit status 1: an object has no counts, as nothing ran it.
set -u
misses=${XM_MISSES:-/dev/null}
sums=$(mktemp) || exit 1
trap 'rm -f "$sums"' EXIT
status=0
: >"$misses"
printf '%-28s %7s %7s   %9s %7s\n' file lines '%' branches '%'
for object in "$@"; do
	folder=$(dirname "$object")
	name=$(basename "${object%.*}")
	[ "${object##*.}" = lo ] && folder=$folder/.libs
	if [ ! -f "$folder/$name.gcda" ]; then
		echo "$object: nothing that ran has counted it"
		status=1
		continue
	fi
	gcov -b -c -t -o "$folder" "$folder/$name.o" 2>/dev/null |
		awk -v misses="$misses" '
		function take(text) { sub(/^ +/, "", text); return text }
		/^ *-: *0:Source:/ {
			file = $0
			sub(/^.*Source:/, "", file)
			parts = split(file, part, "/")
			file = part[parts - 1] "/" part[parts]
			wanted = file ~ /\.c$/
			next
		}
		/^(branch|call|function|unconditional) / {
			if (wanted && /^branch/ && !assertion) {
				branches++
				if (/never executed/ || $4 == 0) {
					print file ":" line ": branch " $2 ": " source >>misses
				} else
					taken++
			}
			next
		}
		wanted {
			split($0, part, ":")
			count = take(part[1])
			line = part[2] + 0
			source = $0
			sub(/^[^:]*:[^:]*:/, "", source)
			assertion = source ~ /XM_ASSERT/
			if (count == "-" || line == 0 || assertion)
				next
			lines++
			if (count ~ /^[#=]/)
				print file ":" line ": line: " source >>misses
			else
				reached++
			own = file
		}
		END {
			printf "%-28s %7d %7.1f   %9d %7.1f\n", own, lines,
				lines ? 100 * reached / lines : 100,
				branches,
				branches ? 100 * taken / branches : 100
			print lines, reached, branches, taken >>"/dev/stderr"
		}' 2>>"$sums"
done
awk '{ for (i = 1; i <= 4; i++) s[i] += $i }
	END { printf "%-28s %7d %7.1f   %9d %7.1f\n", "all", s[1],
		100 * s[2] / s[1], s[3], 100 * s[4] / s[3] }' "$sums"
exit $status
