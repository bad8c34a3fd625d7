# SPDX-License-Identifier: BSD-3-Clause
# faces/python: `import extmem`, where Python's headers are (--with-python). setup.py builds the
# same for pip.

if HAVE_PYTHON
xmpythondir = $(pythondir)/extmem
dist_xmpython_DATA = \
	faces/python/extmem/__init__.py \
	faces/python/extmem/_extmem.pyi \
	faces/python/extmem/py.typed \
	$(NULL)

xmpyexecdir = $(pyexecdir)/extmem
xmpyexec_LTLIBRARIES = faces/python/_extmem.la
faces_python__extmem_la_SOURCES = \
	faces/python/client.c \
	faces/python/figures.c \
	faces/python/module.c \
	faces/python/part.c \
	faces/python/python.h \
	faces/python/region.c \
	faces/python/words.c \
	$(NULL)
faces_python__extmem_la_CPPFLAGS = -D_GNU_SOURCE -I$(top_srcdir) -I$(top_srcdir)/core \
	$(PYTHON_CFLAGS)
faces_python__extmem_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared
faces_python__extmem_la_LIBADD = libextmem.la
endif

EXTRA_DIST += \
	faces/python/pyproject.toml \
	faces/python/setup.py \
	$(NULL)
dist_man_MANS += docs/man/extmem-python.7
