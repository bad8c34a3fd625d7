#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The interface's data path in Verilog (rtl), where verilator makes C++ of it: it answers
# accesses, most of them hostile, as the model in C does, cycle by cycle; and the transport
# over it keeps the contract of core/pure/transport.h.
. "$XM_SRCDIR/tests/support/count.sh"

[ -n "${XM_VERILATOR:-}" ] ||
	skip "verilator is not there (Debian: verilator): nothing runs the Verilog of rtl"
[ -f "$XM_BUILDDIR/tests/conformance/conformance" ] ||
	skip "CUnit is not there (Debian: libcunit1-dev)"

# The make that runs this has its own list of jobs.
unset MAKEFLAGS MFLAGS MAKELEVEL
check "the Verilog is C++, without a warning" \
	"${XM_MAKE:-make}" -s -C "$XM_BUILDDIR" rtl
agree=$XM_BUILDDIR/tests/rtl/agree
check "Verilog and C answer alike" "$agree"
tail -n 1 "$scratch/said"
check "and to accesses drawn anew" "$agree" "$(date +%s)" 20
check "the transport over the Verilog keeps the contract" \
	"$XM_BUILDDIR/tests/rtl/conformance" rtl
grep -E 'passed|skipped' "$scratch/said"
summary
