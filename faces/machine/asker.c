/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks those who stay with guests; see asker.h. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "faces/machine/asker.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"
#include "faces/machine/guest.h"

#define ANSWER_MS 15000	 /* longer than QEMU may take for an answer */
#define FOR_EVER (-1)	 /* each step of a move has its own deadline */

int asker_address(const char *name, struct sockaddr_un *ret)
{
	char folder[GUEST_FOLDER_MAX];
	int rc = guest_folder(name, folder);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (rc == 0)
		snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/control", folder);
	return rc;
}

/* Takes `request` over. NULL, and *ret_rc: nobody is there, or -ETIMEDOUT. */
static json_t *ask(const char *name, json_t *request, int ms, int *ret_rc)
{
	static struct lines minder;
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? -errno : asker_address(name, &address);
	json_t *answer;

	if (rc == 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		rc = -errno;
	*ret_rc = rc;
	if (rc != 0) {
		json_decref(request);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	lines_open(&minder, fd, fd);
	lines_write(&minder, request);
	answer = lines_read(&minder, ms);
	if (answer == NULL)
		*ret_rc = minder.ended ? -EPIPE : -ETIMEDOUT;
	lines_close(&minder);
	return answer;
}

static bool is_absent(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -ENAMETOOLONG || rc == -EPERM ||
	       rc == -EACCES;
}

static int say_absent(const char *name, int rc)
{
	fprintf(stderr, "extmem vm: no guest %s is here (%s); `extmem vm list` names those "
		"that are\n", name, strerror(-rc));
	return 1;
}

/* --- move ----------------------------------------------------------------------------- */

int asker_move(const char *name, const char *host, const char *rsh)
{
	json_int_t pause_ms = 0, flush_ms = 0, bytes = 0;
	const char *words, *unknown;
	int rc;
	json_t *answer = ask(name, json_pack("{ss ss}", "move", host, "rsh", rsh), FOR_EVER,
			     &rc);

	if (answer == NULL && is_absent(rc))
		return say_absent(name, rc);
	words = json_string_value(json_object_get(answer, "failed"));
	unknown = answer == NULL ? "who kept the guest has ended"
				 : json_string_value(json_object_get(answer, "unknown"));
	if (unknown != NULL) {
		fprintf(stderr, "extmem vm: %s is not here any more; whether it runs at %s is "
			"not known, look there: %s\n", name, host, unknown);
	} else if (words != NULL) {
		fprintf(stderr, "extmem vm: %s has not moved: %s\n", name, words);
	} else {
		json_unpack(answer, "{sI sI sI}", "pause_ms", &pause_ms, "flush_ms",
			    &flush_ms, "bytes", &bytes);
		printf("%s has moved to %s: paused for %lld ms, %lld of them to write its "
		       "memory back; %lld bytes went there\n", name, host,
		       (long long)pause_ms, (long long)flush_ms, (long long)bytes);
	}
	rc = unknown != NULL ? VM_STATUS_UNKNOWN : words != NULL;
	json_decref(answer);
	return rc;
}

/* --- resume --------------------------------------------------------------------------- */

int asker_resume(const char *name)
{
	int rc;
	json_t *answer = ask(name, json_pack("{sb}", "resume", 1), ANSWER_MS, &rc);
	const char *words = json_string_value(json_object_get(answer, "failed"));

	if (answer == NULL && is_absent(rc))
		return say_absent(name, rc);
	if (answer == NULL)
		words = strerror(-rc);
	if (words != NULL)
		fprintf(stderr, "extmem vm: %s does not go on: %s\n", name, words);
	else
		printf("%s runs\n", name);
	json_decref(answer);
	return words != NULL;
}

/* --- list ----------------------------------------------------------------------------- */

/* What is known of it. NULL: it is not here; its folder is what a kill has left. */
static json_t *show(const char *name)
{
	int rc;
	json_t *answer = ask(name, json_pack("{sb}", "show", 1), ANSWER_MS, &rc);

	if (answer == NULL && is_absent(rc))
		return NULL;
	if (answer == NULL)
		answer = json_pack("{ss sn sn}", "state", "does not answer", "size", "qemu");
	json_object_set_new(answer, "name", json_string(name));
	return answer;
}

static void print(const json_t *guests)
{
	size_t i;
	json_t *guest;

	if (json_array_size(guests) > 0)
		printf("%-31s %12s  %-16s %s\n", "guest", "MiB", "state", "pid of QEMU");
	json_array_foreach(guests, i, guest)
		printf("%-31s %12lld  %-16s %lld\n",
		       json_string_value(json_object_get(guest, "name")),
		       (long long)json_integer_value(json_object_get(guest, "size")) / XM_MIB,
		       json_string_value(json_object_get(guest, "state")),
		       (long long)json_integer_value(json_object_get(guest, "qemu")));
}

/* The folder that has all of them is that of any of them. */
static DIR *folder_open(size_t *ret_prefix)
{
	char path[GUEST_FOLDER_MAX], *slash;

	if (guest_folder("a", path) != 0)
		return NULL;
	slash = strrchr(path, '/');
	*ret_prefix = strlen(slash + 1) - 1;
	*slash = '\0';
	return opendir(path);
}

int asker_list(bool json)
{
	json_t *guests = json_array();
	size_t prefix = 0;
	DIR *folder = folder_open(&prefix);
	struct dirent *entry;

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		if (strncmp(entry->d_name, "vm-", prefix) != 0 ||
		    !guest_name_is_good(entry->d_name + prefix))
			continue;
		json_array_append_new(guests, show(entry->d_name + prefix));
	}
	if (folder != NULL)
		closedir(folder);
	if (json) {
		json_dumpf(guests, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print(guests);
	}
	json_decref(guests);
	return 0;
}
