/* SPDX-License-Identifier: BSD-3-Clause */
/* See directory.h. Floor: skin. */
#include "common/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/helper.h"

#define PROGRAM "extmem-directory"
#define ANSWER_SIZE (256 * XM_KIB)
#define SPARE_MS 1000 /* its own start, and end, beside what it waits */

/* --- the program ------------------------------------------------------------ */

bool xm_directory_is_there(char *words, size_t words_size)
{
	char path[PATH_MAX];

	if (xm_helper_find(PROGRAM, path, sizeof(path)))
		return true;
	snprintf(words, words_size, PROGRAM ", which asks etcd, is neither beside this program"
		 " nor in PATH: install it (it is built where libcurl is), or name the"
		 " appliances themselves");
	return false;
}

int xm_directory_keep(const char *url, pid_t *ret_pid, int *ret_fd)
{
	const char *const argv[] = { PROGRAM, "keep", url, NULL };

	return xm_helper_begin(argv, O_NONBLOCK, ret_pid, ret_fd);
}

/* --- what stands there ------------------------------------------------------ */

/* A descriptor that is ready then; -errno. Unlike the time of poll(), it does not begin anew with
 * each signal. */
static int alarm_in(uint64_t ms)
{
	const struct itimerspec when = {
		.it_value = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 + 1 },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	timerfd_settime(fd, 0, &when, NULL);
	return fd;
}

/* Its answer, to the end, unless it takes too long. 0, or -errno. */
static int hear(int fd, uint64_t timeout_ms, char *text, size_t size)
{
	int alarm = alarm_in(timeout_ms + SPARE_MS), rc = 0;
	size_t used = 0;

	while (alarm >= 0 && used < size - 1) {
		struct pollfd p[] = { { .fd = fd, .events = POLLIN },
				      { .fd = alarm, .events = POLLIN } };
		ssize_t n = -1;

		if (poll(p, XM_COUNT(p), -1) < 0)
			continue; /* a signal */
		if (p[0].revents != 0)
			n = read(fd, text + used, size - 1 - used);
		else
			rc = -ETIMEDOUT;
		if (n == 0 || rc != 0)
			break;
		used += n > 0 ? (size_t)n : 0;
	}
	text[used] = '\0';
	if (alarm < 0)
		return alarm;
	close(alarm);
	return rc;
}

/* All that it says, as a text; -errno: it did not end in time, or could not begin. */
static int run(const char *url, uint64_t timeout_ms, char *text, size_t size)
{
	char ms[24];
	const char *const argv[] = { PROGRAM, "list", url, ms, NULL };
	int fd, rc;
	pid_t pid;

	snprintf(ms, sizeof(ms), "%llu", (unsigned long long)timeout_ms);
	rc = xm_helper_begin(argv, 0, &pid, &fd);
	if (rc != 0)
		return rc;
	rc = hear(fd, timeout_ms, text, size);
	close(fd);
	/* The program may have reaped it, with all its children: then the number may be another's. */
	if (waitpid(pid, NULL, WNOHANG) == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return rc;
}

static bool has(const struct xm_directory_list *l, const char *address)
{
	for (size_t i = 0; i < l->list.count; i++)
		if (strcmp(l->items[i], address) == 0)
			return true;
	return false;
}

static int add(struct xm_directory_list *l, const char *address)
{
	size_t i = l->list.count;

	if (i == XM_DIRECTORY_LIST_MAX || strlen(address) >= sizeof(l->texts[i]))
		return -EINVAL;
	strcpy(l->texts[i], address);
	l->items[i] = l->texts[i];
	l->list.count++;
	return 0;
}

/* The lines of an answer. 0, or -errno with words. */
static int take(const char *url, char *text, struct xm_directory_list *ret, char *words,
		size_t words_size)
{
	size_t before = ret->list.count;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (strncmp(line, "no ", 3) == 0) {
			snprintf(words, words_size, "%s does not answer: %s. Is etcd running"
				 " there? Else name the appliances themselves", url, line + 3);
			return -EHOSTUNREACH;
		}
		if (strcmp(line, "ok") == 0 && ret->list.count > before)
			return 0;
		if (strcmp(line, "ok") == 0) {
			snprintf(words, words_size, "no appliance stands in %s: begin extmemd"
				 " with --directory %s", url, url);
			return -ENOENT;
		}
		if (xm_etcd_address_suits(line) && !has(ret, line) &&
		    ret->list.count < XM_DIRECTORY_MAX)
			add(ret, line);
	}
	snprintf(words, words_size, "%s: " PROGRAM " ended without an answer", url);
	return -EPROTO;
}

static int ask(const char *url, uint64_t timeout_ms, struct xm_directory_list *ret,
	       char *words, size_t words_size)
{
	char *text, reason[512];
	struct xm_etcd_url parsed;
	struct xm_words w;
	int rc;

	xm_words_begin(&w, reason, sizeof(reason));
	if (xm_etcd_url_read(url, &parsed, &w) != 0) {
		snprintf(words, words_size, "%s", reason);
		return -EINVAL;
	}
	if (!xm_directory_is_there(reason, sizeof(reason))) {
		snprintf(words, words_size, "%s: %s", url, reason);
		return -ENOSYS;
	}
	text = malloc(ANSWER_SIZE);
	rc = text == NULL ? -ENOMEM : run(url, timeout_ms, text, ANSWER_SIZE);
	if (rc == 0)
		rc = take(url, text, ret, words, words_size);
	else
		snprintf(words, words_size, "%s: " PROGRAM ": %s", url, strerror(-rc));
	free(text);
	return rc;
}

/* The URL that begins at items[*i]; its members may be in the items after it. */
static void join(const struct xm_option_list *from, size_t *i, char *url, size_t size)
{
	snprintf(url, size, "%s", from->items[*i]);
	while (strchr(url + strlen(XM_ETCD_SCHEME), '/') == NULL && *i + 1 < from->count &&
	       strstr(from->items[*i + 1], "://") == NULL) {
		size_t used = strlen(url);

		(*i)++;
		snprintf(url + used, size - used, ",%s", from->items[*i]);
	}
}

bool xm_directory_named(const struct xm_option_list *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (xm_etcd_is(addresses->items[i]))
			return true;
	return false;
}

int xm_directory_expand(const struct xm_option_list *addresses, uint64_t timeout_ms,
			struct xm_directory_list *ret, char *words, size_t words_size)
{
	char url[XM_ETCD_ENDPOINTS_MAX * XM_ETCD_ENDPOINT_SIZE + XM_ETCD_PREFIX_SIZE + 16];
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	ret->list.items = ret->items;
	words[0] = '\0';
	for (size_t i = 0; i < addresses->count; i++) {
		const char *address = addresses->items[i];
		int r;

		if (!xm_etcd_is(address)) {
			r = add(ret, address);
			if (r != 0) {
				snprintf(words, words_size, "%s: too long, or one of more"
					 " than %d addresses", address, XM_DIRECTORY_LIST_MAX);
				return r;
			}
			continue;
		}
		join(addresses, &i, url, sizeof(url));
		r = ask(url, timeout_ms, ret, words, words_size);
		if (r == -EINVAL || r == -ENOSYS)
			return r; /* That is no directory that is away. */
		rc = rc != 0 ? rc : r;
	}
	return ret->list.count > 0 ? 0 : rc;
}
