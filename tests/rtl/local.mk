# SPDX-License-Identifier: BSD-3-Clause
# rtl: the Verilog and the C of the interface's data path answer alike, and the transport
# over the Verilog keeps the contract. Its programs are made by test_rtl.sh, where
# verilator is.

xm_shell_tests += tests/rtl/test_rtl.sh

EXTRA_PROGRAMS += \
	tests/rtl/agree \
	tests/rtl/conformance \
	$(NULL)
tests_rtl_agree_SOURCES = \
	$(xm_rtl_path) \
	tests/rtl/agree.c \
	tests/support/accesses.c \
	tests/support/accesses.h \
	$(NULL)
tests_rtl_agree_CPPFLAGS = $(xm_rtl_cppflags)
tests_rtl_agree_LDADD = rtl/verilated/all.o libxm_device.la $(LDADD)
tests_rtl_conformance_SOURCES = \
	$(tests_conformance_conformance_SOURCES) \
	$(xm_rtl_path) \
	$(xm_rtl_transport) \
	$(NULL)
tests_rtl_conformance_CPPFLAGS = $(xm_rtl_cppflags)
tests_rtl_conformance_LDADD = rtl/verilated/all.o libxm_model.la $(LDADD)
rtl/tests_rtl_agree-path_rtl.$(OBJEXT): rtl/verilated/all.o
rtl/tests_rtl_conformance-path_rtl.$(OBJEXT): rtl/verilated/all.o
CLEANFILES += tests/rtl/agree$(EXEEXT) tests/rtl/conformance$(EXEEXT)

rtl: tests/rtl/agree$(EXEEXT) tests/rtl/conformance$(EXEEXT)
.PHONY: rtl
