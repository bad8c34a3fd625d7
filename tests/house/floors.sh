#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The floors and the arrows between rooms (docs/ARCHITECTURE.md), kept by
# machine: what the objects of the pure floors call, who includes what, what
# the library exports, and that extmem.h suits C99 and C++.
# Run by `make check`, which sets XM_SRCDIR, XM_BUILDDIR, XM_CC, XM_CXX and
# the lists of objects.
. "$XM_SRCDIR/tests/support/count.sh"

# --- what objects call --------------------------------------------------

# core/pure/wire.lo -> core/pure/.libs/wire.o
objects() {
	for lo in $1; do
		echo "$XM_BUILDDIR/$(dirname "$lo")/.libs/$(basename "$lo" .lo).o"
	done
}

# Names that objects need and that are neither bytes nor ours, nor put there
# by the compiler (stack protector, sanitizers, gcov, 128-bit arithmetic).
strangers() {
	for object in $1; do
		nm -u "$object" | awk '{ print $2 }' |
			grep -Ev '^(mem(cpy|move|set|cmp)|xm_[a-z0-9_]*)$' |
			grep -Ev '^(__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$' |
			grep -Ev '^__mem(cpy|move|set)_chk$' |
			grep -Ev '^_*(asan|ubsan|tsan|sanitizer|gcov|llvm)_' |
			grep -Ev '^__[a-z]+[dt]i[0-9]$' |
			sed "s|^|$(basename "$object") calls |"
	done
}

# Names of ours that objects need and that floors above them define.
upward() {
	nm --defined-only $2 | awk 'NF == 3 { print $3 }' | sort -u \
		>"$scratch/defined"
	# Arrows that bend: the program says how a broken promise ends, and
	# transports/table.c what was built in.
	printf '%s\n' xm_assert_failed xm_channels xm_transports \
		>>"$scratch/defined"
	sort -u -o "$scratch/defined" "$scratch/defined"
	for object in $1; do
		nm -u "$object" | awk '{ print $2 }' | grep '^xm_' | sort -u |
			comm -23 - "$scratch/defined" |
			sed "s|^|$(basename "$object") reaches up to |"
	done
}

ground=$(objects "$XM_OBJECTS")
first=$(objects "$XM_OBJECTS_FIRST")
service=$(objects "$XM_OBJECTS_SERVICE")

strangers "$ground" >"$scratch/out"
complaints "the ground floor calls nothing but itself and mem*" "$scratch/out"
upward "$ground" "$ground" >"$scratch/out"
complaints "the ground floor calls nothing above it" "$scratch/out"
strangers "$first $service" | grep -Ev ' calls str(len|cmp|ncmp)$' \
	>"$scratch/out"
complaints "the first floor makes no system call, takes no clock, no heap" \
	"$scratch/out"
upward "$first" "$ground $first" >"$scratch/out"
complaints "the first floor calls nothing above it" "$scratch/out"
upward "$service" "$ground $service" >"$scratch/out"
complaints "the appliance's decisions need the ground floor only" "$scratch/out"
strangers "$(objects "$XM_OBJECTS_KERNELS")" |
	grep -Ev ' calls (exp|expm1|floor|log|log1p|pow)$' >"$scratch/out"
complaints "the benchmarks' kernels make no call but those of arithmetic" \
	"$scratch/out"

# --- who includes what --------------------------------------------------

cd "$XM_SRCDIR" || exit 1

sources() {
	find "$@" \( -name '*.c' -o -name '*.h' \) -print 2>/dev/null | sort
}

# "file header" for each #include "header" below the folders given.
included() {
	awk -F '"' '/^[ \t]*#[ \t]*include[ \t]*"/ { print FILENAME, $2 }' \
		$(sources "$@") /dev/null
}

# usage: only PATTERN ALLOWED: files that include <PATTERN...> and are not
# allowed to.
only() {
	grep -lE "^[ 	]*#[ 	]*include[ 	]*<$1" $(sources $rooms) |
		grep -Ev "$2" | sed "s|\$| includes <$1...>|"
}

rooms='common core transports rtl appliance advise cli preload faces gateway directory bench sim'

# Includes are relative to the root, so each names its room.
included $rooms tests examples | while read -r file header; do
	case $header in
	config.h | sim/commit.h | extmem_figures.h | extmem_share.h | extmem_strategy.h) continue ;;
	esac
	[ -f "$header" ] || echo "$file includes $header, which is no path from the root"
done >"$scratch/out"
complaints "includes are paths from the root" "$scratch/out"

# usage: arrows ROOM PATTERN: what the files of a room include, besides the
# room itself, begins with PATTERN.
arrows() {
	included "$1" | grep -Ev " (config\.h|$1/.*|$2)\$" |
		sed 's| | includes |'
}

contracts='core/pure/(channel|plant|scheme|trace|transport)\.h'
{
	arrows common ''
	arrows core/pure 'common/.*'
	arrows core/engine '(common|core/pure)/.*'
	arrows core/client '(common|core/pure|core/engine)/.*|core/skin/.*\.h|core/extmem\.h'
	arrows core/skin '(common|core/pure|core/engine)/.*|core/client/.*\.h|core/extmem\.h'
} >"$scratch/out"
complaints "core's arrows point down: client and skin, engine, pure, common" \
	"$scratch/out"
arrows transports "common/.*|$contracts" >"$scratch/out"
complaints "transports include the contracts, common and each other" \
	"$scratch/out"
{
	arrows cli 'core/extmem\.h|common/(clock|directory|options|options_shared|progress|psk|spawn|standard)\.h|preload/(news|shared)\.h'
	# The snapshot machine is pure, so that the simulator runs it; the shim
	# is who uses it, and has its object file besides libextmem.so.
	arrows preload 'core/extmem\.h|core/pure/snapshot\.h|common/(areas|base|extent|heap|log_rules|options|record|ring)\.h'
	# What a program did is played back to the very pager.
	arrows advise 'core/extmem\.h|core/pure/pager\.h|common/(options|options_shared|record|standard)\.h|preload/shared\.h'
	arrows gateway 'core/extmem\.h|common/(base|clock|etcd|list|logger|options|standard|words)\.h|preload/shared\.h'
	arrows directory 'common/.*|core/pure/wire\.h'
	arrows rtl 'common/.*|core/pure/transport\.h|transports/(model|loop)/.*'
	# Where both ends are to be in one process, bench is the daemon too.
	arrows bench 'core/extmem\.h|common/(options|spawn|standard)\.h' |
		grep -vx 'bench/appliance.c includes appliance/inside.h'
	arrows faces 'core/extmem\.h|common/(base|clock|options|options_shared|standard)\.h'
} >"$scratch/out"
complaints "cli, preload, faces, gateway and bench stand on extmem.h and what is common" \
	"$scratch/out"
arrows appliance '(common|core/pure|core/engine|core/skin)/.*' >"$scratch/out"
complaints "the appliance stands on core's floors, not on extmem.h" "$scratch/out"

# Two yardsticks of bench stand beside what they measure, not on it: raw.c
# makes libfabric's calls by itself, floor.c a fault and costs.c the calls under it.
only 'rdma/' '^(transports/ofi/|bench/raw\.c$)' >"$scratch/out"
complaints "libfabric is named in transports/ofi alone, and in a yardstick" \
	"$scratch/out"
# A child of fork() cannot use the library: child.c serves it by itself.
only 'linux/userfaultfd' \
	'^(core/skin/uffd_parts\.h|preload/child\.c|bench/(floor|costs)\.c)$' \
	>"$scratch/out"
complaints "userfaultfd is named in the mapper, for forked children, and in a yardstick" \
	"$scratch/out"
# Whoever uses a mapper does so by its contract.
grep -noE '\bxm_(uffd|sigbus)\w*' $(sources $rooms) |
	grep -Ev '^core/skin/(uffd|sigbus|mappers)[a-z_]*\.[ch]:' >"$scratch/out"
complaints "nobody but the mapper itself names its functions" "$scratch/out"
# Where bytes are is the volume's to know; everybody else asks it, and is told in backings
# (core/pure/backing.h). Laws count anew what it has.
grep -nE '\bxm_(segment|member|layout)\b|\bxm_(layout|segment)_[a-z]' $(sources $rooms) |
	grep -Ev '^(core/pure/(layout|volume|volume_[a-z]+)\.[ch]|sim/laws_(page|quiet|spread)\.c):' |
	sed 's/:.*[^a-z_]\(xm_[a-z_]*\).*/: \1/' >"$scratch/out"
complaints "nobody but the volume looks into a segment" "$scratch/out"
only 'microhttpd' '^gateway/(http_parts\.h|main\.c)$' >"$scratch/out"
complaints "libmicrohttpd is named where the gateway speaks HTTP" "$scratch/out"
only 'curl/' '^directory/ask\.c$' >"$scratch/out"
complaints "libcurl is named in directory/ask.c alone" "$scratch/out"
only 'openssl/' '^(core/skin/cipher_openssl\.c|transports/tls_library\.h|cli/(authority|authority_check|authority_psk|auth_main)\.c)$' >"$scratch/out"
complaints "OpenSSL is named where streams and pages are encrypted and credentials written" \
	"$scratch/out"

# The pure files: sources of the objects above, and the headers beside them.
for lo in $XM_OBJECTS $XM_OBJECTS_FIRST $XM_OBJECTS_SERVICE; do
	for file in "${lo%.lo}.c" "${lo%.lo}.h"; do
		[ -f "$file" ] && echo "$file"
	done
done >"$scratch/pure"
printf '%s\n' common/base.h common/list.h common/rand.h >>"$scratch/pure"
for file in $(sort -u "$scratch/pure"); do
	sed -n 's/^[ \t]*#[ \t]*include[ \t]*<\([^>]*\)>.*/\1/p' "$file" |
		grep -Ev '^(errno|inttypes|limits|stdarg|stdatomic|stdbool|stddef|stdint|string)\.h$' |
		sed "s|^|$file includes |"
done | grep -vx 'appliance/store_form.c includes xxhash.h' >"$scratch/out" # arithmetic
included common core/pure core/engine core/client sim |
	grep ' common/clock\.h$' | sed 's| | asks |' >>"$scratch/out"
complaints "pure files include no system header but for numbers, bytes and atomics" \
	"$scratch/out"

# --- what leaves the library ----------------------------------------------

library=$XM_BUILDDIR/.libs/libextmem.so
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' |
	grep -v '^extmem_' >"$scratch/out"
complaints "libextmem.so exports extmem_* alone" "$scratch/out"

# Every function that extmem.h declares, if the library has any at all.
sed 's/@.*//' >"$scratch/exported" <<END
$(nm -D --defined-only "$library" | awk '$2 == "T" { print $3 }')
END
grep -hoE '\bextmem_[a-z_]+\(' core/extmem*.h | tr -d '(' | sort -u |
	while read -r name; do
		# A declaration begins a line with its type; comments do not.
		grep -qE "^[a-z].*\b$name\(" core/extmem*.h || continue
		grep -qx "$name" "$scratch/exported" ||
			echo "$name is declared and not exported"
	done >"$scratch/out"
complaints "libextmem.so exports all that extmem.h declares" "$scratch/out"
# With -z now a library that lacks a function of ours would not load, called or not.
for file in "$library" "$XM_BUILDDIR"/.libs/*extmem*.so "$XM_BUILDDIR"/faces/*/.libs/*.so; do
	[ ! -f "$file" ] || nm -D -u "$file" | grep ' xm_' | sed "s|^|$file lacks |"
done >"$scratch/out"
complaints "libraries have all functions of ours that they call" "$scratch/out"
# They are loaded when they are needed: transports/ofi/library.c, tls_library.c.
for file in "$library" "$XM_BUILDDIR/.libs/libextmem-run.so" "$XM_BUILDDIR/extmem"; do
	readelf -d "$file" 2>/dev/null | grep -E 'NEEDED.*lib(fabric|ssl|crypto)' |
		sed "s|^|$file needs |"
done >"$scratch/out"
complaints "nothing loads libfabric or OpenSSL before it is needed" "$scratch/out"

cat >"$scratch/use.c" <<'END'
#include "extmem.h"
int use(extmem **x);
int use(extmem **x) { return extmem_open((const char *const *)0, x); }
END
cp "$scratch/use.c" "$scratch/use.cc"
$XM_CC -std=c99 -pedantic -Wall -Wextra -Werror -Icore -c "$scratch/use.c" \
	-o "$scratch/use.o" >"$scratch/out" 2>&1
complaints "extmem.h is C99" "$scratch/out"
if [ -n "${XM_CXX:-}" ] && command -v "${XM_CXX%% *}" >/dev/null; then
	$XM_CXX -std=c++98 -Wno-long-long -pedantic -Wall -Wextra -Werror \
		-Icore -c "$scratch/use.cc" -o "$scratch/use.o" \
		>"$scratch/out" 2>&1
	complaints "extmem.h is C++" "$scratch/out"
else
	echo "skipped extmem.h is C++: no C++ compiler"
fi

# --- every file -------------------------------------------------------------

all=$(sources $rooms tests)
{
	awk 'FNR == 1 && $0 != "/* SPDX-License-Identifier: BSD-3-Clause */" {
		print FILENAME " has no licence line"
	}' $all
	grep -nE '\b(TODO|FIXME|XXX)\b' $all
	grep -nE '& *\([A-Z0-9_]+ *\| *[A-Z0-9_]+\) *[!=]= ' $all
} >"$scratch/out"
complaints "files begin with their licence and leave nothing for later" \
	"$scratch/out"
# What is larger says "above 600 lines because" at its head, or "above 60 lines because"
# before its function.
awk '
	function file_ends() {
		if (lines > (name ~ /^tests\// ? 900 : 600) && !excused)
			print name " has " lines " lines"
	}
	FNR == 1 {
		file_ends()
		name = FILENAME
		excused = reason = begun = 0
	}
	{ lines = FNR }
	/above 600 lines because/ && FNR < 60 { excused = 1 }
	/[Aa]bove 60 lines because/ { reason = 1 }
	/^[A-Za-z_].*\(/ { signature = FNR }
	/^\{/ { begun = signature }
	/^\}/ {
		if (begun > 0 && FNR - begun + 1 > 60 && !reason)
			print name ":" begun " has a function of " FNR - begun + 1 " lines"
		begun = reason = 0
	}
	END { file_ends() }' $all >"$scratch/out"
complaints "files have 600 lines, tests 900, and functions 60, or say why more" \
	"$scratch/out"

# What no local.mk names, alone or with its folder, would be missing from the tarball.
for room in $rooms tests; do
	find $room -type f \( -name '*.[ch]' -o -name '*.sh' -o -name '*.map' \) |
		sort >"$scratch/files"
	# A test that says nothing else is made from tests/test_x.c.
	cat $room/local.mk $room/*/local.mk 2>/dev/null | awk -v room=$room '
		FNR == NR && /^#/ { next }
		FNR == NR && /^EXTRA_DIST \+= / && NF == 3 { folder[$3] = 1 }
		FNR == NR { for (i = 1; i <= NF; i++) named[$i] = 1; next }
		{
			bare = $0
			sub(/\.c$/, "", bare)
			in_folder = $0
			sub(/\/[^\/]*$/, "", in_folder)
		}
		!named[$0] && !named[bare] && !folder[in_folder] {
			print $0 " is not in " room "/local.mk"
		}' - "$scratch/files"
done >"$scratch/out"
complaints "every file is in its room's local.mk" "$scratch/out"

summary
