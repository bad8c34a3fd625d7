/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzzer of the tenants file's parser, and of who is which tenant.
 *
 *	fuzz_tenants [-n MUTATIONS] [-s SEED] FILE...	see driver.h
 *
 * What is promised: any bytes end in a policy, or in a sentence that begins with the line
 * and leaves *ret alone; in a policy each pattern is of a tenant, its own text is of that
 * tenant, or of one with a better pattern, and nobody is of a tenant that is not there.
 */
#include <stdlib.h>
#include <string.h>

#include "appliance/tenants_file.h"
#include "tests/fuzz/driver.h"

static void check_sentence(const char *words)
{
	size_t length = strlen(words);

	XM_ASSERT(strncmp(words, "file:", 5) == 0);
	XM_ASSERT(length > 8 && length < 512);
	for (size_t i = 0; i < length; i++)
		XM_ASSERT(words[i] >= ' ' && words[i] <= '~');
}

static void check_policy(const struct xm_tenants *t, const char *bytes, size_t size)
{
	char identity[XM_IDENTITY_SIZE] = "";

	XM_ASSERT(t->count > 0 && t->count <= XM_TENANTS_MAX);
	XM_ASSERT(t->patterns_count <= XM_TENANT_PATTERNS_MAX);
	for (uint32_t i = 0; i < t->patterns_count; i++) {
		const struct xm_tenant_pattern *p = &t->patterns[i];
		uint32_t who;

		XM_ASSERT(p->tenant < t->count);
		XM_ASSERT(memchr(p->text, 0, sizeof(p->text)) != NULL);
		who = xm_tenants_of(t, p->text);
		XM_ASSERT(who < t->count);
		XM_ASSERT(p->begins || who == p->tenant);
	}
	memcpy(identity, bytes, size < sizeof(identity) ? size : sizeof(identity) - 1);
	XM_ASSERT(xm_tenants_of(t, identity) <= XM_TENANT_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct xm_tenants t, untouched;
	char words[512] = "";

	memset(&t, 0xa5, sizeof(t));
	memset(&untouched, 0xa5, sizeof(untouched));
	if (xm_tenants_parse("file", (const char *)bytes, size, &t, words,
			     sizeof(words)) == 0) {
		check_policy(&t, (const char *)bytes, size);
	} else {
		check_sentence(words);
		XM_ASSERT(memcmp(&t, &untouched, sizeof(t)) == 0);
	}
	return 0;
}

#ifndef XM_LIBFUZZER

void fuzz_mend(uint8_t *bytes, size_t size)
{
	static const char *const words[] = {
		"\n[a]\n", "\n[b]\n", "identity = ", "bytes = ", "clients = 3\n",
		"extents = 18446744073709551616\n", "requests = 1e9\n", "admin = yes\n",
		"*", ", ", " ; ", "# ", "uid:0", "= ", "K\n",
	};
	const char *word = words[size % XM_COUNT(words)];
	size_t length = strlen(word);

	if (size > length)
		memcpy(bytes + size * 7919 % (size - length), word, length);
}

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv);
}

#endif
