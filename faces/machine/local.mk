# SPDX-License-Identifier: BSD-3-Clause
# machine: what `extmem vm run --name` and `extmem vm move` execute: a guest that can move.

if HAVE_FUSE
if HAVE_JANSSON
bin_PROGRAMS += extmem-vm
endif
endif
extmem_vm_SOURCES = \
	faces/machine/asker.c \
	faces/machine/asker.h \
	faces/machine/guest.c \
	faces/machine/guest.h \
	faces/machine/lines.c \
	faces/machine/lines.h \
	faces/machine/main.c \
	faces/machine/minder.c \
	faces/machine/minder.h \
	faces/machine/move.c \
	faces/machine/move.h \
	faces/machine/source.c \
	faces/machine/source.h \
	faces/machine/target.c \
	faces/machine/target.h \
	$(NULL)
extmem_vm_LDADD = $(XM_WHOLE) $(JANSSON_LIBS)
