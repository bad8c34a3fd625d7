/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem swap`: the memory of appliances as this machine's swap. A folder of extmem-mount
 * has the swap file, a loop device with direct I/O makes a block device of it, and the
 * kernel swaps to that. (The kernel takes no swap file of FUSE's, and without direct I/O
 * its own page cache would keep what was swapped out.)
 *
 * What was weighed: who serves swapped pages must not wait for memory, so extmem-mount
 * locks its own, begins its threads at once, has a watchdog, and must be in no limited
 * memory cgroup; where that cannot be had, the command refuses.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/program.h"
#include "common/options_shared.h"
#include "core/extmem.h"

#define PLACE "/run/extmem-swap"
#define FOLDER PLACE "/files"
#define FILE_NAME FOLDER "/swap"
#define DEVICE PLACE "/device" /* a file with its name */
#define CONNECTIONS "/sys/fs/fuse/connections"
#define UNLIMITED (UINT64_C(1) << 60)

struct swap_settings {
	struct xm_option_list appliance, setting;
	const char *strategy;
	bool seal;
	uint64_t priority, deadline_s;
};

static const struct xm_option options[] = {
	XM_SHARED_APPLIANCE(struct swap_settings, appliance,
		"An appliance that lends memory. May be repeated."),
	XM_SHARED_STRATEGY(struct swap_settings, strategy,
		"How many appliances have each byte, and which: "
		"\"mirror 2\"."),
	XM_SHARED_SEAL(struct swap_settings, seal,
		"Encrypt what leaves this machine."),
	{ .name = "setting",
	  .kind = XM_OPTION_LIST,
	  .letter = 'o',
	  .unit = "NAME=VALUE",
	  .help = "Any other setting of extmem(5). May be repeated.",
	  .destination = offsetof(struct swap_settings, setting) },
	{ .name = "priority",
	  .kind = XM_OPTION_COUNT,
	  .letter = 'p',
	  .value = "100",
	  .max = 32767,
	  .help = "Among swap areas the kernel uses that with the highest "
		  "first.",
	  .destination = offsetof(struct swap_settings, priority) },
	{ .name = "deadline",
	  .kind = XM_OPTION_COUNT,
	  .value = "60",
	  .min = 5,
	  .max = 3600,
	  .help = "Seconds without an answer after which the watchdog gives "
		  "the swapped memory up, so that the machine does not hang. "
		  "More than the setting timeout.",
	  .destination = offsetof(struct swap_settings, deadline_s) },
};

static const struct xm_option_table table = {
	.program = "extmem swap",
	.prefix = "EXTMEM",
	.usage = "on SIZE [OPTION]... | off",
	.about = "Lets the kernel swap to the memory of appliances, and ends "
		 "that. It is root's to do. A program whose pages are at an "
		 "appliance that dies ends with SIGBUS, unless there is a "
		 "mirror.",
	.options = options,
	.count = XM_COUNT(options),
};

static int say(int status, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	command_say("swap", "%s", text);
	return status;
}

/* Runs a program, and keeps the first line of what it prints. True: it ended with 0. */
static bool run(const char *const words[], char *line, size_t size)
{
	int ends[2], status = -1;
	ssize_t n;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execvp(words[0], (char **)(uintptr_t)words);
		_exit(127);
	}
	close(ends[1]);
	n = read(ends[0], line, size - 1);
	close(ends[0]);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	bool ok = file != NULL && fputs(text, file) >= 0;

	return file != NULL && fclose(file) == 0 && ok;
}

/* --- whether it is safe ------------------------------------------------------------------ */

/* The first number behind `key` in a file; UNLIMITED: none. */
static uint64_t number_of(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	unsigned long long value = UNLIMITED;
	char line[256];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0 &&
		    sscanf(line + strlen(key), "%llu", &value) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return value;
}

/* Cgroups of version 2 have a limit at each level. */
static uint64_t limit_of(char *path)
{
	char file[4200];
	uint64_t limit = UNLIMITED;

	for (;;) {
		uint64_t here;

		snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.max", path);
		here = number_of(file, "");
		limit = here < limit ? here : limit;
		if (strrchr(path, '/') == NULL)
			return limit;
		*strrchr(path, '/') = '\0';
	}
}

/* This process's, which what it starts inherits; after an attempt to leave it. */
static uint64_t memory_limit(void)
{
	char line[4096], number[32];
	uint64_t limit = UNLIMITED;
	FILE *file;

	snprintf(number, sizeof(number), "%d", (int)getpid());
	(void)write_text("/sys/fs/cgroup/memory/cgroup.procs", number);
	(void)write_text("/sys/fs/cgroup/cgroup.procs", number);
	file = fopen("/proc/self/cgroup", "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char *path = strrchr(line, ':') + 1, stat[4200];
		uint64_t here = UNLIMITED;

		path[strcspn(path, "\n")] = '\0';
		if (strstr(line, ":memory:") != NULL) {
			snprintf(stat, sizeof(stat),
				 "/sys/fs/cgroup/memory%s/memory.stat", path);
			here = number_of(stat, "hierarchical_memory_limit");
		} else if (strncmp(line, "0::", 3) == 0) {
			here = limit_of(path);
		}
		limit = here < limit ? here : limit;
	}
	if (file != NULL)
		fclose(file);
	return limit;
}

static int check_safe(void)
{
	char line[64];

	if (geteuid() != 0)
		return say(COMMAND_NO, "swap is root's to change");
	if (access(DEVICE, F_OK) == 0)
		return say(COMMAND_NO, "it is on; `extmem swap off` first");
	if (!run((const char *const[]){ "losetup", "--version", NULL }, line,
		 sizeof(line)))
		return say(COMMAND_NO, "losetup is not here (Debian: mount)");
	if (memory_limit() < UNLIMITED)
		return say(COMMAND_NO, "this process is in a memory cgroup with a "
			   "limit, and cannot leave it: the kernel would wait for "
			   "it while it waits for memory. Start it outside");
	if (access("/dev/fuse", R_OK | W_OK) != 0)
		return say(COMMAND_NO, "/dev/fuse is not here");
	(void)mount("none", CONNECTIONS, "fusectl", 0, NULL); /* it may be there */
	return 0;
}

/* --- on ---------------------------------------------------------------------------------- */

static bool make_folder(const struct swap_settings *s, uint64_t size)
{
	char program[PROGRAM_PATH_SIZE], line[64], number[32], deadline[32];
	const char **words = calloc(16 + 2 * (s->appliance.count + s->setting.count),
				    sizeof(*words));
	size_t n = 0;
	bool ok;

	if (words == NULL || !program_beside("extmem-mount", program))
		return say(false, "extmem-mount is not beside this program: "
			   "configure and build again with libfuse 3 (Debian: "
			   "libfuse3-dev)");
	snprintf(number, sizeof(number), "%llu", (unsigned long long)size);
	snprintf(deadline, sizeof(deadline), "%llu",
		 (unsigned long long)s->deadline_s);
	words[n++] = program;
	words[n++] = "--swap";
	words[n++] = "--size";
	words[n++] = number;
	words[n++] = "--deadline";
	words[n++] = deadline;
	if (s->seal)
		words[n++] = "--seal";
	if (s->strategy[0] != '\0') {
		words[n++] = "--strategy";
		words[n++] = s->strategy;
	}
	for (size_t i = 0; i < s->appliance.count; i++) {
		words[n++] = "--appliance";
		words[n++] = s->appliance.items[i];
	}
	for (size_t i = 0; i < s->setting.count; i++) {
		words[n++] = "--setting";
		words[n++] = s->setting.items[i];
	}
	words[n++] = FOLDER;
	mkdir(PLACE, 0700);
	mkdir(FOLDER, 0700);
	ok = run(words, line, sizeof(line));
	free(words);
	return ok;
}

/* All of its memory is there before the first page is swapped. */
static bool make_file(uint64_t size)
{
	int fd = open(FILE_NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && fallocate(fd, 0, 0, (off_t)size) == 0;

	if (!ok)
		say(0, FILE_NAME ": %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool make_device(char device[64])
{
	const char *const losetup[] = { "losetup", "--direct-io=on",
					"--sector-size", "4096", "--find", "--show",
					FILE_NAME, NULL };
	const char *const mkswap[] = { "mkswap", device, NULL };
	char path[128], line[128];

	if (!run(losetup, device, 64) ||
	    snprintf(path, sizeof(path), "/sys/block/%s/loop/dio",
		     strrchr(device, '/') + 1) < 0)
		return say(false, "no loop device can be had");
	if (!write_text(DEVICE, device))
		return say(false, DEVICE " cannot be written");
	if (number_of(path, "") != 1)
		return say(false, "this kernel has no direct I/O for %s: what is "
			   "swapped out would stay in its page cache", device);
	return run(mkswap, line, sizeof(line)) || say(false, "mkswap failed");
}

/* The loop device may let go of the file a moment later. False: something else holds it. */
static bool unmount(void)
{
	for (int tries = 0; tries < 50; tries++) {
		if (umount2(FOLDER, 0) == 0)
			return true;
		/* It was never mounted, or is not any more. */
		if (errno == EINVAL || errno == ENOENT)
			return true;
		if (errno != EBUSY)
			return false;
		usleep(100000);
	}
	errno = EBUSY;
	return false;
}

/* As much as there is. */
static int take_down(void)
{
	char device[64] = "", line[64];
	FILE *file = fopen(DEVICE, "re");
	bool has = file != NULL && fgets(device, sizeof(device), file) != NULL;

	if (file != NULL)
		fclose(file);
	if (has) {
		if (swapoff(device) != 0 && errno != EINVAL)
			return say(COMMAND_NO, errno == ENOMEM
				   ? "%s: there is not enough memory here for what is "
				     "swapped out: end programs, then try again"
				   : "%s cannot be taken away", device);
		run((const char *const[]){ "losetup", "--detach", device, NULL },
		    line, sizeof(line));
	}
	unlink(DEVICE);
	if (!unmount())
		return say(COMMAND_NO, FOLDER ": %s: a program still uses it; end that, "
			   "then `extmem swap off` once more gives the memory back",
			   strerror(errno));
	rmdir(FOLDER);
	rmdir(PLACE);
	return COMMAND_OK;
}

/* Says so, if swapped pages may lie at one appliance alone. False: there is no such
 * strategy. */
static bool check_strategy(const struct swap_settings *s)
{
	struct extmem_strategy found = { .size = sizeof(found) };
	const char **settings = calloc(s->setting.count + 1, sizeof(*settings));
	int rc;

	if (settings == NULL)
		return say(false, "out of memory");
	for (size_t i = 0; i < s->setting.count; i++)
		settings[i] = s->setting.items[i];
	rc = extmem_strategy_read(settings, s->strategy[0] != '\0' ? s->strategy : NULL,
				  &found);
	free(settings);
	if (rc < 0)
		return say(false, "%s", extmem_error());
	/* As it was read, each choice says how many mirrors it has. */
	if (found.text[0] == '\0' || strstr(found.text, "mirror 1") != NULL)
		say(0, "without --strategy 'mirror 2' programs end when an appliance "
		    "dies that has their pages");
	return true;
}

static int turn_on(const struct swap_settings *s, uint64_t size)
{
	int flags = SWAP_FLAG_PREFER | (int)s->priority;
	char device[64];

	if (check_safe() != 0 || !check_strategy(s))
		return COMMAND_NO;
	if (!make_folder(s, size) || !make_file(size) || !make_device(device)) {
		take_down();
		return COMMAND_NO;
	}
	if (swapon(device, flags) != 0) {
		say(0, "swapon %s: %s", device, strerror(errno));
		take_down();
		return COMMAND_NO;
	}
	printf("%llu MiB of swap at %s\n", (unsigned long long)(size / XM_MIB),
	       device);
	return COMMAND_OK;
}

int command_swap(int argc, char *argv[])
{
	static struct swap_settings settings;
	static char name[] = "swap";
	bool on = argc > 1 && strcmp(argv[1], "on") == 0;
	bool off = argc > 1 && strcmp(argv[1], "off") == 0;
	int skipped = on ? 2 : off ? 1 : 0, status;
	struct xm_options *o;
	uint64_t size = 0;

	if (on && (argc < 3 || xm_parse_size(argv[2], &size) < 0 || size < XM_MIB))
		return say(COMMAND_USAGE, "how much? `extmem swap on 8G --appliance "
			   "ofi+tcp://host:7470`");
	argv[skipped] = name;
	status = command_options(&table, &settings, argc - skipped, argv + skipped,
				 &o, NULL);
	if (status < 0 && !on && !off)
		status = say(COMMAND_USAGE, "`extmem swap on SIZE`, or `extmem swap "
			     "off`");
	if (status < 0 && off && geteuid() != 0)
		status = say(COMMAND_NO, "swap is root's to change");
	if (status < 0 && off && access(PLACE, F_OK) != 0)
		status = say(COMMAND_NO, "it is not on");
	/* Whole pages; what the loop device has in its last sector, too. */
	size = (size + XM_MIB - 1) / XM_MIB * XM_MIB;
	if (status < 0)
		status = on ? turn_on(&settings, size) : take_down();
	xm_options_close(o);
	return status;
}
