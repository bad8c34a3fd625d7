/* SPDX-License-Identifier: BSD-3-Clause */
/* What surrounds a guest (faces/machine/guest.c), without QEMU: its folder, and a monitor
 * that is a process of the test's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faces/machine/guest.h"
#include "tests/support/cunit.h"

static char scratch[] = "/tmp/xm-guest-XXXXXX";
static struct guest guest, other;

static int take(struct guest *g)
{
	int rc = guest_open(g, "g", 65536, json_array(), json_array());

	if (rc != 0)
		printf("(%s) ", g->words);
	return rc;
}

/* It would take away what lies in "/", as it has no folder of its own. */
static void one_that_was_never_opened_has_nothing_to_close(void)
{
	guest_none(&guest);
	CU_ASSERT_STRING_EQUAL(guest.folder, "");
	guest_close(&guest);
	CU_ASSERT_NOT_EQUAL(fcntl(0, F_GETFD), -1);
	CU_ASSERT_NOT_EQUAL(fcntl(1, F_GETFD), -1);
}

static void a_name_is_one_guests(void)
{
	CU_ASSERT_EQUAL(take(&guest), 0);
	CU_ASSERT_EQUAL(take(&other), -EEXIST);
	guest_close(&other);
	guest_close(&guest);
	CU_ASSERT_EQUAL(take(&guest), 0);
	guest_close(&guest);
}

static void a_folder_that_others_may_write_to_is_refused(void)
{
	char folder[GUEST_FOLDER_MAX];

	CU_ASSERT_EQUAL(guest_folder("g", folder), 0);
	CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
	chmod(folder, 0777);
	CU_ASSERT_EQUAL(take(&guest), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(guest.words, "XDG_RUNTIME_DIR"));
	guest_close(&guest);
	rmdir(folder);
	CU_ASSERT_EQUAL(symlink("/tmp", folder), 0);
	CU_ASSERT_EQUAL(take(&guest), -ENOTDIR);
	guest_close(&guest);
	unlink(folder);
	chmod(scratch, 0777);
	CU_ASSERT_EQUAL(guest_folder("g", folder), -EPERM);
	CU_ASSERT_EQUAL(take(&guest), -EPERM);
	guest_close(&guest);
	/* Nobody can put another one in its place there. */
	chmod(scratch, 01777);
	CU_ASSERT_EQUAL(take(&guest), 0);
	guest_close(&guest);
	chmod(scratch, 0700);
}

/* Answers what was asked long ago first, then an event, then what is asked. */
static void monitor(int fd)
{
	static struct lines l;
	json_t *asked;

	lines_open(&l, fd, fd);
	while ((asked = lines_read(&l, 10000)) != NULL) {
		json_t *id = json_object_get(asked, "id");

		lines_write(&l, json_pack("{s{} sI}", "return", "id",
					  json_integer_value(id) - 1));
		lines_write(&l, json_pack("{ss}", "event", "STOP"));
		lines_write(&l, json_pack("{s{ss} sO?}", "return", "status", "completed",
					  "id", id));
		json_decref(asked);
	}
	_exit(0);
}

static void an_answer_that_came_too_late_is_not_taken_for_another_ones(void)
{
	char status[32];
	int ends[2];
	pid_t child;

	guest_none(&guest);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		monitor(ends[1]);
	}
	close(ends[1]);
	lines_open(&guest.qmp, ends[0], ends[0]);
	for (int i = 0; i < 3; i++) {
		guest_migration(&guest, status, sizeof(status));
		CU_ASSERT_STRING_EQUAL(status, "completed");
	}
	guest_close(&guest);
	waitpid(child, NULL, 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(one_that_was_never_opened_has_nothing_to_close),
		XM_TEST(a_name_is_one_guests),
		XM_TEST(a_folder_that_others_may_write_to_is_refused),
		XM_TEST(an_answer_that_came_too_late_is_not_taken_for_another_ones),
		CU_TEST_INFO_NULL,
	};
	int status;

	if (mkdtemp(scratch) == NULL)
		return 2;
	setenv("XDG_RUNTIME_DIR", scratch, 1);
	status = xm_tests_run("guest", tests);
	rmdir(scratch);
	return status;
}
