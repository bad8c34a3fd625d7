# SPDX-License-Identifier: BSD-3-Clause
# sim: the simulator: kept seeds, stories, outcomes, planted bugs, what it foretells.

xm_shell_tests += \
	tests/sim/outcomes.sh \
	tests/sim/seeds.sh \
	tests/sim/stories.sh \
	tests/sim/test_crash.sh \
	tests/sim/test_minimize.sh \
	tests/sim/test_predict.sh \
	tests/sim/test_ranks.sh \
	tests/sim/test_same_code.sh \
	$(NULL)
dist_noinst_SCRIPTS += tests/sim/planted.sh
EXTRA_DIST += \
	tests/sim/link.json \
	tests/sim/outcomes.txt \
	tests/sim/seeds.txt \
	tests/sim/stories \
	$(NULL)

# The simulator's side of the list that tests/api/reality.c holds; -write keeps the
# seeds that show it.
OUTCOMES_RUNS = 40000
outcomes: extmem-sim
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/sim/outcomes.sh' $(OUTCOMES_RUNS)
outcomes-write: extmem-sim
	@XM_SRCDIR='$(abs_top_srcdir)' XM_BUILDDIR='$(abs_top_builddir)' \
		'$(top_srcdir)/tests/sim/outcomes.sh' -w $(OUTCOMES_RUNS)
.PHONY: outcomes outcomes-write
