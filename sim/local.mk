# SPDX-License-Identifier: BSD-3-Clause
# sim: a world in one process. It links the very libraries that libextmem and
# extmemd are made of, all but the skin, in whose place it has its own.

noinst_LTLIBRARIES += libxm_world.la
libxm_world_la_SOURCES = \
	sim/appliance.c \
	sim/appliance.h \
	sim/appliance_parts.h \
	sim/interfaces.c \
	sim/cost.c \
	sim/cost.h \
	sim/counts.h \
	sim/crash.c \
	sim/crash.h \
	sim/disk.c \
	sim/disk.h \
	sim/draw.c \
	sim/durable.c \
	sim/durable.h \
	sim/fabric.c \
	sim/fabric.h \
	sim/fabric_faults.c \
	sim/fabric_flight.c \
	sim/fabric_parts.h \
	sim/fabric_target.c \
	sim/fibers.c \
	sim/fibers.h \
	sim/heap.h \
	sim/interface.c \
	sim/interface.h \
	sim/laws.h \
	sim/lies.c \
	sim/laws_bounds.c \
	sim/laws_epoch.c \
	sim/laws_liveness.c \
	sim/laws_members.c \
	sim/laws_ownership.c \
	sim/laws_page.c \
	sim/laws_tickets.c \
	sim/laws_quiet.c \
	sim/laws_spread.c \
	sim/laws_view.c \
	sim/laws_watch.c \
	sim/links.c \
	sim/links.h \
	sim/mapper.c \
	sim/mapper.h \
	sim/members.c \
	sim/members.h \
	sim/memory.c \
	sim/memory.h \
	sim/minimize.c \
	sim/notes.c \
	sim/notes.h \
	sim/operations.c \
	sim/operations_explicit.c \
	sim/operations_copy.c \
	sim/operations_hand.c \
	sim/operations_share.c \
	sim/operations_select.c \
	sim/oracle.c \
	sim/oracle.h \
	sim/os.c \
	sim/os.h \
	sim/outcomes.c \
	sim/outcomes.h \
	sim/parity.c \
	sim/parity.h \
	sim/parity_seed.c \
	sim/plan.c \
	sim/plan.h \
	sim/printer.c \
	sim/program.c \
	sim/program.h \
	sim/programs.h \
	sim/run.c \
	sim/run.h \
	sim/seals.c \
	sim/seals.h \
	sim/shadow.c \
	sim/shape.h \
	sim/snapshot.c \
	sim/snapshot.h \
	sim/snapshot_seed.c \
	sim/snapshot_stories.c \
	sim/sparse.c \
	sim/sparse.h \
	sim/stacks.h \
	sim/storm.c \
	sim/stories.c \
	sim/stories.h \
	sim/stories_hand.c \
	sim/stories_share.c \
	sim/stories_torn.c \
	sim/stories_leases.c \
	sim/stories_mirrors.c \
	sim/stories_paging.c \
	sim/stories_parts.h \
	sim/stories_paths.c \
	sim/store.c \
	sim/store.h \
	sim/store_seed.c \
	sim/store_stories.c \
	sim/story.c \
	sim/story.h \
	sim/streams.c \
	sim/places.c \
	sim/places.h \
	sim/tenants.c \
	sim/tenants.h \
	sim/trees.c \
	sim/trees.h \
	sim/thief.c \
	sim/touch.h \
	sim/weather.c \
	sim/weather.h \
	sim/weather_parts.h \
	sim/workload.c \
	sim/world.c \
	sim/world.h \
	sim/world_parts.h \
	$(NULL)
libxm_world_la_CPPFLAGS = $(AM_CPPFLAGS)

libxm_world_la_LIBADD = \
	libxm_client.la \
	libxm_device.la \
	libxm_service.la \
	libxm_first.la \
	libxm_ground.la \
	$(NULL)

# Which commit this is, for who reads of a broken law; where there is none the
# version is.
BUILT_SOURCES += sim/commit.h
CLEANFILES += sim/commit.h
sim/commit.h: FORCE
	@$(MKDIR_P) sim; \
	commit=$$(cd '$(srcdir)' && git ls-files --error-unmatch configure.ac >/dev/null 2>&1 && \
		git describe --always --exclude='*' --abbrev=12 --dirty=' and changes'); \
	echo "#define XM_COMMIT \"$${commit:-$(VERSION)}\"" >$@.new; \
	if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
FORCE:
.PHONY: FORCE
sim/extmem_sim-extmem-sim.$(OBJEXT): sim/commit.h
sim/extmem_sim_planted-extmem-sim.$(OBJEXT): sim/commit.h

if HAVE_JANSSON
bin_PROGRAMS += extmem-sim
endif
extmem_sim_SOURCES = \
	sim/extmem-sim.c \
	sim/predict.c \
	sim/predict.h \
	sim/ranks.c \
	sim/ranks.h \
	sim/report.c \
	sim/report.h \
	$(NULL)
extmem_sim_CPPFLAGS = $(libxm_world_la_CPPFLAGS) $(MPI_CFLAGS)
extmem_sim_LDADD = libxm_world.la $(JANSSON_LIBS) $(INIH_LIBS) $(MPI_LIBS)

# The same, of all its sources once more, with the planted bugs of plant.h.
EXTRA_PROGRAMS = extmem-sim-planted
extmem_sim_planted_SOURCES = \
	$(extmem_sim_SOURCES) \
	$(libxm_client_la_SOURCES) \
	$(libxm_device_la_SOURCES) \
	$(libxm_first_la_SOURCES) \
	$(libxm_ground_la_SOURCES) \
	$(libxm_service_la_SOURCES) \
	$(libxm_world_la_SOURCES) \
	$(NULL)
extmem_sim_planted_CPPFLAGS = $(extmem_sim_CPPFLAGS) -DXM_PLANT
extmem_sim_planted_LDADD = $(JANSSON_LIBS) $(INIH_LIBS) $(MPI_LIBS)
CLEANFILES += extmem-sim-planted$(EXEEXT)

# Does the simulator find them? PLANTS= names some; all takes minutes.
PLANTED_SECONDS = 120
planted: extmem-sim-planted$(EXEEXT)
	@XM_SRCDIR='$(abs_top_srcdir)' PLANTED_SECONDS=$(PLANTED_SECONDS) \
		'$(top_srcdir)/tests/sim/planted.sh' $(PLANTS)
.PHONY: planted

# The long form of what tests/sim/seeds.sh does: make sim RUNS=100000 SEED=1.
RUNS = 10000
SEED = 1
JOBS = 1
sim: extmem-sim
	./extmem-sim --runs $(RUNS) --seed $(SEED) --jobs $(JOBS)

# How fast is it? The line "simulated" is for 5 appliances and 3 clients, on one
# core; 1,000 times real time is the least.
# Without copies and stripes, so that figures of different commits compare; then
# with them, which are more work for each simulated second.
sim-speed: extmem-sim
	./extmem-sim --plain --runs 400 --appliances 5 --clients 3 --quiet
	./extmem-sim --runs 400 --appliances 5 --clients 3 --quiet

# The traces of the stories, as they are now, become those that are kept.
stories-write: extmem-sim
	./extmem-sim --stories_write '$(top_srcdir)/tests/sim/stories'

# One seed is one story, whoever compiled it: gcc and clang, -O0 and -O2.
HASH_RUNS = 300
sim-hash:
	@hashes=; \
	for cc in gcc clang; do for level in -O0 -O2; do \
		folder=build-sim$$level-$$cc; flags="CC=$$cc"; \
		export CFLAGS="$$level -g"; \
		( mkdir -p "$$folder" && cd "$$folder" && \
		  { test -f Makefile || '$(abs_top_srcdir)/configure' -q "$$flags" $(CONFIGURE_FLAGS); } && \
		  $(MAKE) --silent extmem-sim >/dev/null ) || exit 1; \
		hash=$$("$$folder/extmem-sim" --quiet --runs $(HASH_RUNS) | sed -n 's/^trace hash *//p'); \
		echo "$$cc $$level: $$hash"; \
		hashes="$$hashes $$hash"; \
	done; done; \
	test "$$(printf '%s\n' $$hashes | sort -u | wc -l)" = 1 && echo 'equal'

.PHONY: sim sim-hash sim-speed stories-write
