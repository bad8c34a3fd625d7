# SPDX-License-Identifier: BSD-3-Clause
# tests: one CUnit program per file, and shell tests. tests/test_x is made
# from tests/test_x.c and linked with every room; a test that needs more says
# so with tests_test_x_SOURCES and tests_test_x_LDADD.

xm_tests = \
	tests/test_extent \
	tests/test_wire \
	$(NULL)

xm_shell_tests = \
	$(NULL)

if HAVE_CUNIT
check_PROGRAMS += $(xm_tests)
TESTS += $(xm_tests)
else
check-local: say-no-cunit
say-no-cunit:
	@echo 'CUnit is not there (Debian: libcunit1-dev): the C tests are skipped.'
.PHONY: say-no-cunit
endif

TESTS += $(xm_shell_tests)
dist_check_SCRIPTS += $(xm_shell_tests)

TEST_EXTENSIONS = .sh
AM_TESTS_ENVIRONMENT = \
	XM_SRCDIR='$(abs_top_srcdir)'; export XM_SRCDIR; \
	XM_BUILDDIR='$(abs_top_builddir)'; export XM_BUILDDIR; \
	XM_CC='$(CC)'; export XM_CC; \
	XM_CXX='$(CXX)'; export XM_CXX;
