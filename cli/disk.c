/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem disk`: executes nbdkit with the plugin of faces/disk, in the foreground; so its
 * exit status and its signals are nbdkit's.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/program.h"
#include "common/options_shared.h"
#include "core/extmem.h"

#define PLUGIN "nbdkit-extmem-plugin.so"

struct disk_settings {
	uint64_t size, port;
	struct xm_option_list appliance;
	const char *region, *token, *strategy, *socket, *listen;
	bool seal, durable;
};

static const struct xm_option options[] = {
	XM_SHARED_SIZE(struct disk_settings, size,
		"Size of the disk."),
	{ .name = "region",
	  .kind = XM_OPTION_TEXT,
	  .letter = 'r',
	  .unit = "NAME",
	  .help = "Keep the disk under this name when it ends, and find it "
		  "again. Its token is in a file of that name, or of that path; "
		  "see nbdkit-extmem-plugin(1).",
	  .destination = offsetof(struct disk_settings, region) },
	{ .name = "token",
	  .kind = XM_OPTION_TEXT,
	  .help = "Serve the region that waits under this token, and leave it "
		  "there at the end. `ps` shows a token to others; --region "
		  "reads it from a file.",
	  .destination = offsetof(struct disk_settings, token) },
	{ .name = "durable",
	  .kind = XM_OPTION_FLAG,
	  .help = "With --region or --token: a flush returns when what was "
		  "written is on the disks of the appliances (extmemd "
		  "--store).",
	  .destination = offsetof(struct disk_settings, durable) },
	XM_SHARED_APPLIANCE(struct disk_settings, appliance,
		"An appliance that lends memory. May be repeated."),
	XM_SHARED_STRATEGY(struct disk_settings, strategy,
		"How many appliances have each byte, and which: "
		"\"mirror 2\"."),
	XM_SHARED_SEAL(struct disk_settings, seal,
		"Encrypt what leaves this machine."),
	{ .name = "socket",
	  .kind = XM_OPTION_TEXT,
	  .letter = 'U',
	  .unit = "PATH",
	  .help = "Serve at a Unix socket, which must not be there yet.",
	  .destination = offsetof(struct disk_settings, socket) },
	{ .name = "port",
	  .kind = XM_OPTION_COUNT,
	  .letter = 'p',
	  .value = "10809",
	  .min = 1,
	  .max = 65535,
	  .help = "Without a socket: serve at this TCP port.",
	  .destination = offsetof(struct disk_settings, port) },
	{ .name = "listen",
	  .kind = XM_OPTION_TEXT,
	  .letter = 'i',
	  .value = "127.0.0.1",
	  .unit = "HOST",
	  .help = "Without a socket: serve at this address of this machine. "
		  "Whoever reaches it can read and write the disk, unless "
		  "nbdkit's TLS is used: -- --tls=require.",
	  .destination = offsetof(struct disk_settings, listen) },
};

static const struct xm_option_table table = {
	.program = "extmem disk",
	.prefix = "EXTMEM",
	.usage = "--size SIZE|--region NAME|--token TOKEN [OPTION]... "
		 "[-- NBDKIT_OPTION|NAME=VALUE...]",
	.about = "Serves a disk in the memory of appliances, by nbdkit, until a "
		 "signal ends it; then its contents are gone, unless it has a "
		 "name or a token. Further options are nbdkit's own, and "
		 "settings of extmem(5). See nbdkit-extmem-plugin(1).",
	.options = options,
	.count = XM_COUNT(options),
};

static bool plugin_find(char ret_path[PROGRAM_PATH_SIZE])
{
	if (program_beside(".libs/" PLUGIN, ret_path))
		return true;
	snprintf(ret_path, PROGRAM_PATH_SIZE, "%s", EXTMEM_NBDKITDIR "/" PLUGIN);
	return access(ret_path, R_OK) == 0;
}

/* The arguments of nbdkit. They live until the process is another program. */
struct line {
	char **words;
	size_t count, max;
};

static void add(struct line *line, const char *name, const char *value)
{
	char *word = NULL;

	if (line->count + 1 < line->max &&
	    asprintf(&word, "%s%s", name, value) >= 0)
		line->words[line->count++] = word;
}

/* What begins with a hyphen is nbdkit's and stands before the plugin's name. */
static void add_rest(struct line *line, char *const rest[], bool flags)
{
	for (; *rest != NULL; rest++)
		if ((**rest == '-') == flags)
			add(line, *rest, "");
}

static void make_line(struct line *line, const struct disk_settings *s,
		      const char *plugin, char *const rest[])
{
	char text[32];

	add(line, "nbdkit", "");
	add(line, "-f", "");
	if (s->socket[0] != '\0') {
		add(line, "--unix=", s->socket);
	} else {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)s->port);
		add(line, "--port=", text);
		add(line, "--ipaddr=", s->listen);
	}
	add_rest(line, rest, true);
	add(line, plugin, "");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)s->size);
	if (s->size > 0)
		add(line, "size=", text);
	if (s->region[0] != '\0')
		add(line, "region=", s->region);
	if (s->token[0] != '\0')
		add(line, "token=", s->token);
	if (s->durable)
		add(line, "durable=", "yes");
	for (size_t i = 0; i < s->appliance.count; i++)
		add(line, "appliance=", s->appliance.items[i]);
	if (s->strategy[0] != '\0')
		add(line, "strategy=", s->strategy);
	if (s->seal)
		add(line, "seal=", "all");
	add_rest(line, rest, false);
	line->words[line->count] = NULL;
}

static int run(const struct disk_settings *s, int rest_count, char *const rest[])
{
	struct line line = { .max = 32 + s->appliance.count + (size_t)rest_count };
	char plugin[PROGRAM_PATH_SIZE];

	if (s->size == 0 && s->region[0] == '\0' && s->token[0] == '\0') {
		command_say("disk", "how large? `extmem disk --size 1G "
				    "--appliance ofi+tcp://host:7470`");
		return COMMAND_USAGE;
	}
	if (s->durable && s->region[0] == '\0' && s->token[0] == '\0') {
		command_say("disk", "--durable is for a disk that is kept: give it "
				    "a --region NAME");
		return COMMAND_USAGE;
	}
	if (!plugin_find(plugin)) {
		command_say("disk", PLUGIN " is neither beside this program nor "
			    "in " EXTMEM_NBDKITDIR ": configure and build again "
			    "with nbdkit's header (Debian: nbdkit-plugin-dev)");
		return COMMAND_NO;
	}
	line.words = calloc(line.max + 1, sizeof(*line.words));
	if (line.words == NULL) {
		command_say("disk", "out of memory");
		return COMMAND_NO;
	}
	make_line(&line, s, plugin, rest);
	execvp(line.words[0], line.words);
	if (errno == ENOENT)
		command_say("disk", "nbdkit is not here (Debian: nbdkit)");
	else
		command_say("disk", "nbdkit cannot be executed: %s",
			    strerror(errno));
	return COMMAND_NO;
}

int command_disk(int argc, char *argv[])
{
	static struct disk_settings settings;
	struct xm_options *o;
	int rest, status;

	status = command_options(&table, &settings, argc, argv, &o, &rest);
	if (status < 0)
		status = run(&settings, argc - rest, argv + rest);
	xm_options_close(o);
	return status;
}
