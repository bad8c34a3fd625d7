# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Allocators that a user preloads: what they map is external.
all="$all mimalloc jemalloc tcmalloc"

# usage: allocator_has NAME: its library, in $library.
allocator_has() {
	for library in /usr/lib/*-linux-gnu/lib"$1".so.*; do
		[ ! -e "$library" ] || return 0
	done
	return 1
}
allocator_run() {
	LD_PRELOAD=$library $under "$XM_BUILDDIR/tests/run/run_cxx" 16 7000 >sums
}
mimalloc_needs=$XM_BUILDDIR/tests/run/run_cxx
jemalloc_needs=$mimalloc_needs
tcmalloc_needs=$mimalloc_needs
mimalloc_has() { allocator_has mimalloc; }
jemalloc_has() { allocator_has jemalloc; }
tcmalloc_has() { allocator_has tcmalloc_minimal; }
mimalloc_input() { :; }
jemalloc_input() { :; }
tcmalloc_input() { :; }
mimalloc_() { allocator_run; }
jemalloc_() { allocator_run; }
tcmalloc_() { allocator_run; }
