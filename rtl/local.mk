# SPDX-License-Identifier: BSD-3-Clause
# rtl: the data path of transports/model in Verilog, and what makes a transport of it.
# Nothing here is built unless it is asked for; tests/rtl asks.

xm_verilog = \
	rtl/xm_interface.v \
	rtl/xm_keys.v \
	rtl/xm_path.v \
	$(NULL)
EXTRA_DIST += $(xm_verilog) rtl/README.md

# What makes a data path of it, and a transport of that.
xm_rtl_path = \
	rtl/path_rtl.cpp \
	$(NULL)
xm_rtl_transport = \
	rtl/rtl.c \
	$(NULL)
xm_rtl_cppflags = $(AM_CPPFLAGS) -DXM_RTL -Irtl/verilated \
	-isystem $(VERILATOR_INCLUDE) -isystem $(VERILATOR_INCLUDE)/vltstd

# The Verilog as one C++ object, with verilator's own part.
rtl/verilated/all.o: $(xm_verilog)
	@test -n '$(VERILATOR)' || \
		{ echo 'verilator was not there when extmem was configured (Debian: verilator)' >&2; exit 1; }
	$(AM_V_GEN)$(MKDIR_P) rtl/verilated && rm -f rtl/verilated/* && \
	for file in $(xm_verilog); do files="$$files $(abs_srcdir)/$$file"; done && \
	$(VERILATOR) --cc -O3 --x-initial 0 -Wall --language 1364-2005 \
		-Mdir rtl/verilated --top-module xm_interface $$files && \
	cd rtl/verilated && \
	for file in Vxm_interface*.cpp verilated.cpp verilated_threads.cpp; do \
		echo "#include \"$$file\""; done >all.cpp && \
	$(CXX) -O2 -w -I. -I$(VERILATOR_INCLUDE) -I$(VERILATOR_INCLUDE)/vltstd -c all.cpp -o all.o

# Cells of the data path, without the memory of keys, which is a RAM.
rtl-cells:
	@test -n '$(YOSYS)' || \
		{ echo 'yosys was not there when extmem was configured (Debian: yosys)' >&2; exit 1; }
	@$(YOSYS) -q -p 'read_verilog $(srcdir)/rtl/xm_path.v; synth -top xm_path; \
		tee -o rtl-cells.txt stat' >/dev/null && cat rtl-cells.txt
	@echo '   Memory of keys, a RAM beside it: 4096 entries of 199 bits'
CLEANFILES += rtl-cells.txt

.PHONY: rtl-cells
