# SPDX-License-Identifier: BSD-3-Clause
# conformance: what core/pure/transport.h promises, asked of every transport.

xm_tests += \
	tests/conformance/conformance \
	$(NULL)

tests_conformance_conformance_SOURCES = \
	tests/conformance/conformance.c \
	tests/conformance/far_side.c \
	$(NULL)

noinst_HEADERS += tests/conformance/far_side.h
