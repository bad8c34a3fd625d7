# SPDX-License-Identifier: BSD-3-Clause
# shell: programs of ours as a user starts them.

xm_shell_tests += \
	tests/shell/example.sh \
	tests/shell/test_auth.sh \
	tests/shell/test_bench.sh \
	tests/shell/test_bench_kernels.sh \
	tests/shell/test_bench_wrong.sh \
	tests/shell/test_borrow.sh \
	tests/shell/test_completion.sh \
	tests/shell/test_confined.sh \
	tests/shell/test_isolate.sh \
	tests/shell/test_container.sh \
	tests/shell/test_image.sh \
	tests/shell/test_directory.sh \
	tests/shell/test_directory_three.sh \
	tests/shell/test_drain.sh \
	tests/shell/test_extmemd.sh \
	tests/shell/test_gateway.sh \
	tests/shell/test_gateway_hostile.sh \
	tests/shell/test_pool_file.sh \
	tests/shell/test_programs.sh \
	tests/shell/test_psk.sh \
	tests/shell/test_region.sh \
	tests/shell/test_share.sh \
	tests/shell/test_shrink.sh \
	tests/shell/test_store.sh \
	tests/shell/test_store_sealed.sh \
	tests/shell/test_strangers.sh \
	tests/shell/test_strategy.sh \
	tests/shell/test_swap_off.sh \
	tests/shell/test_units.sh \
	tests/shell/test_tenants.sh \
	tests/shell/test_watchdog.sh \
	$(NULL)

# What tests/shell/test_extmemd.sh and test_auth.sh throw with.
check_PROGRAMS += tests/shell/thrower
tests_shell_thrower_LDADD = $(XM_WHOLE)
# What bench/handshakes.sh counts with.
check_PROGRAMS += tests/shell/handshaker
tests_shell_handshaker_LDADD = $(XM_WHOLE)
# What tests/shell/test_store.sh kills with its appliance.
check_PROGRAMS += tests/shell/durable
tests_shell_durable_LDADD = libextmem.la
# What tests/shell/test_pool_file.sh fills a pool with.
check_PROGRAMS += tests/shell/filler
tests_shell_filler_LDADD = libextmem.la
# What tests/shell/test_confined.sh and test_isolate.sh look with.
check_PROGRAMS += tests/shell/witness
tests_shell_witness_LDADD =

# What tests/shell/test_gateway.sh compares answers to docs/openapi.json with.
EXTRA_DIST += tests/shell/schema.py
# What it does with the page, in a browser.
EXTRA_DIST += tests/shell/page.py

# What tests/shell/test_gateway_hostile.sh throws with.
check_PROGRAMS += tests/shell/gateway_thrower
tests_shell_gateway_thrower_LDADD = $(XM_WHOLE)
# What tests/shell/test_strangers.sh knocks with.
EXTRA_DIST += tests/shell/strangers.py
