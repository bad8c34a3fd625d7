# SPDX-License-Identifier: BSD-3-Clause
# gateway: metrics, a page and an interface by HTTP; on extmem.h and what is common.

# Without I/O: what a request means, who may, and how figures are written.
noinst_LTLIBRARIES += libxm_gateway.la
libxm_gateway_la_SOURCES = \
	gateway/admit.c \
	gateway/admit.h \
	gateway/gateway.h \
	gateway/metrics.c \
	gateway/metrics.h \
	gateway/route.c \
	gateway/route.h \
	gateway/text.c \
	gateway/text.h \
	gateway/totals.c \
	gateway/totals.h \
	$(NULL)

if HAVE_GATEWAY
bin_PROGRAMS += extmem-gateway
endif
extmem_gateway_SOURCES = \
	gateway/acts.c \
	gateway/acts.h \
	gateway/acts_parts.h \
	gateway/answers.c \
	gateway/answers.h \
	gateway/embedded.h \
	gateway/http.c \
	gateway/http.h \
	gateway/http_parts.h \
	gateway/lines.c \
	gateway/lines.h \
	gateway/listen.c \
	gateway/listen.h \
	gateway/log.c \
	gateway/log.h \
	gateway/look.c \
	gateway/look.h \
	gateway/main.c \
	gateway/regions.c \
	gateway/request.c \
	gateway/settings.c \
	gateway/settings.h \
	gateway/watch.c \
	gateway/watch.h \
	gateway/work.c \
	gateway/work.h \
	preload/shared.h \
	preload/shared_file.c \
	$(NULL)
nodist_extmem_gateway_SOURCES = gateway/embedded.c
extmem_gateway_CPPFLAGS = $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS)
extmem_gateway_LDADD = libxm_gateway.la libxm_figures.la $(XM_WHOLE) $(MICROHTTPD_LIBS) \
	$(JANSSON_LIBS)

xm_embedded = \
	gateway_page $(srcdir)/gateway/page.html \
	gateway_script $(srcdir)/gateway/page.js \
	gateway_style $(srcdir)/gateway/page.css \
	gateway_openapi $(srcdir)/docs/openapi.json
gateway/embedded.c: gateway/embed.sh gateway/page.html gateway/page.js \
		gateway/page.css docs/openapi.json
	$(AM_V_GEN)$(MKDIR_P) gateway && \
	$(srcdir)/gateway/embed.sh $(xm_embedded) >$@.new && mv $@.new $@
CLEANFILES += gateway/embedded.c

EXTRA_DIST += \
	docs/gateway.png \
	docs/openapi.json \
	gateway/alerts_test.yml \
	gateway/embed.sh \
	gateway/page.css \
	gateway/page.html \
	gateway/page.js \
	$(NULL)

# For Prometheus and Grafana.
xmexamplesdir = $(datadir)/extmem
dist_xmexamples_DATA = gateway/alerts.yml gateway/grafana.json

dist_man_MANS += docs/man/extmem-gateway.8
