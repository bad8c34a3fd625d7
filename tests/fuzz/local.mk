# SPDX-License-Identifier: BSD-3-Clause
# fuzz: the decoder of control messages, and its corpus.

xm_shell_tests += \
	tests/fuzz/fuzz_wire.sh \
	$(NULL)
dist_noinst_SCRIPTS += tests/fuzz/fuzz.sh
EXTRA_DIST += tests/fuzz/corpus

# The fuzzer with its own driver; fuzz.sh builds the one of libFuzzer.
check_PROGRAMS += tests/fuzz/fuzz_wire
tests_fuzz_fuzz_wire_LDADD = $(XM_WHOLE)

# FUZZ_SECONDS of libFuzzer where clang has it, else of the fuzzer's own
# driver, which says its seed.
FUZZ_SECONDS = 60
fuzz: tests/fuzz/fuzz_wire
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/fuzz/fuzz.sh' $(FUZZ_SECONDS)
.PHONY: fuzz
