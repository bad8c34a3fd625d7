# SPDX-License-Identifier: BSD-3-Clause
# kernels: other kernels and processors than this machine's. Not part of
# `make check`.

# A build for arm64, and its pure tests in qemu's user mode.
check-arm64:
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/kernels/cross.sh' $(xm_pure_tests)
.PHONY: check-arm64

dist_noinst_SCRIPTS += \
	tests/kernels/cross.sh \
	$(NULL)
EXTRA_DIST += \
	tests/kernels/apt.sh \
	$(NULL)
