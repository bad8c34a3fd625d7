#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Replays the corpus of steps of the service machine, and 5,000 mutations of it.
. "$XM_SRCDIR/tests/support/count.sh"
check "the service machine survives the corpus and its mutations" \
	"$XM_BUILDDIR/tests/fuzz/fuzz_service" -n 5000 -s 1 \
	"$XM_SRCDIR"/tests/fuzz/corpus/service/*
summary
