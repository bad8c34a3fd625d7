#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Makes ./configure from configure.ac. Needed once after a clone.
set -e
cd "$(dirname "$0")"
autoreconf --force --install
# Autoconf's tests clean up a file named core, which is a folder here.
sed -i 's/rm -f core /rm -f /' configure
