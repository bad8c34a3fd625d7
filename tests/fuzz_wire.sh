#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Replays the corpus of control messages, and 200,000 mutations of it.
set -eu
if "$XM_BUILDDIR/tests/fuzz_wire" -n 200000 -s 1 \
	"$XM_SRCDIR"/tests/corpus/wire/*; then
	echo "1 passed, 0 failed"
else
	echo "0 passed, 1 failed"
	exit 1
fi
