/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzzer of xm_wire_decode(): bytes in, a broken promise ends the process.
 *
 *	fuzz_wire [-n MUTATIONS] [-s SEED] FILE...	see driver.h
 *	fuzz_wire -w DIRECTORY		writes a corpus of one valid
 *					message of each kind
 *
 * What is promised: decoding ends in 0 or -EPROTO and reads nothing past the
 * size; a refusal leaves *ret alone; what was decoded encodes to the very
 * same bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/driver.h"
#include "tests/unit/wire_sample.h"
#include "core/pure/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct xm_message message, untouched;
	uint8_t again[XM_MESSAGE_SIZE_MAX];
	int r;

	memset(&message, 0xa5, sizeof(message));
	memset(&untouched, 0xa5, sizeof(untouched));
	r = xm_wire_decode(bytes, size, &message);
	if (r < 0) {
		XM_ASSERT(r == -EPROTO);
		XM_ASSERT(!memcmp(&message, &untouched, sizeof(message)));
		return 0;
	}
	XM_ASSERT(r == 0);
	XM_ASSERT(xm_message_name(message.kind)[0] != '?');
	XM_ASSERT(xm_wire_encode(&message, again) == size);
	XM_ASSERT(!memcmp(bytes, again, size));
	return 0;
}

#ifndef XM_LIBFUZZER

/* A head that agrees with the size. */
void fuzz_mend(uint8_t *bytes, size_t size)
{
	if (size >= 8) {
		bytes[2] = (uint8_t)(size - 8);
		bytes[3] = (uint8_t)((size - 8) >> 8);
	}
}

static int write_corpus(const char *directory)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	static struct xm_message message;
	struct xm_rand r;
	char path[4096];
	size_t size;

	xm_rand_seed(&r, 1);
	for (int kind = 1; kind < XM_MESSAGE_KINDS; kind++) {
		FILE *file;

		sample_message(&r, (enum xm_message_kind)kind, &message);
		size = xm_wire_encode(&message, bytes);
		snprintf(path, sizeof(path), "%s/%s", directory,
			 xm_message_name((enum xm_message_kind)kind));
		file = fopen(path, "wb");
		if (!file || fwrite(bytes, 1, size, file) != size) {
			perror(path);
			return 1;
		}
		if (fclose(file) != 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "-w") == 0)
		return write_corpus(argv[2]);
	return fuzz_main(argc, argv);
}

#endif
