# SPDX-License-Identifier: BSD-3-Clause
# run: programs under `extmem run`.

xm_shell_tests += \
	tests/run/test_advise.sh \
	tests/run/test_run.sh \
	tests/run/test_run_areas.sh \
	tests/run/test_run_begun.sh \
	tests/run/test_run_calls.sh \
	tests/run/test_run_confined.sh \
	tests/run/test_run_environ.sh \
	tests/run/test_run_forks.sh \
	tests/run/test_run_limits.sh \
	tests/run/test_run_loss.sh \
	tests/run/test_run_opens.sh \
	tests/run/test_run_owners.sh \
	tests/run/test_run_places.sh \
	tests/run/test_run_random.sh \
	tests/run/test_run_raw.sh \
	tests/run/test_run_rights.sh \
	tests/run/test_run_signals.sh \
	tests/run/test_run_slow.sh \
	tests/run/test_run_stop.sh \
	tests/run/test_run_trace.sh \
	tests/run/test_run_waits.sh \
	$(NULL)
dist_noinst_SCRIPTS += \
	tests/run/programs.sh \
	tests/run/random.sh \
	tests/run/soak_redis.sh \
	tests/run/survive.sh \
	$(NULL)

# What tests/run/test_run.sh runs: an ordinary program, of libc alone.
check_PROGRAMS += tests/run/run_program
tests_run_run_program_LDADD =

# The same for calls to the kernel, for fork(), for signals, and past libc.
check_PROGRAMS += tests/run/run_areas tests/run/run_calls tests/run/run_child \
	tests/run/run_confined tests/run/run_environ tests/run/run_forks \
	tests/run/run_opens tests/run/run_raw tests/run/run_rights tests/run/run_signals \
	tests/run/run_waits
tests_run_run_opens_LDADD =
tests_run_run_areas_LDADD =
tests_run_run_calls_LDADD =
tests_run_run_child_LDADD =
tests_run_run_confined_LDADD =
tests_run_run_environ_LDADD =
tests_run_run_forks_LDADD =
tests_run_run_raw_LDADD =
tests_run_run_rights_LDADD =
tests_run_run_signals_LDADD =
tests_run_run_waits_LDADD =

# Who owns memory: a plugin, and an allocator of its own, to be preloaded or linked.
check_PROGRAMS += tests/run/run_owners tests/run/run_owners_own
check_LTLIBRARIES += tests/run/run_plugin.la tests/run/run_allocator.la
tests_run_run_owners_LDADD =
tests_run_run_owners_own_SOURCES = tests/run/run_allocator.c \
	tests/run/run_owners.c
tests_run_run_owners_own_CFLAGS = $(AM_CFLAGS) -fvisibility=default -fno-builtin
tests_run_run_owners_own_LDADD =
tests_run_run_owners_own_LDFLAGS = $(AM_LDFLAGS) -rdynamic
check_PROGRAMS += tests/run/run_fixed
tests_run_run_fixed_CFLAGS = $(AM_CFLAGS) -fno-pie
tests_run_run_fixed_LDFLAGS = $(AM_LDFLAGS) -no-pie
tests_run_run_fixed_LDADD =
tests_run_run_plugin_la_SOURCES = tests/run/run_plugin.c
tests_run_run_plugin_la_CFLAGS = $(AM_CFLAGS) -fvisibility=default
tests_run_run_plugin_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared \
	-rpath /nowhere
tests_run_run_allocator_la_SOURCES = tests/run/run_allocator.c
tests_run_run_allocator_la_CFLAGS = $(AM_CFLAGS) -fvisibility=default -fno-builtin
tests_run_run_allocator_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version \
	-shared -rpath /nowhere

# Real programs under `extmem run`, with half and a quarter of their memory
# local: all of them, or ONLY="sort redis 'java*'", or ONLY=--list.
EXTRA_DIST += \
	tests/run/programs/allocators.sh \
	tests/run/programs/compilers.sh \
	tests/run/programs/databases.sh \
	tests/run/programs/java.sh \
	tests/run/programs/languages.sh \
	tests/run/programs/media.sh \
	tests/run/programs/pack.sh \
	tests/run/programs/python.sh \
	tests/run/programs/text.sh \
	$(NULL)
check_PROGRAMS += tests/run/run_cxx
tests_run_run_cxx_SOURCES = tests/run/run_cxx.cc
tests_run_run_cxx_LDADD =
ONLY =
check-programs: all tests/run/run_cxx
	@XM_BUILDDIR='$(abs_top_builddir)' XM_SRCDIR='$(abs_top_srcdir)' \
		XM_FLAGS='$(XM_SANITIZE)' \
		'$(top_srcdir)/tests/run/programs.sh' $(ONLY)
.PHONY: check-programs

# The same programs, mirrored over appliances that are killed and stopped meanwhile.
ROUNDS = 25
check-survival: all
	@XM_BUILDDIR='$(abs_top_builddir)' XM_SRCDIR='$(abs_top_srcdir)' \
		XM_FLAGS='$(XM_SANITIZE)' \
		'$(top_srcdir)/tests/run/survive.sh' $(ROUNDS) $(ONLY)
.PHONY: check-survival

# What programs do with memory, by chance, on external memory and on ordinary memory:
# COUNT sequences; WITHOUT="protect fixed" leaves out kinds of steps.
check_PROGRAMS += tests/run/run_random
tests_run_run_random_LDADD =
COUNT = 1000
WITHOUT =
random: all tests/run/run_random
	@'$(top_srcdir)/tests/run/random.sh' '$(abs_top_builddir)' '$(SEED)' \
		'$(COUNT)' 40 $(WITHOUT)
.PHONY: random

# Redis under load with a quarter of its memory local, for an hour or SECONDS=30.
SECONDS = 3600
soak-redis: all
	@XM_BUILDDIR='$(abs_top_builddir)' XM_SRCDIR='$(abs_top_srcdir)' \
		XM_FLAGS='$(XM_SANITIZE)' \
		'$(top_srcdir)/tests/run/soak_redis.sh' '$(SECONDS)'
.PHONY: soak-redis
