# SPDX-License-Identifier: BSD-3-Clause
# conformance: what core/pure/transport.h promises, asked of every transport.

xm_tests += \
	tests/conformance/conformance \
	$(NULL)

tests_conformance_conformance_SOURCES = \
	tests/conformance/admission.c \
	tests/conformance/conformance.c \
	tests/conformance/data.c \
	tests/conformance/death.c \
	tests/conformance/far_side.c \
	tests/conformance/keys.c \
	tests/conformance/load.c \
	tests/conformance/rig.c \
	tests/conformance/surroundings.c \
	tests/conformance/table.c \
	tests/conformance/wait.c \
	$(NULL)
tests_conformance_conformance_LDADD = libxm_model.la $(LDADD)

noinst_HEADERS += \
	tests/conformance/far_side.h \
	tests/conformance/rig.h \
	$(NULL)
