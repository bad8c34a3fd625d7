#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# examples/shared-matrix.c: ranks of an MPI program read what one of them writes.
. "$XM_SRCDIR/tests/support/count.sh"

case $XM_FLAGS in
*thread*)
	echo "skipped: ThreadSanitizer has the addresses that are mapped"
	exit 77
	;;
esac

start() {
	mkfifo "$scratch/ready"
	"$XM_BUILDDIR/extmemd" --listen ofi+tcp://127.0.0.1:0 --memory 64M \
		--ready-fd 3 3>"$scratch/ready" &
	daemon=$!
	read -r address <"$scratch/ready"
}
check "extmemd starts on a free port" start

compile() {
	OMPI_CC=${XM_CC%% -*} mpicc $XM_FLAGS -std=c99 -Wall -Wextra -Werror \
		"$XM_SRCDIR/examples/shared-matrix.c" -o "$scratch/shared-matrix" \
		$(PKG_CONFIG_PATH="$XM_BUILDDIR" pkg-config \
			--define-variable=includedir="$XM_SRCDIR/core" \
			--define-variable=libdir="$XM_BUILDDIR/.libs" \
			--cflags --libs extmem)
}
ranks() {
	LD_LIBRARY_PATH=$XM_BUILDDIR/.libs $mpirun -n 4 \
		"$scratch/shared-matrix" "$address" >"$scratch/out" 2>"$scratch/words" ||
		{ cat "$scratch/out" "$scratch/words"; return 1; }
	printf '4 ranks: %s\n' 536346624 1072693248 1609039872 | cmp - "$scratch/out"
}
says() {
	! LD_LIBRARY_PATH=$XM_BUILDDIR/.libs $mpirun -n 2 "$scratch/shared-matrix" \
		nonsense >"$scratch/out" 2>&1 && cat "$scratch/out" &&
		grep -q 'extmem_open: nonsense: ' "$scratch/out"
}
if can_mpirun; then
	check "the example builds by mpicc and pkg-config" compile
	check "four ranks see what the first one released, three times" ranks
	check "again: the first run has left nothing behind" ranks
	check "an appliance that cannot be is an error in words" says
else
	echo "skipped the example: no MPI, or no mpirun"
fi
summary
