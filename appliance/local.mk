# SPDX-License-Identifier: BSD-3-Clause
# appliance: the daemon that lends memory.

# Ground floor (lease, service) and first floor (host, target).
noinst_LTLIBRARIES += libxm_service.la
libxm_service_la_SOURCES = \
	appliance/answers.c \
	appliance/clients.c \
	appliance/copies.c \
	appliance/drafts.c \
	appliance/drafts.h \
	appliance/durable.c \
	appliance/extents.c \
	appliance/extents_check.c \
	appliance/host.c \
	appliance/host.h \
	appliance/lease.c \
	appliance/lineage.c \
	appliance/lineage.h \
	appliance/places.c \
	appliance/pressure.c \
	appliance/pressure.h \
	appliance/readings.c \
	appliance/refusals.c \
	appliance/service.c \
	appliance/service.h \
	appliance/service_open.c \
	appliance/service_parts.h \
	appliance/service_tenants.c \
	appliance/shrink.c \
	appliance/store.c \
	appliance/store.h \
	appliance/store_form.c \
	appliance/store_form.h \
	appliance/store_link.h \
	appliance/store_new.c \
	appliance/store_open.c \
	appliance/store_parts.h \
	appliance/target.c \
	appliance/target.h \
	appliance/tenants.c \
	appliance/tenants.h \
	appliance/terms.c \
	appliance/tokens.c \
	appliance/watchdog.c \
	appliance/watchdog.h \
	$(NULL)

# Skin: both ends in one process.
noinst_LTLIBRARIES += libxm_inside.la
libxm_inside_la_SOURCES = \
	appliance/inside.c \
	appliance/inside.h \
	$(NULL)
libxm_inside_la_LIBADD = libxm_service.la

# Skin: the two processes.
noinst_LTLIBRARIES += libxm_daemon.la
# (Names of its own for its objects: tests have some of these files by themselves.)
libxm_daemon_la_CPPFLAGS = $(AM_CPPFLAGS)
libxm_daemon_la_SOURCES = \
	appliance/borrow.c \
	appliance/child.c \
	appliance/child.h \
	appliance/confine.h \
	appliance/daemon.h \
	appliance/directory.c \
	appliance/disk.c \
	appliance/disk.h \
	appliance/feed.c \
	appliance/give_back.c \
	appliance/interface.c \
	appliance/interface.h \
	appliance/interface_parts.h \
	appliance/interfaces.c \
	appliance/limits.c \
	appliance/log.h \
	appliance/notify.c \
	appliance/notify.h \
	appliance/pool.c \
	appliance/pool.h \
	appliance/pool_file.c \
	appliance/settings.c \
	appliance/settings.h \
	appliance/start.c \
	appliance/start_store.c \
	appliance/storage.c \
	appliance/storage.h \
	appliance/storage_parts.h \
	appliance/tenants_file.c \
	appliance/tenants_file.h \
	$(NULL)

bin_PROGRAMS += extmemd
extmemd_SOURCES = \
	appliance/confine.c \
	appliance/extmemd.c \
	appliance/interface_main.c \
	appliance/log.c \
	appliance/store_main.c \
	appliance/store_tool.c \
	$(NULL)
extmemd_LDADD = libxm_daemon.la libxm_service.la $(XM_WHOLE) $(SECCOMP_LIBS)

# The first of them as a thread within another program; and that in QEMU.
include_HEADERS += appliance/extmem_appliance.h
lib_LTLIBRARIES += libextmem-appliance.la
libextmem_appliance_la_SOURCES = \
	appliance/extmem_appliance.h \
	appliance/library.c \
	$(NULL)
libextmem_appliance_la_CPPFLAGS = $(AM_CPPFLAGS) -DXM_EXTMEMD='"$(bindir)/extmemd"'
libextmem_appliance_la_LIBADD = libxm_daemon.la libxm_service.la $(XM_WHOLE)
libextmem_appliance_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined -version-info 0:0:0 \
	-Wl,--version-script=$(top_srcdir)/appliance/libextmem-appliance.map
EXTRA_libextmem_appliance_la_DEPENDENCIES = appliance/libextmem-appliance.map
EXTRA_DIST += appliance/libextmem-appliance.map
pkgconfig_DATA += extmem-appliance.pc

pkglib_LTLIBRARIES += qemu-extmem.la
qemu_extmem_la_SOURCES = appliance/qemu.c
qemu_extmem_la_LIBADD = libextmem-appliance.la
qemu_extmem_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version

dist_man_MANS += docs/man/extmemd.8
