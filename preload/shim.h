/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shim of `extmem run`: what its files share.
 *
 * shim.c	start and end; the functions of libc that we stand in front of
 * options.c	what was asked for (options.h)
 * whose.c	whose memory an allocation is: the program's, or a library's
 * figures.c	statistics, in a file that `extmem run` and `extmem top` read
 * growth.c	the regions of external memory, and how they grow
 * block.c	blocks in them: allocate, free, look up
 * budget.c	--limit, --overflow, and a local budget in percent
 * arena.c	small objects in it
 * malloc.c	the malloc family
 * map.c	mmap and its relatives
 * trap.c	every system call that is given external memory
 * call.c	the table of system calls; one such call, by its number
 * call_copy.c	with local copies of what is external
 * call_serve.c	those that have a function of their own
 * present.c	calls that read or write the program's memory
 * vector.c	those that take lists of buffers
 * message.c	those of messages: sendmsg(2) and its relatives
 * other_process.c	those of other processes' memory
 * stdio.c	the same for stdio
 * path.c	calls that take names and small structs
 * signal.c	SIGBUS and SIGSYS stay ours and unblocked
 * handler.c	when the program's handlers run, and jumps out of them
 * thread.c	what each thread has of its own
 * exec.c	which children run plain
 * environment.c	the environment that the library sees
 * identity.c	users, groups and namespaces, which threads of ours hinder
 * descriptor.c	the library's descriptors, out of the program's way
 * fork.c	fork(), with the files that fork.h names
 *
 * Every exported function is one of libc's, stands in front of it, and does
 * exactly what it does unless external memory is involved. The next one in
 * line is shim_real()->NAME.
 *
 * Threads: any. Locks are held for bookkeeping alone; nothing that can fault
 * or wait for the remote memory happens under one.
 */
#ifndef EXTMEM_SHIM_H
#define EXTMEM_SHIM_H

#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "preload/options.h"
#include "preload/shared.h"

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
	X(int, msync, (void *, size_t, int))                                  \
	X(ssize_t, read, (int, void *, size_t))                               \
	X(ssize_t, write, (int, const void *, size_t))                        \
	X(ssize_t, pread64, (int, void *, size_t, off64_t))                   \
	X(ssize_t, pwrite64, (int, const void *, size_t, off64_t))            \
	X(ssize_t, readv, (int, const struct iovec *, int))                   \
	X(ssize_t, writev, (int, const struct iovec *, int))                  \
	X(ssize_t, preadv64, (int, const struct iovec *, int, off64_t))       \
	X(ssize_t, pwritev64, (int, const struct iovec *, int, off64_t))      \
	X(ssize_t, preadv64v2, (int, const struct iovec *, int, off64_t,      \
				int))                                         \
	X(ssize_t, pwritev64v2, (int, const struct iovec *, int, off64_t,     \
				 int))                                        \
	X(ssize_t, process_vm_readv, (pid_t, const struct iovec *,            \
				      unsigned long, const struct iovec *,    \
				      unsigned long, unsigned long))          \
	X(ssize_t, process_vm_writev, (pid_t, const struct iovec *,           \
				       unsigned long, const struct iovec *,   \
				       unsigned long, unsigned long))         \
	X(ssize_t, vmsplice, (int, const struct iovec *, size_t, unsigned))   \
	X(int, recvmmsg, (int, struct mmsghdr *, unsigned, int,               \
			  struct timespec *))                                 \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned, int))              \
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
	X(sighandler_t, __sysv_signal, (int, sighandler_t))                   \
	X(sighandler_t, sigset, (int, sighandler_t))                          \
	X(int, sighold, (int))                                                \
	X(int, siginterrupt, (int, int))                                      \
	X(int, sigblock, (int))                                               \
	X(int, sigsetmask, (int))                                             \
	X(void, siglongjmp, (struct __jmp_buf_tag *, int))                    \
	X(void, __longjmp_chk, (struct __jmp_buf_tag *, int))                 \
	X(int, setcontext, (const ucontext_t *))                              \
	X(int, swapcontext, (ucontext_t *, const ucontext_t *))               \
	X(int, timer_create, (clockid_t, struct sigevent *, timer_t *))       \
	X(int, mq_notify, (int, const struct sigevent *))                     \
	X(int, aio_read64, (struct aiocb64 *))                                \
	X(int, aio_write64, (struct aiocb64 *))                               \
	X(int, aio_fsync, (int, struct aiocb *))                              \
	X(int, lio_listio, (int, struct aiocb *const[], int,                  \
			    struct sigevent *))                               \
	X(int, getaddrinfo_a, (int, struct gaicb *[], int,                    \
			       struct sigevent *))                            \
	X(int, sigaltstack, (const stack_t *, stack_t *))                     \
	X(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *,      \
		       const sigset_t *))                                     \
	X(int, pselect, (int, fd_set *, fd_set *, fd_set *,                   \
			 const struct timespec *, const sigset_t *))          \
	X(int, epoll_pwait, (int, struct epoll_event *, int, int,             \
			     const sigset_t *))                               \
	X(int, epoll_pwait2, (int, struct epoll_event *, int,                 \
			      const struct timespec *, const sigset_t *))     \
	X(int, pthread_attr_setstack, (pthread_attr_t *, void *, size_t))     \
	X(int, pthread_create, (pthread_t *, const pthread_attr_t *,          \
				void *(*)(void *), void *))                   \
	X(int, execve, (const char *, char *const[], char *const[]))          \
	X(int, execvpe, (const char *, char *const[], char *const[]))         \
	X(int, fexecve, (int, char *const[], char *const[]))                  \
	X(int, execveat, (int, const char *, char *const[], char *const[],    \
			  int))                                               \
	X(int, posix_spawn, (pid_t *, const char *,                           \
			     const posix_spawn_file_actions_t *,              \
			     const posix_spawnattr_t *, char *const[],        \
			     char *const[]))                                  \
	X(int, posix_spawnp, (pid_t *, const char *,                          \
			      const posix_spawn_file_actions_t *,             \
			      const posix_spawnattr_t *, char *const[],       \
			      char *const[]))                                 \
	X(char *, getenv, (const char *))                                     \
	X(char *, secure_getenv, (const char *))                              \
	X(int, system, (const char *))                                        \
	X(FILE *, popen, (const char *, const char *))                        \
	X(pid_t, fork, (void))                                                \
	X(pid_t, _Fork, (void))                                               \
	X(int, clone, (int (*)(void *), void *, int, void *, ...))            \
	X(int, unshare, (int))                                                \
	X(int, setuid, (uid_t))                                               \
	X(int, seteuid, (uid_t))                                              \
	X(int, setreuid, (uid_t, uid_t))                                      \
	X(int, setresuid, (uid_t, uid_t, uid_t))                              \
	X(int, setgid, (gid_t))                                               \
	X(int, setegid, (gid_t))                                              \
	X(int, setregid, (gid_t, gid_t))                                      \
	X(int, setresgid, (gid_t, gid_t, gid_t))                              \
	X(int, setgroups, (size_t, const gid_t *))                            \
	X(int, __register_atfork, (void (*)(void), void (*)(void),            \
				   void (*)(void), void *))                   \
	X(int, socket, (int, int, int))                                       \
	X(int, socketpair, (int, int, int, int[2]))                           \
	X(int, pipe2, (int[2], int))                                          \
	X(int, accept, (int, struct sockaddr *, socklen_t *))                 \
	X(int, accept4, (int, struct sockaddr *, socklen_t *, int))           \
	X(int, eventfd, (unsigned, int))                                      \
	X(int, epoll_create, (int))                                           \
	X(int, epoll_create1, (int))                                          \
	X(int, timerfd_create, (int, int))                                    \
	X(int, memfd_create, (const char *, unsigned))                        \
	X(int, ioctl, (int, unsigned long, ...))                              \
	X(long, syscall, (long, ...))                                         \
	X(int, close, (int))                                                  \
	X(int, dup2, (int, int))                                              \
	X(int, dup3, (int, int, int))                                         \
	X(int, close_range, (unsigned, unsigned, int))                        \
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
extern pid_t shim_owner;       /* the process that has it, not its children */
extern bool shim_kernel_faults; /* the kernel may touch absent pages */

void shim_resolve(void);
/* This process is a child of fork() now. */
void shim_forked(void);

static inline const struct shim_reals *shim_real(void)
{
	if (!atomic_load_explicit(&shim_resolved, memory_order_acquire))
		shim_resolve();
	return &shim_reals;
}

/* Around what the library does for us on a thread of the program: it is not
 * to be cancelled in the middle of that, and what it allocates is local. */
struct shim_section {
	int cancel;
};
void shim_section_begin(struct shim_section *);
void shim_section_end(const struct shim_section *);
#define shim_enter()                                                          \
	struct shim_section shim_section;                                     \
	shim_section_begin(&shim_section)
#define shim_leave() shim_section_end(&shim_section)

/* One line on stderr, "extmem run: ...", in one write; no heap, no locks. */
void shim_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program before it has begun, with these words. */
_Noreturn void shim_refuse(const char *words);

#define SHIM_WANTED(size)                                                     \
	((size) >= shim_options.threshold &&                                          \
	 atomic_load_explicit(&shim_ready, memory_order_acquire) &&           \
	 !shim_inside &&                                                      \
	 whose_external(__builtin_return_address(0), size))

/* The library itself works on external memory: not ours to look at. Only
 * asked once external memory is known to be involved. */
#define SHIM_BYPASSED()                                                       \
	(shim_inside ||                                                       \
	 !atomic_load_explicit(&shim_ready, memory_order_relaxed))

/* --- whose.c --------------------------------------------------------------- */

/* True when `address`, a return address, lies in the library or in what it
 * stands on: its memory is local. */
bool whose_library(const void *address);

/* What libc itself allocates (a stream and its buffer, a directory's entries)
 * is local, unless it is as large as this; what the loader does is in any
 * case: it includes the threads' own variables. */
#define WHOSE_LIBC_SIZE ((size_t)2 << 20)
struct whose_span {
	uintptr_t first, last;
};
extern struct whose_span whose_libc, whose_loader;

static inline bool whose_external(const void *caller, size_t size)
{
	uintptr_t a = (uintptr_t)caller;

	if (a - whose_libc.first < whose_libc.last - whose_libc.first)
		return size >= WHOSE_LIBC_SIZE;
	return a - whose_loader.first >= whose_loader.last - whose_loader.first;
}

/* Reads where libraries lie; again when more have been loaded. */
void whose_learn(void);

/* --- figures.c ------------------------------------------------------------- */

/* shim_shared is a file that others read, if there is to be one. */
void figures_open(void);
void figures_refresh(void);
void figures_start(void); /* a thread that refreshes them */
void figures_end(void);
void figures_forked(void);

/* --- fork() (more in fork.h) ------------------------------------------------ */

extern _Atomic unsigned fork_readers; /* children that may ask */

/* Once the library is open. 0 or -errno. */
int fork_start(void);
/* These pages have been allocated: children that were made before do not see
 * them. */
void fork_allocated(unsigned region, uint64_t page, uint64_t count);
/* The program frees these pages. Returns for how many of them, from the first
 * on, *ret_kept is the answer: true, they are freed later, by deferred.c,
 * because a child can see them; false: they can be freed now. */
uint64_t fork_free(unsigned region, uint64_t page, uint64_t count,
		   bool *ret_kept);
/* True: this system call, by number, was a fork, and has been made here. */
bool fork_call(long number, const long arguments[6], long *ret);
/* Before a fault is served: waits while too much of the past is in memory. */
void fork_throttle(void);

/* This process is a child that has its parent's external memory. */
extern _Atomic bool child_serves;
/* Serves a fault; false: the page cannot be had, and words were said. */
bool child_fault(const void *address, const void *machine_context);
size_t child_pin(const void *address, size_t size, bool write);
void child_unpin(void);
/* The whole pages of a range read as zero from now on. */
void child_empty(void *address, size_t size);

/* --- descriptor.c ------------------------------------------------------------ */

/* This descriptor is ours: the one it is from now on. */
int descriptor_keep(int fd);
void descriptor_close(int fd);
/* All of ours but one; all that are not ours but stderr. */
void descriptor_close_all(int except);
void descriptor_close_others(void);
/* The numbers that are ours by preference; false: too few are allowed for any
 * to be. */
bool descriptor_numbers(unsigned *ret_first, unsigned *ret_last);

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

/* Zeroed memory, or NULL with errno ENOMEM; then see budget_overflow(). */
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
/* The index-th region; false: there are fewer. */
bool block_region(unsigned index, uintptr_t *ret_base, uint64_t *ret_size);
/* Local memory for tables, zeroed, backed as it is used. NULL: none. */
void *block_reserve(size_t size);
/* A slab whole, not a block; 0: no room. */
uintptr_t block_slab_take(uint64_t size);
void block_slab_give(uintptr_t base, uint64_t size);
/* Whose pages these are: a block, a span | BLOCK_SPAN, or 0. */
#define BLOCK_SPAN (UINT32_C(1) << 31)
void block_own(uintptr_t base, uint64_t size, uint32_t owner);
uint32_t block_owner(const void *address);
/* Nobody needs what is in these pages. */
void block_empty(uintptr_t base, uint64_t size);
/* How many pages it may grow to. */
uint64_t block_region_pages_max(unsigned index);
/* Contents are kept though nobody here needs them: a child may. */
static inline bool block_keeps_contents(void)
{
	return atomic_load_explicit(&fork_readers, memory_order_relaxed) > 0;
}
void block_lock_all(void);
void block_unlock_all(void);

/* --- growth.c -------------------------------------------------------------- */

/* Since it was last asked so, memory was taken: what the appliances have left
 * is to be asked and noted. For the thread of figures. */
bool growth_asks_free(void);
void growth_note_free(uint64_t bytes);

/* --- budget.c -------------------------------------------------------------- */

/* An allocation found no room: counts it, and says so the first few times.
 * True: it is to be served locally. */
bool budget_overflow(size_t size);
/* True when so much more would be more than --limit. */
bool budget_limited(uint64_t size);
/* More, or less, is external now; so many allocations were made of it. */
void budget_live(int64_t size);
void budget_count(uint64_t count, uint64_t size);
/* When the client is open. */
void budget_start(void);
uint64_t budget_local(void); /* the local budget, in bytes, as it is now */
/* So much more is in use: a budget that is a share of that follows. */
void budget_follow(uint64_t more);

/* --- arena.c -------------------------------------------------------------- */

#define ARENA_SIZE_MAX ((size_t)32 << 10)

void arena_start(void);
void *arena_take(size_t size, size_t alignment);
/* `owner` is what block_owner() says of it. */
void arena_give(void *p, uint32_t owner);
size_t arena_size(const char *call, const void *p, uint32_t owner);
/* The thread gives back what it has for itself. */
void arena_thread_end(void);
/* Around fork(). */
void arena_lock(void);
void arena_unlock(void);

/* --- malloc.c --------------------------------------------------------------- */

_Noreturn void malloc_bad_pointer(const char *call, const void *p);

/* --- map.c ------------------------------------------------------------------- */

/* Where the library has reserved the addresses of external memory. */
extern uintptr_t map_arena;
extern uint64_t map_arena_size;
/* True when any page of the range is external. */
bool map_touches(const void *address, size_t size);

/* --- trap.c ------------------------------------------------------------------ */

extern bool trap_installed;
/* This thread is in a trapped call. */
extern _Thread_local bool trap_inside __attribute__((tls_model("initial-exec")));
/* A system call that is never trapped: a result, or -errno. */
long shim_raw(long number, long a, long b, long c, long d, long e, long f);
/* 0, or -errno: then the wrappers are all there is. */
int trap_start(void);
void trap_serve(siginfo_t *, void *context);

/* --- call.c ------------------------------------------------------------------ */

/* As shim_raw(), with arguments that may be external. */
long call_serve(long number, const long arguments[6]);
/* What of a call is looked at before it is made, by the filter and by
 * syscall(2)'s wrapper. Less than CALL_SETS: those arguments, a bit each, are
 * addresses; any of them may be external. */
enum {
	CALL_SETS = 64,
	CALL_NOSYS = CALL_SETS, /* ENOSYS, whatever it is given */
	CALL_PLACE,	   /* memory from argument 0 on, argument 1 bytes */
	CALL_CLOSE,	   /* ends descriptor argument 0 */
	CALL_DUP,	   /* argument 1 */
	CALL_CLOSE_RANGE,  /* arguments 0 to 1 */
	CALL_CHECKS,
};
/* Of numbers below call_count(). `kernel`: the kernel may touch absent pages,
 * only calls that would take something away are looked at. */
unsigned call_check(unsigned number, bool kernel);
unsigned call_count(void);
/* syscall(2), which sees what the filter does not: lists of buffers on a stack.
 * False: the call is none of ours; else its result, or -errno. */
bool call_made(long number, const long arguments[6], long *ret);

/* --- thread.c ---------------------------------------------------------------- */

#define CARRY_MAX ((size_t)64 << 10)

struct carrier {
	bool mine;
};

void thread_start(void);
/* On a thread of the program's, before it touches external memory. */
void thread_begin(void);
/* The thread's buffer of CARRY_MAX bytes; NULL: it is in use. */
char *thread_carrier_take(struct carrier *ret);
void thread_carrier_give(void *carrier);
/* Whoever took it in so many handlers, or more, never gives it back. */
void thread_carrier_left(unsigned level);
/* A thread that libc began by itself: of the program from now on. */
void thread_open(void);
/* This thread is the library's, or is no longer; before it is begun, one more
 * is coming. */
void thread_ours(bool is);
void thread_ours_coming(int more);
/* The index-th, or 0; false: there are no more. */
bool thread_ours_at(unsigned index, int *ret);
/* Nothing of the program runs any more, but the caller. */
void thread_stop_others(void);
bool thread_stopping(void);
_Noreturn void thread_park(void);

/* --- present.c ------------------------------------------------------------- */

/* Makes memory present for the kernel, for writing if `write`. Returns the
 * bytes from `address` on that are, at least 1, or 0 when none can be. */
size_t present_begin(const void *address, size_t size, bool write);
void present_end(const void *address, size_t size);
/* Bytes worth pinning at once, so that many threads can. */
size_t present_piece_max(void);
/* Whether any call may need care. */
static inline bool present_possible(void)
{
	return !shim_kernel_faults && !shim_inside &&
	       (atomic_load_explicit(&shim_ready, memory_order_relaxed) ||
		atomic_load_explicit(&child_serves, memory_order_relaxed));
}
/* True when this one does. */
static inline bool present_needed(const void *address, size_t size)
{
	return block_contains(address, size) && present_possible();
}
/* A system call with memory that was made present, or is local; a thread that
 * sleeps in it can be cancelled. -1 and errno. */
ssize_t present_call(long number, long a, long b, long c, long d, long e,
		     long f);
/* Once, and in a child of fork(). */
void present_start(void);
/* A write in pieces is under way somewhere: others to the same file wait. */
bool present_alone_needed(void);
/* False: there is nothing to wait for, or no way to. Else, end it. */
struct alone {
	int lock;
};
bool present_alone_begin(int fd, struct alone *ret);
void present_alone_end(void *alone);
bool present_is_message_socket(int fd);
bool present_is_regular(int fd);
/* Local memory for one call. */
void *local_take(size_t size);
void local_give(void *, size_t size);

/* --- signal.c -------------------------------------------------------------- */

/* Ours goes in before the library's, so that the library passes on to it; and
 * when it has been opened, in front of it. */
void signal_start(void);
void signal_opened(void);
/* In a child of fork(). */
void signal_forked(void);
void signal_open_mask(sigset_t *);
bool signal_blocks_ours(const sigset_t *);
/* True: this system call, by number, has been made here. */
bool signal_call(long number, const long arguments[6], long *ret);

/* --- handler.c ------------------------------------------------------------- */

/* sigaction(2), but for SIGBUS and SIGSYS. */
int handler_action(int number, const struct sigaction *action,
		   struct sigaction *ret);
/* Calls one as the program. */
void handler_call(void (*call)(int, siginfo_t *, void *), int number,
		  siginfo_t *, void *context);
/* The library has returned: a signal that has waited comes now. */
void handler_resume(void);
/* This thread's call has pinned that; it does no longer. */
void handler_pinned(const void *address, size_t size);
void handler_unpinned(const void *address);
/* The signal comes when the library has returned. */
void handler_wait(int number, const siginfo_t *, void *context);
unsigned handler_level(void); /* handlers that run, one in another */

/* --- environment.c --------------------------------------------------------- */

/* From now on the library sees the environment as it is now. */
void environment_start(void);

/* --- exec.c ---------------------------------------------------------------- */

/* Keeps what exec needs, and takes it out of the environment if children are
 * to run plain. */
void exec_start(void);
/* getenv(3), before main() of any program. */
const char *exec_variable(const char *name);

#endif
