# SPDX-License-Identifier: BSD-3-Clause
# bank: what extmemd --borrow executes: a region as the memory that an appliance lends on.
# It speaks to the kernel by itself, so it needs no libfuse.

bin_PROGRAMS += extmem-bank
extmem_bank_SOURCES = \
	faces/bank/file.c \
	faces/bank/file.h \
	faces/bank/lenders.c \
	faces/bank/lenders.h \
	faces/bank/main.c \
	faces/bank/mount.c \
	$(NULL)
extmem_bank_LDADD = $(XM_WHOLE)

dist_man_MANS += docs/man/extmem-bank.8
