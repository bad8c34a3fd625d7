/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzzer of the lines of `issued`, the list of an authority.
 *
 *	fuzz_issued [-n MUTATIONS] [-s SEED] FILE...	see driver.h
 *
 * What is promised: a line is an entry, written as the list writes it and of nothing else
 * but that, or none, and then *ret is left alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/authority.h"
#include "common/base.h"
#include "tests/fuzz/driver.h"

/* Zeros before the number may be dropped. */
static bool is_written(const struct authority_entry *e, const char *line)
{
	const char *role = e->role == AUTHORITY_CLIENT ? "client" : "appliance";
	const char *state = e->revoked ? "revoked" : "good";
	char text[256], until[32];
	const char *at;

	snprintf(text, sizeof(text), "%s %s %s ", e->serial, e->name, role);
	if (strncmp(line, text, strlen(text)) != 0)
		return false;
	at = line + strlen(text);
	snprintf(until, sizeof(until), "%" PRId64, (int64_t)e->until);
	while (*at == '0' && at[1] >= '0' && at[1] <= '9')
		at++;
	return strncmp(at, until, strlen(until)) == 0 &&
	       at[strlen(until)] == ' ' && strcmp(at + strlen(until) + 1, state) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct authority_entry e, untouched;
	char *line = malloc(size + 1);

	XM_ASSERT(line != NULL);
	memcpy(line, bytes, size);
	line[size] = '\0';
	memset(&e, 0xa5, sizeof(e));
	memset(&untouched, 0xa5, sizeof(untouched));
	if (authority_parse(line, &e)) {
		XM_ASSERT(strlen(e.serial) == AUTHORITY_SERIAL_SIZE - 1);
		XM_ASSERT(memchr(e.name, 0, sizeof(e.name)) != NULL);
		XM_ASSERT(e.name[0] != '\0' && e.until >= 0);
		XM_ASSERT(is_written(&e, line));
	} else {
		XM_ASSERT(memcmp(&e, &untouched, sizeof(e)) == 0);
	}
	free(line);
	return 0;
}

#ifndef XM_LIBFUZZER

void fuzz_mend(uint8_t *bytes, size_t size)
{
	static const char *const words[] = {
		" client ", " appliance ", " good", " revoked", " 0", " ", "../x",
		"0123456789abcdef", "99999999999999",
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
