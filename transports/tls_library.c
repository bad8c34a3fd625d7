/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSSL, loaded at the first need and kept apart from the program's.
 *
 * Most clients have an appliance on their own machine, or a network of their own, and
 * need no TLS; so libextmem is not linked with it. What the program links may be another
 * OpenSSL (or something with the same names): the library is loaded with RTLD_LOCAL, and
 * with RTLD_DEEPBIND, so that its own calls stay within it. If the program uses the very
 * same library, the two share its global state and nothing else: certificates, keys,
 * algorithms and random numbers are those of an OSSL_LIB_CTX of ours, into which no
 * configuration is read. The program's own configuration is then read at this moment, as
 * it would be at its own first call; we do not say NO_LOAD_CONFIG, because the program
 * would be without it.
 *
 * At the end of a process OpenSSL tears its global state down by a handler of atexit(),
 * while our background thread may still be in it. A handler of ours, registered later and
 * so called earlier, ends our use first; for that OpenSSL must begin, and register its own,
 * before ours is. A child of fork() has no such thread, and perhaps a lock that nobody
 * gives back: there the handler does nothing.
 *
 * A program that has given OpenSSL another allocator (CRYPTO_set_mem_functions()) would be
 * called on our threads: that is refused.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "transports/tls_library.h"

#if defined(XM_SANITIZE_ADDRESS) || defined(XM_SANITIZE_THREAD)
#define DEEPBIND 0 /* sanitizers refuse it */
#else
#define DEEPBIND RTLD_DEEPBIND
#endif

struct xm_ssl_library xm_ssl;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool tried, ended;
static pid_t owner; /* the process that loaded it */
static char why[256];

bool xm_ssl_enter(void)
{
	pthread_mutex_lock(&lock);
	if (!ended)
		return true;
	pthread_mutex_unlock(&lock);
	return false;
}

void xm_ssl_leave(void)
{
	pthread_mutex_unlock(&lock);
}

static void end(void)
{
	if (getpid() != owner)
		return;
	pthread_mutex_lock(&lock);
	ended = true;
	pthread_mutex_unlock(&lock);
}

/* libcrypto is among what libssl needs, so a handle of libssl finds both's. */
static bool find_all(void *handle)
{
#define FIND(name)                                                            \
	*(void **)&xm_ssl.name = dlsym(handle, #name);                        \
	if (xm_ssl.name == NULL)                                              \
		return false;
	XM_SSL_FUNCTIONS(FIND)
#undef FIND
	return true;
}

static bool allocates_by_itself(void)
{
	CRYPTO_malloc_fn allocate = NULL;
	CRYPTO_realloc_fn change = NULL;
	CRYPTO_free_fn give = NULL;
	Dl_info function, library;

	xm_ssl.CRYPTO_get_mem_functions(&allocate, &change, &give);
	return allocate == NULL ||
	       (dladdr(*(void **)&allocate, &function) != 0 &&
		dladdr(*(void **)&xm_ssl.CRYPTO_get_mem_functions, &library) != 0 &&
		function.dli_fbase == library.dli_fbase);
}

static void load(bool alone)
{
	void *handle = dlopen(XM_SSL_LIBRARY, RTLD_NOW | RTLD_LOCAL | DEEPBIND);
	const char *words;

	if (handle == NULL || !find_all(handle)) {
		words = dlerror();
		snprintf(why, sizeof(why), "OpenSSL cannot be loaded (Debian:"
			 " libssl3): %s", words != NULL ? words : XM_SSL_LIBRARY);
		return;
	}
	if (!allocates_by_itself()) {
		snprintf(why, sizeof(why), "the program has given OpenSSL an"
			 " allocator of its own, which extmem cannot use");
		return;
	}
	owner = getpid();
	if (xm_ssl.OPENSSL_init_ssl(alone ? OPENSSL_INIT_NO_LOAD_CONFIG : 0,
				    NULL) != 1) {
		snprintf(why, sizeof(why), "OpenSSL does not begin");
		return;
	}
	xm_ssl.context = xm_ssl.OSSL_LIB_CTX_new();
	if (xm_ssl.context == NULL ||
	    xm_ssl.OSSL_PROVIDER_load(xm_ssl.context, "default") == NULL)
		snprintf(why, sizeof(why), "OpenSSL does not begin");
	else if (atexit(end) != 0)
		snprintf(why, sizeof(why), "out of memory for OpenSSL");
}

int xm_ssl_load(bool alone, char *words, size_t words_size)
{
	pthread_mutex_lock(&lock);
	if (!tried)
		load(alone);
	tried = true;
	pthread_mutex_unlock(&lock);
	if (why[0] == '\0')
		return 0;
	snprintf(words, words_size, "%s", why);
	return -ELIBACC;
}
