# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What the scripts of bench have in common: read by them, not run.
#
#	say WORDS...    on stderr, behind the script's name
#	fail WORDS...   says it and ends with 1
#	usage           prints the script's comment that is set in by a tab; ends with 2
#	json PROGRAM [VARIABLE=VALUE]... FILE
#	                awk over lines of JSON, as extmem-bench prints them, with
#	                these functions:
#	                text(NAME), number(NAME)  a value of the line, "" where
#	                                          there is none, or null
#	                shown(VALUE, FORMAT)      by printf, "-" for ""
#	                share(A, B)               A over B, "-" where it cannot be had
set -u
export LC_ALL=C

say() {
	echo "$(basename "$0" .sh): $*" >&2
}

fail() {
	say "$*"
	exit 1
}

usage() {
	sed -n 's/^#	//p' "$0" >&2
	exit 2
}

json() {
	json_program=$1
	shift
	awk '
	function text(name,  at) {
		if (!match($0, "\"" name "\":\"[^\"]*\""))
			return ""
		at = length(name) + 4
		return substr($0, RSTART + at, RLENGTH - at - 1)
	}
	function number(name,  at) {
		if (!match($0, "\"" name "\":[-0-9.e+]+"))
			return ""
		at = length(name) + 3
		return substr($0, RSTART + at, RLENGTH - at) + 0
	}
	function shown(value, format) {
		return value == "" ? "-" : sprintf(format, value)
	}
	function share(a, b) {
		return a == "" || b == "" || b == 0 ? "-" : sprintf("%.2f", a / b)
	}
	'"$json_program" "$@"
}
