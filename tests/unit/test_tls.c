/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of transports/tls*.c through the channel: who gets in, who does not and why, and
 * what strangers can cost. Everything waits for events, nothing for time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/tls_rig.h"
#include "transports/tls_parts.h"

#define LOOPBACK "ofi+tcp://127.0.0.1:0"

static const struct xm_channel_ops *const ops = &xm_stream_tcp;
static struct xm_channel *target, *initiator;
static uint32_t local, remote;

static void pair_open(void)
{
	target = rig_open(rig_path("one", "appliance.pem"), LOOPBACK);
	initiator = rig_open(rig_path("one", "client.pem"), NULL);
	rig_meet(initiator, target, &local, &remote);
}

static void pair_close(void)
{
	ops->close(initiator);
	ops->close(target);
}

/* --- who gets in ------------------------------------------------------------------ */

static void messages_of_every_size_arrive_whole_and_in_order(void)
{
	static const size_t sizes[] = { 1, 2, 100, 4095, XM_MESSAGE_SIZE_MAX };
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	struct xm_channel_event event;

	pair_open();
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < XM_COUNT(sizes); i++) {
			memset(bytes, (int)(round + i), sizes[i]);
			CU_ASSERT_EQUAL(ops->send(initiator, local, bytes,
						  sizes[i]), 0);
		}
		for (unsigned i = 0; i < XM_COUNT(sizes); i++) {
			event = rig_next(target, initiator);
			CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
			CU_ASSERT_EQUAL_FATAL(event.size, sizes[i]);
			CU_ASSERT_EQUAL(event.bytes[event.size - 1], round + i);
		}
		rig_talk(initiator, local, target, remote);
	}
	pair_close();
}

static void a_full_queue_takes_nothing_more_and_empties(void)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX] = { 0 };
	struct xm_channel_event event;
	size_t sent = 0, got = 0;
	int rc;

	pair_open();
	do {
		memcpy(bytes, &sent, sizeof(sent));
		rc = ops->send(initiator, local, bytes, sizeof(bytes));
		sent += rc == 0;
	} while (rc == 0 && sent < 100000);
	CU_ASSERT_EQUAL(rc, -EAGAIN);
	while (got < sent) {
		CU_ASSERT_EQUAL_FATAL(ops->poll(initiator, &event), 0);
		if (ops->poll(target, &event) == 0) {
			ops->wait(target, -1, XM_MS);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
		CU_ASSERT_EQUAL_FATAL(memcmp(event.bytes, &got, sizeof(got)), 0);
		got++;
	}
	pair_close();
}

static void a_last_word_is_heard_before_the_end(void)
{
	struct xm_channel_event event;

	pair_open();
	CU_ASSERT_EQUAL(ops->send(target, remote, "no", 2), 0);
	ops->disconnect(target, remote);
	event = rig_next(initiator, NULL);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_MESSAGE);
	event = rig_next(initiator, NULL);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL(event.status, -ECONNRESET);
	ops->disconnect(initiator, local);
	pair_close();
}

/* A unix socket's other side is known to the kernel. */
static void a_user_of_this_machine_is_known_without_a_certificate(void)
{
	const struct xm_channel_ops *shm = &xm_stream_shm;
	struct xm_channel_options here = { .peers_max = 2 };
	struct xm_channel_options there = { .target = true, .peers_max = 2 };
	char address[64], words[512], user[32];
	struct xm_channel *a, *b;
	struct xm_channel_event event;
	uint32_t peer;

	snprintf(address, sizeof(address), "ofi+shm://test-tls-%d", getpid());
	snprintf(user, sizeof(user), "uid:%u", getuid());
	here.address = there.address = address;
	there.auth = rig_path("one", "appliance.pem");
	CU_ASSERT_EQUAL_FATAL(shm->open(&there, words, sizeof(words), &a), 0);
	CU_ASSERT_EQUAL_FATAL(shm->open(&here, words, sizeof(words), &b), 0);
	shm->resolve(b, address);
	CU_ASSERT_EQUAL(shm->connect(b, address, &peer), 0);
	event = rig_next(a, b);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_UP);
	CU_ASSERT_STRING_EQUAL(event.identity, user);
	shm->close(b);
	shm->close(a);
}

/* --- who does not ------------------------------------------------------------------- */

static struct xm_channel *open_either(const char *auth, const char *address)
{
	bool wrong = auth != NULL &&
		     (strstr(auth, "appliance") != NULL) != (address != NULL);

	return wrong ? rig_pose(auth, address) : rig_open(auth, address);
}

/* Both sides' words: of the initiator's DOWN, and of the target's STRANGER. */
static void do_not_meet(const char *client, const char *appliance, int status,
			const char *here, const char *there)
{
	struct xm_channel *a = open_either(appliance, LOOPBACK);
	struct xm_channel *b = open_either(client, NULL);
	struct xm_channel_event event;
	char said[512] = "";
	uint32_t peer;

	ops->resolve(b, ops->address(a));
	CU_ASSERT_EQUAL(ops->connect(b, ops->address(a), &peer), 0);
	for (int i = 0; i < 20000 && said[0] == '\0'; i++) {
		struct xm_channel_event ignored;

		if (ops->poll(a, &event) > 0) {
			/* Without credentials it takes whoever comes. */
			CU_ASSERT(event.kind == XM_CHANNEL_STRANGER ||
				  appliance == NULL);
			snprintf(said, sizeof(said), "%s",
				 event.words != NULL ? event.words : "plain");
		}
		while (said[0] == '\0' && ops->poll(b, &ignored) > 0)
			CU_ASSERT_NOT_EQUAL(ignored.kind, XM_CHANNEL_UP);
		ops->wait(b, -1, XM_MS / 10);
	}
	if (strstr(said, there) == NULL)
		printf("    there: %s\n", said);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, there));
	ops->close(b);
	b = open_either(client, NULL);
	ops->resolve(b, ops->address(a));
	CU_ASSERT_EQUAL(ops->connect(b, ops->address(a), &peer), 0);
	event = rig_next(b, a);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	if (event.status != status || (here != NULL && (event.words == NULL ||
					strstr(event.words, here) == NULL)))
		printf("    here: %d %s\n", event.status,
		       event.words != NULL ? event.words : "(no words)");
	CU_ASSERT_EQUAL(event.status, status);
	CU_ASSERT_TRUE(here == NULL || (event.words != NULL &&
					strstr(event.words, here) != NULL));
	ops->close(b);
	ops->close(a);
}

static void certificates_of_two_authorities_do_not_meet(void)
{
	do_not_meet(rig_path("one", "client.pem"),
		    rig_path("two", "appliance.pem"), -EKEYREJECTED,
		    "its certificate (appliance) is of another authority",
		    "our certificate is of an authority that it does not know");
}

static void a_client_is_no_appliance_and_an_appliance_no_client(void)
{
	do_not_meet(rig_path("one", "appliance.pem"),
		    rig_path("one", "appliance.pem"), -EKEYREJECTED,
		    "our certificate is not for this side",
		    "its certificate (appliance) is not one of a client");
	do_not_meet(rig_path("one", "client.pem"), rig_path("one", "client.pem"),
		    -EKEYREJECTED,
		    "its certificate (client) is not one of an appliance",
		    "our certificate is not for this side");
}

static void a_side_without_credentials_is_told_so(void)
{
	do_not_meet(NULL, rig_path("one", "appliance.pem"), -ENOKEY, NULL,
		    "a client without credentials");
	do_not_meet(rig_path("one", "client.pem"), NULL, -EPROTONOSUPPORT,
		    "it has no TLS: start extmemd with --auth", "plain");
}

static void refused(const char *auth, const char *words)
{
	struct xm_channel_event event;

	rig_stranger(target, auth);
	event = rig_next(target, initiator);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_STRANGER);
	CU_ASSERT_PTR_NOT_NULL(strstr(event.words, "127.0.0.1:"));
	if (strstr(event.words, words) == NULL)
		printf("    %s\n", event.words);
	CU_ASSERT_PTR_NOT_NULL(strstr(event.words, words));
	rig_talk(initiator, local, target, remote);
}

static void strangers_are_refused_in_words_while_a_good_client_goes_on(void)
{
	pair_open();
	refused(NULL, "it has shown no certificate");
	refused(rig_issue("one", "late", AUTHORITY_CLIENT, -DAY, -DAY / 2),
		"its certificate (late) expired on 20");
	refused(rig_issue("one", "early", AUTHORITY_CLIENT, DAY, 2 * DAY),
		"its certificate (early) is valid from 20");
	refused(rig_issue("two", "other", AUTHORITY_CLIENT, -60, DAY),
		"its certificate (other) is of another authority");
	refused(rig_issue("one", "server", AUTHORITY_APPLIANCE, -60, DAY),
		"its certificate (server) is not one of a client");
	pair_close();
}

/* --- revoked, renewed ------------------------------------------------------------------ */

static void who_is_revoked_is_hung_up_on_and_does_not_come_back(void)
{
	char words[AUTHORITY_WORDS] = "", file[256], kept[256];
	struct xm_channel_event event;
	struct xm_channel *other;
	uint32_t peer;

	pair_open();
	snprintf(file, sizeof(file), "%s",
		 rig_issue("one", "bad", AUTHORITY_CLIENT, -60, DAY));
	snprintf(kept, sizeof(kept), "%s", rig_path("one", "kept"));
	rig_copy(file, kept);
	other = rig_open(kept, NULL);
	ops->resolve(other, ops->address(target));
	CU_ASSERT_EQUAL(ops->connect(other, ops->address(target), &peer), 0);
	event = rig_next(target, other);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_UP);
	CU_ASSERT_STRING_EQUAL(event.identity, "bad");
	peer = event.peer;
	CU_ASSERT_EQUAL(authority_revoke(rig_path("one", ""), "bad", words), 0);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), 0);
	event = rig_next(target, NULL);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL(event.peer, peer);
	CU_ASSERT_EQUAL(event.status, -EKEYREVOKED);
	ops->disconnect(target, peer);
	ops->close(other);
	rig_talk(initiator, local, target, remote);
	refused(kept, "its certificate (bad) was revoked");
	do_not_meet(kept, rig_path("one", "appliance.pem"), -EKEYREVOKED,
		    "our certificate was revoked",
		    "its certificate (bad) was revoked");
	unlink(rig_path("one", "revoked.pem"));
	pair_close();
}

/* Has a stranger's first message come, and not yet its certificate? */
static bool is_half_way(void)
{
	const struct xm_tls_stream *s;

	for (uint32_t i = 0; i < target->peers_high; i++) {
		s = target->peers[i].io.state;
		if (target->peers[i].state == XM_STREAM_SHAKING && s->came > 100)
			return true;
	}
	return false;
}

static void a_handshake_held_open_across_a_renewal_is_no_way_in(void)
{
	char words[AUTHORITY_WORDS] = "", kept[256];
	struct xm_channel_event event;
	struct xm_channel *other;
	uint32_t peer;

	pair_open();
	snprintf(kept, sizeof(kept), "%s", rig_path("one", "kept"));
	rig_copy(rig_issue("one", "slow", AUTHORITY_CLIENT, -60, DAY), kept);
	other = rig_open(kept, NULL);
	ops->resolve(other, ops->address(target));
	CU_ASSERT_EQUAL(ops->connect(other, ops->address(target), &peer), 0);
	for (int i = 0; i < 20000 && !is_half_way(); i++) {
		CU_ASSERT_EQUAL(ops->poll(other, &event), 0);
		ops->wait(target, -1, XM_MS / 10);
		CU_ASSERT_EQUAL(ops->poll(target, &event), 0);
	}
	CU_ASSERT_FATAL(is_half_way());
	CU_ASSERT_EQUAL(authority_revoke(rig_path("one", ""), "slow", words), 0);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), 0);
	event = rig_next(target, other);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_STRANGER);
	CU_ASSERT_EQUAL(event.status, -EKEYREVOKED);
	ops->close(other);
	rig_talk(initiator, local, target, remote);
	unlink(rig_path("one", "revoked.pem"));
	pair_close();
}

/* The list of revoked certificates, dated by a clock that is a day ahead. */
static void postdate(const char *path)
{
	FILE *file = fopen(rig_path("one", "authority.key"), "r");
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	ASN1_TIME *then = ASN1_TIME_set(NULL, time(NULL) + DAY);
	X509_CRL *list;

	fclose(file);
	file = fopen(path, "r+");
	list = PEM_read_X509_CRL(file, NULL, NULL, NULL);
	CU_ASSERT_EQUAL(X509_CRL_set1_lastUpdate(list, then), 1);
	CU_ASSERT(X509_CRL_sign(list, key, NULL) > 0);
	rewind(file);
	CU_ASSERT_EQUAL(PEM_write_X509_CRL(file, list), 1);
	fclose(file);
	X509_CRL_free(list);
	ASN1_TIME_free(then);
	EVP_PKEY_free(key);
}

static void a_list_of_another_authority_or_clock_throws_nobody_out(void)
{
	char words[512] = "", list[256];
	struct xm_channel *later;
	uint32_t local2, remote2;

	pair_open();
	snprintf(list, sizeof(list), "%s", rig_path("one", "revoked.pem"));
	rig_issue("two", "bad", AUTHORITY_CLIENT, -60, DAY);
	CU_ASSERT_EQUAL(authority_revoke(rig_path("two", ""), "bad", words), 0);
	rig_copy(rig_path("two", "revoked.pem"), list);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), -EKEYREJECTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "is of another authority"));
	rig_talk(initiator, local, target, remote);
	rig_issue("one", "bad", AUTHORITY_CLIENT, -60, DAY);
	rig_copy(rig_path("one", "bad.pem"), rig_path("one", "kept"));
	CU_ASSERT_EQUAL(authority_revoke(rig_path("one", ""), "bad", words), 0);
	postdate(list);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), 0);
	rig_talk(initiator, local, target, remote);
	refused(rig_path("one", "kept"), "its certificate (bad) was revoked");
	later = rig_open(rig_path("one", "client.pem"), NULL);
	rig_meet(later, target, &local2, &remote2);
	ops->close(later);
	CU_ASSERT_EQUAL(rig_next(target, initiator).kind, XM_CHANNEL_DOWN);
	ops->disconnect(target, remote2);
	unlink(list);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "is gone"));
	refused(rig_path("one", "kept"), "its certificate (bad) was revoked");
	pair_close();
}

static void credentials_are_renewed_under_streams_that_stay(void)
{
	char path[256], words[512] = "";
	struct xm_channel *later;
	uint32_t local2, remote2;
	FILE *file;

	pair_open();
	snprintf(path, sizeof(path), "%s", rig_path("one", "appliance.pem"));
	rig_issue("one", "appliance", AUTHORITY_APPLIANCE, -60, 2 * DAY);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), 0);
	rig_talk(initiator, local, target, remote);
	later = rig_open(rig_path("one", "client.pem"), NULL);
	rig_meet(later, target, &local2, &remote2);
	ops->close(later);
	CU_ASSERT_EQUAL(rig_next(target, initiator).kind, XM_CHANNEL_DOWN);
	ops->disconnect(target, remote2);
	/* What cannot be read changes nothing. */
	rig_copy(path, rig_path("one", "kept"));
	file = fopen(path, "w");
	fputs("no certificate\n", file);
	fclose(file);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "is no credential file"));
	rig_talk(initiator, local, target, remote);
	later = rig_open(rig_path("one", "client.pem"), NULL);
	rig_meet(later, target, &local2, &remote2);
	ops->close(later);
	rig_copy(rig_path("one", "kept"), path);
	pair_close();
}

/* Another thread may have been within OpenSSL when the program forked. */
static void a_child_of_fork_ends_whoever_was_within_openssl(void)
{
	int status = -1;
	pid_t pid;

	pair_open();
	fflush(NULL);
	CU_ASSERT_FATAL(xm_ssl_enter());
	pid = fork();
	if (pid == 0) {
		alarm(60);
		exit(0);
	}
	xm_ssl_leave();
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	pair_close();
}

/* --- files and addresses ------------------------------------------------------------------ */

static void fails(const char *auth, const char *address, const char *words)
{
	const char *said = rig_fails(auth, address);

	CU_ASSERT_PTR_NOT_NULL_FATAL(said);
	if (strstr(said, words) == NULL)
		printf("    %s\n", said);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, words));
}

static void a_credential_file_is_looked_at(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s", rig_path("one", "copy"));
	rig_copy(rig_path("one", "client.pem"), path);
	CU_ASSERT_PTR_NULL(rig_fails(path, NULL));
	chmod(path, 0640);
	fails(path, NULL, "chmod 600");
	chmod(path, 0600);
	CU_ASSERT_EQUAL(truncate(path, 400), 0);
	fails(path, NULL, "no credential file");
	CU_ASSERT_EQUAL(truncate(path, 0), 0);
	fails(path, NULL, "no credential file");
	CU_ASSERT_EQUAL(truncate(path, 1100 * 1024), 0);
	fails(path, NULL, "too large");
	unlink(path);
	fails(path, NULL, "No such file");
	fails(rig_path("one", "appliance.pem"), NULL, "not for this side");
	fails(rig_path("one", "client.pem"), LOOPBACK, "not for this side");
	fails("/", NULL, "Invalid argument");
	fails(rig_path("one", "authority.key"), NULL, "no credential file");
	fails(rig_issue("one", "late", AUTHORITY_CLIENT, -DAY, -60), NULL,
	      "expired on");
	fails(rig_issue("one", "early", AUTHORITY_CLIENT, DAY, 2 * DAY), NULL,
	      "set the clock");
	rig_copy(rig_path("one", "client.pem"), rig_path("one", "revoked.pem"));
	fails(rig_path("one", "appliance.pem"), LOOPBACK,
	      "no list of revoked certificates");
	unlink(rig_path("one", "revoked.pem"));
}

static void other_machines_need_credentials_or_an_open_word(void)
{
	struct xm_channel_options o = { .address = "ofi+tcp://0.0.0.0:0",
					.target = true, .peers_max = 2 };
	static const char far[] = "ofi+tcp://192.0.2.1:7470";
	struct xm_channel_event event;
	struct xm_channel *c;
	char words[512];
	uint32_t peer;

	fails(NULL, "ofi+tcp://0.0.0.0:0", "is reached from other machines");
	fails(NULL, "ofi+tcp://[::]:0", "--insecure-plaintext");
	o.insecure_plaintext = true;
	CU_ASSERT_EQUAL(ops->open(&o, words, sizeof(words), &c), 0);
	ops->close(c);
	o.auth = rig_path("one", "appliance.pem");
	CU_ASSERT_EQUAL(ops->open(&o, words, sizeof(words), &c), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "contradict each other"));
	c = rig_open(NULL, NULL);
	ops->resolve(c, far);
	CU_ASSERT_EQUAL(ops->connect(c, far, &peer), 0);
	event = rig_next(c, NULL);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL_FATAL(event.status, -ENOKEY);
	CU_ASSERT_PTR_NOT_NULL(strstr(event.words, "there are no credentials"));
	ops->close(c);
}

/* --- what strangers can cost ---------------------------------------------------------------- */

static void idle_strangers_do_not_keep_a_client_out(void)
{
	int before = rig_descriptors(), strangers[200];
	struct xm_channel_event event;
	struct xm_channel *later;
	uint32_t local2, remote2;

	pair_open();
	for (unsigned i = 0; i < XM_COUNT(strangers); i++) {
		strangers[i] = rig_socket(target);
		(void)ops->poll(target, &event);
	}
	rig_talk(initiator, local, target, remote);
	CU_ASSERT(rig_descriptors() <
		  before + (int)XM_COUNT(strangers) + XM_CHANNEL_HANDSHAKES_MAX + 16);
	later = rig_open(rig_path("one", "client.pem"), NULL);
	rig_meet(later, target, &local2, &remote2);
	rig_talk(initiator, local, target, remote);
	ops->close(later);
	for (unsigned i = 0; i < XM_COUNT(strangers); i++)
		close(strangers[i]);
	pair_close();
	CU_ASSERT_EQUAL(rig_descriptors(), before);
}

/* How many handshakes are under way with this machine. */
static int count_from(const char *machine)
{
	int count = 0;

	for (uint32_t i = 0; i < target->peers_high; i++)
		count += target->peers[i].state == XM_STREAM_SHAKING &&
			 strncmp(target->peers[i].from, machine,
				 strlen(machine)) == 0;
	return count;
}

static void one_machine_does_not_keep_another_out(void)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(0x7f000002) };
	struct xm_channel_event event = { .peer = 0 };
	int slow = socket(AF_INET, SOCK_STREAM, 0), strangers[200];
	struct sockaddr_in to = from;
	unsigned said = 0;

	pair_open();
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(strrchr(ops->address(target), ':') + 1));
	CU_ASSERT_EQUAL_FATAL(bind(slow, (struct sockaddr *)&from, sizeof(from)), 0);
	CU_ASSERT_EQUAL_FATAL(connect(slow, (struct sockaddr *)&to, sizeof(to)), 0);
	for (unsigned i = 0; i < XM_COUNT(strangers); i++) {
		strangers[i] = rig_socket(target);
		if (ops->poll(target, &event) > 0 &&
		    strstr(event.words, "for others") != NULL)
			said += (unsigned)atoi(event.words);
	}
	CU_ASSERT_EQUAL(count_from("127.0.0.2:"), 1);
	CU_ASSERT_EQUAL(count_from("127.0.0.1:"), XM_CHANNEL_HANDSHAKES_MAX - 1);
	CU_ASSERT_EQUAL(said, XM_COUNT(strangers) + 1 - XM_CHANNEL_HANDSHAKES_MAX);
	rig_talk(initiator, local, target, remote);
	for (unsigned i = 0; i < XM_COUNT(strangers); i++)
		close(strangers[i]);
	close(slow);
	pair_close();
}

/* A ClientHello as OpenSSL sends it, by listening to one. */
static size_t record_hello(uint8_t *to, size_t size)
{
	struct xm_channel *listener = rig_open(NULL, LOOPBACK);
	struct xm_channel *c = rig_open(rig_path("one", "client.pem"), NULL);
	struct xm_channel_event event;
	ssize_t n = 0;
	uint32_t peer;
	int fd;

	/* A bare listener: the channel's own socket is asked, not polled. */
	ops->resolve(c, ops->address(listener));
	CU_ASSERT_EQUAL(ops->connect(c, ops->address(listener), &peer), 0);
	fd = accept(listener->listener, NULL, NULL);
	for (int i = 0; fd < 0 && i < 1000; i++) {
		(void)ops->poll(c, &event);
		ops->wait(c, -1, XM_MS);
		fd = accept(listener->listener, NULL, NULL);
	}
	CU_ASSERT_FATAL(fd >= 0);
	for (int i = 0; n <= 0 && i < 1000; i++) {
		(void)ops->poll(c, &event);
		ops->wait(c, -1, XM_MS);
		n = recv(fd, to, size, MSG_DONTWAIT);
	}
	close(fd);
	ops->close(c);
	ops->close(listener);
	CU_ASSERT_FATAL(n > 100);
	return (size_t)n;
}

static uint32_t draw(uint32_t below)
{
	static uint64_t state = 14;

	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(state >> 33) % below;
}

/* One stranger's bytes: noise, or a real beginning with some of it changed, cut short or
 * followed by noise. */
static size_t malform(const uint8_t *hello, size_t hello_size, uint8_t *to)
{
	size_t size = hello_size;

	memcpy(to, hello, hello_size);
	switch (draw(4)) {
	case 0:
		size = 1 + draw(600);
		for (size_t i = 0; i < size; i++)
			to[i] = (uint8_t)draw(256);
		if (draw(2) == 0)
			memcpy(to, hello, xm_min(size, 3));
		break;
	case 1:
		size = draw((uint32_t)hello_size);
		break;
	default:
		for (size_t i = draw(2) * 400; i > 0; i--)
			to[size++] = (uint8_t)draw(256);
		for (uint32_t i = 1 + draw(8); i > 0; i--)
			to[draw((uint32_t)size)] = (uint8_t)draw(256);
	}
	return size;
}

static void throw_at(int count, const uint8_t *hello, size_t hello_size)
{
	struct xm_channel_event event;
	uint8_t bytes[8192];
	int fd;

	for (int i = 0; i < count; i++) {
		fd = rig_socket(target);
		(void)send(fd, bytes, malform(hello, hello_size, bytes),
			   MSG_NOSIGNAL);
		if (draw(3) == 0)
			shutdown(fd, SHUT_WR);
		for (unsigned k = 0; k < 4; k++) {
			if (ops->poll(target, &event) <= 0)
				continue;
			CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_STRANGER);
			CU_ASSERT_PTR_NOT_NULL(event.words);
		}
		close(fd);
		if (i % 100 == 0)
			rig_talk(initiator, local, target, remote);
	}
	/* Those that are left. */
	for (int i = 0; i < 200; i++)
		if (ops->poll(target, &event) > 0)
			CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_STRANGER);
	rig_talk(initiator, local, target, remote);
}

static void malformed_handshakes_cost_nothing_that_stays(void)
{
	uint8_t hello[4096];
	size_t size = record_hello(hello, sizeof(hello)), before;
	int descriptors;

	pair_open();
	throw_at(500, hello, size);
	before = mallinfo2().uordblks;
	descriptors = rig_descriptors();
	throw_at(3000, hello, size);
	CU_ASSERT_EQUAL(rig_descriptors(), descriptors);
	/* Some of the last ones may still be in their handshake. */
	if (mallinfo2().uordblks > before + 512 * 1024)
		printf("    %zu bytes, then %zu\n", before, mallinfo2().uordblks);
	CU_ASSERT(mallinfo2().uordblks <= before + 512 * 1024);
	pair_close();
}

static void who_sends_records_without_messages_for_ever_is_hung_up_on(void)
{
	struct xm_channel_event event;

	pair_open();
	rig_flood(target, rig_path("one", "client.pem"));
	event = rig_next(target, initiator);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_UP);
	event = rig_next(target, initiator);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL(event.status, -EPROTO);
	CU_ASSERT_PTR_NOT_NULL_FATAL(event.words);
	CU_ASSERT_PTR_NOT_NULL(strstr(event.words, "no message"));
	ops->disconnect(target, event.peer);
	rig_talk(initiator, local, target, remote);
	pair_close();
}

/* OpenSSL itself takes eight times as much for a ClientHello. */
static void a_stranger_sends_16_kib_at_most(void)
{
	static uint8_t record[5 + 16384];
	struct xm_channel_event event;
	int fd, sent = 0;

	pair_open();
	record[0] = 22;
	record[1] = 3;
	record[2] = 1;
	record[3] = 16384 >> 8;
	record[5] = 1;
	record[6] = 1; /* a ClientHello of 100,000 bytes */
	record[7] = 0x86;
	record[8] = 0xa0;
	fd = rig_socket(target);
	do {
		/* Further records of the same message. */
		if (send(fd, record, sizeof(record), MSG_NOSIGNAL) > 0)
			sent++;
		memset(record + 5, 0, 4);
	} while (ops->poll(target, &event) == 0 && sent < 100);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_STRANGER);
	CU_ASSERT(sent <= 3);
	close(fd);
	rig_talk(initiator, local, target, remote);
	pair_close();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(messages_of_every_size_arrive_whole_and_in_order),
		XM_TEST(a_full_queue_takes_nothing_more_and_empties),
		XM_TEST(a_last_word_is_heard_before_the_end),
		XM_TEST(a_user_of_this_machine_is_known_without_a_certificate),
		XM_TEST(certificates_of_two_authorities_do_not_meet),
		XM_TEST(a_client_is_no_appliance_and_an_appliance_no_client),
		XM_TEST(a_side_without_credentials_is_told_so),
		XM_TEST(strangers_are_refused_in_words_while_a_good_client_goes_on),
		XM_TEST(who_is_revoked_is_hung_up_on_and_does_not_come_back),
		XM_TEST(a_handshake_held_open_across_a_renewal_is_no_way_in),
		XM_TEST(a_list_of_another_authority_or_clock_throws_nobody_out),
		XM_TEST(credentials_are_renewed_under_streams_that_stay),
		XM_TEST(a_child_of_fork_ends_whoever_was_within_openssl),
		XM_TEST(a_credential_file_is_looked_at),
		XM_TEST(other_machines_need_credentials_or_an_open_word),
		XM_TEST(idle_strangers_do_not_keep_a_client_out),
		XM_TEST(one_machine_does_not_keep_another_out),
		XM_TEST(malformed_handshakes_cost_nothing_that_stays),
		XM_TEST(who_sends_records_without_messages_for_ever_is_hung_up_on),
		XM_TEST(a_stranger_sends_16_kib_at_most),
		CU_TEST_INFO_NULL,
	};

	signal(SIGPIPE, SIG_DFL); /* nothing of ours may raise it */
	rig_begin();
	return xm_tests_run("tls", tests);
}
