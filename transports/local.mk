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
	transports/loop/loop_copy.c \
	transports/loop/loop_parts.h \
	transports/loop/loop_peer.c \
	transports/loop/loop_target.c \
	transports/ofi/fabric.c \
	transports/ofi/library.c \
	transports/ofi/link.c \
	transports/ofi/locator.c \
	transports/ofi/locator.h \
	transports/ofi/mute.c \
	transports/ofi/ofi.c \
	transports/ofi/ofi.h \
	transports/ofi/rma.c \
	transports/ofi/strangers.c \
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
	transports/tls_psk.c \
	transports/tls_words.c \
	$(NULL)
else
libxm_transports_la_SOURCES += \
	transports/tls_none.c \
	$(NULL)
endif

# The interface as registers: the simulator's data path, if it is asked for.
noinst_LTLIBRARIES += libxm_device.la
libxm_device_la_SOURCES = \
	transports/model/device.c \
	transports/model/device.h \
	transports/model/datapath.c \
	transports/model/datapath.h \
	$(NULL)

# The transport over it, for tests: no program that is installed has it.
noinst_LTLIBRARIES += libxm_model.la
libxm_model_la_SOURCES = \
	transports/model/model.c \
	transports/model/model.h \
	$(NULL)
libxm_model_la_LIBADD = libxm_device.la

EXTRA_DIST += \
	transports/model/README.md \
	transports/ofi/README.md \
	$(NULL)
