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
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "common/clock.h"
#include "common/progress.h"
#include "core/extmem.h"

#define TIMEOUT_MS 5000
#define LOOK (200 * XM_MS)
#define SAY (2 * XM_SECOND)
#define SHOWN 16 /* regions that stay, most */

struct settings {
	uint64_t timeout_ns;
	bool off, wait;
};

static const struct xm_option options[] = {
	{ .name = "timeout",
	  .kind = XM_OPTION_DURATION,
	  .letter = 't',
	  .value = "10m",
	  .max = 86400 * XM_SECOND,
	  .help = "How long to wait until the appliance is empty.",
	  .destination = offsetof(struct settings, timeout_ns) },
	{ .name = "wait",
	  .kind = XM_OPTION_FLAG,
	  .letter = 'w',
	  .value = "yes",
	  .help = "Wait until the appliance is empty. With --no-wait it is "
		  "told to drain, and that is all.",
	  .destination = offsetof(struct settings, wait) },
	{ .name = "off",
	  .kind = XM_OPTION_FLAG,
	  .help = "Let the appliance lend memory again.",
	  .destination = offsetof(struct settings, off) },
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

static void nap(uint64_t ns)
{
	const struct timespec t = { .tv_sec = (time_t)(ns / XM_SECOND),
				    .tv_nsec = (long)(ns % XM_SECOND) };

	nanosleep(&t, NULL);
}

static void say_left(const struct xm_progress *p)
{
	char text[96];
	struct xm_words words;

	xm_words_begin(&words, text, sizeof(text));
	xm_progress_words(&words, p->left, xm_progress_ms(p));
	printf("%s\n", text);
	fflush(stdout);
}

/* Whose memory it is that has not moved. */
static void say_who_stays(const char *address)
{
	static struct extmem_region_entry entries[SHOWN];
	int count = extmem_status_regions(address, TIMEOUT_MS, 0, entries,
					  SHOWN);

	for (int i = 0; i < count; i++)
		command_say("drain", "%s of %s stays: %.1f MiB",
			    entries[i].name[0] ? entries[i].name : "a region",
			    entries[i].owner,
			    (double)entries[i].size / XM_MIB);
	if (count == SHOWN)
		command_say("drain", "those are the first %d", SHOWN);
}

static int watch(const char *address, uint64_t timeout_ns)
{
	struct extmem_status status = { .size = sizeof(status) };
	uint64_t deadline_ns = xm_time_after(xm_clock_ns(), timeout_ns);
	struct xm_progress progress = { 0 };
	uint64_t say_ns = 0;

	for (;;) {
		uint64_t now_ns = xm_clock_ns();

		if (extmem_status(address, TIMEOUT_MS, &status) < 0) {
			command_say("drain", "%s", extmem_error());
			return COMMAND_NO;
		}
		xm_progress_look(&progress, status.leased, now_ns);
		if (status.leased == 0) {
			printf("%s is empty, and lends nothing; it can be "
			       "stopped\n", address);
			return COMMAND_OK;
		}
		if (status.leaving == 0) {
			command_say("drain", "somebody has told %s to lend "
				    "memory again", address);
			return COMMAND_NO;
		}
		if (now_ns >= deadline_ns)
			break;
		if (now_ns >= say_ns) {
			say_left(&progress);
			say_ns = xm_time_after(now_ns, SAY);
		}
		nap(LOOK);
	}
	say_who_stays(address);
	command_say("drain", "%s is not empty: other appliances of these "
		    "clients have no room, or there are none. It works on, "
		    "and lends nothing more: give the clients room, or "
		    "`extmem drain --off %s`", address, address);
	return COMMAND_NO;
}

int command_drain(int argc, char *argv[])
{
	static struct settings settings;
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
	    extmem_drain(argv[rest], settings.off ? 0 : 1, TIMEOUT_MS) < 0) {
		command_say("drain", "%s", extmem_error());
		status = COMMAND_NO;
	}
	if (status < 0 && !settings.off && settings.wait) {
		status = watch(argv[rest], settings.timeout_ns);
	} else if (status < 0) {
		printf("%s %s\n", argv[rest],
		       settings.off ? "lends memory again" : "drains");
		status = COMMAND_OK;
	}
	xm_options_close(o);
	return status;
}
