# SPDX-License-Identifier: BSD-3-Clause
# disk: a plugin of nbdkit's. It lies where nbdkit looks if both have the same prefix and
# libdir.

nbdkitplugindir = $(libdir)/nbdkit/plugins
if HAVE_NBDKIT
nbdkitplugin_LTLIBRARIES = nbdkit-extmem-plugin.la
dist_man_MANS += docs/man/nbdkit-extmem-plugin.1
endif
nbdkit_extmem_plugin_la_SOURCES = faces/disk/plugin.c faces/kept.c faces/kept.h
nbdkit_extmem_plugin_la_CPPFLAGS = $(AM_CPPFLAGS) $(NBDKIT_CFLAGS)
# nbdkit unloads it at its end; the threads of libfabric may still hold keys then.
nbdkit_extmem_plugin_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared \
	-Wl,-z,nodelete
nbdkit_extmem_plugin_la_LIBADD = libextmem.la
