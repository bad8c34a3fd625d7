# SPDX-License-Identifier: BSD-3-Clause
# support: what tests share.

noinst_HEADERS += \
	tests/support/appliance.h \
	tests/support/proxy.h \
	tests/support/cunit.h \
	tests/support/touching.h \
	$(NULL)
dist_noinst_SCRIPTS += tests/support/summary.sh
EXTRA_DIST += \
	tests/support/assert.c \
	tests/support/count.sh \
	tests/support/daemons.sh \
	tests/support/lsan.supp \
	tests/support/run.sh \
	tests/support/tsan.supp \
	$(NULL)
