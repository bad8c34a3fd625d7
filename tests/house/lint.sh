#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Looks at every C file with cppcheck and with clang's warnings, and at every
# script with shellcheck (.shellcheckrc); ends 1 if one of them has something to
# say. Run in the source tree (make lint), with the build folder as argument, for
# its config.h.
set -u
build=$1
status=0
files=$(find common core transports appliance advise cli preload faces gateway directory bench sim tests \
	-name '*.c' |
	sort)
if command -v cppcheck >/dev/null; then
	echo "cppcheck"
	# It does not see what recvmsg() or a loop fills, nor that XM_ASSERT()
	# ends a program; NULL is a pointer wherever this builds; Python's
	# macros take addresses of members of nothing, and set what they
	# return out of its sight; mount.c touches its own pages; and tests
	# check allocations that must fail, or look at what was not written.
	cppcheck --quiet --std=c11 --enable=warning,portability \
		--inline-suppr --error-exitcode=1 -I. \
		-D__x86_64__ -D__linux__ -D__GNUC__ \
		--suppress=missingIncludeSystem --suppress=unknownMacro \
		--suppress=ctunullpointer --suppress=funcArgOrderDifferent \
		--suppress=uninitvar:preload/path.c \
		--suppress=ctuuninitvar:preload/broker.c \
		"--suppress=arrayIndexOutOfBoundsCond:sim/*" \
		--suppress=varFuncNullUB \
		--suppress=leakReturnValNotUsed:tests/run/run_raw.c \
		--suppress=uninitvar:sim/workload.c \
		--suppress=ctuPointerArith:sim/store.c \
		--suppress=uninitvar:appliance/child.c \
		--suppress=ctuuninitvar:core/client/access.c \
		--suppress=selfAssignment:faces/file/mount.c \
		"--suppress=nullPointer:faces/python/*" \
		"--suppress=uninitvar:faces/python/*" \
		"--suppress=legacyUninitvar:faces/python/*" \
		"--suppress=missingReturn:faces/python/*" \
		"--suppress=memleakOnRealloc:tests/run/*" \
		"--suppress=uninitdata:tests/run/*" \
		--suppress=arrayIndexOutOfBoundsCond:tests/api/test_trims.c \
		--suppress=uninitvar:tests/unit/test_wire.c \
		$files || status=1
else
	echo "cppcheck is not there: skipped"
fi
if command -v clang >/dev/null; then
	echo "clang"
	libraries=$(pkg-config --cflags mpi-c fuse3 python3 2>/dev/null)
	for file in $files; do
		# The one test that turns planted bugs on.
		plant=
		[ "$file" != tests/unit/test_wait.c ] || plant=-DXM_PLANT
		clang -fsyntax-only -std=gnu11 -D_GNU_SOURCE -pthread -Wall \
			-Wextra -Wno-unused-parameter -Wshadow -Wundef \
			-Wimplicit-fallthrough \
			-Wloop-analysis \
			-Wno-gnu-statement-expression \
			-Wno-missing-field-initializers -Werror \
			-DHAVE_CONFIG_H $plant \
			-DEXTMEM_NBDKITDIR='"."' -I. -Icore -I"$build" $libraries \
			"$file" || status=1
	done
else
	echo "clang is not there: skipped"
fi
scripts=$(git ls-files '*.sh' .ci/run 2>/dev/null)
for file in $scripts; do
	sh -n "$file" || status=1
done
if command -v shellcheck >/dev/null; then
	echo "shellcheck"
	[ -z "$scripts" ] || shellcheck $scripts || status=1
else
	echo "shellcheck is not there: skipped"
fi
[ $status -eq 0 ] && echo "nothing to say"
exit $status
