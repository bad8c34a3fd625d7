#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Some programs that nobody here wrote, with a quarter of their memory local;
# `make check-programs` runs many more, at 100, 50 and 25 %.
exec "$XM_SRCDIR/tests/run/programs.sh" --short
