# SPDX-License-Identifier: BSD-3-Clause
# bench: programs that measure; of the library they use extmem.h alone, and
# the option table.

bin_PROGRAMS += extmem-bench
extmem_bench_SOURCES = \
	bench/alloc.c \
	bench/alone.c \
	bench/alone.h \
	bench/appliance.c \
	bench/appliance.h \
	bench/bench.c \
	bench/bench.h \
	bench/cgroup.c \
	bench/cgroup.h \
	bench/churn.c \
	bench/churn.h \
	bench/client.c \
	bench/copy.c \
	bench/costs.c \
	bench/costs.h \
	bench/extmem-bench.c \
	bench/failover.c \
	bench/fault.c \
	bench/fault.h \
	bench/fault_pages.c \
	bench/floor.c \
	bench/idle.c \
	bench/kernels.c \
	bench/link.c \
	bench/link.h \
	bench/malloc.c \
	bench/net.c \
	bench/net.h \
	bench/ordinary.c \
	bench/ordinary.h \
	bench/ranks.c \
	bench/ranks.h \
	bench/raw.c \
	bench/rma.c \
	bench/rma.h \
	bench/row.c \
	bench/share.c \
	bench/umap.c \
	bench/umap.h \
	$(NULL)
extmem_bench_CPPFLAGS = $(AM_CPPFLAGS) $(MPI_CFLAGS)
extmem_bench_LDADD = libxm_inside.la libxm_spawn.la $(XM_WHOLE) $(JANSSON_LIBS) $(MPI_LIBS) -lm

# LMDB, for bench/durable.sh.
if HAVE_LMDB
noinst_PROGRAMS += bench/lmdb
bench_lmdb_SOURCES = bench/lmdb.c
bench_lmdb_CFLAGS = $(AM_CFLAGS) $(LMDB_CFLAGS)
bench_lmdb_LDADD = $(LMDB_LIBS)
else
EXTRA_DIST += bench/lmdb.c
endif

# A page with plots, of some two minutes of measuring; OPTIONS go to each run.
bench: extmem-bench$(EXEEXT) extmemd$(EXEEXT)
	@'$(top_srcdir)/bench/report.sh' '$(abs_top_builddir)' bench-report $(OPTIONS)
.PHONY: bench

# Real programs under `extmem run`, beside swap; as root, a quarter of an hour.
bench-programs: all
	@'$(top_srcdir)/bench/programs.sh' -b '$(abs_top_builddir)' $(OPTIONS)
.PHONY: bench-programs

dist_noinst_SCRIPTS += \
	bench/cuts.sh \
	bench/disk.sh \
	bench/durable.sh \
	bench/handshakes.sh \
	bench/advise.sh \
	bench/larger.sh \
	bench/lines.sh \
	bench/peers.sh \
	bench/programs.sh \
	bench/report.sh \
	$(NULL)
# What they read.
EXTRA_DIST += \
	bench/common.sh \
	bench/swap.sh \
	$(NULL)

# The kernels: pure, and without the library, so that the same object code runs
# on ordinary and on external memory. tests/house/floors.sh looks at what they call.
noinst_LTLIBRARIES += libxm_kernels.la
libxm_kernels_la_SOURCES = \
	bench/kernel.h \
	bench/kernel_gups.c \
	bench/kernel_kmeans.c \
	bench/kernel_pagerank.c \
	bench/kernel_sort.c \
	bench/kernel_stream.c \
	bench/kernel_zipf.c \
	bench/zipf.h \
	$(NULL)
libxm_kernels_la_LIBADD = -lm
extmem_bench_LDADD += libxm_kernels.la
