/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-auth: makes and revokes the credentials of appliances and clients. See
 * extmem-auth(1); authority.h has the files.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/authority.h"
#include "common/options.h"
#include "common/standard.h"

#define EXIT_NO 1
#define EXIT_USAGE 2
#define SOON_S (30 * 86400L)

struct settings {
	bool appliance;
	uint64_t days;
};

static const struct xm_option options[] = {
	{ .name = "appliance", .kind = XM_OPTION_FLAG,
	  .help = "add: the certificate is an appliance's; else a client's.",
	  .destination = offsetof(struct settings, appliance) },
	{ .name = "days", .kind = XM_OPTION_COUNT, .value = "1825", .min = 1,
	  .max = 7000,
	  .help = "init, add, renew: for how long the certificate is valid. "
		  "Pre-shared keys have no end.",
	  .destination = offsetof(struct settings, days) },
};

static const struct xm_option_table table = {
	.program = "extmem auth",
	.usage = "[OPTION]... init DIR | add DIR NAME | psk DIR NAME |"
		 " renew DIR NAME | revoke DIR NAME | show DIR | check FILE",
	.about = "Makes the credential files by which appliances and clients "
		 "know each other. DIR is the authority: init makes it, with "
		 "one file for an appliance and one for a client. Copy each "
		 "file to its machine, and keep DIR to yourself. psk makes "
		 "pre-shared keys instead of certificates: the first one makes "
		 "the folder.",
	.options = options,
	.count = XM_COUNT(options),
};

static int say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int say(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("extmem auth: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return EXIT_NO;
}

static const char *role_name(enum authority_role role)
{
	return role == AUTHORITY_APPLIANCE ? "appliance" : "client";
}

static const char *date(time_t at, char ret[16])
{
	struct tm t;

	gmtime_r(&at, &t);
	strftime(ret, 16, "%Y-%m-%d", &t);
	return ret;
}

static int issue(const struct settings *s, const char *folder, const char *name,
		 enum authority_role role, bool again)
{
	char words[AUTHORITY_WORDS];
	time_t now = time(NULL);

	if (authority_issue(folder, name, role, again, now - AUTHORITY_BEFORE_S,
			    now + (time_t)s->days * 86400, words) != 0)
		return say("%s", words);
	return 0;
}

static int init(const struct settings *s, const char *folder)
{
	char words[AUTHORITY_WORDS];
	int rc;

	if (authority_init(folder, words) != 0)
		return say("%s", words);
	rc = issue(s, folder, "appliance", AUTHORITY_APPLIANCE, false);
	if (rc == 0)
		rc = issue(s, folder, "client", AUTHORITY_CLIENT, false);
	if (rc == 0)
		printf("On the machine that lends, with %s/appliance.pem:\n"
		       "  extmemd --auth appliance.pem --listen "
		       "ofi+tcp://0.0.0.0:7470 --memory 4G\n"
		       "On the machine that uses it, with %s/client.pem:\n"
		       "  export EXTMEM_AUTH=client.pem\n"
		       "  extmem run --appliance ofi+tcp://HOST:7470 -- "
		       "PROGRAM\n", folder, folder);
	return rc;
}

static int add(const struct settings *s, const char *folder, const char *name)
{
	int rc;

	if (authority_psk_is(folder))
		return say("%s has pre-shared keys and no certificates: extmem"
			   " auth psk", folder);
	rc = issue(s, folder, name,
		       s->appliance ? AUTHORITY_APPLIANCE : AUTHORITY_CLIENT,
		       false);

	if (rc == 0)
		printf("%s/%s.pem\n", folder, name);
	return rc;
}

static int psk(const char *folder, const char *name, bool again)
{
	char words[AUTHORITY_WORDS];

	if (authority_psk_issue(folder, name, again, words) != 0)
		return say("%s", words);
	printf("%s/%s.psk: copy it to its machine, and\n%s/appliance.psk to that"
	       " of every appliance; extmemd --auth reads it again at SIGHUP\n",
	       folder, name, folder);
	return 0;
}

static int psk_revoke(const char *folder, const char *name)
{
	char words[AUTHORITY_WORDS];

	if (authority_psk_revoke(folder, name, words) != 0)
		return say("%s", words);
	printf("%s/appliance.psk: copy it to every appliance,\nand send extmemd"
	       " SIGHUP\n", folder);
	return 0;
}

/* The role is that of the newest certificate of this name. */
static int renew(const struct settings *s, const char *folder, const char *name)
{
	struct authority_entry *list = NULL;
	char words[AUTHORITY_WORDS];
	int count, found = -1, rc;

	if (authority_psk_is(folder))
		return psk(folder, name, true);
	count = authority_list(folder, &list, words);
	if (count < 0)
		return say("%s", words);
	for (int i = 0; i < count; i++)
		if (!list[i].revoked && strcmp(list[i].name, name) == 0)
			found = i;
	if (found < 0)
		rc = say("%s: no certificate of this name is good: extmem auth "
			 "add", name);
	else
		rc = issue(s, folder, name, list[found].role, true);
	free(list);
	if (rc == 0)
		printf("%s/%s.pem: copy it to its machine; extmemd reads it at "
		       "SIGHUP\n", folder, name);
	return rc;
}

static int revoke(const char *folder, const char *name)
{
	char words[AUTHORITY_WORDS];

	if (authority_psk_is(folder))
		return psk_revoke(folder, name);
	if (authority_revoke(folder, name, words) != 0)
		return say("%s", words);
	printf("%s/revoked.pem: copy it beside the credential file of every "
	       "appliance,\nand send extmemd SIGHUP\n", folder);
	return 0;
}

static int show(const char *folder)
{
	struct authority_entry *list = NULL;
	char words[AUTHORITY_WORDS], until[16];
	int count = 0;
	time_t now = time(NULL);

	if (!authority_psk_is(folder))
		count = authority_list(folder, &list, words);
	if (count < 0)
		return say("%s", words);
	printf("%-24s %-10s %-11s %s\n", "NAME", "ROLE", "UNTIL", "STATE");
	if (authority_psk_is(folder) && authority_psk_show(folder, stdout, words) != 0)
		return say("%s", words);
	for (int i = 0; i < count; i++)
		printf("%-24s %-10s %-11s %s\n", list[i].name,
		       role_name(list[i].role), date(list[i].until, until),
		       list[i].revoked	       ? "revoked"
		       : list[i].until < now ? "expired" : "good");
	free(list);
	return 0;
}

static int check_psk(const char *path)
{
	char words[AUTHORITY_WORDS], name[AUTHORITY_NAME_SIZE];
	int count = authority_psk_check(path, name, words);

	if (count < 0)
		printf("%s\n", words);
	else if (name[0] != '\0')
		printf("%s: client %s, by a pre-shared key\n", path, name);
	else
		printf("%s: appliance, with pre-shared keys of %d client%s\n", path,
		       count, count == 1 ? "" : "s");
	return count < 0 ? EXIT_NO : 0;
}

static int check(const char *path)
{
	struct authority_entry e;
	char words[AUTHORITY_WORDS], until[16];

	if (authority_psk_begins(path))
		return check_psk(path);
	if (authority_check(path, &e, words) != 0) {
		printf("%s\n", words);
		return EXIT_NO;
	}
	printf("%s: %s %s, valid until %s%s\n", path, role_name(e.role), e.name,
	       date(e.until, until),
	       e.until - time(NULL) < SOON_S ? ": renew it soon" : "");
	return 0;
}

static int perform(const struct settings *s, int argc, char *argv[])
{
	const char *verb = argc > 0 ? argv[0] : "";

	if (strcmp(verb, "init") == 0 && argc == 2)
		return init(s, argv[1]);
	if (strcmp(verb, "show") == 0 && argc == 2)
		return show(argv[1]);
	if (strcmp(verb, "check") == 0 && argc == 2)
		return check(argv[1]);
	if (strcmp(verb, "add") == 0 && argc == 3)
		return add(s, argv[1], argv[2]);
	if (strcmp(verb, "psk") == 0 && argc == 3)
		return psk(argv[1], argv[2], false);
	if (strcmp(verb, "renew") == 0 && argc == 3)
		return renew(s, argv[1], argv[2]);
	if (strcmp(verb, "revoke") == 0 && argc == 3)
		return revoke(argv[1], argv[2]);
	say("usage: extmem auth %s", table.usage);
	return EXIT_USAGE;
}

/* Options may stand before and after the verb. */
static int read_options(struct xm_options *o, int *argc, char *argv[])
{
	int rest = 1, kept = 0, end = *argc, r;
	static char *words[8];

	for (int at = 1;; at = rest + 1) {
		r = xm_options_read_flags(o, end - at + 1, argv + at - 1, &rest);
		if (r != 0)
			return r;
		rest += at - 1;
		if (rest >= end)
			break;
		if (kept == 7) {
			kept++;
			break;
		}
		words[kept++] = argv[rest];
	}
	*argc = kept;
	memcpy(argv, words, sizeof(words[0]) * (size_t)xm_min(kept, 7));
	return 0;
}

int main(int argc, char *argv[])
{
	struct settings settings;
	struct xm_options *o = NULL;
	int r;

	xm_standard_hold();
	umask(022);
	/* No file of the system's, and no variable, says how keys are made. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (xm_options_open(&table, &settings, &o) != 0)
		return say("out of memory");
	r = read_options(o, &argc, argv);
	if (r == XM_OPTIONS_HELP) {
		xm_options_print_help(&table, stdout);
		r = 0;
	} else if (r == XM_OPTIONS_VERSION) {
		printf("extmem-auth (extmem) %s\n", PACKAGE_VERSION);
		r = 0;
	} else if (r < 0) {
		say("%s", xm_options_words(o));
		r = EXIT_USAGE;
	} else {
		r = perform(&settings, argc, argv);
	}
	xm_options_close(o);
	return r;
}
