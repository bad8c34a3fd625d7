/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem doctor`: what this machine allows, and the line that would allow
 * more. Every finding is tried on a descriptor that is thrown away, not read
 * off a version number.
 *
 * The rungs of userfaultfd, best first: /dev/userfaultfd can be opened; the
 * system call gives full access; it gives access for faults from user space
 * alone (buffers of system calls are made present first); none.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/auth.h"
#include "cli/command.h"
#include "common/options_shared.h"
#include "core/extmem.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#define FINDINGS_MAX 32

enum verdict { FINE, LIMITED, MISSING };

struct finding {
	char name[24];
	enum verdict verdict;
	char words[320];
	char remedy[192]; /* the exact line; "" when there is no need */
};

struct findings {
	struct finding list[FINDINGS_MAX];
	unsigned count;
};

static struct finding *find_out(struct findings *f, const char *name,
				enum verdict verdict, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static struct finding *find_out(struct findings *f, const char *name,
				enum verdict verdict, const char *format, ...)
{
	struct finding *finding = &f->list[f->count];
	va_list arguments;

	XM_ASSERT(f->count < FINDINGS_MAX);
	f->count++;
	snprintf(finding->name, sizeof(finding->name), "%s", name);
	finding->verdict = verdict;
	va_start(arguments, format);
	vsnprintf(finding->words, sizeof(finding->words), format, arguments);
	va_end(arguments);
	return finding;
}

static void remedy(struct finding *finding, const char *line)
{
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", line);
}

/* One number from a file of /proc or /sys; -1: not there. */
static long long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long long n = -1;

	if (file) {
		if (fscanf(file, "%lld", &n) != 1)
			n = -1;
		fclose(file);
	}
	return n;
}

static long long meminfo_kib(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long long n = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0 &&
		    line[strlen(name)] == ':')
			sscanf(line + strlen(name) + 1, "%lld", &n);
	if (file)
		fclose(file);
	return n;
}

/* --- userfaultfd ---------------------------------------------------------------- */

static const char *yes(uint32_t it_is)
{
	return it_is ? "yes" : "no";
}

static void try_userfaultfd(struct findings *f)
{
	struct extmem_capabilities capabilities = { .size = sizeof(capabilities) };
	long long allowed = read_number("/proc/sys/vm/unprivileged_userfaultfd");
	bool device = access("/dev/userfaultfd", F_OK) == 0;
	struct finding *finding;

	extmem_capabilities(&capabilities);
	find_out(f, "pages", sysconf(_SC_PAGESIZE) == (long)XM_PAGE ? FINE : MISSING,
		 "of %ld bytes; extmem is built for %llu",
		 sysconf(_SC_PAGESIZE), (unsigned long long)XM_PAGE);
	find_out(f, "/dev/userfaultfd", capabilities.device ? FINE : LIMITED, "%s",
		 capabilities.device ? "can be opened"
		 : device     ? "is there, and not for this user"
			      : "is not there (Linux 6.1 and later have it)");
	find_out(f, "system call", capabilities.full ? FINE : LIMITED, "%s%s",
		 capabilities.full ? "full: faults of the kernel too"
			    : "not for faults of the kernel",
		 allowed == 1	? "; vm.unprivileged_userfaultfd = 1"
		 : allowed == 0 ? "; vm.unprivileged_userfaultfd = 0"
				: "");
	find_out(f, "user mode only", capabilities.user ? FINE : LIMITED, "%s",
		 capabilities.user ? "allowed" : "not allowed");
	if (!capabilities.device && !capabilities.full && !capabilities.user) {
		finding = find_out(f, "paging", MISSING,
				   "no userfaultfd at all: nothing can be "
				   "mapped (%s)", strerror(capabilities.error));
		remedy(finding, capabilities.error == ENOSYS
			? "a kernel with CONFIG_USERFAULTFD; in a container: "
			  "a seccomp profile that allows userfaultfd"
			: "in a container: --device /dev/userfaultfd, or a "
			  "seccomp profile that allows userfaultfd; else: sudo "
			  "sysctl vm.unprivileged_userfaultfd=1");
		return;
	}
	finding = find_out(f, "paging",
			   capabilities.device || capabilities.full ? FINE : LIMITED, "%s",
			   capabilities.device || capabilities.full
				   ? "inline, or by a thread (--paging=thread)"
				   : "inline only: buffers of system calls are "
				     "made present first");
	if (finding->verdict != FINE)
		remedy(finding, device
			? "sudo setfacl -m u:$USER:rw /dev/userfaultfd"
			: "sudo sysctl vm.unprivileged_userfaultfd=1");
	finding = find_out(f, "features",
			   capabilities.sigbus && capabilities.protects ? FINE : MISSING,
			   "write-protect %s, SIGBUS %s, POISON %s, MOVE %s",
			   yes(capabilities.protects), yes(capabilities.sigbus),
			   yes(capabilities.poisons), yes(capabilities.moves));
	if (finding->verdict != FINE)
		remedy(finding, "a kernel from 5.7 on");
	find_out(f, "kernel calls",
		 capabilities.missing[0] == '\0' ? FINE : LIMITED, "%s",
		 capabilities.missing[0] == '\0' ? "all that extmem uses"
						 : capabilities.missing);
}

/* --- extmem run ------------------------------------------------------------------- */

static bool traps_calls(void)
{
	uint32_t action = SECCOMP_RET_TRAP;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* The steps of extmem-run(7). */
static void try_steps(struct findings *f)
{
	struct extmem_capabilities capabilities = { .size = sizeof(capabilities) };
	bool traps = traps_calls();
	struct finding *finding;

	extmem_capabilities(&capabilities);
	finding = find_out(f, "seccomp", traps ? FINE : LIMITED, "%s",
			   traps ? "calls can be trapped"
				 : "only calls that are made through libc can "
				   "be served");
	if (!traps)
		remedy(finding, "a kernel with CONFIG_SECCOMP_FILTER, and a "
				"profile that allows seccomp");
	if (!capabilities.device && !capabilities.full && !capabilities.user)
		find_out(f, "extmem run", MISSING, "step 1 of 4: nothing can "
						   "be mapped");
	else if (capabilities.device || capabilities.full)
		find_out(f, "extmem run", FINE,
			 "step 4 of 4: faults of the kernel can be served "
			 "(--paging=thread)%s",
			 traps ? "; by default calls are trapped" : "");
	else if (traps)
		find_out(f, "extmem run", FINE, "step 3 of 4: faults of user "
						"space; calls are trapped");
	else
		find_out(f, "extmem run", LIMITED,
			 "step 2 of 4: faults of user space; calls through "
			 "libc alone");
}

/* Where this process' limit is kept; "": nowhere. */
static void find_cgroup(char path[512])
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[384], *at;

	path[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		at = strstr(line, ":memory:");
		if (at)
			snprintf(path, 512, "/sys/fs/cgroup/memory%s/memory."
				 "limit_in_bytes", at + 8);
		else if (strncmp(line, "0::", 3) == 0 && !path[0])
			snprintf(path, 512, "/sys/fs/cgroup%s/memory.max",
				 line + 3);
	}
	if (file)
		fclose(file);
}

static void try_cgroup(struct findings *f)
{
	char path[512];
	long long limit;

	find_cgroup(path);
	limit = path[0] ? read_number(path) : -1;
	if (limit < 0 || (uint64_t)limit >= 1024 * 1024 * XM_GIB) {
		find_out(f, "memory cgroup", FINE, "no limit");
		return;
	}
	remedy(find_out(f, "memory cgroup", LIMITED,
			"%llu MiB; local memory counts in it, and an "
			"appliance that runs in it",
			(unsigned long long)limit / XM_MIB),
	       "--local well below it, and an appliance elsewhere");
}

/* --- memory ----------------------------------------------------------------------- */

static void try_memory(struct findings *f)
{
	struct rlimit limit;
	struct finding *finding;
	long long n;
	char text[32];

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
		if (limit.rlim_cur == RLIM_INFINITY)
			snprintf(text, sizeof(text), "unlimited");
		else
			xm_format_size(limit.rlim_cur, text, sizeof(text));
		finding = find_out(f, "locked memory",
				   limit.rlim_cur >= 64 * XM_MIB ? FINE
								 : LIMITED,
				   "%s (ulimit -l); matters to verbs and to "
				   "extmemd", text);
		if (finding->verdict != FINE)
			remedy(finding,
			       "echo \"$USER - memlock unlimited\" | sudo tee "
			       "/etc/security/limits.d/extmem.conf");
	}
	if (getrlimit(RLIMIT_AS, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY) {
		xm_format_size(limit.rlim_cur, text, sizeof(text));
		finding = find_out(f, "address space", LIMITED,
				   "%s (ulimit -v): mappings must fit in it",
				   text);
		remedy(finding, "ulimit -v unlimited");
	}
	n = read_number("/proc/sys/vm/overcommit_memory");
	finding = find_out(f, "overcommit", n == 2 ? LIMITED : FINE,
			   n == 2 ? "strict: large regions may not be mapped"
				  : "vm.overcommit_memory = %lld", n);
	if (n == 2)
		remedy(finding, "sudo sysctl vm.overcommit_memory=0");
	n = meminfo_kib("HugePages_Free");
	finding = find_out(f, "huge pages", n > 0 ? FINE : LIMITED,
			   "%lld free; an appliance can use them", n < 0 ? 0 : n);
	if (n <= 0)
		remedy(finding, "sudo sysctl vm.nr_hugepages=512   (1 GiB)");
	n = meminfo_kib("MemAvailable");
	find_out(f, "memory", FINE, "%lld MiB available here", n / 1024);
}

static void try_credentials(struct findings *f)
{
	const char *file = getenv("EXTMEM_AUTH");
	char words[256];
	bool good;

	if (!file || !*file) {
		remedy(find_out(f, "credentials", LIMITED,
				"none: appliances on this machine alone"),
		       "extmem auth init keys; export EXTMEM_AUTH=FILE");
		return;
	}
	good = auth_check(file, words, sizeof(words));
	remedy(find_out(f, "credentials", good ? FINE : MISSING, "%s", words),
	       good ? "" : "extmem auth renew DIR NAME; copy the file again");
}

static void try_providers(struct findings *f)
{
	static char text[4096];
	char *line, *state = NULL;

	if (extmem_providers(text, sizeof(text)) < 0) {
		remedy(find_out(f, "providers", MISSING, "%s", extmem_error()),
		       "sudo apt-get install libfabric1");
		return;
	}
	for (line = strtok_r(text, "\n", &state);
	     line && f->count < FINDINGS_MAX;
	     line = strtok_r(NULL, "\n", &state))
		find_out(f, "transport", strstr(line, " - ") ? LIMITED : FINE,
			 "%s", line);
}

/* --- words ------------------------------------------------------------------------ */

static const char *const verdict_names[] = { "ok", "limited", "MISSING" };

static void print(const struct findings *f)
{
	for (unsigned i = 0; i < f->count; i++) {
		const struct finding *x = &f->list[i];

		printf("%-17s %-8s %s\n", x->name, verdict_names[x->verdict],
		       x->words);
		if (x->remedy[0])
			printf("%-17s %-8s   more: %s\n", "", "", x->remedy);
	}
}

#ifdef HAVE_JANSSON
static int print_json(const struct findings *f)
{
	json_t *root = json_array();
	int r;

	for (unsigned i = 0; i < f->count; i++) {
		const struct finding *x = &f->list[i];

		json_array_append_new(
			root, json_pack("{ss ss ss ss}", "name", x->name,
					"verdict", verdict_names[x->verdict],
					"words", x->words, "remedy",
					x->remedy));
	}
	r = json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
	return r;
}
#else
static int print_json(const struct findings *f)
{
	(void)f;
	command_say("doctor", "this build has no JSON; build with jansson "
			      "(Debian: libjansson-dev)");
	return -1;
}
#endif

struct settings {
	bool json;
};

static const struct xm_option options[] = {
	XM_SHARED_JSON(struct settings, json,
		"Print one JSON object."),
};

static const struct xm_option_table table = {
	.program = "extmem doctor",
	.usage = "[--json]",
	.about = "Tries what external memory needs on this machine, for this "
		 "user, and shows the line that would allow more. Exits with 1 "
		 "when something is missing that it cannot do without.",
	.options = options,
	.count = XM_COUNT(options),
};

int command_doctor(int argc, char *argv[])
{
	static struct findings findings;
	struct settings settings;
	struct xm_options *o;
	struct utsname system;
	int status = command_options(&table, &settings, argc, argv, &o, NULL);

	if (status < 0) {
		uname(&system);
		find_out(&findings, "kernel", FINE, "%s %s %s", system.sysname,
			 system.release, system.machine);
		find_out(&findings, "user", FINE, "uid %u%s", geteuid(),
			 geteuid() == 0 ? " (root)" : "");
		try_userfaultfd(&findings);
		try_steps(&findings);
		try_cgroup(&findings);
		try_memory(&findings);
		try_credentials(&findings);
		try_providers(&findings);
		status = COMMAND_OK;
		for (unsigned i = 0; i < findings.count; i++)
			if (findings.list[i].verdict == MISSING)
				status = COMMAND_NO;
		if (!settings.json)
			print(&findings);
		else if (print_json(&findings) < 0)
			status = COMMAND_NO;
	}
	xm_options_close(o);
	return status;
}
