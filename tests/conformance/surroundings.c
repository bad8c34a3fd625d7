/* SPDX-License-Identifier: BSD-3-Clause */
/* What lies around a transport: addresses, files, providers, signals. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/rig.h"

void nobody_at_the_address_is_an_error(void)
{
	uint32_t peer;

	if (!world_ready(XM_MIB) ||
	    !world_has(w.limits.admits, "limits.admits is false"))
		return;
	far_do(CLOSE);
	PUMP_UNTIL(w.local.down[w.peer] == 1);
	CU_ASSERT_FALSE(near_connect(&w.local, ticket, &peer));
	CU_ASSERT_EQUAL(w.local.down_status[peer], -ECONNREFUSED);
	world_close();
}

void an_interface_that_listens_everywhere_is_found(void)
{
	struct command open = { .verb = OPEN };
	char words[256];

	memset(&w, 0, sizeof(w));
	w.ops = ops_find(CU_get_current_suite()->pName);
	w.loop = ops_one_process(w.ops);
	if (w.loop || strcmp(w.ops->scheme, "ofi+shm") == 0) {
		skip("there is no port");
		return;
	}
	w.fd = nursery_ask();
	snprintf(open.scheme, sizeof(open.scheme), "%s", w.ops->scheme);
	open.anywhere = true;
	CU_ASSERT_EQUAL(far_call(&open), 0);
	w.locator = w.answer.locator;
	CU_ASSERT_EQUAL_FATAL(near_open(&w.local, NULL, words), 0);
	w.ops->limits(w.local.t, &w.limits);
	if (!admit(1, ticket) && !expose(1, 4096, 4096, KEY, &w.remote) &&
	    near_connect(&w.local, ticket, &w.peer)) {
		uint8_t bytes[100] = "everywhere";

		w.ops->register_memory(w.local.t, bytes, sizeof(bytes));
		CU_ASSERT_EQUAL(move(true, 3, bytes, sizeof(bytes)), 0);
		CU_ASSERT_EQUAL(memcmp(far_pool + 4099, bytes, sizeof(bytes)), 0);
	} else {
		CU_FAIL("no connection");
	}
	world_close();
}

/* Of shm: a process whose number had been another's. */
void files_of_the_dead_are_no_obstacle(void)
{
	enum { NAMES = 1000 };
	bool ours[NAMES] = { false };
	char name[64];

	if (strcmp(CU_get_current_suite()->pName, "ofi+shm") != 0) {
		skip("no file is named after a process");
		return;
	}
	for (int i = 0; i < NAMES; i++) {
		int fd;

		snprintf(name, sizeof(name), "/%d:%d:%d", (int)getpid(),
			 (int)getuid(), i);
		fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
		ours[i] = fd >= 0;
		if (fd < 0)
			continue;
		CU_ASSERT_EQUAL(ftruncate(fd, 4096), 0);
		close(fd);
	}
	if (world_open() && !admit(1, ticket))
		CU_ASSERT_TRUE(near_connect(&w.local, ticket, &w.peer));
	world_close();
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "/%d:%d:%d", (int)getpid(),
			 (int)getuid(), i);
		if (ours[i])
			shm_unlink(name);
	}
}

void a_malformed_locator_is_refused(void)
{
	struct xm_locator locator;
	uint64_t seed = 5;
	uint32_t peer = 77;
	int error;

	if (!world_open())
		return;
	for (uint32_t size = 0; size < XM_LOCATOR_SIZE + 8; size += 7) {
		memset(&locator, 0, sizeof(locator));
		locator.size = size;
		for (uint32_t i = 0; i < XM_LOCATOR_SIZE; i++)
			locator.bytes[i] = (uint8_t)(xm_rand_mix(&seed) >> 40);
		error = w.ops->connect(w.local.t, &locator, ticket, &peer);
		/* A name made of noise is still a name: then it is DOWN. */
		if (!error)
			PUMP_UNTIL(w.local.down[peer]);
		else
			CU_ASSERT(error == -EINVAL || error == -ENOSYS);
	}
	world_close();
}

void a_provider_that_is_not_there_is_an_error_that_lists(void)
{
	struct xm_transport *untouched;
	char words[256] = "";

	w.ops = ops_find(CU_get_current_suite()->pName);
	CU_ASSERT_EQUAL(near_open(&w.local, "nosuch", words), -ENOSYS);
	untouched = w.local.t;
	CU_ASSERT_PTR_NULL(untouched);
	CU_ASSERT(strstr(words, "nosuch") != NULL);
	memset(&w, 0, sizeof(w));
}

void signal_handlers_stay_the_programs(void)
{
	static const int signals[] = { SIGBUS, SIGSEGV, SIGTERM, SIGINT };
	struct sigaction now;

	/* Known by what main() set. */
	if (!world_ready(XM_MIB))
		return;
	for (size_t i = 0; i < XM_COUNT(signals); i++) {
		sigaction(signals[i], NULL, &now);
		CU_ASSERT_EQUAL(now.sa_handler, SIG_DFL);
	}
	world_close();
}
