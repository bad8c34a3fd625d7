#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `extmem run` and its siblings: programs that know nothing of extmem give the
# same output with a fraction of their memory local, with and without
# privilege; what cannot be done is refused in words; what is lost is named.
# Run by `make check`, which sets XM_BUILDDIR.
set -u
export LC_ALL=C
unset EXTMEM_APPLIANCE EXTMEM_LOCAL

extmem=$XM_BUILDDIR/extmem
program=$XM_BUILDDIR/tests/run_program
passed=0
failed=0
daemon=
scratch=$(mktemp -d)
chmod 755 "$scratch"
end() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null
	rm -rf "$scratch"
}
trap end EXIT

case ${XM_FLAGS-} in
*-fsanitize*)
	echo "a sanitizer's library must be the first in a process: the shim cannot be preloaded"
	exit 77
	;;
esac

# usage: verdict NAME STATUS: passes if STATUS is 0; shows what was said else.
verdict() {
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
		echo "passed $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		sed 's/^/    /' "$scratch/out" "$scratch/err" 2>/dev/null
	fi
}

# usage: try COMMAND...: its status in $status, what it says in out and err.
try() {
	status=0
	timeout 120 "$@" >"$scratch/out" 2>"$scratch/err" </dev/null ||
		status=$?
}

# usage: says TEXT STATUS: the last try said it, on stderr, with that status.
says() {
	[ "$status" -eq "$2" ] && grep -qF -e "$1" "$scratch/err"
}

# Another user, for whom userfaultfd is the kernel's smallest offer.
unprivileged=
if [ "$(id -u)" -eq 0 ]; then
	if setpriv --reuid=65534 --regid=65534 --clear-groups \
		test -x "$extmem" 2>/dev/null; then
		unprivileged="setpriv --reuid=65534 --regid=65534 --clear-groups"
	else
		echo "skipped: as another user: setpriv is not there, or that user cannot reach $XM_BUILDDIR"
	fi
else
	echo "skipped: as root: this is another user already"
fi

# --- what programs do ------------------------------------------------------------

for use in malloc map io stdio socket threads signals fork-exec; do
	"$program" "$use" 24 >"$scratch/plain" 2>&1
	try "$extmem" run --local 6M --external 128M -- "$program" "$use" 24
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: as plain, with 6 of 24 MiB local" $((status + $?))
	[ -n "$unprivileged" ] || continue
	try $unprivileged "$extmem" run --local 6M --external 128M -- \
		"$program" "$use" 24
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: the same as an unprivileged user" $((status + $?))
done

try "$extmem" run --local 6M --external 128M --threshold 8K -- \
	"$program" malloc 24
verdict "small blocks can be external too" "$status"

try "$extmem" run --local 6M --external 128M --paging thread -- \
	"$program" io 24
if grep -q 'not allowed\|not permitted\|EPERM' "$scratch/err"; then
	echo "skipped: paging by a thread: not allowed here"
else
	verdict "paging by a thread, where the kernel meets faults" "$status"
fi
if [ -n "$unprivileged" ]; then
	try $unprivileged "$extmem" run --local 6M --external 128M \
		--paging thread -- "$program" io 24
	verdict "paging by a thread that the kernel's faults do not reach" \
		"$status"
fi

seq 1 300000 | awk '{ print ($1 * 7919) % 300007, $1 }' >"$scratch/text"
sort -o "$scratch/plain" "$scratch/text"
try "$extmem" run --local 4M --external 64M --stats "$scratch/stats" -- \
	sort -S 24M --parallel=1 -o "$scratch/sorted" "$scratch/text"
cmp -s "$scratch/plain" "$scratch/sorted"
verdict "the system's sort sorts" $((status + $?))
number() {
	sed -n "s/^  \"$1\": \([0-9]*\).*/\1/p" "$scratch/stats"
}
[ "$(number bytes_read)" -gt 0 ] && [ "$(number bytes_written)" -gt 0 ] &&
	[ "$(number faults)" -gt 0 ] && [ "$(number exit_status)" -eq 0 ] &&
	[ "$(number local_peak_bytes)" -le 4194304 ] &&
	[ "$(number local_limit_bytes)" -eq 4194304 ]
verdict "the statistics say that memory moved and the budget held" $?

try "$extmem" run --local 6M --external 64M --stats "$scratch/stats" -- \
	env sh -c "exec '$program' malloc 24"
verdict "env and sh hand external memory on when they exec" \
	$((status + ($(number allocations) < 1)))

# --- how programs end --------------------------------------------------------------

try "$extmem" run --external 16M -- sh -c 'exit 7'
verdict "the program's status is the run's" $((status != 7))
try "$extmem" run --external 16M -- sh -c 'kill -TERM $$'
verdict "a signal's number is added to 128" $((status != 143))
try "$extmem" run --external 16M -- "$program" too-much 64
grep -q 'Cannot allocate memory' "$scratch/out" &&
	says 'no external memory for' 0
verdict "no room: the program is told, and so is the user" $?
try "$extmem" run --external 16M --overflow local -- "$program" too-much 64
grep -q 'given' "$scratch/out" && says 'were local' 0
verdict "--overflow local: served, and said" $?
try "$extmem" run --external 64M -- "$program" fork-touch 24
grep -q 'ended by signal 11' "$scratch/out" && says 'child made by fork()' 0
verdict "a forked child gets no zeros, but a signal and a sentence" $?

# --- what cannot begin ---------------------------------------------------------------

try "$extmem" run -- "$scratch/nosuch"
says 'No such file' 127
verdict "no such program: 127" $?
try "$extmem" run -- "$scratch"
says 'Permission denied' 126
verdict "not a program: 126" $?
if [ -x /sbin/ldconfig ]; then
	try "$extmem" run -- /sbin/ldconfig --version
	says 'statically linked' 125
	verdict "a static program is refused in words" $?
fi
cp "$program" "$scratch/setuid"
if [ -n "$unprivileged" ] && chmod 4755 "$scratch/setuid"; then
	try $unprivileged "$extmem" run -- "$scratch/setuid" malloc
	says 'rights of its own' 125
	verdict "a setuid program is refused in words" $?
fi
try "$extmem" run --appliance ofi+tcp://127.0.0.1:1 -- "$program" malloc
says 'nobody listens at ofi+tcp://127.0.0.1:1' 125
verdict "no appliance there: refused before the program begins" $?
try "$extmem" run --stats /nonexistent/file -- "$program" malloc
says '/nonexistent/file' 125
verdict "statistics that cannot be written: refused before it begins" $?

# usage: usage TEXT ARGUMENT...: a bad command line, 2, and a word about it.
usage() {
	text=$1
	shift
	try "$extmem" "$@"
	says "$text" 2
	verdict "usage: extmem $*" $?
}
usage 'usage:'
usage 'no command "walk"' walk
usage 'which program' run
usage 'which program' run --local 8M --
usage '--nope' run --nope -- true
usage 'is not a size' run --local lots -- true
usage '--local' run --local 0 -- true
usage '--local' run --local -5M -- true
usage '--local' run --local 99999999999T -- true
usage '--threshold' run --threshold few -- true
usage '--calls' run --calls none -- true
usage '--paging' run --paging maybe -- true
usage '--overflow' run --overflow no -- true
usage 'of which appliance' status
usage 'one appliance' status a b
usage 'one argument too many' doctor x
usage 'one argument too many' info x
usage 'no command' help walk

for command in '' run info status doctor; do
	try "$extmem" $command --help
	grep -q '^[Uu]sage: extmem' "$scratch/out"
	verdict "extmem $command --help" $((status + $?))
	try "$extmem" $command --version
	grep -q '^extmem [0-9]' "$scratch/out"
	verdict "extmem $command --version" $((status + $?))
done

# --- looking ---------------------------------------------------------------------------

try "$extmem" doctor
grep -q '^paging' "$scratch/out" && grep -q 'ofi+tcp' "$scratch/out"
verdict "doctor finds out about paging and providers" $((status + $?))
try "$extmem" info
grep -q 'ofi+tcp' "$scratch/out"
verdict "info names the transports" $((status + $?))

: >"$scratch/address"
"$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 64M \
	--ready-fd 9 9>"$scratch/address" 2>"$scratch/log" &
daemon=$!
waited=0
until [ -s "$scratch/address" ] || [ $waited -ge 200 ]; do
	sleep 0.1
	waited=$((waited + 1))
done
address=$(cat "$scratch/address")
try "$extmem" status "$address"
grep -q '64.0 MiB' "$scratch/out" && grep -q 'regions *none' "$scratch/out"
verdict "status shows an idle appliance" $((status + $?))
try "$extmem" info --appliance "$address"
grep -q '^endpoint' "$scratch/out" && grep -q '^paging' "$scratch/out"
verdict "info shows how an appliance is reached" $((status + $?))

# --- loss ----------------------------------------------------------------------------------

timeout 120 "$extmem" run --local 4M --appliance "$address" -- \
	"$program" touch-forever 16 >"$scratch/out" 2>"$scratch/err" &
run=$!
waited=0
until grep -q touching "$scratch/out" || [ $waited -ge 200 ]; do
	sleep 0.1
	waited=$((waited + 1))
done
try_status=0
timeout 60 "$extmem" status --json "$address" >"$scratch/json" 2>&1 ||
	try_status=$?
grep -q 'run_program' "$scratch/json"
verdict "status --json shows whose a region is" $((try_status + $?))
kill -KILL "$daemon"
status=0
wait "$run" || status=$?
daemon=
says "$address" 135
verdict "the appliance killed: SIGBUS, and its name" $?

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
