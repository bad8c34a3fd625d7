#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a user does first, as root and as another user: extmem doctor, extmem
# info, and sort under `extmem run`, which writes the same bytes as without it.
. "$XM_SRCDIR/tests/support/run.sh"

# usage: older_than VERSION: this kernel is.
older_than() {
	[ "$(printf '%s\n%s\n' "$(uname -r)" "$1" | sort -V | head -n 1)" != "$1" ]
}

# usage: names_missing_calls: what was just said names the calls that this
# kernel lacks, and no others.
names_missing_calls() {
	for call in UFFDIO_POISON:6.6 process_madvise:6.13; do
		if older_than "${call#*:}"; then
			grep -q "without ${call%:*}" "$scratch/out" || return 1
		else
			! grep -q "without ${call%:*}" "$scratch/out" || return 1
		fi
	done
}

# usage: as WHO COMMAND...: doctor, info and sort.
as() {
	who=$1
	shift
	try "$@" "$extmem" doctor
	verdict "doctor, as $who: nothing is missing" "$status"
	names_missing_calls
	verdict "doctor, as $who: names the kernel's calls that are missing" $?
	try "$@" "$extmem" info --appliance "$address"
	verdict "info, as $who: an appliance is reached" "$status"
	names_missing_calls
	verdict "info, as $who: names the kernel's calls that are missing" $?
	try "$@" "$extmem" run --appliance "$address" --local 1M --external 64M \
		--stats "$scratch/stats" -- sort -S 8M "$scratch/text"
	cmp -s "$scratch/sorted" "$scratch/out" && [ "$(number evictions)" -gt 0 ]
	verdict "sort, as $who: the same bytes, 1 of 8 MiB local" \
		$((status + $?))
	rm -f "$scratch/stats"
}

awk 'BEGIN { srand(6); for (i = 0; i < 30000; i++) print rand(), i }' \
	>"$scratch/text"
sort "$scratch/text" >"$scratch/sorted"
chmod 777 "$scratch"
chmod 644 "$scratch/text"
appliance 64M

as "$(id -un)"
[ -z "$unprivileged" ] || as "another user" $unprivileged
try "$extmem" run --appliance "$address" --local 1M --external 64M \
	--paging thread -- sort -S 8M "$scratch/text"
cmp -s "$scratch/sorted" "$scratch/out"
verdict "sort, paged by a thread: the same bytes" $((status + $?))
summary
