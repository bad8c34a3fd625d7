/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shim of `extmem run`: what its files share.
 *
 * shim.c	start, settings, statistics, SIGBUS, fork
 * block.c	external memory in blocks: take, give, look up
 * malloc.c	the malloc family
 * map.c	mmap and its relatives
 * present.c	system calls that read or write the program's memory
 * stdio.c	the same for stdio, whose own calls cannot be seen from here
 * path.c	system calls that take names and small structs
 * signal.c	SIGBUS stays ours and unblocked
 * exec.c	which children run plain
 *
 * Every exported function is one of libc's, stands in front of it, and does
 * exactly what it does unless external memory is involved. The next one in
 * line is shim_real()->NAME.
 *
 * Threads: any. Locks: one in block.c, held for bookkeeping alone; nothing
 * that can fault or wait for the far memory happens under it.
 */
#ifndef EXTMEM_SHIM_H
#define EXTMEM_SHIM_H

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shared.h"

#define SHIM_PAGE UINT64_C(4096)
#define SHIM_EXPORT __attribute__((visibility("default")))

/* return type, name, arguments: all that is looked up in the next library */
#define SHIM_REALS(X)                                                         \
	X(void *, malloc, (size_t))                                           \
	X(void *, calloc, (size_t, size_t))                                   \
	X(void *, realloc, (void *, size_t))                                  \
	X(void, free, (void *))                                               \
	X(void *, memalign, (size_t, size_t))                                 \
	X(int, posix_memalign, (void **, size_t, size_t))                     \
	X(void *, aligned_alloc, (size_t, size_t))                            \
	X(void *, valloc, (size_t))                                           \
	X(void *, pvalloc, (size_t))                                          \
	X(size_t, malloc_usable_size, (void *))                               \
	X(void *, mmap, (void *, size_t, int, int, int, off_t))               \
	X(int, munmap, (void *, size_t))                                      \
	X(void *, mremap, (void *, size_t, size_t, int, ...))                 \
	X(int, madvise, (void *, size_t, int))                                \
	X(int, posix_madvise, (void *, size_t, int))                          \
	X(int, mprotect, (void *, size_t, int))                               \
	X(int, mlock, (const void *, size_t))                                 \
	X(int, msync, (void *, size_t, int))                                  \
	X(ssize_t, read, (int, void *, size_t))                               \
	X(ssize_t, write, (int, const void *, size_t))                        \
	X(ssize_t, pread64, (int, void *, size_t, off64_t))                   \
	X(ssize_t, pwrite64, (int, const void *, size_t, off64_t))            \
	X(ssize_t, readv, (int, const struct iovec *, int))                   \
	X(ssize_t, writev, (int, const struct iovec *, int))                  \
	X(ssize_t, preadv64, (int, const struct iovec *, int, off64_t))       \
	X(ssize_t, pwritev64, (int, const struct iovec *, int, off64_t))      \
	X(ssize_t, recv, (int, void *, size_t, int))                          \
	X(ssize_t, send, (int, const void *, size_t, int))                    \
	X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *,    \
			      socklen_t *))                                   \
	X(ssize_t, sendto, (int, const void *, size_t, int,                   \
			    const struct sockaddr *, socklen_t))              \
	X(ssize_t, recvmsg, (int, struct msghdr *, int))                      \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int))                \
	X(ssize_t, getrandom, (void *, size_t, unsigned))                     \
	X(size_t, fread, (void *, size_t, size_t, FILE *))                    \
	X(size_t, fread_unlocked, (void *, size_t, size_t, FILE *))           \
	X(size_t, fwrite, (const void *, size_t, size_t, FILE *))             \
	X(size_t, fwrite_unlocked, (const void *, size_t, size_t, FILE *))    \
	X(int, fputs, (const char *, FILE *))                                 \
	X(int, fputs_unlocked, (const char *, FILE *))                        \
	X(int, puts, (const char *))                                          \
	X(int, setvbuf, (FILE *, char *, int, size_t))                        \
	X(int, open64, (const char *, int, ...))                              \
	X(int, openat64, (int, const char *, int, ...))                       \
	X(FILE *, fopen64, (const char *, const char *))                      \
	X(DIR *, opendir, (const char *))                                     \
	X(int, stat, (const char *, struct stat *))                           \
	X(int, lstat, (const char *, struct stat *))                          \
	X(int, fstat, (int, struct stat *))                                   \
	X(int, fstatat, (int, const char *, struct stat *, int))              \
	X(int, statx, (int, const char *, int, unsigned, struct statx *))     \
	X(int, access, (const char *, int))                                   \
	X(ssize_t, readlink, (const char *, char *, size_t))                  \
	X(ssize_t, readlinkat, (int, const char *, char *, size_t))           \
	X(char *, getcwd, (char *, size_t))                                   \
	X(int, chdir, (const char *))                                         \
	X(int, mkdir, (const char *, mode_t))                                 \
	X(int, rmdir, (const char *))                                         \
	X(int, unlink, (const char *))                                        \
	X(int, rename, (const char *, const char *))                          \
	X(int, poll, (struct pollfd *, nfds_t, int))                          \
	X(int, sigaction, (int, const struct sigaction *,                     \
			   struct sigaction *))                               \
	X(sighandler_t, signal, (int, sighandler_t))                          \
	X(int, sigprocmask, (int, const sigset_t *, sigset_t *))              \
	X(int, pthread_sigmask, (int, const sigset_t *, sigset_t *))          \
	X(int, sigsuspend, (const sigset_t *))                                \
	X(int, pthread_create, (pthread_t *, const pthread_attr_t *,          \
				void *(*)(void *), void *))                   \
	X(int, execve, (const char *, char *const[], char *const[]))          \
	X(int, execvpe, (const char *, char *const[], char *const[]))         \
	X(void, _exit, (int))

struct shim_reals {
#define SHIM_REAL_SLOT(type, name, arguments) type(*name) arguments;
	SHIM_REALS(SHIM_REAL_SLOT)
#undef SHIM_REAL_SLOT
};

/* --- shim.c --------------------------------------------------------------- */

extern struct shim_reals shim_reals;
extern _Atomic bool shim_resolved;
/* Depth of our own calls into the library on this thread; non-zero on the
 * library's own threads: their memory is local. */
extern _Thread_local int shim_inside __attribute__((tls_model("initial-exec")));
/* Set once external memory can be had; cleared in a forked child. */
extern _Atomic bool shim_ready;
extern extmem *shim_client;
extern struct run_shared *shim_shared; /* never NULL */
extern uint64_t shim_threshold;
extern uint64_t shim_external; /* most to take; 0: no limit of ours */
extern uint64_t shim_local;    /* the budget */
extern bool shim_overflow_local;
extern pid_t shim_owner;       /* the process that has it, not its children */
extern bool shim_kernel_faults; /* the kernel may touch absent pages */

void shim_resolve(void);

static inline const struct shim_reals *shim_real(void)
{
	if (!atomic_load_explicit(&shim_resolved, memory_order_acquire))
		shim_resolve();
	return &shim_reals;
}

/* One line on stderr, "extmem run: ...", in one write; no heap, no locks. */
void shim_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* True when `address`, a return address, lies in the library or in what it
 * stands on: its memory is local. */
bool shim_called_by_library(const void *address);

#define SHIM_WANTED(size)                                                     \
	((size) >= shim_threshold &&                                          \
	 atomic_load_explicit(&shim_ready, memory_order_acquire) &&           \
	 !shim_inside && !shim_called_by_library(__builtin_return_address(0)))

/* The library itself works on external memory: not ours to look at. Only
 * asked once external memory is known to be involved. */
#define SHIM_BYPASSED()                                                       \
	(shim_inside ||                                                       \
	 !atomic_load_explicit(&shim_ready, memory_order_relaxed) ||          \
	 shim_called_by_library(__builtin_return_address(0)))

/* --- block.c -------------------------------------------------------------- */

enum block_kind { BLOCK_MALLOC = 1, BLOCK_MAP };

struct block {
	uint64_t region;     /* index */
	uint64_t page;	     /* first, in its region */
	uint64_t page_count; /* of the slab */
	uint64_t live_count; /* pages of it not yet unmapped */
	uintptr_t base;	     /* where the slab begins */
	uintptr_t start;     /* what the program was given, in its first pages */
	enum block_kind kind;
};

extern _Atomic uintptr_t block_low, block_high; /* bounds of all regions */
bool block_contains_slow(uintptr_t address);

/* True when [p, p + size) begins or ends in external memory. */
static inline bool block_contains(const void *p, size_t size)
{
	uintptr_t first = (uintptr_t)p, last = first + (size ? size - 1 : 0);

	if (last < atomic_load_explicit(&block_low, memory_order_relaxed) ||
	    first >= atomic_load_explicit(&block_high, memory_order_relaxed))
		return false;
	return block_contains_slow(first) || block_contains_slow(last);
}

/* Zeroed memory, or NULL with errno ENOMEM; then see block_overflow(). */
void *block_take(size_t size, size_t alignment, enum block_kind);
/* The block that holds this live address; false: none. */
bool block_find(const void *address, struct block *ret);
static inline size_t block_capacity(const struct block *b)
{
	return b->base + b->page_count * SHIM_PAGE - b->start;
}
/* Ends the pages of [address, address + size), which are the caller's; the
 * slab goes back when its last page has gone. */
void block_give(void *address, size_t size);
/* For the whole pages inside; pages partly inside are left alone. */
int block_advise(void *address, size_t size, enum extmem_advice);
/* Copies and lets go of the source as it goes. */
void block_move(void *to, void *from, size_t size);
/* Small objects, when the threshold is below a slab's worth. */
void *object_take(size_t size, size_t alignment);
bool object_size(const void *address, size_t *ret);
void object_give(void *address);
/* An allocation found no room: counts it, and says so the first few times.
 * True: it is to be served locally. */
bool block_overflow(size_t size);

/* --- present.c ------------------------------------------------------------- */

/* Makes memory present for the kernel, for writing if `write`. Returns the
 * bytes from `address` on that are, at least 1, or 0 when none can be. */
size_t present_begin(const void *address, size_t size, bool write);
void present_end(const void *address, size_t size);
/* Bytes worth pinning at once, so that many threads can. */
size_t present_piece_max(void);
/* True when this call needs such care. */
static inline bool present_needed(const void *address, size_t size)
{
	return block_contains(address, size) && !shim_kernel_faults &&
	       !shim_inside &&
	       atomic_load_explicit(&shim_ready, memory_order_relaxed);
}

/* --- signal.c -------------------------------------------------------------- */

/* Ours goes in before the library's, so that the library passes on to it. */
void signal_start(void);

/* --- exec.c ---------------------------------------------------------------- */

/* Keeps what exec needs, and takes it out of the environment if children are
 * to run plain. */
void exec_start(bool plain_children);
/* getenv(3), before main() of any program. */
const char *exec_variable(const char *name);

#endif
