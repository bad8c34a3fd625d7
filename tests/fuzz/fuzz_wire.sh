#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Replays the corpus of control messages, and 200,000 mutations of it.
. "$XM_SRCDIR/tests/support/count.sh"
check "the decoder survives the corpus and its mutations" \
	"$XM_BUILDDIR/tests/fuzz/fuzz_wire" -n 200000 -s 1 \
	"$XM_SRCDIR"/tests/fuzz/corpus/wire/*
# A sample of each kind is there, and is what the encoder makes of it today.
mkdir "$scratch/fresh"
"$XM_BUILDDIR/tests/fuzz/fuzz_wire" -w "$scratch/fresh"
(cd "$scratch/fresh" && for kind in *; do
	cmp "$kind" "$XM_SRCDIR/tests/fuzz/corpus/wire/$kind" || exit 1
done) >"$scratch/out" 2>&1
verdict 'a message of each kind is in the corpus, and is current' $?
summary
