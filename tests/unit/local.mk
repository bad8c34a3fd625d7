# SPDX-License-Identifier: BSD-3-Clause
# unit: machines and small libraries, each alone in one process, without a network.

xm_tests += \
	tests/unit/test_areas \
	tests/unit/test_cipher \
	tests/unit/test_cloning \
	tests/unit/test_confine \
	tests/unit/test_engine \
	tests/unit/test_engine_seal \
	tests/unit/test_extent \
	tests/unit/test_files_store \
	tests/unit/test_gateway \
	tests/unit/test_heap \
	tests/unit/test_heap_cache \
	tests/unit/test_host \
	tests/unit/test_keeper \
	tests/unit/test_kernels \
	tests/unit/test_label \
	tests/unit/test_layout \
	tests/unit/test_lineage \
	tests/unit/test_list \
	tests/unit/test_log \
	tests/unit/test_loop \
	tests/unit/test_mender \
	tests/unit/test_model \
	tests/unit/test_move \
	tests/unit/test_issued \
	tests/unit/test_options \
	tests/unit/test_owed \
	tests/unit/test_pager \
	tests/unit/test_pager_ahead \
	tests/unit/test_pager_explicit \
	tests/unit/test_pager_clone \
	tests/unit/test_pager_hold \
	tests/unit/test_pager_meaning \
	tests/unit/test_pager_model \
	tests/unit/test_pager_print \
	tests/unit/test_pager_reclaim \
	tests/unit/test_pager_rights \
	tests/unit/test_pager_writeback \
	tests/unit/test_parsers \
	tests/unit/test_path \
	tests/unit/test_placement \
	tests/unit/test_plan \
	tests/unit/test_pressure \
	tests/unit/test_rand \
	tests/unit/test_record \
	tests/unit/test_replay \
	tests/unit/test_returns \
	tests/unit/test_ring \
	tests/unit/test_roll \
	tests/unit/test_rows \
	tests/unit/test_service \
	tests/unit/test_service_copies \
	tests/unit/test_service_durable \
	tests/unit/test_service_extents \
	tests/unit/test_service_isolation \
	tests/unit/test_service_limits \
	tests/unit/test_service_offers \
	tests/unit/test_service_sharing \
	tests/unit/test_service_shrink \
	tests/unit/test_service_places \
	tests/unit/test_service_tenants \
	tests/unit/test_session \
	tests/unit/test_settings \
	tests/unit/test_slots \
	tests/unit/test_spin \
	tests/unit/test_store \
	tests/unit/test_strategy \
	tests/unit/test_stripes \
	tests/unit/test_stream \
	tests/unit/test_trace \
	tests/unit/test_tree \
	tests/unit/test_versions \
	tests/unit/test_view \
	tests/unit/test_vm_move \
	tests/unit/test_volume \
	tests/unit/test_wait \
	tests/unit/test_watchdog \
	tests/unit/test_wire \
	tests/unit/test_words \
	$(NULL)
if HAVE_OPENSSL
xm_tests += tests/unit/test_psk tests/unit/test_tls
endif
if HAVE_JANSSON
xm_tests += tests/unit/test_guest
endif
noinst_HEADERS += \
	tests/unit/tls_rig.h \
	tests/unit/engine_rig.h \
	tests/unit/pager_rig.h \
	tests/unit/pager_world.h \
	tests/unit/touches.h \
	tests/unit/service_rig.h \
	tests/unit/wire_sample.h \
	$(NULL)

# Memory fails at will; see there.
tests_unit_test_parsers_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
	-Wl,--wrap=calloc -Wl,--wrap=ini_parse_stream

# What the gateway decides, and its options; without libmicrohttpd.
tests_unit_test_gateway_SOURCES = \
	gateway/settings.c \
	tests/unit/test_gateway.c \
	$(NULL)
tests_unit_test_gateway_LDADD = libxm_gateway.la $(LDADD)

# The directory of appliances, without etcd.
if HAVE_JANSSON
xm_tests += tests/unit/test_directory
endif
tests_unit_test_directory_LDADD = libxm_directory.la $(LDADD) $(JANSSON_LIBS)

# How a guest moves; without QEMU.
tests_unit_test_vm_move_SOURCES = \
	faces/machine/move.c \
	faces/machine/move.h \
	tests/unit/test_vm_move.c \
	$(NULL)
tests_unit_test_vm_move_LDADD = $(CUNIT_LIBS)

tests_unit_test_guest_SOURCES = \
	faces/machine/guest.c \
	faces/machine/guest.h \
	faces/machine/lines.c \
	faces/machine/lines.h \
	tests/unit/test_guest.c \
	$(NULL)
tests_unit_test_guest_LDADD = $(XM_WHOLE) $(JANSSON_LIBS) $(CUNIT_LIBS)

# The bytes of `extmem mount`, on a region of the test's own; without libfuse.
tests_unit_test_files_store_SOURCES = \
	faces/file/chunks.c \
	faces/file/store.c \
	faces/file/table.c \
	tests/unit/test_files_store.c \
	$(NULL)
tests_unit_test_files_store_LDADD = $(CUNIT_LIBS)

tests_unit_test_confine_SOURCES = \
	appliance/confine.c \
	tests/unit/test_confine.c \
	$(NULL)
tests_unit_test_confine_LDADD = $(LDADD) $(SECCOMP_LIBS)

tests_unit_test_settings_SOURCES = \
	appliance/settings.c \
	tests/unit/test_settings.c \
	$(NULL)

# The service machine and a model of the interface.
tests_unit_test_service_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service.c \
	$(NULL)
tests_unit_test_pager_model_SOURCES = \
	tests/unit/pager_world.c \
	tests/unit/test_pager_model.c \
	$(NULL)
tests_unit_test_service_shrink_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/service_rig.h \
	tests/unit/test_service_shrink.c \
	$(NULL)

tests_unit_test_service_copies_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service_copies.c \
	$(NULL)
tests_unit_test_service_durable_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service_durable.c \
	$(NULL)
tests_unit_test_service_extents_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service_extents.c \
	$(NULL)
tests_unit_test_service_places_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service_places.c \
	$(NULL)

tests_unit_test_service_tenants_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service_tenants.c \
	$(NULL)
tests_unit_test_service_isolation_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service_isolation.c \
	$(NULL)

tests_unit_test_service_offers_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service_offers.c \
	$(NULL)
tests_unit_test_service_sharing_SOURCES = \
	tests/unit/service_rig.c \
	tests/unit/test_service_sharing.c \
	$(NULL)

# The model of an interface, asked by the same accesses as the Verilog (tests/rtl).
tests_unit_test_model_SOURCES = \
	tests/support/accesses.c \
	tests/support/accesses.h \
	tests/unit/test_model.c \
	$(NULL)
tests_unit_test_model_LDADD = libxm_device.la $(LDADD)

# Credentials are made as `extmem auth` makes them.
tests_unit_test_tls_SOURCES = \
	cli/authority.c \
	cli/authority_check.c \
	cli/authority_files.c \
	cli/authority_issued.c \
	cli/authority_psk.c \
	tests/unit/test_tls.c \
	tests/unit/tls_rig.c \
	$(NULL)
tests_unit_test_tls_LDADD = $(LDADD) $(OPENSSL_LIBS)
tests_unit_test_psk_SOURCES = \
	cli/authority.c \
	cli/authority_check.c \
	cli/authority_files.c \
	cli/authority_issued.c \
	cli/authority_psk.c \
	tests/unit/test_psk.c \
	tests/unit/tls_rig.c \
	$(NULL)
tests_unit_test_psk_LDADD = $(LDADD) $(OPENSSL_LIBS)
tests_unit_test_issued_SOURCES = \
	cli/authority_issued.c \
	tests/unit/test_issued.c \
	$(NULL)

tests_unit_test_cipher_LDADD = libxm_skin.la $(LDADD)

tests_unit_test_kernels_LDADD = libxm_kernels.la $(CUNIT_LIBS)

tests_unit_test_record_SOURCES = tests/unit/replay.c tests/unit/test_record.c tests/unit/touches.c
tests_unit_test_record_LDADD = libxm_advise.la libxm_kernels.la $(LDADD)

# The pager alone on lists of touches; `make policies` prints a table.
tests_unit_test_replay_SOURCES = tests/unit/replay.c tests/unit/test_replay.c tests/unit/touches.c
tests_unit_test_replay_LDADD = libxm_advise.la libxm_kernels.la $(LDADD)
check_PROGRAMS += tests/unit/policies
tests_unit_policies_SOURCES = \
	tests/support/assert.c \
	tests/unit/policies.c \
	tests/unit/replay.c \
	tests/unit/touches.c \
	$(NULL)
tests_unit_policies_LDADD = libxm_advise.la libxm_kernels.la libxm_ground.la
policies: tests/unit/policies
	@tests/unit/policies
.PHONY: policies

# The instructions of a page that is read and makes room, in the engine and the pager
# alone, by callgrind.
check_PROGRAMS += tests/unit/miss
tests_unit_miss_SOURCES = tests/unit/miss.c
tests_unit_miss_LDADD = libxm_skin.la libxm_first.la libxm_ground.la
miss-cost: tests/unit/miss
	@for pattern in read write seq-read seq-write 'write same' 'seq-write same'; do \
		$(LIBTOOL) --mode=execute valgrind --tool=callgrind \
			--callgrind-out-file=/dev/null '--toggle-collect=touch_all*' \
			tests/unit/miss $$pattern 2>&1 | \
		awk '/pages read/ { line = $$0; pages = $$(NF - 2) } /Collected/ { count = $$NF } \
			END { if (count == 0) { print "callgrind counted nothing"; exit 1 } \
			printf "%s, %.0f instructions for each of these\n", line, \
			count / pages }' || exit 1; \
	done
.PHONY: miss-cost

# Under valgrind, which knows nothing of userfaultfd.
xm_pure_tests = \
	tests/unit/test_areas \
	tests/unit/test_cloning \
	tests/unit/test_extent \
	tests/unit/test_files_store \
	tests/unit/test_gateway \
	tests/unit/test_heap \
	tests/unit/test_heap_cache \
	tests/unit/test_keeper \
	tests/unit/test_kernels \
	tests/unit/test_label \
	tests/unit/test_layout \
	tests/unit/test_lineage \
	tests/unit/test_list \
	tests/unit/test_owed \
	tests/unit/test_pager \
	tests/unit/test_pager_ahead \
	tests/unit/test_pager_explicit \
	tests/unit/test_pager_clone \
	tests/unit/test_pager_hold \
	tests/unit/test_pager_meaning \
	tests/unit/test_pager_model \
	tests/unit/test_pager_print \
	tests/unit/test_pager_reclaim \
	tests/unit/test_pager_rights \
	tests/unit/test_pager_writeback \
	tests/unit/test_path \
	tests/unit/test_pressure \
	tests/unit/test_rand \
	tests/unit/test_ring \
	tests/unit/test_roll \
	tests/unit/test_rows \
	tests/unit/test_service \
	tests/unit/test_service_copies \
	tests/unit/test_service_durable \
	tests/unit/test_service_extents \
	tests/unit/test_service_isolation \
	tests/unit/test_service_limits \
	tests/unit/test_service_shrink \
	tests/unit/test_service_places \
	tests/unit/test_service_tenants \
	tests/unit/test_session \
	tests/unit/test_slots \
	tests/unit/test_spin \
	tests/unit/test_watchdog \
	tests/unit/test_wire \
	tests/unit/test_words \
	$(NULL)

# The real wait.c, with its planted bugs, on an os.h of the test's own.
tests_unit_test_wait_SOURCES = \
	core/client/wait.c \
	tests/unit/test_wait.c \
	$(NULL)
tests_unit_test_wait_CPPFLAGS = $(AM_CPPFLAGS) -DXM_PLANT
tests_unit_test_wait_LDADD = tests/support/assert.$(OBJEXT) $(CUNIT_LIBS)
