# SPDX-License-Identifier: BSD-3-Clause
# file: what `extmem mount` executes, so that nothing else of `extmem` needs libfuse.

if HAVE_FUSE
bin_PROGRAMS += extmem-mount
dist_man_MANS += docs/man/extmem-mount.1
endif
extmem_mount_SOURCES = \
	faces/file/chunks.c \
	faces/file/log.c \
	faces/file/log.h \
	faces/file/machine.c \
	faces/file/machine.h \
	faces/file/mount.c \
	faces/file/serve.c \
	faces/file/serve.h \
	faces/file/serve_names.c \
	faces/file/serve_parts.h \
	faces/file/store.c \
	faces/file/store.h \
	faces/file/store_parts.h \
	faces/file/table.c \
	faces/file/tree.c \
	faces/file/tree.h \
	faces/file/watchdog.c \
	faces/file/watchdog.h \
	faces/file/whole.c \
	faces/file/whole.h \
	faces/kept.c \
	faces/kept.h \
	$(NULL)
extmem_mount_CPPFLAGS = $(AM_CPPFLAGS) $(FUSE_CFLAGS)
extmem_mount_LDADD = $(XM_WHOLE) $(FUSE_LIBS)
