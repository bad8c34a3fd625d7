#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The manual pages say what there is: every function and constant of extmem.h,
# every setting with its default, every option of the programs; and they are
# free of mistakes, as far as groff and mandoc can tell.
. "$XM_SRCDIR/tests/support/count.sh"
cd "$XM_SRCDIR" || exit 1

# A page without its fonts, so that what it says can be searched.
plain() {
	sed -e 's/\\-/-/g' -e 's/\\f[BIRP]//g' -e 's/\\&//g' -e 's/\\e/\\/g' "$@"
}

out=$scratch/out
: >"$out"
# In a build within the source folder the other names lie beside the pages.
pages=$(grep -L '^\.so ' docs/man/*)

# --- the library ------------------------------------------------------------

# Declarations begin in the first column, or are a comment's.
sed -e 's/[*][*]//' core/extmem*.h | grep -v '^ \*' |
	grep -oE '\bextmem_[a-z_]+\(' | tr -d '(' | sort -u >"$scratch/header"
nm -D --defined-only "$XM_BUILDDIR"/.libs/libextmem.so |
	sed -n 's/.* T \(extmem_[a-z_]*\).*/\1/p' | sort -u >"$scratch/functions"
[ -s "$scratch/functions" ] || echo "libextmem.so has no functions" >>"$out"
comm -23 "$scratch/functions" "$scratch/header" |
	sed 's/$/ is exported and not in extmem.h/' >>"$out"
while read -r name; do
	page=docs/man/$name.3
	if [ ! -f "$page" ]; then
		page=$(sed -n 's/^\.so man3/docs\/man/p' \
			"$XM_BUILDDIR/docs/man/$name.3" 2>/dev/null)
	fi
	if [ ! -f "$page" ]; then
		echo "$name has no page; see docs/local.mk" >>"$out"
		continue
	fi
	sed -n '/^\.SH NAME/,/^\.SH SYNOPSIS/p' "$page" | grep -q "^${name}[, ]" ||
		echo "$page: $name is not in NAME" >>"$out"
	sed -n '/^\.SH SYNOPSIS/,/^\.SH DESCRIPTION/p' "$page" |
		grep -q "[ *]$name(" ||
		echo "$page: $name is not in SYNOPSIS" >>"$out"
	sed -n '/^\.SH DESCRIPTION/,/^\.SH RETURN/p' "$page" |
		grep -q "^\.BR $name ()" ||
		echo "$page: $name is not in DESCRIPTION" >>"$out"
	grep -q "[ \"]$name [\"(]" docs/man/extmem.3 ||
		echo "extmem.3: $name is not listed" >>"$out"
done <"$scratch/functions"
complaints "every function of the library has a page" "$out"

for page in $(echo "$pages" | grep "_.*3\$"); do
	for section in NAME SYNOPSIS DESCRIPTION "RETURN VALUE" ERRORS THREADS \
		"SEE ALSO"; do
		grep -qx "\.SH $section" "$page" ||
			echo "$page: no section $section" >>"$out"
	done
done
complaints "every page of functions has its sections" "$out"

for name in $(grep -ohE '\bEXTMEM_[A-Z_]+\b' core/extmem*.h | sort -u); do
	case $name in EXTMEM_H | EXTMEM_*_H | EXTMEM_LOCAL) continue ;; esac
	cat docs/man/extmem*.3 | grep -q "\b$name\b" ||
		echo "$name is in no page" >>"$out"
done
complaints "every constant of extmem.h is in a page" "$out"

# The members of the structs of figures.
sed -n '/^struct extmem_\(stats\|info\|status\|capabilities\) {/,/^};/p' \
	core/extmem_figures.h | sed -e 's,/\*.*,,' -e 's,^.*\*/,,' |
	grep -E '^	[a-z].*;?' | sed -e 's/^	[a-z0-9_]* //' |
	grep -oE '\b[a-z][a-z_0-9]*\b' | sort -u >"$scratch/members"
while read -r name; do
	sed -n '/^\.SH DESCRIPTION/,/^\.SH RETURN/p' docs/man/extmem_stats.3 |
		grep -qE "(^|[^a-z_])$name([^a-z_]|\$)" ||
		echo "extmem_stats.3: $name is not there" >>"$out"
done <"$scratch/members"
complaints "every figure is in extmem_stats(3)" "$out"

sed -n '/^\.EX/,/^\.EE/p' docs/man/extmem.3 | sed '/^\.EE/q' | grep -v '^\.E' |
	sed 's/\\e/\\/g' >"$scratch/example"
sed 1,2d examples/hello.c | diff "$scratch/example" - >>"$out"
complaints "the example of extmem(3) is examples/hello.c" "$out"

# --- settings and options -----------------------------------------------------

plain docs/man/extmem.5 >"$scratch/page"
"$XM_BUILDDIR/tests/house/settings" >"$scratch/settings"
[ -s "$scratch/settings" ] || echo "there are no settings" >>"$out"
while read -r name value; do
	# From its tag to the next.
	awk -v tag="$name=" '
		previous == ".TP" { on = index($2, tag) == 1 }
		/^\.SH/ { on = 0 }
		on { print }
		{ previous = $0 }' "$scratch/page" >"$scratch/entry"
	if [ ! -s "$scratch/entry" ]; then
		echo "extmem.5: no setting $name" >>"$out"
	elif [ -n "$value" ] &&
		! grep -qx "Default: $value\." "$scratch/entry"; then
		echo "extmem.5: $name: not \"Default: $value.\"" >>"$out"
	fi
done <"$scratch/settings"
complaints "every setting is in extmem(5), with its default" "$out"

# usage: options PAGE COMMAND...
options() {
	page=$1
	shift
	"$@" --help >"$scratch/help" 2>&1 || {
		echo "$* --help fails" >>"$out"
		return
	}
	plain "$page" >"$scratch/page"
	for name in $(sed -n 's/^ *\(-., \)\{0,1\} *--\(\[no-\]\)\{0,1\}\([a-z][a-z-]*\).*/\3/p' "$scratch/help"); do
		case $name in help | version) continue ;; esac
		grep -qE -- "--(\[no-\])?$name([^a-z-]|\$)" "$scratch/page" ||
			echo "$page: no --$name, which $* has" >>"$out"
	done
}

options docs/man/extmemd.8 "$XM_BUILDDIR/extmemd"
complaints "every option of extmemd is in extmemd(8)" "$out"
for command in $("$XM_BUILDDIR/extmem-bench" --help |
	sed -n 's/^  \([a-z][a-z]*\) .*/\1/p'); do
	options docs/man/extmem-bench.1 "$XM_BUILDDIR/extmem-bench" "$command"
	grep -qx "\.SS $command" docs/man/extmem-bench.1 ||
		echo "extmem-bench.1: no section $command" >>"$out"
done
complaints "every option of extmem-bench is in extmem-bench(1)" "$out"
if [ -x "$XM_BUILDDIR/extmem-auth" ]; then
	options docs/man/extmem-auth.1 "$XM_BUILDDIR/extmem-auth"
	complaints "every option of extmem-auth is in extmem-auth(1)" "$out"
fi
options docs/man/extmem-advise.1 "$XM_BUILDDIR/extmem-advise"
complaints "every option of extmem advise is in extmem-advise(1)" "$out"
if [ -x "$XM_BUILDDIR/extmem-gateway" ]; then
	options docs/man/extmem-gateway.8 "$XM_BUILDDIR/extmem-gateway"
	complaints "every option of extmem-gateway is in extmem-gateway(8)" "$out"
fi
if [ -x "$XM_BUILDDIR/extmem-mount" ]; then
	options docs/man/extmem-mount.1 "$XM_BUILDDIR/extmem-mount"
	complaints "every option of extmem mount is in extmem-mount(1)" "$out"
fi
if [ -x "$XM_BUILDDIR/extmem-vm" ]; then
	options docs/man/extmem.1 "$XM_BUILDDIR/extmem-vm" run
	options docs/man/extmem.1 "$XM_BUILDDIR/extmem-vm" move
	complaints "every option of a guest that moves is in extmem(1)" "$out"
fi
if [ -f docs/man/extmem.1 ]; then
	for command in run info status strategy disk swap doctor; do
		options docs/man/extmem.1 "$XM_BUILDDIR/extmem" $command
	done
	complaints "every option of extmem is in extmem(1)" "$out"
else
	echo "skipped extmem(1): it is not written yet"
fi

# --- the other documents ---------------------------------------------------------

# Functions are defined at the start of a line, or declared with their type.
for name in $(grep -ohE '`[a-z_]+\(\)`' docs/*.md | tr -d '`()' | sort -u); do
	grep -qE "^[a-z][a-zA-Z0-9_ *]*[ *]$name\(" core/*.h core/*/*.c core/*/*.h common/*.[ch] appliance/*.c ||
		echo "$name() is in the documents and not in the source" >>"$out"
done
complaints "every function that the documents name is there" "$out"

# --- form ------------------------------------------------------------------------

for page in $pages; do
	plain "$page" | sed 's/^\.BR //' |
		grep -oE '\bextmemd?(_[a-z_]+)? \([1-8]\)' | sort -u |
		while read -r name section; do
			file=$name.$(echo "$section" | tr -d '()')
			[ "$file" = extmem.1 ] || [ -f "docs/man/$file" ] ||
				[ -f "$XM_BUILDDIR/docs/man/$file" ] ||
				echo "$page: $name$section is not there"
		done >>"$out"
done
complaints "every page that is referred to is there" "$out"

if command -v groff >/dev/null && groff -man -Tutf8 </dev/null >/dev/null 2>&1; then
	for page in $pages; do
		groff -man -Tutf8 -ww "$page" 2>&1 >/dev/null |
			sed "s,^,$page: ," >>"$out"
	done
	complaints "groff has no warning" "$out"
else
	echo "skipped groff: it is not here (Debian: groff)"
fi
if command -v mandoc >/dev/null; then
	mandoc -T lint -W warning $pages >"$out" 2>&1
	complaints "mandoc has no warning" "$out"
else
	echo "skipped mandoc: it is not here (Debian: mandoc)"
fi

summary
