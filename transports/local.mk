# SPDX-License-Identifier: BSD-3-Clause
# transports: move bytes; know nothing of regions or leases.
# The only room that calls libfabric.

noinst_LTLIBRARIES += libxm_transports.la
libxm_transports_la_SOURCES = \
	transports/stream.c \
	transports/stream.h \
	$(NULL)
