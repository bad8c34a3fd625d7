# SPDX-License-Identifier: BSD-3-Clause
# transports: move bytes; know nothing of regions or leases.
# The only room that calls libfabric.

noinst_LTLIBRARIES += libxm_transports.la
libxm_transports_la_SOURCES = \
	transports/address.c \
	transports/address.h \
	transports/frame.c \
	transports/frame.h \
	transports/loop/loop.c \
	transports/loop/loop_channel.c \
	transports/loop/loop_parts.h \
	transports/loop/loop_peer.c \
	transports/loop/loop_target.c \
	transports/ofi/fabric.c \
	transports/ofi/library.c \
	transports/ofi/link.c \
	transports/ofi/mute.c \
	transports/ofi/ofi.c \
	transports/ofi/ofi.h \
	transports/ofi/rma.c \
	transports/ofi/target.c \
	transports/ofi/pool_view.c \
	transports/stream.c \
	transports/stream.h \
	transports/stream_io.c \
	transports/stream_io.h \
	transports/stream_listen.c \
	transports/stream_parts.h \
	transports/stream_peer.c \
	transports/table.c \
	transports/tls.h \
	$(NULL)

if HAVE_OPENSSL
libxm_transports_la_SOURCES += \
	transports/tls.c \
	transports/tls_io.c \
	transports/tls_library.c \
	transports/tls_library.h \
	transports/tls_parts.h \
	transports/tls_words.c \
	$(NULL)
else
libxm_transports_la_SOURCES += \
	transports/tls_none.c \
	$(NULL)
endif

EXTRA_DIST += \
	transports/ofi/README.md \
	$(NULL)
