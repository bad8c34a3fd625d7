# SPDX-License-Identifier: BSD-3-Clause
# directory: a program that asks etcd where appliances are; on what is common.

# Without I/O: what is asked next, requests, and answers.
noinst_LTLIBRARIES += libxm_directory.la
libxm_directory_la_SOURCES = \
	directory/keep.c \
	directory/keep.h \
	directory/messages.h \
	$(NULL)
if HAVE_JANSSON
libxm_directory_la_SOURCES += directory/messages.c
endif

if HAVE_CURL
bin_PROGRAMS += extmem-directory
endif
extmem_directory_SOURCES = \
	directory/ask.c \
	directory/ask.h \
	directory/main.c \
	$(NULL)
extmem_directory_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS)
extmem_directory_LDADD = libxm_directory.la $(XM_WHOLE) $(CURL_LIBS) $(JANSSON_LIBS)

dist_man_MANS += docs/man/extmem-directory.8
