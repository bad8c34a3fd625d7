/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests/run/test_run_owners.sh: a program that is linked to fixed addresses and takes
 * those of malloc() and free(). They are then entries of its own table of calls, which
 * the loader gives to whoever asks for malloc, although the program has none.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE ((size_t)12 << 20)

int main(void)
{
	void *(*volatile take)(size_t) = malloc;
	void (*volatile give)(void *) = free;
	uint64_t *p = take(SIZE);

	if (p == NULL)
		return 1;
	for (size_t i = 0; i < SIZE / sizeof(*p); i++)
		p[i] = i;
	for (size_t i = 0; i < SIZE / sizeof(*p); i++)
		if (p[i] != i)
			return 1;
	give(p);
	puts("ok");
	return 0;
}
