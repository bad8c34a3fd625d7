/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_environ.sh. Its environment lies in malloc's
 * memory, as in Perl and other interpreters, and it has a locale, so that
 * libc's strerror() reads the environment, too. Meanwhile it reads at random
 * from more memory than is local, so that the environment's pages leave.
 *
 *	run_environ FILE	prints "begun"; when FILE is there, "ended, 0 wrong"
 */
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE ((size_t)32 << 20)
#define MORE 1500 /* variables, so that they fill pages of their own */
#define TOUCHES 2000

static void move_environment(void)
{
	char text[64], **moved;
	size_t count = 0;

	while (environ[count] != NULL)
		count++;
	moved = calloc(count + MORE + 1, sizeof(*moved));
	for (size_t i = 0; i < count; i++)
		moved[i] = strdup(environ[i]);
	for (size_t i = 0; i < MORE; i++) {
		snprintf(text, sizeof(text), "VARIABLE_%zu=%zu", i, i);
		moved[count + i] = strdup(text);
	}
	environ = moved;
}

/* At random; how many bytes are not as they were written. */
static int touch(const char *memory)
{
	static uint64_t x = 1;
	int wrong = 0;

	for (int i = 0; i < TOUCHES; i++) {
		x = x * UINT64_C(6364136223846793005) + 1;
		wrong += memory[(x >> 33) % SIZE] != 1;
	}
	return wrong;
}

int main(int argc, char *argv[])
{
	char *memory;
	int wrong;

	if (argc != 2)
		return 2;
	if (setlocale(LC_ALL, "C.UTF-8") == NULL)
		fprintf(stderr, "run_environ: no locale C.UTF-8 here\n");
	move_environment();
	memory = malloc(SIZE);
	if (memory == NULL)
		return 1;
	memset(memory, 1, SIZE);
	wrong = touch(memory);
	puts("begun");
	fflush(stdout);
	while (access(argv[1], F_OK) != 0)
		wrong += touch(memory);
	printf("ended, %d wrong\n", wrong);
	return wrong > 0;
}
