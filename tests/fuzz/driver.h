/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fuzzers have in common: bytes in, a broken promise ends the process.
 *
 * With -DXM_LIBFUZZER and clang's -fsanitize=fuzzer a fuzzer is libFuzzer's; `make
 * fuzz` builds and runs it so. Else it has the driver of driver.c, which replays files
 * and then mutates them from a seed, and so finds the same in every run:
 *
 *	fuzz_NAME [-n MUTATIONS] [-s SEED] FILE...
 */
#ifndef XM_FUZZ_DRIVER_H
#define XM_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_SIZE_MAX 8400 /* bytes of an input */

int fuzz_main(int argc, char **argv);

/* Each fuzzer has these two: one input; and a mutation of its own, in place. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
void fuzz_mend(uint8_t *bytes, size_t size);

#endif
