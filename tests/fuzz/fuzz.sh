#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: fuzz.sh SECONDS, with XM_SRCDIR and XM_BUILDDIR set (make fuzz).
# Fuzzes the decoder of control messages. What breaks it is left in the
# folder build-fuzz; add it to tests/fuzz/corpus/wire once it is understood.
set -eu
seconds=$1
corpus=$XM_SRCDIR/tests/fuzz/corpus/wire
mkdir -p "$XM_BUILDDIR/build-fuzz/corpus"
cd "$XM_BUILDDIR/build-fuzz"
sources="$XM_SRCDIR/tests/fuzz/fuzz_wire.c $XM_SRCDIR/core/pure/wire.c
	$XM_SRCDIR/core/pure/scheme.c $XM_SRCDIR/tests/support/assert.c"
if clang -std=gnu11 -g -O1 -DXM_LIBFUZZER -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -I"$XM_SRCDIR" \
	"$XM_SRCDIR/tests/fuzz/fuzz_wire.c" "$XM_SRCDIR/core/pure/wire.c" \
	"$XM_SRCDIR/tests/support/assert.c" -o fuzz_wire 2>clang.log; then
	exec ./fuzz_wire -max_total_time="$seconds" -max_len=4200 \
		-print_final_stats=1 corpus "$corpus"
fi
echo "clang with libFuzzer is not there (build-fuzz/clang.log): own driver"
end=$(($(date +%s) + seconds))
seed=$(date +%s)
while [ "$(date +%s)" -lt "$end" ]; do
	"$XM_BUILDDIR/tests/fuzz/fuzz_wire" -n 2000000 -s "$seed" "$corpus"/*
	seed=$((seed + 1))
done
