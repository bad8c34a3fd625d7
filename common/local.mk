# SPDX-License-Identifier: BSD-3-Clause
# common: small libraries that know nothing of external memory. core,
# transports, appliance and every program stand on them.

# Pure ones are part of the ground floor.
noinst_LTLIBRARIES += libxm_ground.la
libxm_ground_la_SOURCES = \
	common/base.h \
	common/areas.c \
	common/areas.h \
	common/etcd.c \
	common/etcd.h \
	common/extent.c \
	common/extent.h \
	common/heap.c \
	common/heap.h \
	common/heap_cache.c \
	common/heap_cache.h \
	common/heap_slots.h \
	common/list.h \
	common/little.h \
	common/log_rules.c \
	common/log_rules.h \
	common/rand.h \
	common/record.c \
	common/record.h \
	common/ring.c \
	common/ring.h \
	common/slots.c \
	common/slots.h \
	common/spin.h \
	common/standard.h \
	common/progress.c \
	common/progress.h \
	common/psk.c \
	common/psk.h \
	common/words.c \
	common/words.h \
	$(NULL)

# Settings from flags, the environment, files and calls; reads files. The log.
noinst_LTLIBRARIES += libxm_client.la
libxm_client_la_SOURCES = \
	common/clock.h \
	common/directory.c \
	common/directory.h \
	common/helper.c \
	common/helper.h \
	common/logger.c \
	common/logger.h \
	common/options.c \
	common/options.h \
	common/options_file.c \
	common/options_parse.c \
	common/options_parts.h \
	common/options_print.c \
	common/options_shared.h \
	common/options_value.c \
	$(NULL)

# Programs that start an appliance of their own.
noinst_LTLIBRARIES += libxm_spawn.la
libxm_spawn_la_SOURCES = \
	common/spawn.c \
	common/spawn.h \
	$(NULL)
