/* SPDX-License-Identifier: BSD-3-Clause */
/* See watch.h. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/command.h"
#include "cli/watch.h"
#include "common/clock.h"
#include "common/progress.h"

#define LOOK (200 * XM_MS)
#define SAY (2 * XM_SECOND)

static void nap(uint64_t ns)
{
	const struct timespec t = { .tv_sec = (time_t)(ns / XM_SECOND),
				    .tv_nsec = (long)(ns % XM_SECOND) };

	nanosleep(&t, NULL);
}

static void say_progress(const struct xm_progress *p)
{
	char text[96];
	struct xm_words words;

	xm_words_begin(&words, text, sizeof(text));
	xm_progress_words(&words, p->left, xm_progress_ms(p));
	printf("%s\n", text);
	fflush(stdout);
}

/* An address that was answered at has nothing that JSON would have to escape. */
static void print_json(const struct watch *w, const struct extmem_status *s,
		       uint64_t left)
{
	printf("{ \"address\": \"%s\", \"done\": %s, \"left\": %" PRIu64
	       ", \"pool\": %" PRIu64 ", \"goal\": %" PRIu64
	       ", \"free\": %" PRIu64 ", \"leased\": %" PRIu64
	       ", \"leaving\": %s }\n",
	       w->address, left == 0 ? "true" : "false", left, s->pool, s->goal,
	       s->free, s->leased, s->leaving ? "true" : "false");
}

static int end(const struct watch *w, const struct extmem_status *s,
	       uint64_t left)
{
	if (w->json)
		print_json(w, s, left);
	else if (left == 0)
		w->say_done(w, s);
	else
		w->say_left(w, s, left);
	return left == 0 ? COMMAND_OK : COMMAND_NO;
}

int watch(const struct watch *w)
{
	struct extmem_status status = { .size = sizeof(status) };
	uint64_t deadline_ns = xm_time_after(xm_clock_ns(), w->timeout_ns);
	struct xm_progress progress = { 0 };
	uint64_t say_ns = 0;

	for (;;) {
		uint64_t now_ns = xm_clock_ns(), left;

		if (extmem_status(w->address, WATCH_ANSWER_MS, &status) < 0) {
			command_say(w->command, "%s", extmem_error());
			return COMMAND_NO;
		}
		left = w->left(w, &status);
		xm_progress_look(&progress, left, now_ns);
		if (w->is_void(w, &status)) {
			command_say(w->command, "somebody has told %s "
				    "otherwise meanwhile", w->address);
			return COMMAND_NO;
		}
		if (left == 0 || now_ns >= deadline_ns)
			return end(w, &status, left);
		if (now_ns >= say_ns && !w->json) {
			say_progress(&progress);
			say_ns = xm_time_after(now_ns, SAY);
		}
		nap(LOOK);
	}
}
