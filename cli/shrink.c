/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem shrink`: an appliance gives memory back to its host, while programs run. It is
 * told a size; its free memory beyond that goes at once, and clients move what they have
 * there. Here we watch, and say what is left.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <stddef.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/watch.h"
#include "common/options_shared.h"

struct settings {
	uint64_t timeout_ns;
	bool wait, json;
};

static const struct xm_option options[] = {
	XM_SHARED_TIMEOUT(struct settings, timeout_ns,
		"How long to wait until the appliance has no more memory "
		"than that."),
	XM_SHARED_WAIT(struct settings, wait,
		"Wait until it has. With --no-wait it is told the size, and "
		"that is all."),
	XM_SHARED_JSON(struct settings, json,
		"Print one JSON object at the end, and nothing before."),
};

static const struct xm_option_table table = {
	.program = "extmem shrink",
	.prefix = "EXTMEM",
	.usage = "[OPTION]... ADDR SIZE",
	.about = "Tells the appliance at ADDR to lend no more than SIZE, and "
		 "to give the rest of its memory back to its host. What "
		 "clients have there moves to their other appliances, while "
		 "their programs run; what has nowhere to go stays, and works "
		 "on. A larger SIZE, up to that at its start, lets it grow "
		 "again.",
	.options = options,
	.count = XM_COUNT(options),
};

static uint64_t left(const struct watch *w, const struct extmem_status *s)
{
	(void)w;
	return s->pool > s->goal ? s->pool - s->goal : s->goal - s->pool;
}

/* It rounds the size up, to 2 MiB at most. */
static bool is_void(const struct watch *w, const struct extmem_status *s)
{
	return s->goal < w->aim || s->goal - w->aim >= 2 * XM_MIB;
}

static void say_done(const struct watch *w, const struct extmem_status *s)
{
	printf("%s has %.1f MiB now, of which %.1f MiB are lent\n", w->address,
	       (double)s->pool / XM_MIB, (double)s->leased / XM_MIB);
}

static void say_left(const struct watch *w, const struct extmem_status *s,
		     uint64_t bytes)
{
	if (s->pool < s->goal) {
		command_say("shrink", "%s has %.1f MiB, and is still growing",
			    w->address, (double)s->pool / XM_MIB);
		return;
	}
	command_say("shrink", "%s has %.1f MiB too much: clients have memory "
		    "there, and no room at other appliances, or none. It "
		    "stays until they give it back; give them room, or see "
		    "`extmem region list -a %s`: what waits for a client "
		    "stays, too", w->address, (double)bytes / XM_MIB,
		    w->address);
}

static int ask(const char *address, const char *size, struct watch *w)
{
	if (xm_parse_size(size, &w->aim) != 0) {
		command_say("shrink", "%s is no size, such as 512M or 8G", size);
		return COMMAND_USAGE;
	}
	w->address = address;
	if (extmem_shrink(address, w->aim, WATCH_ANSWER_MS) < 0) {
		command_say("shrink", "%s", extmem_error());
		return COMMAND_NO;
	}
	return -1;
}

int command_shrink(int argc, char *argv[])
{
	static struct settings settings;
	struct watch w = { .command = "shrink", .left = left,
			   .is_void = is_void, .say_done = say_done,
			   .say_left = say_left };
	struct xm_options *o;
	int rest, status;

	status = command_options(&table, &settings, argc, argv, &o, &rest);
	if (status < 0 && rest + 2 != argc) {
		command_say("shrink", "which appliance, and to what size? "
			    "`extmem shrink ofi+tcp://host:7470 8G`");
		status = COMMAND_USAGE;
	}
	if (status < 0)
		status = ask(argv[rest], argv[rest + 1], &w);
	if (status < 0 && settings.wait) {
		w.timeout_ns = settings.timeout_ns;
		w.json = settings.json;
		status = watch(&w);
	} else if (status < 0) {
		printf("%s is to have %s\n", argv[rest], argv[rest + 1]);
		status = COMMAND_OK;
	}
	xm_options_close(o);
	return status;
}
