/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem drain`: empties an appliance of what clients have there, while their programs
 * run. The appliance is told; the clients move. Here we watch, and say what is left.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <stddef.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/watch.h"
#include "common/options_shared.h"

#define SHOWN 16 /* regions that stay, most */

struct settings {
	uint64_t timeout_ns;
	bool off, wait, json;
};

static const struct xm_option options[] = {
	XM_SHARED_TIMEOUT(struct settings, timeout_ns,
		"How long to wait until the appliance is empty."),
	XM_SHARED_WAIT(struct settings, wait,
		"Wait until the appliance is empty. With --no-wait it is "
		"told to drain, and that is all."),
	{ .name = "off",
	  .kind = XM_OPTION_FLAG,
	  .help = "Let the appliance lend memory again.",
	  .destination = offsetof(struct settings, off) },
	XM_SHARED_JSON(struct settings, json,
		"Print one JSON object at the end, and nothing before."),
};

static const struct xm_option_table table = {
	.program = "extmem drain",
	.prefix = "EXTMEM",
	.usage = "[OPTION]... ADDR",
	.about = "Tells the appliance at ADDR to lend nothing more, and its "
		 "clients to move what they have there to their other "
		 "appliances, while their programs run. What has nowhere to go "
		 "stays, and works on.",
	.options = options,
	.count = XM_COUNT(options),
};

/* Whose memory it is that has not moved. */
static void say_who_stays(const char *address)
{
	static struct extmem_region_entry entries[SHOWN];
	int count = extmem_status_regions(address, WATCH_ANSWER_MS, 0, entries,
					  SHOWN);

	for (int i = 0; i < count; i++) {
		const struct extmem_region_entry *e = &entries[i];
		const char *name = e->name[0] ? e->name : "a region";
		double size = (double)e->size / XM_MIB;

		if (e->client != 0)
			command_say("drain", "%s of %s stays: %.1f MiB", name,
				    e->owner, size);
		else
			command_say("drain", "%s waits for a client: %.1f MiB; "
				    "`extmem region rm --extent %llu -a %s` "
				    "frees it for ever", name, size,
				    (unsigned long long)e->extent, address);
	}
	if (count == SHOWN)
		command_say("drain", "those are the first %d", SHOWN);
}

static uint64_t left(const struct watch *w, const struct extmem_status *s)
{
	(void)w;
	return s->leased;
}

static bool is_void(const struct watch *w, const struct extmem_status *s)
{
	(void)w;
	return s->leased > 0 && s->leaving == 0;
}

static void say_done(const struct watch *w, const struct extmem_status *s)
{
	(void)s;
	printf("%s is empty, and lends nothing; it can be stopped\n",
	       w->address);
}

static void say_left(const struct watch *w, const struct extmem_status *s,
		     uint64_t bytes)
{
	(void)s;
	(void)bytes;
	say_who_stays(w->address);
	command_say("drain", "%s is not empty: other appliances of these "
		    "clients have no room, or there are none. It works on, "
		    "and lends nothing more: give the clients room, or "
		    "`extmem drain --off %s`", w->address, w->address);
}

int command_drain(int argc, char *argv[])
{
	static struct settings settings;
	struct watch w = { .command = "drain", .left = left,
			   .is_void = is_void, .say_done = say_done,
			   .say_left = say_left };
	struct xm_options *o;
	int rest, status;

	status = command_options(&table, &settings, argc, argv, &o, &rest);
	if (status < 0 && rest + 1 != argc) {
		command_say("drain", rest >= argc
					     ? "which appliance? `extmem drain "
					       "ofi+tcp://host:7470`"
					     : "one appliance at a time");
		status = COMMAND_USAGE;
	}
	if (status < 0 &&
	    extmem_drain(argv[rest], settings.off ? 0 : 1, WATCH_ANSWER_MS) < 0) {
		command_say("drain", "%s", extmem_error());
		status = COMMAND_NO;
	}
	if (status < 0 && !settings.off && settings.wait) {
		w.address = argv[rest];
		w.timeout_ns = settings.timeout_ns;
		w.json = settings.json;
		status = watch(&w);
	} else if (status < 0) {
		printf("%s %s\n", argv[rest],
		       settings.off ? "lends memory again" : "drains");
		status = COMMAND_OK;
	}
	xm_options_close(o);
	return status;
}
