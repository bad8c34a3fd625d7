# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What shell tests have in common: read by them, not run. XM_BUILDDIR is set by
# `make check`. Language and variables are the same for all: no EXTMEM... of the
# user's is left.
#
#	check NAME COMMAND...           passes if the command succeeds
#	verdict NAME STATUS [FILE...]   passes if STATUS is 0; shows the files else,
#	                                or out, err and log of $scratch
#	complaints NAME FILE            passes if FILE is empty, and empties it
#	summary                         the last line, "N passed, M failed", and
#	                                the status
#	skip WORDS...                   ends the test, which could not be made
#	need_simulator                  skips where extmem-sim, $sim, is not built
#	configured NAME                 config.h defines HAVE_NAME
#	can_mpirun                      $mpirun starts processes: -n 2 PROGRAM...
#	await COMMAND...                until it succeeds, a minute at most
#
# $passed and $failed count. $scratch is a folder that ends with the test, as
# does the process $daemon, if it names one: end() sees to that, for tests that
# have more to end and set a trap of their own.
set -u
export LC_ALL=C
for name in $(env | sed -n 's/^\(EXTMEM[A-Z_]*\)=.*/\1/p'); do
	unset "$name"
done

# `make install` links the shim again, in the build tree, for a moment without a
# shim: that test holds this lock alone (XM_ALONE), the others together.
if command -v flock >/dev/null && [ -d "$XM_BUILDDIR/tests" ]; then
	exec 8>"$XM_BUILDDIR/tests/.running"
	if [ -n "${XM_ALONE-}" ]; then
		flock -w 900 8
	else
		flock -s -w 900 8
	fi
fi

passed=0
failed=0
daemon=
scratch=$(mktemp -d) || exit 1
end() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null
	rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

verdict() {
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
		echo "passed $1"
		return
	fi
	failed=$((failed + 1))
	echo "FAILED $1"
	shift 2
	[ $# -gt 0 ] || set -- "$scratch/out" "$scratch/err" "$scratch/log"
	sed 's/^/    /' "$@" 2>/dev/null
}

# The command runs in this shell: it may be a function that sets variables.
check() {
	checked=$1
	shift
	"$@" >"$scratch/said" 2>&1
	verdict "$checked" $? "$scratch/said" "$scratch/out" "$scratch/err" \
		"$scratch/log"
}

complaints() {
	[ ! -s "$2" ]
	verdict "$1" $? "$2"
	: >"$2"
}

summary() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

skip() {
	echo "$*"
	exit 77
}

sim=$XM_BUILDDIR/extmem-sim
need_simulator() {
	[ -x "$sim" ] || skip "extmem-sim is not built (Debian: libjansson-dev)"
}

configured() {
	grep -q "^#define HAVE_$1 " "$XM_BUILDDIR/config.h"
}

can_mpirun() {
	configured MPI && command -v mpirun >/dev/null || return 1
	mpirun=mpirun
	! mpirun --version 2>/dev/null | grep -q 'Open MPI' ||
		mpirun="mpirun --oversubscribe"
	[ "$(id -u)" -ne 0 ] || mpirun="$mpirun --allow-run-as-root"
}

await() {
	waited=0
	until "$@" >/dev/null 2>&1; do
		sleep 0.1
		waited=$((waited + 1))
		[ $waited -lt $((600 * ${XM_SLOW:-1})) ] || return 1
	done
}
