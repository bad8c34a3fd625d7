#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# fork() under `extmem run`: children have what their parent had, to the byte,
# while it goes on; or fork() is refused, or a touch is a signal: never zeros.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_forks
touch=$XM_BUILDDIR/tests/run/run_program

for use in snapshot nested many exec pool write orphan steps keep clone linger; do
	"$program" "$use" 8 >"$scratch/plain" 2>&1
	try "$extmem" run --local 2M --external 128M -- "$program" "$use" 8
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: as plain, with 2 of 8 MiB local" $((status + $?))
	[ -n "$unprivileged" ] || continue
	try $unprivileged "$extmem" run --local 2M --external 128M -- \
		"$program" "$use" 8
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: the same as an unprivileged user" $((status + $?))
done

# usage: child_calls NAME COMMAND...: what a child gives the kernel.
child_calls() {
	name=$1
	shift
	try "$@" --local 2M --external 128M -- "$XM_BUILDDIR/tests/run/run_child"
	if grep -q 'not allowed\|not permitted\|EPERM' "$scratch/err"; then
		echo "skipped: $name: not allowed here"
		return
	fi
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "a child's calls: $name" $((status + $?))
}

if [ "$(uname -m)" = x86_64 ]; then
	"$XM_BUILDDIR/tests/run/run_child" >"$scratch/plain"
	child_calls "as plain" "$extmem" run
	[ -z "$unprivileged" ] ||
		child_calls "as an unprivileged user" $unprivileged "$extmem" run
	child_calls "where a thread serves faults" "$extmem" run --paging thread
fi

for use in snapshot nested write; do
	try "$extmem" run --local 2M --external 128M --paging thread -- \
		"$program" "$use" 8
	if grep -q 'not allowed\|not permitted\|EPERM' "$scratch/err"; then
		echo "skipped: paging by a thread: not allowed here"
		break
	fi
	verdict "$use: where a thread serves faults" "$status"
done

try "$extmem" run --local 2M --external 128M --stats "$scratch/stats" -- \
	"$program" many 8
[ "$status" -eq 0 ] && [ "$(number forks)" -eq 12 ] &&
	[ "$(number fork_pages_spilled)" -gt 0 ] &&
	! grep -q 'no external memory' "$scratch/err"
verdict "many snapshots: what is too much for local memory goes away" $?

"$program" much 96 >"$scratch/plain" 2>&1
try "$extmem" run --local 8M --external 256M -- "$program" much 96
cmp -s "$scratch/plain" "$scratch/out"
verdict "a child writes to 96 MiB: the machine has that" $((status + $?))

try "$extmem" run --external 64M -- "$touch" fork-touch 24
grep -q 'child ended with 0' "$scratch/out"
verdict "the default: a child has its parent's memory" $((status + $?))
try "$extmem" run --external 64M --fork absent -- "$touch" fork-touch 24
grep -q 'ended by signal 11' "$scratch/out" && says 'child made by fork()' 0
verdict "--fork=absent: no zeros, but a signal and a sentence" $?
try "$extmem" run --external 64M --fork refuse -- "$touch" fork-touch 24
grep -q 'no child' "$scratch/out" && says 'fork: refused, by --fork=refuse' 0
verdict "--fork=refuse: fork() fails, and says so" $?
try "$extmem" run --fork perhaps -- true
says '--fork' 2
verdict "no such policy" $?

# The first process of a namespace, and the first of another one.
shim=$XM_BUILDDIR/.libs/libextmem-run.so
if [ ! -e "$shim" ] || ! unshare -pf --mount-proc true 2>/dev/null ||
	! appliance 128M; then
	echo "skipped: a child with its parent's number: no such namespace here"
else
	try unshare -pf --mount-proc env LD_PRELOAD="$shim" \
		EXTMEM_APPLIANCE="$address" EXTMEM_LOCAL=2M "$program" number 8
	[ "$(cat "$scratch/out")" = 'number: plain' ]
	verdict "a child in a new namespace, with its parent's number, runs plain" $((status + $?))
fi

# A shell whose lines are external, and its subshells.
cat >"$scratch/script" <<'END'
i=0
list=
while [ $i -lt 3000 ]; do
	list="$list word$i"
	i=$((i + 1))
done
(
	list="$list of a subshell"
	echo "${#list}"
	(echo "${#list}" | cat)
)
sum=$(for word in $list; do echo "$word"; done | cksum)
echo "${#list} $sum"
END
for shell in dash bash; do
	command -v $shell >/dev/null || {
		echo "skipped: $shell is not there"
		continue
	}
	$shell "$scratch/script" >"$scratch/plain"
	try "$extmem" run --local 1M --external 64M -- $shell "$scratch/script"
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$shell: subshells and pipes as plain" $((status + $?))
done
summary
