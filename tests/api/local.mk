# SPDX-License-Identifier: BSD-3-Clause
# api: extmem.h against real appliances in processes of their own; these tests
# link the library that is installed.

xm_tests += \
	tests/api/test_access \
	tests/api/test_appliances \
	tests/api/test_client \
	tests/api/test_explicit \
	tests/api/test_faults \
	tests/api/test_copy \
	tests/api/test_hand_over \
	tests/api/test_hand_sealed \
	tests/api/test_share \
	tests/api/test_share_mirrors \
	tests/api/test_liar \
	tests/api/test_loss \
	tests/api/test_lost \
	tests/api/test_objects \
	tests/api/test_open \
	tests/api/test_polling \
	tests/api/test_drain \
	tests/api/test_mirrors \
	tests/api/test_rights \
	tests/api/test_seal \
	tests/api/test_strategies \
	tests/api/test_sparse \
	tests/api/test_trims \
	$(NULL)
xm_shell_tests += \
	tests/api/torture.sh \
	$(NULL)

xm_api = libextmem.la $(CUNIT_LIBS)
# Two programs, so that they run side by side.
xm_access = tests/api/access_rig.c tests/support/appliance.c
noinst_HEADERS += tests/api/access_rig.h
tests_api_test_explicit_SOURCES = $(xm_access) tests/api/test_explicit.c
tests_api_test_explicit_LDADD = $(xm_api)
tests_api_test_access_SOURCES = $(xm_access) tests/api/test_access.c
tests_api_test_access_LDADD = $(xm_api)
tests_api_test_appliances_SOURCES = tests/support/appliance.c tests/api/test_appliances.c
tests_api_test_appliances_LDADD = $(xm_api)
tests_api_test_client_SOURCES = tests/support/appliance.c tests/api/test_client.c
tests_api_test_client_LDADD = $(xm_api)
tests_api_test_open_SOURCES = tests/support/appliance.c tests/api/test_open.c
tests_api_test_open_LDADD = $(xm_api)
tests_api_test_faults_SOURCES = tests/support/appliance.c tests/api/test_faults.c
tests_api_test_faults_LDADD = $(xm_api)
tests_api_test_copy_SOURCES = tests/support/appliance.c tests/api/test_copy.c
tests_api_test_copy_LDADD = $(xm_api)
tests_api_test_hand_sealed_SOURCES = tests/support/appliance.c tests/api/test_hand_sealed.c
tests_api_test_hand_sealed_LDADD = $(xm_api)
tests_api_test_hand_over_SOURCES = tests/support/appliance.c tests/api/test_hand_over.c
tests_api_test_hand_over_LDADD = $(xm_api)
tests_api_test_share_mirrors_SOURCES = tests/support/appliance.c \
	tests/api/test_share_mirrors.c
tests_api_test_share_mirrors_LDADD = $(xm_api)
tests_api_test_share_SOURCES = tests/support/appliance.c tests/api/test_share.c
tests_api_test_share_LDADD = $(xm_api)
tests_api_test_polling_SOURCES = tests/support/appliance.c tests/api/test_polling.c
tests_api_test_polling_LDADD = $(xm_api)
tests_api_test_drain_SOURCES = tests/support/appliance.c tests/api/test_drain.c
tests_api_test_drain_LDADD = $(xm_api)
tests_api_test_mirrors_SOURCES = tests/support/appliance.c tests/api/test_mirrors.c
tests_api_test_mirrors_LDADD = $(xm_api)
tests_api_test_strategies_SOURCES = tests/support/appliance.c tests/api/test_strategies.c
tests_api_test_strategies_LDADD = $(xm_api)
tests_api_test_rights_SOURCES = $(xm_access) tests/api/test_rights.c
tests_api_test_rights_LDADD = $(xm_api)
tests_api_test_seal_SOURCES = tests/support/appliance.c tests/api/test_seal.c
tests_api_test_seal_LDADD = $(xm_api)
tests_api_test_sparse_SOURCES = tests/support/appliance.c tests/api/test_sparse.c
tests_api_test_sparse_LDADD = $(xm_api)
tests_api_test_liar_SOURCES = tests/support/appliance.c tests/support/proxy.c tests/api/test_liar.c
tests_api_test_liar_LDADD = $(xm_api)
tests_api_test_lost_SOURCES = tests/support/appliance.c tests/api/test_lost.c
tests_api_test_lost_LDADD = $(xm_api)
tests_api_test_trims_SOURCES = tests/support/appliance.c tests/support/proxy.c tests/api/test_trims.c
tests_api_test_trims_LDADD = $(xm_api)
tests_api_test_loss_SOURCES = tests/support/appliance.c tests/support/proxy.c tests/api/test_loss.c
tests_api_test_loss_LDADD = $(xm_api)
tests_api_test_objects_SOURCES = tests/support/appliance.c tests/api/test_objects.c
tests_api_test_objects_LDADD = $(xm_api)

# Model and reality: the simulator's programs over real processes, against the
# list of outcomes. Patient in make check; hasty, and for so long on each
# transport, by `make reality`.
tests_api_reality_SOURCES = \
	sim/counts.h \
	sim/fibers.h \
	sim/notes.h \
	sim/operations.c \
	sim/operations_explicit.c \
	sim/operations_copy.c \
	sim/operations_hand.c \
	sim/operations_share.c \
	sim/operations_select.c \
	sim/oracle.h \
	sim/outcomes.c \
	sim/outcomes.h \
	sim/plan.h \
	sim/program.h \
	sim/programs.h \
	sim/shadow.c \
	sim/shape.h \
	sim/weather.h \
	sim/workload.c \
	sim/world.h \
	tests/api/reality.c \
	tests/api/reality.h \
	tests/api/reality_around.c \
	tests/support/appliance.c \
	tests/support/assert.c \
	$(NULL)
tests_api_reality_CPPFLAGS = $(AM_CPPFLAGS)
tests_api_reality_LDADD = libextmem.la
check_PROGRAMS += tests/api/reality
TESTS += tests/api/reality
REALITY_SECONDS = 120
reality: tests/api/reality extmemd
	@tests/api/reality -l -t $(REALITY_SECONDS)
.PHONY: reality

# Reads, writes and both at random against a shadow; a minute of each kind.
check_PROGRAMS += tests/api/torture
tests_api_torture_SOURCES = tests/support/appliance.c tests/support/assert.c tests/api/torture.c
tests_api_torture_LDADD = libextmem.la
TORTURE_SECONDS = 60
torture: tests/api/torture extmemd
	@XM_BUILDDIR='$(abs_top_builddir)' XM_SRCDIR='$(abs_top_srcdir)' \
		'$(top_srcdir)/tests/api/torture.sh' $(TORTURE_SECONDS)
.PHONY: torture
