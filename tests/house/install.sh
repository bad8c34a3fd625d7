#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What `make install` leaves behind is complete, and a stranger's program
# builds against it by pkg-config alone: the example of README.md as C, a
# small one as C++, which then finds the library it was built for.
XM_ALONE=yes
. "$XM_SRCDIR/tests/support/count.sh"

installed() {
	for pattern in "$@"; do
		[ -n "$(find "$scratch/root" -path "*$pattern")" ] || {
			echo "$pattern is not there"
			return 1
		}
	done
}

unset MAKEFLAGS MFLAGS MAKELEVEL
check "make install into an empty folder" \
	make -C "$XM_BUILDDIR" install DESTDIR="$scratch/root"
check "the library, the header, the programs and the shim are there" \
	installed /include/extmem.h /include/extmem_figures.h \
	/include/extmem_share.h /include/extmem_strategy.h \
	/include/extmem_appliance.h /lib/libextmem-appliance.so.0 \
	/pkgconfig/extmem-appliance.pc /extmem/qemu-extmem.so \
	/lib/libextmem.so /lib/libextmem.so.0 \
	/pkgconfig/extmem.pc /bin/extmem /bin/extmemd /extmem/libextmem-run.so
check "nothing else is in the include folder" \
	test "$(find "$scratch/root" -name '*.h' | wc -l)" -eq 5

# By their names: where Debian has them is another place.
packaged() {
	cat "$XM_SRCDIR"/debian/*.install "$XM_SRCDIR"/debian/not-installed |
		sed 's,.*/,,' >"$scratch/patterns"
	find "$scratch/root" ! -type d | sed 's,.*/,,' | grep -v '\.3$' |
		while read -r name; do
			while read -r pattern; do
				case $name in $pattern) continue 2 ;; esac
			done <"$scratch/patterns"
			echo "$name is in no debian/*.install"
		done >"$scratch/out"
	[ ! -s "$scratch/out" ]
}
check "all of it is in a package of Debian's" packaged

pc=$(find "$scratch/root" -name extmem.pc)
lib=$(dirname "$(find "$scratch/root" -name libextmem.so)")
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$scratch/root"
export LD_LIBRARY_PATH="$lib"

flags() {
	pkg-config --cflags --libs extmem
}

compile_c() {
	sed -n '/^```c$/,/^```$/p' "$XM_SRCDIR/README.md" | grep -v '^```' \
		>"$scratch/example.c"
	$XM_CC $XM_FLAGS -std=c99 -Wall -Wextra -Werror "$scratch/example.c" \
		-o "$scratch/example" $(flags)
}

compile_cxx() {
	cat >"$scratch/version.cc" <<-END
		#include <cstring>
		#include <extmem.h>
		int main(int, char **arguments)
		{
			return std::strcmp(extmem_version(), arguments[1]) != 0;
		}
	END
	$XM_CXX $XM_FLAGS "$scratch/version.cc" -o "$scratch/version" $(flags)
}

check "the README's example builds with what pkg-config says" compile_c
if [ -n "${XM_CXX:-}" ] && command -v "${XM_CXX%% *}" >/dev/null; then
	check "a C++ program builds" compile_cxx
	check "it finds the library and its version" \
		"$scratch/version" "$(pkg-config --modversion extmem)"
else
	echo "skipped a C++ program: no C++ compiler"
fi

summary
