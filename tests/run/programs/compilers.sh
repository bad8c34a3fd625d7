# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Compilers, and what they make.
all="$all gcc cxx"

# The compiler proper: the driver only starts it.
gcc_needs=gcc
gcc_has() { cc1=$(gcc -print-prog-name=cc1) && [ -x "$cc1" ]; }
gcc_input() {
	awk 'BEGIN {
		print "struct s { int a[8]; double d; struct s *next; };"
		for (i = 0; i < 900; i++) {
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
		for (i = 0; i < 900; i++) printf "\tr += f%d(s, x + r);\n", i
		print "\treturn r; }"
	}' >"$in/gcc.c"
}
gcc_() { $under "$cc1" -quiet -O1 "$in/gcc.c" -o gcc.s; }

cxx_needs=$XM_BUILDDIR/tests/run/run_cxx
cxx_input() { :; }
cxx_() { $under "$XM_BUILDDIR/tests/run/run_cxx" 64 700 >sums; }
