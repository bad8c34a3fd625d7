# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Compilers, and what they make.
all="$all gcc cxx clang"

# The compiler proper: the driver only starts it.
gcc_needs=gcc
gcc_has() { cc1=$(gcc -print-prog-name=cc1) && [ -x "$cc1" ]; }
# usage: c_text FUNCTIONS
c_text() {
	awk -v n="$1" 'BEGIN {
		print "struct s { int a[8]; double d; struct s *next; };"
		for (i = 0; i < n; i++) {
			printf "static int f%d(struct s *s, int x) {\n", i
			printf "\tint t[16], i, r = x * %d;\n", i + 3
			printf "\tfor (i = 0; i < 16; i++) t[i] = r ^ (i * %d);\n", i
			printf "\twhile (s && r > %d) { r -= s->a[r & 7];", i
			printf " s->d += t[r & 15] * 0.5; s = s->next; }\n"
			printf "\tswitch (r & 7) { case 0: return t[1];"
			printf " case 1: return t[2] + %d; case 5: r += t[9];", i
			printf " default: return r; }\n}\n"
		}
		print "int all(struct s *s, int x) { int r = 0;"
		for (i = 0; i < n; i++) printf "\tr += f%d(s, x + r);\n", i
		print "\treturn r; }"
	}'
}
gcc_input() { c_text 900 >"$in/gcc.c"; }
gcc_() { $under "$cc1" -quiet -O1 "$in/gcc.c" -o gcc.s; }

cxx_needs=$XM_BUILDDIR/tests/run/run_cxx
cxx_input() { :; }
cxx_() { $under "$XM_BUILDDIR/tests/run/run_cxx" 64 700 >sums; }

# Its driver compiles in the same process.
clang_needs='clang gcc'
clang_input() { c_text 90 >"$in/clang.c"; }
clang_() { $under clang -O1 -w -S "$in/clang.c" -o clang.s; }
