/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON objects, one a line; see lines.h. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "faces/machine/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_MS 2000

static void nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void lines_open(struct lines *l, int in, int out)
{
	l->in = in;
	l->out = out;
	l->used = 0;
	l->ended = in < 0;
	nonblocking(in);
	nonblocking(out);
}

void lines_close(struct lines *l)
{
	if (l->in >= 0)
		close(l->in);
	if (l->out >= 0 && l->out != l->in)
		close(l->out);
	l->in = l->out = -1;
	l->ended = true;
}

/* The first line, if there is a whole one. */
static bool take(struct lines *l, json_t **ret)
{
	char *end = memchr(l->buffer, '\n', l->used);
	size_t size;

	if (end == NULL)
		return false;
	size = (size_t)(end - l->buffer) + 1;
	*ret = json_loadb(l->buffer, size, 0, NULL);
	l->used -= size;
	memmove(l->buffer, l->buffer + size, l->used);
	if (*ret == NULL)
		l->ended = true;
	return true;
}

json_t *lines_read(struct lines *l, int ms)
{
	struct pollfd p = { .fd = l->in, .events = POLLIN };
	json_t *object = NULL;

	for (;;) {
		ssize_t n;

		if (take(l, &object) || l->ended)
			return object;
		if (l->used == sizeof(l->buffer)) {
			l->ended = true;
			return NULL;
		}
		if (poll(&p, 1, ms) <= 0)
			return NULL;
		n = read(l->in, l->buffer + l->used, sizeof(l->buffer) - l->used);
		if (n > 0)
			l->used += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			l->ended = true;
	}
}

int lines_write(struct lines *l, json_t *object)
{
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL, *at = text;
	size_t left = text != NULL ? strlen(text) : 0;
	int rc = text == NULL ? -ENOMEM : l->out < 0 ? -EPIPE : 0;

	json_decref(object);
	if (text != NULL)
		text[left++] = '\n'; /* in place of the NUL */
	while (rc == 0 && left > 0) {
		struct pollfd p = { .fd = l->out, .events = POLLOUT };
		ssize_t n = write(l->out, at, left);

		if (n > 0) {
			at += n;
			left -= (size_t)n;
		} else if ((errno != EAGAIN && errno != EINTR) ||
			   poll(&p, 1, WRITE_MS) <= 0) {
			rc = -EPIPE;
		}
	}
	free(text);
	if (rc != 0)
		l->ended = true;
	return rc;
}
