#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: torture.sh [SECONDS]
# Torture over each transport, way of paging and number of lanes that tells
# them apart; a second each in `make check`, a minute in `make torture`.
. "$XM_SRCDIR/tests/support/count.sh"

seconds=${1:-1}
cd "$XM_BUILDDIR" || exit 1
torture() {
	tests/api/torture --seconds "$seconds" --seed "$(date +%s)" "$@"
	status=$?
	if [ "$status" -eq 77 ] && [ "${2#*+shm}" != "$2" ]; then
		echo "skipped: $2"
	else
		verdict "torture --seconds $seconds $*" "$status"
	fi
}
torture --start ofi+tcp://127.0.0.1:0 --lanes 1 --paging inline
torture --start ofi+tcp://127.0.0.1:0 --lanes 2 --paging thread --threads 3
torture --start "ofi+shm://torture-$$" --lanes 1 --paging inline
torture --start "ofi+shm://torture-$$-4" --lanes 4 --paging inline --local 8M
summary
