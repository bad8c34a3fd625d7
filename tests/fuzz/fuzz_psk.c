/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzzer of files of pre-shared keys.
 *
 *	fuzz_psk [-n MUTATIONS] [-s SEED] FILE...	see driver.h
 *
 * What is promised: any bytes end in keys, or in a line of the file and a reason, with no
 * key left; names can be files', are there once, and are found; no two have one key; what
 * was read and is written again is read as the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/psk.h"
#include "tests/fuzz/driver.h"

static struct xm_psk keys[XM_PSK_MAX], again[XM_PSK_MAX];

static void check_keys(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct xm_psk *k = &keys[i];

		XM_ASSERT(memchr(k->name, 0, sizeof(k->name)) != NULL);
		XM_ASSERT(xm_psk_is_name(k->name, strlen(k->name)));
		XM_ASSERT(strchr(k->name, '/') == NULL);
		XM_ASSERT(xm_psk_find(keys, count, k->name, strlen(k->name)) == k);
		for (uint32_t j = 0; j < i; j++)
			XM_ASSERT(memcmp(keys[j].key, k->key, sizeof(k->key)) != 0);
	}
}

static void check_written(uint32_t count, bool appliance)
{
	size_t used, size = 40 + 160 * (size_t)count;
	char *text = malloc(size);
	struct xm_psk_fault fault;
	bool other;

	XM_ASSERT(text != NULL);
	used = (size_t)snprintf(text, size, "extmem-psk %s\n",
				appliance ? "appliance" : "client");
	for (uint32_t i = 0; i < count; i++) {
		used += (size_t)snprintf(text + used, size - used, "%s ", keys[i].name);
		for (unsigned b = 0; b < XM_PSK_KEY_SIZE; b++)
			used += (size_t)snprintf(text + used, size - used, "%02x",
						 keys[i].key[b]);
		text[used++] = '\n';
	}
	XM_ASSERT(xm_psk_parse(text, used, again, &other, &fault) == (int)count);
	XM_ASSERT(other == appliance);
	XM_ASSERT(memcmp(keys, again, count * sizeof(keys[0])) == 0);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct xm_psk_fault fault = { .line = 0 };
	const char *text = (const char *)bytes;
	bool appliance = false;
	int count = xm_psk_parse(text, size, keys, &appliance, &fault);

	if (count >= 0) {
		XM_ASSERT(xm_psk_is_file(text, size));
		XM_ASSERT(count <= XM_PSK_MAX && (appliance || count == 1));
		check_keys((uint32_t)count);
		check_written((uint32_t)count, appliance);
	} else {
		XM_ASSERT(fault.line >= 1 && fault.why != NULL);
		XM_ASSERT(keys[0].name[0] == '\0');
	}
	memset(keys, 0, sizeof(keys[0]) * (size_t)(count > 0 ? count : 1));
	return 0;
}

#ifndef XM_LIBFUZZER

void fuzz_mend(uint8_t *bytes, size_t size)
{
	static const char *const words[] = {
		"extmem-psk client\n", "extmem-psk appliance\n", "\nbob ", "\n#", "../x ",
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
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
