# SPDX-License-Identifier: BSD-3-Clause
# fuzz: the decoder of control messages, the service machine, the parsers of strategies, of tenants files, of files
# of pre-shared keys, of what an authority has issued and of small forms (locators, labels, tokens, ledgers, trees of
# seals, frames, numbers, the store's), and their corpora.

xm_shell_tests += \
	tests/fuzz/fuzz_forms.sh \
	tests/fuzz/fuzz_issued.sh \
	tests/fuzz/fuzz_psk.sh \
	tests/fuzz/fuzz_service.sh \
	tests/fuzz/fuzz_strategy.sh \
	tests/fuzz/fuzz_tenants.sh \
	tests/fuzz/fuzz_wire.sh \
	$(NULL)
dist_noinst_SCRIPTS += tests/fuzz/fuzz.sh
EXTRA_DIST += tests/fuzz/corpus
noinst_HEADERS += tests/fuzz/driver.h

# The fuzzers with their own driver; fuzz.sh builds those of libFuzzer.
check_PROGRAMS += tests/fuzz/fuzz_forms tests/fuzz/fuzz_issued tests/fuzz/fuzz_psk \
	tests/fuzz/fuzz_service \
	tests/fuzz/fuzz_strategy \
	tests/fuzz/fuzz_tenants tests/fuzz/fuzz_wire
tests_fuzz_fuzz_issued_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz_issued.c \
	cli/authority_issued.c
tests_fuzz_fuzz_issued_LDADD = $(XM_WHOLE)
tests_fuzz_fuzz_forms_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz_forms.c
tests_fuzz_fuzz_forms_LDADD = libxm_service.la $(XM_WHOLE)
tests_fuzz_fuzz_psk_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz_psk.c
tests_fuzz_fuzz_psk_LDADD = $(XM_WHOLE)
tests_fuzz_fuzz_tenants_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz_tenants.c \
	appliance/tenants_file.c
tests_fuzz_fuzz_tenants_LDADD = libxm_service.la $(XM_WHOLE)
tests_fuzz_fuzz_service_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz_service.c
tests_fuzz_fuzz_service_LDADD = libxm_service.la $(XM_WHOLE)
tests_fuzz_fuzz_strategy_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz_strategy.c
tests_fuzz_fuzz_strategy_LDADD = $(XM_WHOLE)
tests_fuzz_fuzz_wire_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz_wire.c
tests_fuzz_fuzz_wire_LDADD = $(XM_WHOLE)

# FUZZ_SECONDS of libFuzzer each where clang has it, else of the fuzzers' own
# driver, which says its seed.
FUZZ_SECONDS = 60
fuzz: tests/fuzz/fuzz_forms tests/fuzz/fuzz_issued tests/fuzz/fuzz_psk tests/fuzz/fuzz_service \
		tests/fuzz/fuzz_strategy tests/fuzz/fuzz_tenants tests/fuzz/fuzz_wire
	@for name in forms issued psk service strategy tenants wire; do XM_SRCDIR='$(abs_top_srcdir)' \
		XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/fuzz/fuzz.sh' $$name $(FUZZ_SECONDS) || exit; done
.PHONY: fuzz
