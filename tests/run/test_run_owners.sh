#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A block of memory is freed by whoever has it: a program, a plugin and libc find
# malloc and free by other ways than the global name, or the program brings an
# allocator of its own.
. "$XM_SRCDIR/tests/support/run.sh"

program=$XM_BUILDDIR/tests/run/run_owners
folder=$XM_BUILDDIR/tests/run/.libs
[ -e "$folder/run_plugin.so" ] || skip "no shared libraries in this build"

# usage: right WORDS PROGRAM WAY [PLUGIN]: prints ok, and pages were away.
right() {
	words=$1
	shift
	if [ "$("$@")" != ok ]; then
		echo "skipped: $words: not without external memory either"
		return
	fi
	try "$extmem" run --local 2M --external 512M \
		--stats "$scratch/stats" -- "$@"
	[ "$status" -eq 0 ] && grep -qx ok "$scratch/out" &&
		[ "$(number bytes_read)" -gt 0 ]
	verdict "$words" $?
}

right "by libc's handle" "$program" handle
right "by RTLD_NEXT" "$program" next
right "by RTLD_DEFAULT" "$program" default
right "by name and version" "$program" version
right "by libc's own names" "$program" names
right "a plugin" "$program" plugin "$folder/run_plugin.so"
right "a plugin that binds to libc first" "$program" deepbind \
	"$folder/run_plugin.so"
right "a plugin with another libc" "$program" namespace \
	"$folder/run_plugin.so"
right "by libc itself" "$program" libc
right "in an obstack" "$program" obstack
right "libc's other functions by its handle" "$program" others
right "a program at fixed addresses" "$XM_BUILDDIR/tests/run/run_fixed"
right "an allocator in the program" "$XM_BUILDDIR/tests/run/run_owners_own" own

# A preloaded one: extmem run keeps what LD_PRELOAD has.
LD_PRELOAD=$folder/run_allocator.so
export LD_PRELOAD
right "an allocator before libc's" "$program" own
right "by RTLD_NEXT, with an allocator before libc's" "$program" next
right "by RTLD_DEFAULT, with an allocator before libc's" "$program" default
unset LD_PRELOAD
summary
