#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `import extmem`, as it was built here, with an appliance on this machine:
# tests/python/test_extmem.py.
. "$XM_SRCDIR/tests/support/count.sh"

module=$XM_BUILDDIR/faces/python/.libs/_extmem.so
[ -f "$module" ] || skip "the Python module is not built (Debian: python3-dev, before configure)"
case ${XM_FLAGS-} in
*-fsanitize*)
	skip "a sanitizer's library must be the first in a process: Python has not been built with it" ;;
esac

mkdir "$scratch/extmem" && ln -s "$XM_SRCDIR"/faces/python/extmem/* "$module" "$scratch/extmem"
export PYTHONPATH="$scratch" PYTHONDONTWRITEBYTECODE=1
export LD_LIBRARY_PATH="$XM_BUILDDIR/.libs"
# Its threads spin while they wait for each other, beside other tests.
export OPENBLAS_NUM_THREADS=1
timeout $((300 * ${XM_SLOW:-1})) "$XM_PYTHON" "$XM_SRCDIR/tests/python/test_extmem.py"
