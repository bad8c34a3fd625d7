# SPDX-License-Identifier: BSD-3-Clause
# kernels: the tests under Debian's own kernels, in guests of qemu (README.md).
# Takes half an hour a kernel, so that it is not part of `make check`;
# ONLY=bookworm runs one of them.

# What tests/kernels/mappings.sh runs.
check_PROGRAMS += tests/kernels/lost_pages
tests_kernels_lost_pages_SOURCES = \
	tests/kernels/lost_pages.c \
	tests/support/appliance.c \
	tests/support/assert.c \
	$(NULL)
tests_kernels_lost_pages_LDADD = libextmem.la

xm_kernels_twice = \
	tests/api/test_access \
	tests/api/test_loss \
	$(NULL)
check-kernels: all $(check_PROGRAMS)
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		XM_PURE='$(xm_pure_tests)' \
		XM_TWICE='$(xm_kernels_twice)' \
		'$(top_srcdir)/tests/kernels/check.sh' $(ONLY)
.PHONY: check-kernels

# What the calls cost that a kernel may lack; check-kernels runs it, too.
check_PROGRAMS += tests/kernels/costs
tests_kernels_costs_LDADD = -lm

# The build for arm64, and the pure tests of it.
check-arm64:
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/kernels/cross.sh' $(xm_pure_tests)
.PHONY: check-arm64

dist_noinst_SCRIPTS += \
	tests/kernels/basics.sh \
	tests/kernels/check.sh \
	tests/kernels/client.sh \
	tests/kernels/cross.sh \
	tests/kernels/guest.sh \
	tests/kernels/kernel.sh \
	tests/kernels/mappings.sh \
	$(NULL)
EXTRA_DIST += \
	tests/kernels/README.md \
	tests/kernels/alone.sh \
	tests/kernels/apt.sh \
	tests/kernels/appliance.sh \
	tests/kernels/ramdisk.sh \
	$(NULL)
