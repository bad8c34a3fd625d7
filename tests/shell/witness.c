/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks for a secret where it should not be:
 *
 *	witness memory PID FILE		how often FILE's bytes are in a process's memory
 *	witness relay FROM TO PORT FILE	passes on what comes to FROM:PORT to TO:PORT, and on
 *					SIGTERM says how many bytes that were, and how
 *					often FILE's were among them
 *	witness write SIZE FILE		fills memory with FILE's bytes, says "written", and
 *					after a line on stdin whether they are there still
 *
 * FILE has 16 to 4096 bytes. What lies across the end of a read is found, too.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"

#define CHUNK (1 << 20)

static uint8_t secret[4096];
static size_t secret_size;
static _Atomic uint64_t passed, found;

static void read_secret(const char *path)
{
	FILE *file = fopen(path, "re");

	if (file == NULL)
		err(2, "%s", path);
	secret_size = fread(secret, 1, sizeof(secret), file);
	fclose(file);
	if (secret_size < 16)
		errx(2, "%s has fewer than 16 bytes", path);
}

static uint64_t count(const uint8_t *bytes, size_t size)
{
	const uint8_t *end = bytes + size;
	uint64_t n = 0;

	while ((bytes = memmem(bytes, (size_t)(end - bytes), secret,
			       secret_size)) != NULL) {
		n++;
		bytes++;
	}
	return n;
}

/* --- memory ---------------------------------------------------------------------- */

static uint64_t count_span(int memory, uint64_t from, uint64_t to)
{
	static uint8_t bytes[CHUNK + sizeof(secret)];
	size_t kept = 0;
	uint64_t n = 0;

	while (from < to) {
		size_t want = xm_min(CHUNK, to - from);
		ssize_t got = pread(memory, bytes + kept, want, (off_t)from);

		if (got <= 0) {
			from += 4096; /* what is not there */
			kept = 0;
			continue;
		}
		n += count(bytes, kept + (size_t)got);
		from += (uint64_t)got;
		/* One byte less than the secret: it is not counted twice. */
		got += (ssize_t)kept;
		kept = xm_min((uint64_t)got, secret_size - 1);
		memmove(bytes, bytes + got - kept, kept);
	}
	return n;
}

static int look_at_memory(const char *pid)
{
	char path[64], line[512];
	uint64_t from, to, n = 0;
	FILE *maps;
	int memory;

	snprintf(path, sizeof(path), "/proc/%.16s/maps", pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%.16s/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	if (maps == NULL || memory < 0)
		err(2, "%s", path);
	while (fgets(line, sizeof(line), maps) != NULL) {
		char rights;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %c", &from, &to,
			   &rights) == 3 &&
		    rights == 'r' && strstr(line, "[v") == NULL)
			n += count_span(memory, from, to);
	}
	fclose(maps);
	close(memory);
	printf("%" PRIu64 "\n", n);
	return 0;
}

/* --- relay ------------------------------------------------------------------------- */

struct way {
	int from, to;
};

static void *carry(void *argument)
{
	struct way *way = argument;
	uint8_t *bytes = malloc(CHUNK + sizeof(secret));
	size_t kept = 0;
	ssize_t got;

	while (bytes != NULL &&
	       (got = read(way->from, bytes + kept, CHUNK)) > 0) {
		for (ssize_t at = 0, n; at < got; at += n) {
			n = write(way->to, bytes + kept + at, (size_t)(got - at));
			if (n <= 0)
				goto end;
		}
		passed += (uint64_t)got;
		found += count(bytes, kept + (size_t)got);
		got += (ssize_t)kept;
		kept = xm_min((uint64_t)got, secret_size - 1);
		memmove(bytes, bytes + got - kept, kept);
	}
end:
	shutdown(way->from, SHUT_RD);
	shutdown(way->to, SHUT_WR);
	free(bytes);
	free(way);
	return NULL;
}

static void carry_from(int from, int to)
{
	struct way *way = malloc(sizeof(*way));
	pthread_t thread;

	if (way == NULL)
		err(2, "malloc");
	*way = (struct way){ from, to };
	if (pthread_create(&thread, NULL, carry, way) != 0)
		err(2, "pthread_create");
	pthread_detach(thread);
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		errx(2, "%s is no address", host);
	return a;
}

static void *accept_all(void *argument)
{
	char **argv = argument;
	struct sockaddr_in from = address_of(argv[2], argv[4]);
	struct sockaddr_in to = address_of(argv[3], argv[4]);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    listen(listener, 64) != 0)
		err(2, "%s:%s", argv[2], argv[4]);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int a = accept(listener, NULL, NULL);
		int b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (a < 0 || connect(b, (struct sockaddr *)&to, sizeof(to)) != 0) {
			close(a);
			close(b);
			continue;
		}
		carry_from(a, b);
		carry_from(b, a);
	}
}

static int relay(char **argv)
{
	pthread_t thread;
	sigset_t set;
	int number;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, accept_all, argv) != 0)
		err(2, "pthread_create");
	sigwait(&set, &number);
	printf("%" PRIu64 " %" PRIu64 "\n", (uint64_t)passed, (uint64_t)found);
	return 0;
}

/* --- the program whose memory it is ------------------------------------------------- */

static int fill(const char *size_text)
{
	size_t size = strtoull(size_text, NULL, 10) << 20;
	uint8_t *bytes = malloc(size);
	char line[8];

	if (bytes == NULL)
		err(2, "malloc");
	for (size_t at = 0; at + secret_size <= size; at += secret_size)
		memcpy(bytes + at, secret, secret_size);
	/* This process may know it, but where it wrote it. */
	printf("written\n");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return 2;
	for (size_t at = 0; at + secret_size <= size; at += secret_size)
		if (memcmp(bytes + at, secret, secret_size) != 0)
			return 1;
	free(bytes);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		errx(2, "see witness.c");
	read_secret(argv[argc - 1]);
	if (argc == 4 && strcmp(argv[1], "memory") == 0)
		return look_at_memory(argv[2]);
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		return fill(argv[2]);
	if (argc == 6 && strcmp(argv[1], "relay") == 0)
		return relay(argv);
	errx(2, "see witness.c");
}
