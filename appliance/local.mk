# SPDX-License-Identifier: BSD-3-Clause
# appliance: the daemon that lends memory.

# Ground and first floor.
noinst_LTLIBRARIES += libxm_service.la
libxm_service_la_SOURCES = \
	appliance/lease.c \
	appliance/service.c \
	appliance/service.h \
	appliance/service_parts.h \
	$(NULL)

# bin_PROGRAMS += extmemd
# extmemd_SOURCES = \
#	appliance/extmemd.c \
#	$(NULL)
# extmemd_LDADD = libxm_service.la $(XM_WHOLE)
