# SPDX-License-Identifier: BSD-3-Clause
# advise: the program that `extmem advise` executes: the pager, played back on what a
# program has touched. It stands on core/pure, beside the tests that replay lists.

noinst_LTLIBRARIES += libxm_advise.la
libxm_advise_la_SOURCES = \
	advise/flame.c \
	advise/foresee.c \
	advise/foresee.h \
	advise/recording.c \
	advise/recording.h \
	advise/replay.c \
	advise/replay.h \
	advise/sites.c \
	advise/sites.h \
	$(NULL)

bin_PROGRAMS += extmem-advise
extmem_advise_SOURCES = \
	advise/advise.h \
	advise/main.c \
	advise/print.c \
	preload/shared.h \
	$(NULL)
extmem_advise_LDADD = libxm_advise.la $(XM_WHOLE) $(JANSSON_LIBS)

dist_man_MANS += docs/man/extmem-advise.1
