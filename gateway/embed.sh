#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: embed.sh NAME FILE...: C source of arrays with the files' bytes, named
# NAME each, with NAME_size. Pairs of a name and a file.
set -eu
export LC_ALL=C
echo '/* Made by gateway/embed.sh. */'
echo '#include "gateway/embedded.h"'
while [ $# -ge 2 ]; do
	echo "const char $1[] = {"
	od -An -v -tu1 "$2" | sed -e 's/  */,/g' -e 's/^,//' -e 's/$/,/'
	echo '0 };'
	echo "const size_t $1_size = sizeof($1) - 1;"
	shift 2
done
