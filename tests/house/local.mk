# SPDX-License-Identifier: BSD-3-Clause
# house: floors and arrows, manual pages, installation, lint, coverage.

xm_shell_tests += \
	tests/house/floors.sh \
	tests/house/install.sh \
	tests/house/man.sh \
	$(NULL)
dist_noinst_SCRIPTS += \
	tests/house/coverage.sh \
	tests/house/lint.sh \
	$(NULL)

# What tests/house/man.sh asks for the settings of a client.
check_PROGRAMS += tests/house/settings
tests_house_settings_LDADD = $(XM_WHOLE)

# What docs/CLAIMS.md says is shown, shown.
dist_noinst_SCRIPTS += tests/house/claims.sh
claims: all
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' XM_MAKE='$(MAKE)' \
		'$(top_srcdir)/tests/house/claims.sh'
CLEANFILES += claims.log
.PHONY: claims
