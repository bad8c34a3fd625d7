/* SPDX-License-Identifier: BSD-3-Clause */
/* See tls_rig.h. */
#include "tests/unit/tls_rig.h"
#include "transports/tls_parts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 20000 /* of 10 ms: the world is broken */
#define PEERS 80

static const struct xm_channel_ops *const ops = &xm_stream_tcp;
static char folder[64];
static pid_t owner;

static void clear(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char inside[512];

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(inside, sizeof(inside), "%s/%.250s", path, e->d_name);
		if (unlink(inside) != 0)
			clear(inside);
	}
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

static void rig_end(void)
{
	if (getpid() == owner)
		clear(folder);
}

void rig_begin(void)
{
	static const char *const names[] = { "one", "two" };
	char words[AUTHORITY_WORDS] = "";

	owner = getpid();
	snprintf(folder, sizeof(folder), "/tmp/extmem-test-tls-XXXXXX");
	if (mkdtemp(folder) == NULL)
		abort();
	atexit(rig_end);
	for (unsigned i = 0; i < 2; i++) {
		if (authority_init(rig_path(names[i], ""), words) != 0) {
			printf("    %s\n", words);
			abort();
		}
		rig_issue(names[i], "appliance", AUTHORITY_APPLIANCE, -60, DAY);
		rig_issue(names[i], "client", AUTHORITY_CLIENT, -60, DAY);
	}
}

const char *rig_path(const char *authority, const char *file)
{
	static char paths[3][256];
	static unsigned next;
	char *path = paths[next++ % 3];

	snprintf(path, sizeof(paths[0]), "%s/%s%s%s", folder, authority,
		 file[0] != '\0' ? "/" : "", file);
	return path;
}

const char *rig_issue(const char *authority, const char *name,
		      enum authority_role role, long from_s, long until_s)
{
	char words[AUTHORITY_WORDS] = "", file[AUTHORITY_NAME_SIZE + 4];
	time_t now = time(NULL);

	if (authority_issue(rig_path(authority, ""), name, role, true,
			    now + from_s, now + until_s, words) != 0) {
		printf("    %s\n", words);
		abort();
	}
	snprintf(file, sizeof(file), "%s.pem", name);
	return rig_path(authority, file);
}

const char *rig_key(const char *name, bool again)
{
	char words[AUTHORITY_WORDS] = "", file[AUTHORITY_NAME_SIZE + 4];

	if (authority_psk_issue(rig_path("keys", ""), name, again, words) != 0) {
		printf("    %s\n", words);
		abort();
	}
	snprintf(file, sizeof(file), "%s.psk", name);
	return rig_path("keys", file);
}

void rig_copy(const char *from, const char *to)
{
	char bytes[8192];
	FILE *in = fopen(from, "r"), *out;
	size_t size;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	size = fread(bytes, 1, sizeof(bytes), in);
	fclose(in);
	unlink(to);
	out = fopen(to, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(fchmod(fileno(out), 0600), 0);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, size, out), size);
	fclose(out);
}

static int open_channel(const char *auth, const char *address, char *words,
			size_t words_size, struct xm_channel **ret)
{
	struct xm_channel_options o = { .address = address,
					.target = address != NULL,
					.peers_max = PEERS,
					.handshake_ns = 60 * XM_SECOND,
					.auth = auth };

	return ops->open(&o, words, words_size, ret);
}

struct xm_channel *rig_open(const char *auth, const char *address)
{
	struct xm_channel *c = NULL;
	char words[512] = "";

	if (open_channel(auth, address, words, sizeof(words), &c) != 0)
		printf("    %s\n", words);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

struct xm_channel *rig_pose(const char *auth, const char *address)
{
	struct xm_channel *c = rig_open(NULL, address);
	char words[512] = "";

	if (xm_tls_open(auth, address == NULL, words, sizeof(words), &c->tls) != 0)
		printf("    %s\n", words);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->tls);
	return c;
}

const char *rig_fails(const char *auth, const char *address)
{
	static char words[512];
	struct xm_channel *c;

	words[0] = '\0';
	if (open_channel(auth, address, words, sizeof(words), &c) != 0)
		return words;
	ops->close(c);
	return NULL;
}

struct xm_channel_event rig_next(struct xm_channel *c, struct xm_channel *other)
{
	struct xm_channel_event event, ignored;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (ops->poll(c, &event) > 0)
			return event;
		if (other != NULL && ops->poll(other, &ignored) > 0 &&
		    ignored.kind == XM_CHANNEL_DOWN)
			ops->disconnect(other, ignored.peer);
		ops->wait(c, -1, other != NULL ? XM_MS : 10 * XM_MS);
	}
	CU_FAIL_FATAL("no event came");
	return event;
}

void rig_meet(struct xm_channel *initiator, struct xm_channel *target,
	      uint32_t *ret_local, uint32_t *ret_remote)
{
	struct xm_channel_event event;
	bool here = false, there = false, keyed = initiator->tls->has.keys != NULL;

	ops->resolve(initiator, ops->address(target));
	CU_ASSERT_EQUAL_FATAL(ops->connect(initiator, ops->address(target),
					   ret_local), 0);
	for (int i = 0; i < ROUNDS_MAX && !(here && there); i++) {
		if (ops->poll(target, &event) > 0 &&
		    event.kind == XM_CHANNEL_UP) {
			there = true;
			*ret_remote = event.peer;
			CU_ASSERT_STRING_EQUAL(event.identity, "client");
		}
		if (ops->poll(initiator, &event) > 0) {
			CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_UP);
			if (event.kind != XM_CHANNEL_UP && event.words != NULL)
				printf("    %s\n", event.words);
			here = true;
			/* A certificate has a name, a pre-shared key a client's. */
			CU_ASSERT_STRING_EQUAL(event.identity,
					       keyed ? "" : "appliance");
		}
		ops->wait(initiator, -1, XM_MS / 10);
	}
	CU_ASSERT_TRUE_FATAL(here && there);
}

void rig_talk(struct xm_channel *initiator, uint32_t local,
	      struct xm_channel *target, uint32_t remote)
{
	struct xm_channel_event event;

	CU_ASSERT_EQUAL(ops->send(initiator, local, "ping", 4), 0);
	do
		event = rig_next(target, initiator);
	while (event.kind == XM_CHANNEL_STRANGER);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
	CU_ASSERT_EQUAL(event.peer, remote);
	CU_ASSERT_EQUAL(ops->send(target, remote, "pong", 4), 0);
	event = rig_next(initiator, NULL);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
	CU_ASSERT_EQUAL(event.size, 4);
}

int rig_socket(struct xm_channel *target)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)atoi(
			strrchr(ops->address(target), ':') + 1)),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&to, sizeof(to)),
			      0);
	return fd;
}

static void be_stranger(int fd, const char *auth, bool floods)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	char byte;

	if (auth != NULL &&
	    (SSL_CTX_use_certificate_file(c, auth, SSL_FILETYPE_PEM) != 1 ||
	     SSL_CTX_use_PrivateKey_file(c, auth, SSL_FILETYPE_PEM) != 1))
		_exit(1);
	ssl = SSL_new(c);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) != 1)
		_exit(0);
	while (floods && SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
	       SSL_do_handshake(ssl) == 1)
		continue;
	(void)SSL_read(ssl, &byte, 1);
	_exit(0);
}

static void stranger(struct xm_channel *target, const char *auth, bool floods)
{
	int fd = rig_socket(target);
	pid_t pid;

	/* Twice, so that nobody has to wait for it. */
	pid = fork();
	if (pid == 0) {
		if (fork() == 0)
			be_stranger(fd, auth, floods);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	close(fd);
}

void rig_stranger(struct xm_channel *target, const char *auth)
{
	stranger(target, auth, false);
}

void rig_flood(struct xm_channel *target, const char *auth)
{
	stranger(target, auth, true);
}

int rig_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	while (d != NULL && readdir(d) != NULL)
		count++;
	if (d != NULL)
		closedir(d);
	return count;
}
