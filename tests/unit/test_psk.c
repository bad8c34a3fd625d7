/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of pre-shared keys: files of them (common/psk.c), and streams by them
 * (transports/tls_psk.c): who gets in, who does not and why. Everything waits for events,
 * nothing for time.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tls_rig.h"
#include "transports/tls_parts.h"

#define LOOPBACK "ofi+tcp://127.0.0.1:0"
#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "f0112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static const struct xm_channel_ops *const ops = &xm_stream_tcp;
static struct xm_psk keys[XM_PSK_MAX];

/* --- files --------------------------------------------------------------------- */

static int parse(const char *text, bool *ret_appliance, struct xm_psk_fault *fault)
{
	return xm_psk_parse(text, strlen(text), keys, ret_appliance, fault);
}

static void a_file_of_keys_is_read(void)
{
	struct xm_psk_fault fault;
	bool appliance = false;

	CU_ASSERT_EQUAL(parse("extmem-psk client\n# mine\n\nbob " KEY "\n",
			      &appliance, &fault), 1);
	CU_ASSERT_FALSE(appliance);
	CU_ASSERT_STRING_EQUAL(keys[0].name, "bob");
	CU_ASSERT(keys[0].key[0] == 0x00 && keys[0].key[31] == 0xff);
	CU_ASSERT_EQUAL(parse("extmem-psk appliance\nbob " KEY "\nal.-_9 " OTHER,
			      &appliance, &fault), 2);
	CU_ASSERT_TRUE(appliance);
	CU_ASSERT_PTR_EQUAL(xm_psk_find(keys, 2, "al.-_9", 6), &keys[1]);
	CU_ASSERT_PTR_NULL(xm_psk_find(keys, 2, "al.-_9", 5));
	CU_ASSERT_PTR_NULL(xm_psk_find(keys, 2, "bo", 2));
	CU_ASSERT_PTR_NULL(xm_psk_find(keys, 2, "", 0));
	/* All its clients were revoked. */
	CU_ASSERT_EQUAL(parse("extmem-psk appliance\n", &appliance, &fault), 0);
	CU_ASSERT_EQUAL(parse("extmem-psk appliance", &appliance, &fault), 0);
}

static void a_file_of_keys_is_read_strictly(void)
{
	static const struct {
		const char *text, *why;
		uint32_t line;
	} wrong[] = {
		{ "", "first line", 1 },
		{ "extmem-psk clients\nbob " KEY "\n", "first line", 1 },
		{ " extmem-psk client\nbob " KEY "\n", "first line", 1 },
		{ "extmem-psk client\n", "one key", 1 },
		{ "extmem-psk client\nbob " KEY "\nal " OTHER "\n", "one key", 3 },
		{ "extmem-psk client\nbob\n", "NAME KEY", 2 },
		{ "extmem-psk client\n\nbob " KEY "0\n", "64 hex", 3 },
		{ "extmem-psk client\nbob " KEY " \n", "64 hex", 2 },
		{ "extmem-psk client\nbob  " KEY "\n", "64 hex", 2 },
		{ "extmem-psk client\nbob g" OTHER, "64 hex", 2 },
		{ "extmem-psk client\nbob " KEY "\r\n", "64 hex", 2 },
		{ "extmem-psk client\n../x " KEY "\n", "a name has", 2 },
		{ "extmem-psk client\n-x " KEY "\n", "a name has", 2 },
		{ "extmem-psk client\n " KEY "\n", "a name has", 2 },
		{ "extmem-psk client\n"
		  "a234567890123456789012345678901234567890123456789012345678901234 "
		  KEY "\n", "a name has", 2 },
		{ "extmem-psk client\nbob 00000000000000000000000000000000"
		  "00000000000000000000000000000000\n", "guess", 2 },
		{ "extmem-psk appliance\nbob " KEY "\nbob " OTHER "\n",
		  "has a key already", 3 },
		{ "extmem-psk appliance\nbob " KEY "\nal " KEY "\n",
		  "another name has", 3 },
	};
	struct xm_psk_fault fault;
	bool appliance;

	for (unsigned i = 0; i < XM_COUNT(wrong); i++) {
		memset(keys, 0, sizeof(keys));
		CU_ASSERT_EQUAL(parse(wrong[i].text, &appliance, &fault), -EINVAL);
		if (strstr(fault.why, wrong[i].why) == NULL)
			printf("    %s: %s\n", wrong[i].text, fault.why);
		CU_ASSERT_PTR_NOT_NULL(strstr(fault.why, wrong[i].why));
		CU_ASSERT_EQUAL(fault.line, wrong[i].line);
		for (unsigned k = 0; k < 3; k++)
			CU_ASSERT(keys[k].name[0] == '\0' && keys[k].key[1] == 0);
	}
}

static void more_keys_than_there_is_room_for_are_refused(void)
{
	char *text = malloc(80 * (XM_PSK_MAX + 2));
	struct xm_psk_fault fault;
	bool appliance;
	size_t used;

	used = (size_t)sprintf(text, "extmem-psk appliance\n");
	for (unsigned i = 0; i < XM_PSK_MAX; i++)
		used += (size_t)sprintf(text + used, "c%u %064x\n", i, i + 1);
	CU_ASSERT_EQUAL(parse(text, &appliance, &fault), XM_PSK_MAX);
	sprintf(text + used, "one " KEY "\n");
	CU_ASSERT_EQUAL(parse(text, &appliance, &fault), -EINVAL);
	CU_ASSERT_EQUAL(fault.line, XM_PSK_MAX + 2);
	free(text);
}

/* --- streams ------------------------------------------------------------------- */

static void who_has_a_key_is_known_by_its_name(void)
{
	struct xm_channel *target, *initiator;
	uint32_t local, remote;

	rig_key("client", false);
	rig_key("other", false);
	target = rig_open(rig_path("keys", "appliance.psk"), LOOPBACK);
	initiator = rig_open(rig_path("keys", "client.psk"), NULL);
	rig_meet(initiator, target, &local, &remote);
	rig_talk(initiator, local, target, remote);
	ops->close(initiator);
	ops->close(target);
}

/* What the appliance says of who came, and what this one is told. */
static void do_not_meet(struct xm_channel *target, const char *auth, int status,
			const char *here, const char *there)
{
	struct xm_channel *c = rig_open(auth, NULL);
	struct xm_channel_event event;
	char said[512] = "", told[512] = "";
	int got = 0;
	uint32_t peer;

	ops->resolve(c, ops->address(target));
	CU_ASSERT_EQUAL(ops->connect(c, ops->address(target), &peer), 0);
	for (int i = 0; i < 20000 && (said[0] == '\0' || told[0] == '\0'); i++) {
		if (ops->poll(target, &event) > 0) {
			CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_STRANGER);
			snprintf(said, sizeof(said), "%s", event.words);
		}
		if (ops->poll(c, &event) > 0) {
			CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
			got = event.status;
			snprintf(told, sizeof(told), "%s",
				 event.words != NULL ? event.words : "no words");
		}
		ops->wait(c, -1, XM_MS / 10);
	}
	if (strstr(said, there) == NULL || strstr(told, here) == NULL || got != status)
		printf("    there: %s\n    here: %d %s\n", said, got, told);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, there));
	CU_ASSERT_PTR_NOT_NULL(strstr(told, here));
	CU_ASSERT_EQUAL(got, status);
	ops->close(c);
}

static void who_has_no_key_or_a_wrong_one_is_told_so(void)
{
	struct xm_channel *target = rig_open(rig_path("keys", "appliance.psk"), LOOPBACK);
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s", rig_path("keys", "posing"));
	file = fopen(path, "w");
	fprintf(file, "extmem-psk client\nclient " KEY "\n");
	fclose(file);
	chmod(path, 0600);
	do_not_meet(target, path, -EKEYREJECTED,
		    "it has another pre-shared key for client",
		    "another pre-shared key for \"client\"");
	file = fopen(path, "w");
	fprintf(file, "extmem-psk client\nnobody " KEY "\n");
	fclose(file);
	do_not_meet(target, path, -ENOKEY, "it has no pre-shared key for nobody",
		    "by the name \"nobody\", which is not in the file");
	do_not_meet(target, rig_path("one", "client.pem"), -EKEYREJECTED,
		    "this side needs one, too",
		    "it has no pre-shared key, and this appliance no certificate");
	ops->close(target);
	target = rig_open(rig_path("one", "appliance.pem"), LOOPBACK);
	do_not_meet(target, rig_path("keys", "client.psk"), -EKEYREJECTED,
		    "it has certificates, and we have a pre-shared key",
		    "it has a pre-shared key (client), and this appliance"
		    " certificates");
	unlink(path);
	ops->close(target);
}

static void a_stranger_without_a_key_is_turned_away(void)
{
	struct xm_channel *target = rig_open(rig_path("keys", "appliance.psk"), LOOPBACK);
	struct xm_channel *initiator = rig_open(rig_path("keys", "client.psk"), NULL);
	struct xm_channel_event event;
	uint32_t local, remote;

	rig_meet(initiator, target, &local, &remote);
	rig_stranger(target, NULL);
	event = rig_next(target, initiator);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_STRANGER);
	CU_ASSERT_PTR_NOT_NULL(strstr(event.words, "it has no pre-shared key"));
	rig_stranger(target, rig_path("one", "client.pem"));
	event = rig_next(target, initiator);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_STRANGER);
	CU_ASSERT_PTR_NOT_NULL(strstr(event.words, "it has no pre-shared key"));
	rig_talk(initiator, local, target, remote);
	ops->close(initiator);
	ops->close(target);
}

static void a_key_that_is_gone_hangs_up_and_one_that_is_new_does_not(void)
{
	struct xm_channel *target = rig_open(rig_path("keys", "appliance.psk"), LOOPBACK);
	struct xm_channel *initiator = rig_open(rig_path("keys", "client.psk"), NULL);
	struct xm_channel_event event;
	char words[512] = "";
	uint32_t local, remote;

	rig_meet(initiator, target, &local, &remote);
	/* Another key, and another client's that is revoked. */
	rig_copy(rig_path("keys", "client.psk"), rig_path("keys", "old"));
	rig_key("client", true);
	CU_ASSERT_EQUAL(authority_psk_revoke(rig_path("keys", ""), "other", words), 0);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), 0);
	CU_ASSERT_STRING_EQUAL(words, "pre-shared keys of 1 client");
	rig_talk(initiator, local, target, remote);
	do_not_meet(target, rig_path("keys", "old"), -EKEYREJECTED,
		    "copy client.psk again", "another pre-shared key");
	rig_talk(initiator, local, target, remote);
	CU_ASSERT_EQUAL(authority_psk_revoke(rig_path("keys", ""), "client", words), 0);
	CU_ASSERT_EQUAL(authority_psk_revoke(rig_path("keys", ""), "client", words),
			-ENOENT);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), 0);
	event = rig_next(target, initiator);
	CU_ASSERT_EQUAL_FATAL(event.kind, XM_CHANNEL_DOWN);
	CU_ASSERT_EQUAL(event.status, -EKEYREVOKED);
	ops->close(initiator);
	ops->close(target);
}

/* From keys to certificates and back, under whoever is there. */
static void an_appliance_that_changes_its_kind_hangs_up_on_the_other(void)
{
	char path[256], words[512] = "";
	struct xm_channel *target, *initiator;
	struct xm_channel_event event;
	uint32_t local, remote;

	rig_key("client", false);
	snprintf(path, sizeof(path), "%s", rig_path("keys", "credentials"));
	rig_copy(rig_path("keys", "appliance.psk"), path);
	target = rig_open(path, LOOPBACK);
	initiator = rig_open(rig_path("keys", "client.psk"), NULL);
	rig_meet(initiator, target, &local, &remote);
	rig_copy(rig_path("one", "appliance.pem"), path);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), 0);
	event = rig_next(target, initiator);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	ops->disconnect(target, remote);
	ops->close(initiator);
	initiator = rig_open(rig_path("one", "client.pem"), NULL);
	rig_meet(initiator, target, &local, &remote);
	rig_copy(rig_path("keys", "appliance.psk"), path);
	CU_ASSERT_EQUAL(ops->renew(target, words, sizeof(words)), 0);
	event = rig_next(target, initiator);
	CU_ASSERT_EQUAL(event.kind, XM_CHANNEL_DOWN);
	ops->close(initiator);
	ops->close(target);
}

static void fails(const char *auth, const char *address, const char *words)
{
	const char *said = rig_fails(auth, address);

	CU_ASSERT_PTR_NOT_NULL_FATAL(said);
	if (strstr(said, words) == NULL)
		printf("    %s\n", said);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, words));
}

static void a_file_is_for_one_side_and_one_user(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s", rig_path("keys", "client.psk"));
	fails(path, LOOPBACK, "an appliance needs the appliance.psk");
	fails(rig_path("keys", "appliance.psk"), NULL, "a client needs the NAME.psk");
	chmod(path, 0640);
	fails(path, NULL, "chmod 600");
	chmod(path, 0600);
	CU_ASSERT_EQUAL(truncate(path, 40), 0);
	fails(path, NULL, "line 2: a key has 64 hexadecimal digits");
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_file_of_keys_is_read),
		XM_TEST(a_file_of_keys_is_read_strictly),
		XM_TEST(more_keys_than_there_is_room_for_are_refused),
		XM_TEST(who_has_a_key_is_known_by_its_name),
		XM_TEST(who_has_no_key_or_a_wrong_one_is_told_so),
		XM_TEST(a_stranger_without_a_key_is_turned_away),
		XM_TEST(a_key_that_is_gone_hangs_up_and_one_that_is_new_does_not),
		XM_TEST(an_appliance_that_changes_its_kind_hangs_up_on_the_other),
		XM_TEST(a_file_is_for_one_side_and_one_user),
		CU_TEST_INFO_NULL,
	};

	signal(SIGPIPE, SIG_DFL); /* nothing of ours may raise it */
	rig_begin();
	return xm_tests_run("psk", tests);
}
