# SPDX-License-Identifier: BSD-3-Clause
# tests: one CUnit program per file, and shell tests. tests/test_x is made
# from tests/test_x.c and linked with every room; a test that needs more says
# so with tests_test_x_SOURCES and tests_test_x_LDADD. Every test ends with a
# line "N passed, M failed"; tests/summary.sh adds them up.

xm_tests = \
	tests/conformance \
	tests/test_access \
	tests/test_client \
	tests/test_engine \
	tests/test_extent \
	tests/test_faults \
	tests/test_heap \
	tests/test_heap_cache \
	tests/test_host \
	tests/test_keeper \
	tests/test_kernels \
	tests/test_layout \
	tests/test_list \
	tests/test_loss \
	tests/test_loop \
	tests/test_objects \
	tests/test_options \
	tests/test_pager \
	tests/test_pager_model \
	tests/test_parsers \
	tests/test_path \
	tests/test_polling \
	tests/test_rand \
	tests/test_replay \
	tests/test_service \
	tests/test_session \
	tests/test_settings \
	tests/test_spin \
	tests/test_stream \
	tests/test_trace \
	tests/test_wire \
	tests/test_words \
	$(NULL)

# Model and reality: the simulator's programs over real processes, against the
# list of outcomes. Patient in
# make check; hasty, and for so long on each transport, by `make reality`.
tests_reality_SOURCES = \
	sim/operations.c \
	sim/outcomes.c \
	sim/outcomes.h \
	sim/program.h \
	sim/shadow.c \
	sim/sim.h \
	sim/workload.c \
	sim/world.h \
	tests/appliance.c \
	tests/assert.c \
	tests/reality.c \
	tests/reality.h \
	tests/reality_around.c \
	$(NULL)
tests_reality_CPPFLAGS = $(AM_CPPFLAGS)
tests_reality_LDADD = libextmem.la
check_PROGRAMS += tests/reality
TESTS += tests/reality
REALITY_SECONDS = 120
reality: tests/reality extmemd
	@tests/reality -l -t $(REALITY_SECONDS)
# And the simulator's side of the same list; -write keeps the seeds that show it.
OUTCOMES_RUNS = 40000
outcomes: extmem-sim
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/outcomes.sh' $(OUTCOMES_RUNS)
outcomes-write: extmem-sim
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/outcomes.sh' -w $(OUTCOMES_RUNS)
.PHONY: reality outcomes outcomes-write

xm_shell_tests = \
	tests/example.sh \
	tests/floors.sh \
	tests/fuzz_wire.sh \
	tests/test_bench.sh \
	tests/test_bench_kernels.sh \
	tests/test_bench_wrong.sh \
	tests/test_crash.sh \
	tests/test_extmemd.sh \
	tests/test_minimize.sh \
	tests/test_predict.sh \
	tests/test_programs.sh \
	tests/test_ranks.sh \
	tests/test_run.sh \
	tests/test_run_calls.sh \
	tests/test_run_forks.sh \
	tests/test_run_limits.sh \
	tests/test_run_loss.sh \
	tests/test_run_places.sh \
	tests/test_run_raw.sh \
	tests/test_run_signals.sh \
	tests/install.sh \
	tests/man.sh \
	tests/seeds.sh \
	tests/stories.sh \
	tests/outcomes.sh \
	tests/test_same_code.sh \
	tests/torture.sh \
	$(NULL)

tests_conformance_SOURCES = \
	tests/conformance.c \
	tests/far_side.c \
	$(NULL)

noinst_HEADERS += \
	tests/appliance.h \
	tests/cunit.h \
	tests/far_side.h \
	tests/replay.h \
	tests/touching.h \
	tests/wire_sample.h \
	$(NULL)

if HAVE_CUNIT
check_PROGRAMS += $(xm_tests)
TESTS += $(xm_tests)
endif

TESTS += $(xm_shell_tests)
dist_check_SCRIPTS += $(xm_shell_tests)
dist_noinst_SCRIPTS += \
	tests/coverage.sh \
	tests/fuzz.sh \
	tests/planted.sh \
	tests/programs.sh \
	tests/soak_redis.sh \
	tests/summary.sh \
	$(NULL)

# What tests/test_extmemd.sh throws with.
check_PROGRAMS += tests/thrower
tests_thrower_LDADD = $(XM_WHOLE)

# Tests of the public API link the library that is installed.
xm_api = libextmem.la $(CUNIT_LIBS)
tests_test_access_SOURCES = tests/appliance.c tests/test_access.c
tests_test_access_LDADD = $(xm_api)
tests_test_client_SOURCES = tests/appliance.c tests/test_client.c
tests_test_client_LDADD = $(xm_api)
tests_test_faults_SOURCES = tests/appliance.c tests/test_faults.c
tests_test_faults_LDADD = $(xm_api)
tests_test_polling_SOURCES = tests/appliance.c tests/test_polling.c
tests_test_polling_LDADD = $(xm_api)
tests_test_loss_SOURCES = tests/appliance.c tests/test_loss.c
tests_test_loss_LDADD = $(xm_api)
tests_test_objects_SOURCES = tests/appliance.c tests/test_objects.c
tests_test_objects_LDADD = $(xm_api)

# Reads, writes and both at random against a shadow; a minute of each kind.
check_PROGRAMS += tests/torture
tests_torture_SOURCES = tests/appliance.c tests/assert.c tests/torture.c
tests_torture_LDADD = libextmem.la
TORTURE_SECONDS = 60
torture: tests/torture extmemd
	@XM_BUILDDIR='$(abs_top_builddir)' XM_SRCDIR='$(abs_top_srcdir)' \
		'$(top_srcdir)/tests/torture.sh' $(TORTURE_SECONDS)
.PHONY: torture

# Memory fails at will; see there.
tests_test_parsers_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
	-Wl,--wrap=calloc -Wl,--wrap=ini_parse_stream

tests_test_settings_SOURCES = \
	appliance/settings.c \
	tests/test_settings.c \
	$(NULL)

tests_test_kernels_LDADD = libxm_kernels.la $(CUNIT_LIBS)

# The pager alone on lists of touches; `make policies` prints a table.
tests_test_replay_SOURCES = tests/replay.c tests/test_replay.c tests/touches.c
tests_test_replay_LDADD = libxm_kernels.la $(LDADD)
check_PROGRAMS += tests/policies
tests_policies_SOURCES = \
	tests/assert.c \
	tests/policies.c \
	tests/replay.c \
	tests/touches.c \
	$(NULL)
tests_policies_LDADD = libxm_kernels.la libxm_ground.la
policies: tests/policies
	@tests/policies
.PHONY: policies

# What tests/test_run.sh runs: an ordinary program, of libc alone.
check_PROGRAMS += tests/run_program
tests_run_program_LDADD =

# The same for calls to the kernel, for fork(), for signals, and past libc.
check_PROGRAMS += tests/run_calls tests/run_forks tests/run_raw tests/run_signals
tests_run_calls_LDADD =
tests_run_forks_LDADD =
tests_run_raw_LDADD =
tests_run_signals_LDADD =

# Real programs under `extmem run`, with half and a quarter of their memory
# local: all of them, or ONLY="sort redis".
check_PROGRAMS += tests/run_cxx
tests_run_cxx_SOURCES = tests/run_cxx.cc
tests_run_cxx_LDADD =
ONLY =
check-programs: all tests/run_cxx
	@XM_BUILDDIR='$(abs_top_builddir)' XM_SRCDIR='$(abs_top_srcdir)' \
		XM_FLAGS='$(XM_SANITIZE)' \
		'$(top_srcdir)/tests/programs.sh' $(ONLY)
.PHONY: check-programs

# Redis under load with a quarter of its memory local, for an hour or SECONDS=30.
SECONDS = 3600
soak-redis: all
	@XM_BUILDDIR='$(abs_top_builddir)' XM_SRCDIR='$(abs_top_srcdir)' \
		XM_FLAGS='$(XM_SANITIZE)' \
		'$(top_srcdir)/tests/soak_redis.sh' '$(SECONDS)'
.PHONY: soak-redis

# What tests/man.sh asks for the settings of a client.
check_PROGRAMS += tests/settings
tests_settings_LDADD = $(XM_WHOLE)

# The fuzzer with its own driver; tests/fuzz.sh builds the one of libFuzzer.
check_PROGRAMS += tests/fuzz_wire
tests_fuzz_wire_LDADD = $(XM_WHOLE)
EXTRA_DIST += \
	tests/assert.c \
	tests/corpus \
	tests/count.sh \
	tests/link.json \
	tests/lsan.supp \
	tests/outcomes.txt \
	tests/run.sh \
	tests/tsan.supp \
	tests/seeds.txt \
	tests/stories \
	$(NULL)

TEST_EXTENSIONS = .sh
AM_TESTS_ENVIRONMENT = \
	XM_SRCDIR='$(abs_top_srcdir)'; export XM_SRCDIR; \
	XM_BUILDDIR='$(abs_top_builddir)'; export XM_BUILDDIR; \
	XM_CC='$(CC)'; export XM_CC; \
	XM_CXX='$(CXX)'; export XM_CXX; \
	LSAN_OPTIONS='suppressions=$(abs_top_srcdir)/tests/lsan.supp:print_suppressions=0'; \
	export LSAN_OPTIONS; \
	TSAN_OPTIONS='suppressions=$(abs_top_srcdir)/tests/tsan.supp'; \
	export TSAN_OPTIONS; \
	XM_SLOW="$${XM_SLOW-$(XM_SLOW)}"; export XM_SLOW; \
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

xm_pure_tests = \
	tests/test_extent \
	tests/test_heap \
	tests/test_heap_cache \
	tests/test_keeper \
	tests/test_kernels \
	tests/test_layout \
	tests/test_list \
	tests/test_pager \
	tests/test_pager_model \
	tests/test_path \
	tests/test_rand \
	tests/test_service \
	tests/test_session \
	tests/test_spin \
	tests/test_wire \
	tests/test_words \
	$(NULL)

# Ground and first floor of both ends, and what parses options, by the whole of
# `make check` and a thousand seeds; what was not reached is in
# build-coverage/misses.
xm_parsers_objects = \
	appliance/settings.$(OBJEXT) \
	common/options.lo \
	common/options_parse.lo \
	common/options_print.lo \
	common/options_value.lo \
	$(NULL)
coverage:
	@folder=build-coverage; flags=--enable-coverage; $(xm_other_build) check; status=$$?; \
	if test -x extmem-sim; then ./extmem-sim --runs 1000 --quiet >/dev/null || status=1; fi; \
	XM_SRCDIR='$(abs_top_srcdir)' XM_MISSES=misses '$(abs_top_srcdir)/tests/coverage.sh' \
		$(libxm_ground_la_OBJECTS) $(libxm_first_la_OBJECTS) $(libxm_service_la_OBJECTS) \
		$(xm_parsers_objects) || status=1; \
	exit $$status

lint:
	@cd '$(abs_top_srcdir)' && tests/lint.sh '$(abs_top_builddir)'

# FUZZ_SECONDS of libFuzzer where clang has it, else of the fuzzer's own
# driver, which says its seed.
FUZZ_SECONDS = 60
fuzz: tests/fuzz_wire
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/fuzz.sh' $(FUZZ_SECONDS)

dist_noinst_SCRIPTS += tests/lint.sh

CLEANFILES += tests/*.valgrind.log
clean-local:
	rm -rf bench-report bench-peers
	rm -rf build-asan build-ubsan build-tsan build-coverage build-fuzz build-sim-*

.PHONY: check-asan check-ubsan check-tsan check-valgrind coverage lint fuzz
