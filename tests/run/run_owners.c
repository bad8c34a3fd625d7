/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block is freed by whoever has it, by whatever way malloc and free were found:
 * the program of test_run_owners.sh. usage: run_owners HOW [PLUGIN]; prints "ok".
 */
#include <dlfcn.h>
#include <malloc.h>
#include <obstack.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_MAX_TRIED ((size_t)4 << 20)

/* One owner's functions, by one way to them. */
struct owner {
	void *(*make)(size_t);
	void *(*grow)(void *, size_t);
	void (*drop)(void *);
	size_t (*size)(void *);
	void *(*align)(size_t, size_t);
};

static const struct owner here = { malloc, realloc, free, malloc_usable_size,
				   aligned_alloc };

static void fail(const char *words)
{
	fprintf(stderr, "run_owners: %s\n", words);
	exit(1);
}

static bool filled(const char *p, size_t size, char value)
{
	return p && p[0] == value && p[size / 2] == value &&
	       p[size - 1] == value;
}

/* What `a` makes `b` grows and drops. */
static void mix(const struct owner *a, const struct owner *b)
{
	for (size_t size = 16; size <= SIZE_MAX_TRIED; size *= 4) {
		char *p = a->make(size);

		if (!p || (b->size && b->size(p) < size))
			fail("its size is not known there");
		memset(p, 3, size);
		p = b->grow(p, 2 * size);
		if (!filled(p, size, 3))
			fail("what it had is not there after it grew");
		b->drop(p);
		if (!a->align)
			continue;
		p = a->align(4096, (size + 4095) & ~(size_t)4095);
		if (!p || (unsigned long)p % 4096 != 0)
			fail("it is not aligned");
		memset(p, 4, size);
		b->drop(p);
	}
}

static void mix_both(const struct owner *other)
{
	for (int i = 0; i < 3; i++) {
		mix(&here, other);
		mix(other, &here);
	}
}

static void *find(void *handle, const char *name)
{
	void *p = dlsym(handle, name);

	if (!p)
		fail(dlerror());
	return p;
}

/* --- the ways ---------------------------------------------------------------------- */

static void by_handle(void *handle)
{
	struct owner o = { find(handle, "malloc"), find(handle, "realloc"),
			   find(handle, "free"),
			   find(handle, "malloc_usable_size"),
			   find(handle, "aligned_alloc") };

	mix_both(&o);
}

static void by_version(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY);
#ifdef __x86_64__
	const char *version = "GLIBC_2.2.5";
#else
	const char *version = "GLIBC_2.17";
#endif
	struct owner o = { dlvsym(libc, "malloc", version),
			   dlvsym(libc, "realloc", version),
			   dlvsym(libc, "free", version), NULL, NULL };

	if (!o.make || !o.grow || !o.drop)
		fail("libc has no such version");
	mix_both(&o);
}

/* libc's own names for them, and an old one. */
static void by_libc_names(void)
{
	struct owner o = { find(RTLD_DEFAULT, "__libc_malloc"),
			   find(RTLD_DEFAULT, "__libc_realloc"),
			   find(RTLD_DEFAULT, "__libc_free"), NULL,
			   find(RTLD_DEFAULT, "__libc_memalign") };
	void *(*clear)(size_t, size_t) = find(RTLD_DEFAULT, "__libc_calloc");
	char *p = clear(1000, 1000);

	if (!filled(p, 1000000, 0))
		fail("__libc_calloc: not zero");
	free(p);
	mix_both(&o);
}

static void by_plugin(const char *path, int how)
{
	void *h = dlopen(path, RTLD_NOW | how);
	struct owner o = { 0 };
	char *(*copy)(const char *);
	int (*child_sees)(const char *, size_t, char);
	char *p;

	if (!h)
		fail(dlerror());
	o.make = find(h, "plugin_make");
	o.grow = find(h, "plugin_grow");
	o.drop = find(h, "plugin_drop");
	copy = find(h, "plugin_copy");
	child_sees = find(h, "plugin_child_sees");
	mix_both(&o);
	p = copy("text");
	free(p);
	o.drop(strdup("text"));
	p = malloc(SIZE_MAX_TRIED);
	memset(p, 7, SIZE_MAX_TRIED);
	if (!child_sees(p, SIZE_MAX_TRIED, 7))
		fail("the plugin's child does not see what its parent had");
	free(p);
	dlclose(h);
}

/* Another libc has its own heap: it keeps its blocks, and can be lent ours. */
static void by_namespace(const char *path)
{
	void *h = dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
	char *(*copy)(const char *), *text, *q;
	void (*drop)(void *);

	if (!h)
		fail(dlerror());
	copy = find(h, "plugin_copy");
	drop = find(h, "plugin_drop");
	text = malloc(SIZE_MAX_TRIED);
	memset(text, 'x', SIZE_MAX_TRIED);
	text[SIZE_MAX_TRIED - 1] = 0;
	q = copy(text);
	if (!q || strcmp(q, text) != 0)
		fail("another libc's copy is not what was copied");
	drop(q);
	free(text);
}

/* What libc allocates for the program, and grows. */
static void by_libc(void)
{
	char *line = malloc(3), *text = NULL, *path;
	size_t size = 3;
	FILE *f = tmpfile();

	for (int i = 0; i < 3; i++) {
		for (int n = 0; n < 100000 << i; n++)
			fputc('a' + i, f);
		fputc('\n', f);
	}
	rewind(f);
	for (int i = 0; i < 3; i++)
		if (getline(&line, &size, f) != (100000 << i) + 1 ||
		    line[(100000 << i) - 1] != 'a' + i)
			fail("getline");
	free(line);
	fclose(f);
	if (asprintf(&text, "%0*d", 3000000, 5) != 3000000 ||
	    text[2999999] != '5')
		fail("asprintf");
	text = realloc(text, 4000000);
	free(text);
	f = open_memstream(&text, &size);
	for (int i = 0; i < 400000; i++)
		fputs("abcdefgh", f);
	fclose(f);
	if (size != 3200000 || text[size - 1] != 'h')
		fail("open_memstream");
	free(text);
	path = realpath("/", NULL);
	free(path);
	free(reallocarray(reallocarray(NULL, 1000, 1000), 2000, 1000));
}

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

static void by_obstack(void)
{
	static const char word[] = "0123456789abcdef";
	struct obstack stack;
	char *p;

	obstack_init(&stack);
	for (int i = 0; i < 200000; i++)
		obstack_grow(&stack, word, 16);
	p = obstack_finish(&stack);
	if (p[0] != '0' || p[16 * 200000 - 1] != 'f')
		fail("obstack");
	obstack_free(&stack, NULL);
}

/* An allocator of the program's own: all ways to its blocks. */
static void by_own(void)
{
	void (*own_free)(void *) = find(RTLD_DEFAULT, "own_free");
	size_t (*own_size)(const void *) = find(RTLD_DEFAULT, "own_size");
	char *p = NULL;

	for (size_t size = 16; size <= SIZE_MAX_TRIED; size *= 4) {
		for (int i = 0; i < 10; i++) {
			p = malloc(size);
			memset(p, 6, size);
			if (own_size(p) < size || malloc_usable_size(p) < size)
				fail("its size is not known");
			own_free(p);
			p = reallocarray(malloc(size), 2, size);
			own_free(p);
			own_free(calloc(2, size));
			own_free(aligned_alloc(4096, size));
		}
	}
	own_free(strdup("text"));
	by_libc();
}

static volatile sig_atomic_t seen;

static void on_signal(int number)
{
	seen = number;
}

/* Other functions of libc by its handle: ours, too. */
static void by_handle_others(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY);
	int (*action)(int, const struct sigaction *, struct sigaction *) =
		find(libc, "sigaction");
	int (*mask)(int, const sigset_t *, sigset_t *) =
		find(libc, "sigprocmask");
	struct sigaction a = { .sa_handler = on_signal };
	char *p = malloc(SIZE_MAX_TRIED);
	sigset_t all;

	action(SIGBUS, &a, NULL);
	sigfillset(&all);
	mask(SIG_BLOCK, &all, NULL);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < SIZE_MAX_TRIED; i += 4096)
			p[i]++;
	if (!filled(p, 1, 3) || seen != 0)
		fail("a fault went to the program's handler");
	free(p);
}

/* Before any library's constructor, the shim's among them: an allocator of the program's
 * asks for its first memory here. */
static void *first;

static void take_first(void)
{
	first = malloc(100);
}
__attribute__((section(".preinit_array"), used))
static void (*const at_first)(void) = take_first;

int main(int argc, char *argv[])
{
	const char *how = argc > 1 ? argv[1] : "",
		   *path = argc > 2 ? argv[2] : "";

	if (strcmp(how, "handle") == 0)
		by_handle(dlopen("libc.so.6", RTLD_LAZY));
	else if (strcmp(how, "next") == 0)
		by_handle(RTLD_NEXT);
	else if (strcmp(how, "default") == 0)
		by_handle(RTLD_DEFAULT);
	else if (strcmp(how, "version") == 0)
		by_version();
	else if (strcmp(how, "names") == 0)
		by_libc_names();
	else if (strcmp(how, "deepbind") == 0)
		by_plugin(path, RTLD_DEEPBIND);
	else if (strcmp(how, "plugin") == 0)
		by_plugin(path, RTLD_LOCAL);
	else if (strcmp(how, "namespace") == 0)
		by_namespace(path);
	else if (strcmp(how, "libc") == 0)
		by_libc();
	else if (strcmp(how, "obstack") == 0)
		by_obstack();
	else if (strcmp(how, "own") == 0)
		by_own();
	else if (strcmp(how, "others") == 0)
		by_handle_others();
	else
		fail("which way?");
	if (!first)
		fail("nothing at first");
	free(first);
	puts("ok");
	return 0;
}
