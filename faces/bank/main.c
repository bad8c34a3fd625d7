/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-bank: borrows memory from appliances for an extmemd that lends it on
 * (appliance/borrow.h); for extmemd's own use.
 *
 *	extmem-bank SIZE NAME AUTH STRATEGY PLAINTEXT ADDRESS...
 *
 * AUTH is a credential file or "", STRATEGY a text or "", PLAINTEXT "yes" or "". Input and
 * output are one socket of extmemd's. Lines go out:
 *
 *	lender IDENTITY[,CHAIN...] NAME	in the order of the addresses: who that is, and from
 *						whom he borrows. Again every few seconds
 *	away WORDS				instead: he has not answered
 *	bank					with a descriptor: there it is
 *	no WORDS				there will be nothing, and this has ended
 *	lost WORDS				what was borrowed is gone, and this has ended
 *
 * and "go" comes in when extmemd has looked at the lenders: nothing is borrowed before. It
 * ends with its input, and gives back what it has borrowed.
 *
 * A process of its own, because libextmem has threads, libfabric and a lender's bytes in it,
 * and extmemd has credentials; and because who touches a page that is far waits for this
 * process in the kernel, so that it must be able to die alone.
 *
 * Floor: program.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"
#include "common/clock.h"
#include "faces/bank/file.h"
#include "faces/bank/lenders.h"

#ifndef PR_SET_IO_FLUSHER /* Linux 5.6 */
#define PR_SET_IO_FLUSHER 57
#endif

#define SOCKET STDIN_FILENO
#define ASK_MS 2000    /* for one lender's answer */
#define PAUSE_MS 2000  /* from one asking to the next */
#define GO_MS 20000
#define AWAY_MAX (10 * XM_SECOND)
#define SETTINGS_MAX (EXTMEM_APPLIANCES_MAX + 16)
#define LINES_SIZE (EXTMEM_APPLIANCES_MAX * 640)

struct asked {
	uint64_t size;
	const char *name, *auth, *strategy;
	bool plaintext;
};

static struct bank_lenders lenders;
static extmem *client;

/* What does not fit is for nobody: the daemon reads all the time, or has ended. */
static void say(const char *text, size_t size)
{
	if (send(SOCKET, text, size, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static _Noreturn void end(const char *kind, const char *words)
{
	char line[BANK_WORDS + 16];
	int size = snprintf(line, sizeof(line), "%s %.*s\n", kind, BANK_WORDS, words);

	for (int i = 0; i < size - 1; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	(void)send(SOCKET, line, (size_t)xm_min((uint64_t)size, sizeof(line) - 1), MSG_NOSIGNAL);
	_exit(1);
}

static void lost(const char *words)
{
	end("lost", words);
}

/* --- the lenders ---------------------------------------------------------------- */

static void say_lenders(void)
{
	static char lines[LINES_SIZE];

	say(lines, bank_lenders_say(&lenders, lines, sizeof(lines)));
}

static void *watch(void *argument)
{
	char words[BANK_WORDS];
	struct extmem_stats stats = { .size = sizeof(stats) };

	(void)argument;
	for (;;) {
		poll(NULL, 0, PAUSE_MS);
		bank_lenders_ask(&lenders, ASK_MS);
		say_lenders();
		if (extmem_stats(client, &stats) == 0 && stats.copies <= 1 &&
		    bank_lenders_lost(&lenders, AWAY_MAX, words, sizeof(words)))
			lost(words);
	}
	return NULL;
}

static void meet(void)
{
	char line[8];
	struct pollfd p = { .fd = SOCKET, .events = POLLIN };

	if (bank_lenders_ask(&lenders, ASK_MS) == 0)
		end("no", lenders.list[0].words);
	say_lenders();
	if (poll(&p, 1, GO_MS) <= 0 || read(SOCKET, line, sizeof(line)) <= 0)
		_exit(1); /* refused, and the daemon has said why */
}

/* --- what is borrowed ------------------------------------------------------------ */

static void add(const char **list, unsigned *count, const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, "%s=%s", name, value) < 0)
		end("no", "out of memory");
	list[(*count)++] = text;
}

static extmem_region *borrow(const struct asked *a)
{
	const char *settings[SETTINGS_MAX];
	struct extmem_request request = {
		.size = sizeof(request), .region_size = a->size, .name = "borrowed",
		.flags = EXTMEM_TRACKED,
	};
	extmem_region *region;
	unsigned count = 0;

	for (unsigned i = 0; i < lenders.count; i++)
		add(settings, &count, "appliance", lenders.list[i].address);
	add(settings, &count, "name", a->name);
	/* The kernel's page cache is the local memory. */
	add(settings, &count, "local", "16M");
	add(settings, &count, "lanes", "2");
	add(settings, &count, "timeout", "8s");
	add(settings, &count, "loss_timeout", "5s");
	if (a->strategy[0] != '\0')
		add(settings, &count, "strategy", a->strategy);
	settings[count] = NULL;
	if (extmem_open(settings, &client) < 0 ||
	    extmem_region_request(client, &request, &region) < 0 ||
	    bank_lenders_hold(&lenders, client) < 0)
		end("no", extmem_error());
	return region;
}

static void hand_over(int file)
{
	char line[] = "bank\n";
	struct iovec part = { .iov_base = line, .iov_len = strlen(line) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &file, sizeof(int));
	if (sendmsg(SOCKET, &message, MSG_NOSIGNAL) < 0)
		_exit(1);
	close(file);
}

static void await_end(void)
{
	char line[64];
	ssize_t n;

	do
		n = read(SOCKET, line, sizeof(line));
	while (n > 0 || (n < 0 && errno == EINTR));
}

static bool read_arguments(int argc, char **argv, struct asked *ret)
{
	if (argc < 7 || argc - 6 > EXTMEM_APPLIANCES_MAX)
		return false;
	ret->size = strtoull(argv[1], NULL, 10);
	ret->name = argv[2];
	ret->auth = argv[3];
	ret->strategy = argv[4];
	ret->plaintext = argv[5][0] != '\0';
	for (int i = 6; i < argc; i++)
		lenders.list[lenders.count++].address = argv[i];
	return ret->size > 0;
}

int main(int argc, char **argv)
{
	char words[BANK_WORDS] = "";
	struct asked asked;
	extmem_region *region;
	int connection, file, type;
	socklen_t size = sizeof(type);
	pthread_t watcher;

	if (!read_arguments(argc, argv, &asked) ||
	    getsockopt(SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
		fprintf(stderr, "extmem-bank is for extmemd's own use: see extmemd --borrow\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	/* Extmemd's own would be taken for the client's. */
	if (asked.auth[0] != '\0')
		setenv("EXTMEM_AUTH", asked.auth, 1);
	if (asked.plaintext)
		setenv("EXTMEM_INSECURE_PLAINTEXT", "yes", 1);
	/* The kernel may wait for us to free memory; without the right to say so, its own
	 * limits of what is dirty have to do. */
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	/* While there is one thread. */
	if (bank_mount(words, sizeof(words), &connection) != 0)
		end("no", words);
	meet();
	region = borrow(&asked);
	if (bank_serve(connection, region, lost) != 0 ||
	    bank_open(words, sizeof(words), &file) != 0)
		end("no", words[0] != '\0' ? words : "no thread can be begun");
	hand_over(file);
	if (pthread_create(&watcher, NULL, watch, NULL) != 0)
		end("no", "no thread can be begun");
	await_end();
	bank_stop();
	extmem_close(client);
	_exit(0);
}
