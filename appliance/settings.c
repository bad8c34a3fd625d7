/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmemd's options; see settings.h. Floor: skin.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "appliance/log.h"
#include "appliance/service.h"
#include "appliance/settings.h"
#include "common/etcd.h"
#include "common/spin.h"

#define AT(FIELD) .destination = offsetof(struct xm_settings, FIELD)

static const struct xm_option options[] = {
	{ .name = "listen", .kind = XM_OPTION_TEXT, .letter = 'l',
	  .unit = "ADDR", AT(listen),
	  .help = "Address at which clients reach this appliance: "
		  "ofi+tcp://HOST:PORT, or ofi+shm://NAME for clients "
		  "on this machine alone. Port 0 takes any free port, "
		  "which is printed." },
	{ .name = "memory", .kind = XM_OPTION_SIZE, .letter = 'm', .live = true,
	  .min = 64 * XM_KIB, .max = UINT64_C(1) << 46, AT(memory),
	  .help = "Memory to lend. It is allocated and touched at the "
		  "start. Rounded up to 64 KiB, or to 2 MiB with huge "
		  "pages. With SIGHUP it can become smaller, and as large "
		  "again as at the start." },
	{ .name = "auth", .kind = XM_OPTION_TEXT, .unit = "FILE", AT(auth),
	  .help = "Credential file of this appliance, of `extmem auth init` or "
		  "`extmem auth psk`. Only clients with a certificate of the same "
		  "authority, or with one of its pre-shared keys, "
		  "get in, over TLS. SIGHUP reads it again." },
	{ .name = "insecure_plaintext", .kind = XM_OPTION_FLAG,
	  AT(insecure_plaintext),
	  .help = "Without credentials, listen to other machines all the "
		  "same: whoever reaches the port can take memory and read "
		  "what passes by." },
	{ .name = "tenants", .kind = XM_OPTION_TEXT, .live = true, .unit = "FILE",
	  AT(tenants),
	  .help = "Who shares this appliance, and how much of it each may "
		  "have: see extmemd(8). SIGHUP reads it again. Default: "
		  "whoever gets in may have all." },
	{ .name = "isolate", .kind = XM_OPTION_CHOICE, .value = "shared",
	  .choices = "shared|tenant", AT(isolate),
	  .help = "One interface process for all tenants, or one for each: tenant "
		  "divides the memory by the bytes of the tenants file, and what "
		  "moves one tenant's bytes sees no other's." },
	{ .name = "store", .kind = XM_OPTION_TEXT, .unit = "DIR", AT(store),
	  .help = "Keep here, on a disk, what clients make durable: it is there "
		  "again after the daemon, or the machine, has ended in whatever "
		  "way. Takes as much of the disk as --memory, and 70 MiB." },
	{ .name = "pool_file", .kind = XM_OPTION_TEXT, .unit = "FILE", AT(pool_file),
	  .help = "Lend room on a disk, as much as --memory, which the kernel pages "
		  "to and from this machine's memory: it may be more than that "
		  "has. FILE, which is not there yet, stays empty; nothing of what "
		  "is lent outlives the daemon. See extmemd(8)." },
	{ .name = "borrow", .kind = XM_OPTION_LIST, .unit = "ADDR", AT(borrow),
	  .help = "Lend other appliances' memory, as much as --memory, which is "
		  "borrowed from those at these addresses. This machine's page "
		  "cache lies before it. Needs the program extmem-bank and "
		  "/dev/fuse, and no root. See extmemd(8)." },
	{ .name = "borrow_strategy", .kind = XM_OPTION_TEXT, .unit = "TEXT",
	  AT(borrow_strategy),
	  .help = "Where what is borrowed goes, as in extmem(5): with mirror 2 the "
		  "end of one lender loses nothing." },
	{ .name = "borrow_auth", .kind = XM_OPTION_TEXT, .unit = "FILE", AT(borrow_auth),
	  .help = "Credential file of a client, for the lenders. Default: "
		  "that of --auth." },
	{ .name = "config", .kind = XM_OPTION_TEXT, .letter = 'c',
	  .unit = "FILE", AT(config),
	  .help = "Read options from this file: lines of NAME = VALUE. "
		  "Flags and environment variables go before the file." },
	{ .name = "name", .kind = XM_OPTION_TEXT, .unit = "NAME", AT(name),
	  .help = "Name of this appliance in messages and lists. "
		  "Default: the host's name." },
	{ .name = "zone", .kind = XM_OPTION_TEXT, .unit = "NAME", AT(zone),
	  .help = "What fails together with this appliance, such as a "
		  "rack or a room. Clients are told, so that copies can "
		  "lie in different zones." },
	{ .name = "provider", .kind = XM_OPTION_TEXT, .unit = "NAME",
	  AT(provider),
	  .help = "The libfabric provider to use instead of the "
		  "scheme's own. It is an error if it is not installed." },
	{ .name = "data_port", .kind = XM_OPTION_COUNT, .max = 65535,
	  .unit = "PORT", AT(data_port),
	  .help = "Port of the data path, for firewalls that must know "
		  "it. Default: any free port." },
	{ .name = "advertise", .kind = XM_OPTION_TEXT, .unit = "HOST",
	  AT(advertise),
	  .help = "Numeric address at which clients reach the data "
		  "path, if it is not the address listened at: behind "
		  "address translation, in a container or a guest. "
		  "Default: the host of --listen, or, if that is "
		  "0.0.0.0, the address at which the client reached "
		  "this appliance." },
	{ .name = "directory", .kind = XM_OPTION_TEXT, .unit = "URL",
	  AT(directory),
	  .help = "Keep an entry in this directory as long as the daemon runs, so "
		  "that clients find it: etcd://HOST:PORT[,HOST:PORT...]/PREFIX. "
		  "Needs the program extmem-directory." },
	{ .name = "lease", .kind = XM_OPTION_DURATION, .live = true, .value = "10s",
	  .min = 100 * XM_MS, .max = 86400 * XM_SECOND, AT(lease),
	  .help = "If a client is silent this long, it counts as dead "
		  "and its memory is taken back." },
	{ .name = "polling", .kind = XM_OPTION_CHOICE, .value = "adaptive",
	  .choices = XM_POLLING_CHOICES, AT(polling),
	  .help = "How the interface process waits for traffic: "
		  "adaptive polls as long as more is likely to come, "
		  "then sleeps; busy never sleeps and takes a whole "
		  "core; block always sleeps." },
	{ .name = "clients_max", .kind = XM_OPTION_COUNT, .value = "64",
	  .min = 1, .max = 16384, AT(clients_max),
	  .help = "Limit of clients at the same time." },
	{ .name = "extents_max", .kind = XM_OPTION_COUNT, .value = "4096",
	  .min = 1, .max = 1 << 20, AT(extents_max),
	  .help = "Limit of pieces (extents) that the memory is divided "
		  "into." },
	{ .name = "extents_per_client", .kind = XM_OPTION_COUNT,
	  .value = "1024", .min = 1, .max = 1 << 20, AT(extents_per_client),
	  .help = "Limit of pieces (extents) that one client holds." },
	{ .name = "kept_percent", .kind = XM_OPTION_COUNT, .value = "50",
	  .max = 100, AT(kept_percent),
	  .help = "So much of the memory, at most, is kept for longer than an "
		  "hour for clients that are gone, or promised to be; in "
		  "percent." },
	{ .name = "huge_pages", .kind = XM_OPTION_FLAG, AT(huge_pages),
	  .help = "Take the memory from the kernel's pool of 2 MiB "
		  "pages; see vm.nr_hugepages." },
	{ .name = "confine", .kind = XM_OPTION_FLAG, .value = "yes", AT(confine),
	  .help = "The interface process gives up capabilities, files and "
		  "most system calls once it listens, and so does the store "
		  "process once its files are open. --no-confine is for "
		  "a provider that cannot do without." },
	{ .name = "give_back", .kind = XM_OPTION_SIZE, .live = true, .value = "0",
	  .max = UINT64_C(1) << 46, AT(give_back),
	  .help = "When this machine has less than so much memory available "
		  "for its programs, or they wait for memory, give some of "
		  "what is lent back to it, and take it again later. 0: do "
		  "not." },
	{ .name = "handshake_timeout", .kind = XM_OPTION_DURATION,
	  .value = "5s", .min = 100 * XM_MS, .max = 3600 * XM_SECOND,
	  AT(handshake_timeout),
	  .help = "A connection that has not identified itself by then "
		  "is closed." },
	{ .name = "drain_timeout", .kind = XM_OPTION_DURATION, .live = true, .value = "30s",
	  .max = 86400 * XM_SECOND, AT(drain_timeout),
	  .help = "How long clients have, after SIGTERM, to move what "
		  "they have here elsewhere." },
	{ .name = "log_level", .kind = XM_OPTION_TEXT, .live = true, .value = "info",
	  .unit = "LEVELS", AT(log_level),
	  .help = "The least important messages that are written to the "
		  "log: error, warning, info or debug; then, if some parts "
		  "shall differ, those: info,control=debug. Parts are daemon, "
		  "control, interface, memory and auth." },
	{ .name = "ready_fd", .kind = XM_OPTION_COUNT, .max = 1 << 20,
	  .unit = "N", AT(ready_fd),
	  .help = "When clients may connect, write the address as one "
		  "line to this descriptor, and close it." },
	{ .name = "check_config", .kind = XM_OPTION_FLAG, AT(check_config),
	  .help = "Check the options, print them with their origins, "
		  "and exit." },
	{ .name = "print_limits", .kind = XM_OPTION_FLAG, AT(print_limits),
	  .help = "Print every limit that follows from the options, and "
		  "exit." },
};

const struct xm_option_table xm_settings_table = {
	.program = "extmemd",
	.prefix = "EXTMEMD",
	.usage = "--listen ADDR --memory SIZE [OPTION]...",
	.about = "Lends this machine's memory to extmem clients.",
	.options = options,
	.count = XM_COUNT(options),
};

static bool is_numeric_host(const char *host)
{
	struct in6_addr ignored;

	return inet_pton(AF_INET, host, &ignored) == 1 ||
	       inet_pton(AF_INET6, host, &ignored) == 1;
}

/* What goes over the wire as a text of fewer than `size` bytes. */
static int check_label(const char *option, const char *value, size_t size,
		       char *words, size_t words_size)
{
	if (strlen(value) >= size) {
		snprintf(words, words_size,
			 "--%s is too long: %zu characters at most", option,
			 size - 1);
		return -EINVAL;
	}
	for (; *value != '\0'; value++) {
		if (*value < ' ' || *value > '~') {
			snprintf(words, words_size,
				 "--%s is to be printable ASCII", option);
			return -EINVAL;
		}
	}
	return 0;
}

const char *const xm_log_names[XM_LOG_SUBSYSTEMS] = {
	"daemon", "control", "interface", "memory", "auth",
};

static int check_levels(const char *levels, char *words, size_t words_size)
{
	struct xm_log_rules rules;
	struct xm_words text;

	xm_log_rules_begin(&rules, xm_log_names, XM_LOG_SUBSYSTEMS);
	xm_words_begin(&text, words, words_size);
	xm_words_add(&text, "--log-level ");
	xm_words_add(&text, levels);
	xm_words_add(&text, ": ");
	return xm_log_rules_read(&rules, levels, &text);
}

/* Each tenant's memory is its own there, of a fixed size, and nobody else's. */
static int check_isolate(const struct xm_settings *s, char *words, size_t words_size)
{
	const char *wrong = NULL;

	if (s->isolate != XM_ISOLATE_TENANT)
		return 0;
	if (s->tenants[0] == '\0')
		wrong = "needs --tenants FILE: it says who the tenants are";
	else if (s->store[0] != '\0')
		wrong = "and --store do not go together: what is durable lies in one"
			" pool; leave one of them out";
	else if (strncmp(s->listen, "ofi+shm:", 8) == 0)
		wrong = "and ofi+shm do not go together: its provider copies from and to"
			" other processes, and so could another tenant's; listen at"
			" ofi+tcp";
	else if (s->give_back != 0)
		wrong = "and --give-back do not go together: each tenant's memory"
			" keeps its size; leave one of them out";
	if (wrong == NULL)
		return 0;
	snprintf(words, words_size, "--isolate tenant %s", wrong);
	return -EINVAL;
}

/* Clients take the address as it stands there. */
static int check_directory(const struct xm_settings *s, char *words, size_t words_size)
{
	struct xm_etcd_url url;
	struct xm_words text;

	if (s->directory[0] == '\0')
		return 0;
	xm_words_begin(&text, words, words_size);
	xm_words_add(&text, "--directory ");
	if (xm_etcd_url_read(s->directory, &url, &text) != 0)
		return -EINVAL;
	if (s->advertise[0] != '\0' || (strstr(s->listen, "://0.0.0.0") == NULL &&
					strstr(s->listen, "://[::]") == NULL))
		return 0;
	snprintf(words, words_size, "--directory needs an address that clients can reach, and"
		 " %s is none: say --advertise HOST", s->listen);
	return -EINVAL;
}

/* The kernel is to page it, and one disk's errors end all of it. */
static int check_pool_file(const struct xm_settings *s, char *words, size_t words_size)
{
	const char *with = NULL;

	if (s->pool_file[0] == '\0')
		return 0;
	if (s->store[0] != '\0')
		with = "--store do not go together: what is durable is copied from"
		       " memory that is there";
	else if (s->isolate == XM_ISOLATE_TENANT)
		with = "--isolate tenant do not go together: each tenant's memory is"
		       " apart there, and this is one file";
	else if (s->give_back != 0)
		with = "--give-back do not go together: the kernel takes what it needs"
		       " of it by itself";
	else if (s->huge_pages)
		with = "--huge-pages do not go together: the kernel does not page those";
	else if (strncmp(s->listen, "ofi+shm:", 8) == 0)
		with = "ofi+shm do not go together: its clients have this machine's disk"
		       " themselves";
	if (with == NULL)
		return 0;
	snprintf(words, words_size, "--pool-file and %s; leave one of them out", with);
	return -EINVAL;
}

/* The lenders have it, and it is as far as they are. */
static int check_borrow(const struct xm_settings *s, char *words, size_t words_size)
{
	const char *with = NULL;

	if (s->borrow.count == 0)
		return 0;
	if (s->borrow.count > XM_LENDERS_MAX) {
		snprintf(words, words_size, "--borrow takes %d addresses at most",
			 XM_LENDERS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < s->borrow.count; i++) {
		if (strcmp(s->borrow.items[i], s->listen) != 0)
			continue;
		snprintf(words, words_size, "--borrow %s: that is this appliance itself",
			 s->listen);
		return -EINVAL;
	}
	if (s->pool_file[0] != '\0')
		with = "--pool-file do not go together: memory is on a disk or at others";
	else if (s->store[0] != '\0')
		with = "--store do not go together: what is durable is copied from"
		       " memory that is there";
	else if (s->isolate == XM_ISOLATE_TENANT)
		with = "--isolate tenant do not go together: what is borrowed is one piece";
	else if (s->give_back != 0)
		with = "--give-back do not go together: this machine lends none of its own";
	else if (s->huge_pages)
		with = "--huge-pages do not go together: the kernel reads and writes single"
		       " pages of it";
	else if (strncmp(s->listen, "ofi+shm:", 8) == 0)
		with = "ofi+shm do not go together: its clients can ask the lenders"
		       " themselves";
	if (with == NULL)
		return 0;
	snprintf(words, words_size, "--borrow and %s; leave one of them out", with);
	return -EINVAL;
}

int xm_settings_check_pinned(const struct xm_settings *s, const char *what,
			     const char *name, char *words, size_t words_size)
{
	const char *option = s->borrow.count > 0 ? "borrow" : "pool-file";

	if (s->borrow.count == 0 && s->pool_file[0] == '\0')
		return 0;
	snprintf(words, words_size, "--%s and %s %s do not go together: it pins all"
		 " memory that is lent, so the kernel could page none of it; leave"
		 " one of them out", option, what, name);
	return -EINVAL;
}

int xm_settings_check(const struct xm_settings *s, const struct xm_options *o,
		      char *words, size_t words_size)
{
	int rc;

	if (s->listen[0] == '\0') {
		snprintf(words, words_size,
			 "--listen is missing: say where clients shall connect,"
			 " such as --listen ofi+tcp://0.0.0.0:7470");
		return -EINVAL;
	}
	if (s->memory == 0) {
		snprintf(words, words_size,
			 "--memory is missing: say how much to lend, such as"
			 " --memory 4G");
		return -EINVAL;
	}
	rc = check_label("name", s->name, XM_NAME_SIZE, words, words_size);
	if (rc == 0)
		rc = check_label("zone", s->zone, XM_ZONE_SIZE, words,
				 words_size);
	if (rc != 0)
		return rc;
	rc = check_levels(s->log_level, words, words_size);
	if (rc == 0)
		rc = check_isolate(s, words, words_size);
	if (rc == 0)
		rc = check_directory(s, words, words_size);
	if (rc == 0)
		rc = check_pool_file(s, words, words_size);
	if (rc == 0)
		rc = check_borrow(s, words, words_size);
	if (rc != 0)
		return rc;
	if (s->advertise[0] != '\0' && !is_numeric_host(s->advertise)) {
		snprintf(words, words_size,
			 "--advertise %s is no numeric address: write 10.1.2.3"
			 " or fd00::1", s->advertise);
		return -EINVAL;
	}
	if (strncmp(s->listen, "ofi+shm:", 8) == 0 &&
	    (s->advertise[0] != '\0' || s->data_port != 0)) {
		snprintf(words, words_size,
			 "--data-port and --advertise have no meaning for"
			 " ofi+shm: leave them out");
		return -EINVAL;
	}
	/* The default of the one gives way to the other. */
	if (s->extents_per_client > s->extents_max &&
	    xm_options_given(o, "extents_per_client")) {
		snprintf(words, words_size,
			 "extents_per_client (%s) is above extents_max (%s):"
			 " one client cannot hold more pieces than there are",
			 xm_options_origin(o, "extents_per_client"),
			 xm_options_origin(o, "extents_max"));
		return -EINVAL;
	}
	return 0;
}
