#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The examples build by pkg-config, in C, C++ and Fortran, and do what they say
# with an appliance on this machine. (tests/house/install.sh does the same for
# README.md, against what was installed.)
. "$XM_SRCDIR/tests/support/count.sh"

flags=$(PKG_CONFIG_PATH="$XM_BUILDDIR" pkg-config \
	--define-variable=includedir="$XM_SRCDIR/core" \
	--define-variable=libdir="$XM_BUILDDIR/.libs" --cflags --libs extmem)

# usage: compile SOURCE COMPILER...: $scratch/NAME of examples/NAME.c
compile() {
	source=$1
	shift
	(cd "$scratch" && "$@" "$XM_SRCDIR/examples/$source" -o "${source%.*}" $flags)
}

start() {
	mkfifo "$scratch/ready"
	"$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 64M \
		--ready-fd 3 3>"$scratch/ready" &
	daemon=$!
	# The end of file, should it not come up, ends this too.
	read -r address <"$scratch/ready"
}

example() {
	name=$1
	shift
	LD_LIBRARY_PATH=$XM_BUILDDIR/.libs "$scratch/$name" "$@"
}

# usage: answers NAME LINE: twice, as the first leaves nothing behind.
answers() {
	example "$1" "$address" && example "$1" "$address" | grep -qx "$2"
}

# usage: refuses NAME
refuses() {
	! example "$1" nonsense 2>"$scratch/words" && cat "$scratch/words" &&
		grep -q 'extmem_open: nonsense: ' "$scratch/words"
}

run=start
case $XM_FLAGS in
*thread*)
	echo "skipped running them: ThreadSanitizer has the addresses they map"
	run= ;;
esac
[ -z "$run" ] || check "extmemd starts on a free port" start

# usage: try NAME LINE: what was compiled is run.
try() {
	check "$1: an appliance that cannot be is an error in words" refuses "$1"
	[ -z "$run" ] ||
		check "$1 does what it says, twice" answers "$1" "$2"
}

check "hello.c builds by pkg-config" compile hello.c \
	$XM_CC $XM_FLAGS -std=c99 -Wall -Wextra -Werror
try hello 'hello from far away'

if [ -n "${XM_CXX:-}" ] && command -v "${XM_CXX%% *}" >/dev/null; then
	check "vector.cc builds" compile vector.cc \
		$XM_CXX $XM_FLAGS -std=c++11 -Wall -Wextra -Werror
	try vector '2097151 is the last of 2097152'
else
	echo "skipped vector.cc: no C++ compiler"
fi

if [ -n "${XM_FC:-}" ] && command -v "${XM_FC%% *}" >/dev/null; then
	check "matrix.f90 builds" compile matrix.f90 \
		$XM_FC $XM_FLAGS -Wall
	try matrix 'the sum is 537395200'
else
	echo "skipped matrix.f90: no Fortran compiler (Debian: gfortran)"
fi
# What went on from a checkpoint comes to what never stopped.
goes_on() {
	wanted=$(example checkpoint "$address" 250 | tail -1)
	token=$(example checkpoint "$address" 230 | sed -n 's/^step 200: //p')
	echo "$wanted; from ${token%-*}-..."
	[ -n "$token" ] &&
		[ "$(example checkpoint "$address" 250 "$token")" = "$wanted" ]
}

check "checkpoint.c builds" compile checkpoint.c \
	$XM_CC $XM_FLAGS -std=c99 -Wall -Wextra -Werror
[ -z "$run" ] || check "a computation goes on from its checkpoint" goes_on
summary
