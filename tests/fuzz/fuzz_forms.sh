#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Replays the corpus of small forms that others write, and 200,000 mutations of it.
. "$XM_SRCDIR/tests/support/count.sh"
check "the parser survives the corpus and its mutations" \
	"$XM_BUILDDIR/tests/fuzz/fuzz_forms" -n 200000 -s 1 \
	"$XM_SRCDIR"/tests/fuzz/corpus/forms/*
summary
