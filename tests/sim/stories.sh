#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The stories (sim/stories.c), each with the trace that is kept in
# tests/sim/stories: every decision, its order and its virtual time. When one has
# changed for a good reason, `make stories-write` writes them anew: read the
# difference before you commit it.
set -u

sim="$XM_BUILDDIR/extmem-sim"
if [ ! -x "$sim" ]; then
	echo "extmem-sim is not built (Debian: libjansson-dev)" >&2
	exit 77
fi
exec "$sim" --stories "$XM_SRCDIR/tests/sim/stories"
