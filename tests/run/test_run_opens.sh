#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A program begins at once, with local memory; external memory is opened when it has
# more than stays local, whatever it is doing then.
. "$XM_SRCDIR/tests/support/run.sh"
unset EXTMEM_OPEN_AFTER

program=$XM_BUILDDIR/tests/run/run_opens

# usage: right WORDS OPENED OPTION... -- PROGRAM...: as plain, and (0) nothing was
# external, or (1) something was.
right() {
	words=$1
	opened=$2
	shift 2
	try "$extmem" run --local 2M --external 512M \
		--stats "$scratch/stats" "$@"
	[ "$status" -eq 0 ] && grep -qx ok "$scratch/out" &&
		if [ "$opened" -eq 1 ]; then
			[ "$(number external_peak_bytes)" -gt 0 ]
		else
			[ "$(number external_peak_bytes)" -eq 0 ]
		fi
	verdict "$words" $?
}

right "a small program opens nothing" 0 -- "$program" little
right "a program that grows has external memory" 1 -- "$program" grows
right "threads with small stacks" 1 -- "$program" threads
right "a coroutine with a small stack" 1 -- "$program" coroutine
right "a child made before" 1 -- "$program" child
right "others fork and load libraries meanwhile" 1 -- "$program" busy
right "handlers and masks of before stay" 1 -- "$program" handlers
right "memory asked for in a handler" 1 -- "$program" handler
right "one large piece" 1 -- "$program" large
right "many small reservations" 1 -- "$program" reserves
right "threads that fork at a time" 1 -- "$program" two_fork
right "before limits are lowered" 1 -- "$program" limited
if [ "$(uname -m)" = x86_64 ]; then
	right "before the program confines itself" 1 -- "$program" confined
	right "not if it confined itself in a handler" 0 -- \
		"$program" confined_in_handler
	grep -q 'no external memory: the program confined itself' \
		"$scratch/err"
	verdict "that is said in words" $?
fi
right "calls are wrapped" 1 --calls wrap -- "$program" grows
right "by exec of itself" 1 -- sh -c "exec \"$program\" grows"
right "before it begins, if it is told so" 1 --open-after 0 -- "$program" large
right "all of this is local, if it is told so" 0 --open-after 1G -- \
	"$program" grows
right "a shell opens nothing" 0 -- sh -c 'true && echo ok'
# Not a script that looks for one.
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null)
[ -z "$python" ] ||
	right "an interpreter opens nothing" 0 -- "$python" -c 'print("ok")'
if command -v gcc >/dev/null; then
	echo 'int main(void) { return 0; }' >"$scratch/small.c"
	right "a compiler opens nothing" 0 -- sh -c \
		"gcc -c -o $scratch/small.o $scratch/small.c && echo ok"
fi

# A program that needs no appliance finds none missing.
none=ofi+tcp://127.0.0.1:1
right "nobody listens, and nobody is asked" 0 --appliance $none -- \
	"$program" little
try "$extmem" run --appliance $none -- "$program" large
says "nobody listens at $none" 3 && grep -qx ENOMEM "$scratch/out" &&
	[ "$(grep -c 'from now on' "$scratch/err")" -eq 1 ] &&
	grep -q 'it is told ENOMEM' "$scratch/err"
verdict "nobody listens: ENOMEM, and the reason once" $?
try "$extmem" run --appliance $none --overflow local -- "$program" grows
says "it has local memory" 0 && grep -qx ok "$scratch/out"
verdict "nobody listens: local memory by --overflow=local" $?
try "$extmem" run --appliance $none --open-after 0 -- "$program" little
says "nobody listens at $none" 125
verdict "nobody listens: it does not begin by --open-after=0" $?
try "$extmem" run --appliance nonsense -- true
says "nonsense" 125
verdict "an address without sense is refused at once" $?

# The shim alone.
shim=$XM_BUILDDIR/.libs/libextmem-run.so
if appliance 256M && [ -e "$shim" ]; then
	right "an appliance by name" 1 --appliance "$address" -- "$program" grows
	try env LD_PRELOAD="$shim" EXTMEM_APPLIANCE="$address" \
		EXTMEM_LOCAL=25% "$program" grows
	[ "$status" -eq 0 ] && grep -qx ok "$scratch/out"
	verdict "by LD_PRELOAD alone" $?
fi
summary
