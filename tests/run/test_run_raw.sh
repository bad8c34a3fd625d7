#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Programs that go past libc, or ask for what cannot be: descriptors and pages
# are taken away by number, buffers lent, sizes without sense. What was written
# is there afterwards, or it was refused in words.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_raw

# usage: compare NAME OPTION...: of $use, with those options.
compare() {
	name=$1
	shift
	try "$@" "$program" "$use"
	if grep -q 'not allowed\|not permitted\|EPERM' "$scratch/err"; then
		echo "skipped: $use: $name: not allowed here"
		return
	fi
	cmp -s "$scratch/plain" "$scratch/out"
	verdict "$use: $name" $((status + $?))
}

for use in closed turned places sizes appended peeked lent lists newer blocked \
	left left-alone left-by-number; do
	"$program" "$use" >"$scratch/plain" 2>&1
	compare "as plain" "$extmem" run --local 3M --external 128M --
	case $use in
	closed | places | turned)
		compare "where the kernel's faults are served" "$extmem" run \
			--local 3M --external 128M --paging thread --
		;;
	esac
done
if [ -n "$unprivileged" ]; then
	for use in closed places newer; do
		"$program" "$use" >"$scratch/plain" 2>&1
		compare "as an unprivileged user" $unprivileged "$extmem" run \
			--local 3M --external 128M --
	done
fi

use=turned
"$program" "$use" >"$scratch/plain" 2>&1
compare "with external memory again" "$extmem" run --local 3M \
	--external 128M --children same --

try "$extmem" run --local 3M --external 64M -- "$program" refused
says "mlockall: external memory cannot be locked" 0 &&
	[ "$(grep -c 'mlock: ' "$scratch/err")" -le 5 ]
verdict "what is refused is said, and not each time" $?

for calls in trap wrap; do
	try "$extmem" run --local 3M --external 64M --calls $calls -- \
		"$program" nosys
	verdict "io_uring is answered ENOSYS, --calls=$calls" "$status"
done

for limit in 64 100 200 5000; do
	try sh -c "ulimit -n $limit && exec \"\$@\"" sh "$extmem" run \
		--local 3M --external 64M -- "$program" sizes
	verdict "with $limit descriptors" "$status"
done

try "$extmem" run --appliance '' -- true
says "is empty" 2
verdict "an empty address is refused in words" $?

# The shim alone, as a service manager would load it.
shim=$XM_BUILDDIR/.libs/libextmem-run.so
if appliance 128M && [ -e "$shim" ]; then
	use=places
	"$program" "$use" >"$scratch/plain" 2>&1
	compare "by LD_PRELOAD alone, with a share" env LD_PRELOAD="$shim" \
		EXTMEM_APPLIANCE="$address" EXTMEM_LOCAL=25%
	compare "by LD_PRELOAD alone, with sizes" env LD_PRELOAD="$shim" \
		EXTMEM_APPLIANCE="$address" EXTMEM_LOCAL=4M \
		EXTMEM_THRESHOLD=64K EXTMEM_LIMIT=1G
	try env LD_PRELOAD="$shim" EXTMEM_APPLIANCE="$address" \
		EXTMEM_LIMIT=much true
	says "is not a size" 125
	verdict "a size without sense is refused in words" $?
else
	echo "skipped: by LD_PRELOAD alone: the shim is not at $shim"
fi
summary
