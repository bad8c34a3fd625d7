# SPDX-License-Identifier: BSD-3-Clause
# tests: a folder for each kind, each with its local.mk; README.md has the tour.
# tests/unit/test_x is made from tests/unit/test_x.c and linked with every room;
# a test that needs more says so with tests_unit_test_x_SOURCES and _LDADD. Every
# test ends with a line "N passed, M failed"; tests/support/summary.sh adds them up.

xm_tests =
xm_shell_tests =

# In the order in which they begin: those that take longest first, so that
# make -j check ends sooner.
include tests/support/local.mk
include tests/shell/local.mk
include tests/run/local.mk
include tests/faces/local.mk
include tests/sim/local.mk
include tests/api/local.mk
include tests/python/local.mk
include tests/conformance/local.mk
include tests/rtl/local.mk
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/house/local.mk
include tests/kernels/local.mk

TESTS += $(xm_shell_tests)
if HAVE_CUNIT
check_PROGRAMS += $(xm_tests)
TESTS += $(xm_tests)
endif
dist_check_SCRIPTS += $(xm_shell_tests)
EXTRA_DIST += tests/README.md

TEST_EXTENSIONS = .sh
AM_TESTS_ENVIRONMENT = \
	XM_SRCDIR='$(abs_top_srcdir)'; export XM_SRCDIR; \
	XM_BUILDDIR='$(abs_top_builddir)'; export XM_BUILDDIR; \
	XM_CC='$(CC)'; export XM_CC; \
	XM_CXX='$(CXX)'; export XM_CXX; \
	LSAN_OPTIONS='suppressions=$(abs_top_srcdir)/tests/support/lsan.supp:print_suppressions=0'; \
	export LSAN_OPTIONS; \
	TSAN_OPTIONS='suppressions=$(abs_top_srcdir)/tests/support/tsan.supp'; \
	export TSAN_OPTIONS; \
	XM_SLOW="$${XM_SLOW-$(XM_SLOW)}"; export XM_SLOW; \
	XM_FC='$(FC)'; export XM_FC; \
	XM_VERILATOR='$(VERILATOR)'; export XM_VERILATOR; \
	XM_MAKE='$(MAKE)'; export XM_MAKE; \
	XM_PYTHON='$(PYTHON)'; export XM_PYTHON; \
	XM_FLAGS='$(XM_SANITIZE) $(XM_COVERAGE)'; export XM_FLAGS; \
	XM_OBJECTS='$(libxm_ground_la_OBJECTS)'; export XM_OBJECTS; \
	XM_OBJECTS_FIRST='$(libxm_first_la_OBJECTS)'; export XM_OBJECTS_FIRST; \
	XM_OBJECTS_SERVICE='$(libxm_service_la_OBJECTS)'; \
	export XM_OBJECTS_SERVICE; \
	XM_OBJECTS_KERNELS='$(libxm_kernels_la_OBJECTS)'; \
	export XM_OBJECTS_KERNELS;

check-local:
if !HAVE_CUNIT
	@echo 'CUnit is not there (Debian: libcunit1-dev): the C tests are skipped.'
endif

# --- the same tests in other builds, each in a folder of its own below this
# one. `make check-asan CONFIGURE_FLAGS=...` adds flags of yours.

CONFIGURE_FLAGS =
xm_other_build = \
	if test -f '$(abs_top_srcdir)/config.status'; then \
		echo 'The source tree is configured itself: run make distclean there first, and build elsewhere.' >&2; \
		exit 1; \
	fi; \
	mkdir -p "$$folder" && cd "$$folder" && \
	{ test -f Makefile || '$(abs_top_srcdir)/configure' -q $$flags $(CONFIGURE_FLAGS); } && \
	$(MAKE)

check-asan:
	@folder=build-asan; flags=--enable-sanitize=address; $(xm_other_build) check
check-ubsan:
	@folder=build-ubsan; flags=--enable-sanitize=undefined; $(xm_other_build) check
check-tsan:
	@folder=build-tsan; flags=--enable-sanitize=thread; $(xm_other_build) check

# Valgrind knows nothing of userfaultfd: the pure tests only, one after the
# other.
check-valgrind: $(check_PROGRAMS)
	@for t in $(xm_pure_tests); do \
		echo "valgrind $$t"; \
		$(LIBTOOL) --quiet --mode=execute valgrind --quiet \
			--error-exitcode=99 --leak-check=full \
			"$$t" >"$$t.valgrind.log" 2>&1 || \
			{ cat "$$t.valgrind.log"; exit 1; }; \
	done

# Ground and first floor of both ends, and what parses options, by the whole of
# `make check` and a thousand seeds; what was not reached is in
# build-coverage/misses.
xm_parsers_objects = \
	appliance/settings.$(OBJEXT) \
	common/options.lo \
	common/options_file.lo \
	common/options_parse.lo \
	common/options_print.lo \
	common/options_value.lo \
	$(NULL)
coverage:
	@folder=build-coverage; flags=--enable-coverage; $(xm_other_build) check; status=$$?; \
	if test -x extmem-sim; then ./extmem-sim --runs 1000 --quiet >/dev/null || status=1; fi; \
	XM_SRCDIR='$(abs_top_srcdir)' XM_MISSES=misses '$(abs_top_srcdir)/tests/house/coverage.sh' \
		$(libxm_ground_la_OBJECTS) $(libxm_first_la_OBJECTS) $(libxm_service_la_OBJECTS) \
		$(xm_parsers_objects) || status=1; \
	exit $$status

lint:
	@cd '$(abs_top_srcdir)' && tests/house/lint.sh '$(abs_top_builddir)'

CLEANFILES += tests/unit/*.valgrind.log
clean-local:
	rm -rf bench-report bench-peers check-packages kernels
	rm -rf rtl/verilated
	rm -rf build-asan build-ubsan build-tsan build-arm64 build-coverage build-fuzz build-sim-*

.PHONY: check-asan check-ubsan check-tsan check-valgrind coverage lint
