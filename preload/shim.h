/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shim of `extmem run`: what its files share.
 *
 * shim.c	start and end; the functions of libc that we stand in front of
 * reals.h	the functions of libc that are called in the next library
 * allocator.c	a program that has another allocator than libc's
 * redirect.c	other ways to these functions lead to ours too
 * symbols.c	the symbols of a loaded object (symbols.h)
 * options.c	what was asked for (options.h)
 * whose.c	whose memory an allocation is: the program's, or a library's
 * figures.c	statistics, in a file that `extmem run` and `extmem top` read
 * opening.c	when the far side is opened
 * growth.c	the regions of external memory, and how they grow
 * block.c	blocks in them: allocate, free, look up
 * rest.c	local memory besides that: --local-rest
 * budget.c	--limit, --overflow, and a local budget in percent
 * arena.c	small objects in it
 * malloc.c	the malloc family
 * map.c	mmap and its relatives: what is local, what goes to area.c
 * map_kernel.c	the kernel's calls of that kind
 * area.c	what they mean for external memory (area_remap.c: mremap,
 *		area_child.c: in children of fork())
 * reserve.c	the addresses and the memory of that
 * trap.c	every system call that is given external memory
 * call.c	the table of system calls; one such call, by its number
 * call_copy.c	with local copies of what is external
 * call_serve.c	those that have a function of their own
 * call_wait.c	those of them that wait
 * present.c	calls that read or write the program's memory
 * vector.c	those that take lists of buffers
 * msghdr.c	those of messages: sendmsg(2) and its relatives
 * other_process.c	those of other processes' memory
 * stdio.c	the same for stdio
 * path.c	calls that take names and small structs
 * signal.c	SIGBUS and SIGSYS stay ours and unblocked
 * handler.c	when the program's handlers run, and jumps out of them
 * thread.c	what each thread has of its own
 * confine.c	seccomp filters of the program's own
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

#include "preload/options.h"
#include "preload/reals.h"
#include "preload/shared.h"

#define SHIM_PAGE UINT64_C(4096)
#define SHIM_EXPORT __attribute__((visibility("default")))

/* --- shim.c --------------------------------------------------------------- */

extern struct shim_reals shim_reals;
extern _Atomic bool shim_resolved;
/* Depth of our own calls into the library on this thread; non-zero on the
 * library's own threads: their memory is local. */
extern _Thread_local int shim_inside __attribute__((tls_model("initial-exec")));
/* Set when the program begins: what it asks of libc goes by us. */
extern bool shim_begun;
/* Set once external memory can be had; cleared in a forked child. */
extern _Atomic bool shim_ready;
extern extmem *shim_client;
extern struct run_shared *shim_shared; /* never NULL */
extern pid_t shim_owner;       /* the process that has it, not its children */
extern bool shim_kernel_faults; /* the kernel may touch absent pages */

void shim_resolve(void);
/* The client has been opened. */
void shim_opened(void);
/* This process is a child of fork() now. */
void shim_forked(void);

static inline const struct shim_reals *shim_real(void)
{
	if (!atomic_load_explicit(&shim_resolved, memory_order_acquire))
		shim_resolve();
	return &shim_reals;
}

/* Around each call of the library on a thread of the program: the thread cannot
 * be cancelled in between, and what the library allocates is local. */
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
	((size) >= shim_options.threshold && !shim_inside &&                  \
	 whose_external(__builtin_return_address(0), size) &&                 \
	 (atomic_load_explicit(&shim_ready, memory_order_acquire) ||          \
	  opening_wants(size)))

/* The library itself makes the call: it is passed on as it is. Asked only when
 * external memory is known to be involved. */
#define SHIM_BYPASSED()                                                       \
	(shim_inside ||                                                       \
	 !atomic_load_explicit(&shim_ready, memory_order_relaxed))

/* --- opening.c -------------------------------------------------------------- */

/* Called while external memory is not open. True: use it for this allocation; if it
 * could not be opened, the allocation fails as --overflow says. False: use local
 * memory. */
bool opening_wants(size_t size);
/* The program has mapped private memory that is local. */
void opening_mapped(size_t size);
/* Opens the client, if it is not open, before something that would make this
 * impossible. */
void opening_now(void);
/* The same before a system call that may take rights away which opening needs
 * (setuid(2), chroot(2), ...); and before the program sets a seccomp filter, which
 * could kill it for opening later. */
void opening_call(long number);
void opening_confined(void);
/* Why there is no external memory; NULL: there is, or may be. */
const char *opening_failure(void);
/* A thread is at it. */
bool opening_under_way(void);
/* At the start: whether it is to be opened before the program begins; then it is, or
 * the process ends with words. */
bool opening_is_first(void);
void opening_first(void);
void opening_start(bool is_open);
/* Around fork(). */
void opening_fork(void);
void opening_forked(bool in_child);

/* --- redirect.c ------------------------------------------------------------ */

/* Once the real functions are known: after it they cannot be looked up. */
void redirect_start(void);
/* A library that the library uses, by an address in it: what it allocates goes by us,
 * whoever stands in front of us. */
void redirect_library(const void *address);

/* --- allocator.c ------------------------------------------------------------ */

/* The program's allocator is not libc's: malloc and its family pass everything on, but
 * for what must be local. */
extern bool allocator_passes;
extern bool allocator_in_front; /* it is the program's own: the library finds it */
/* Before redirect_start(). */
void allocator_start(void);
/* Before the client is opened: loads what the library would. */
void allocator_load(void);
/* The allocator asks the system for memory that must be local. */
bool allocator_keeps_local(const void *caller);
bool allocator_has_local(const void *p);
/* Local memory, as malloc() and memalign() give it; then what the others do. */
void *allocator_take(size_t size, size_t alignment);
void *allocator_resize(void *p, size_t size);
size_t allocator_size(const void *p);
void allocator_give(void *p);
/* Around fork(). */
void allocator_lock(void);
void allocator_unlock(void);

/* --- whose.c --------------------------------------------------------------- */

/* True when `address`, a return address, lies in the library or in a library that
 * it uses: their memory is local. */
bool whose_library(const void *address);

/* libc's own allocations (a stream and its buffer, a directory's entries) are
 * local unless they have this size. The loader's are always local: threads' own
 * variables are among them. */
#define WHOSE_LIBC_SIZE ((size_t)2 << 20)
struct whose_span {
	uintptr_t first, last;
};
extern struct whose_span whose_libc, whose_loader;

static inline bool whose_is_loader(const void *caller)
{
	return (uintptr_t)caller - whose_loader.first <
	       whose_loader.last - whose_loader.first;
}

static inline bool whose_external(const void *caller, size_t size)
{
	uintptr_t a = (uintptr_t)caller;

	if (a - whose_libc.first < whose_libc.last - whose_libc.first)
		return size >= WHOSE_LIBC_SIZE;
	return !whose_is_loader(caller) &&
	       !(allocator_passes && allocator_keeps_local(caller));
}

/* Learns where libraries lie; to be called again when more have been loaded. */
void whose_learn(void);

/* --- figures.c ------------------------------------------------------------- */

/* Maps the file that others read; without one shim_shared is private memory. */
void figures_open(void);
void figures_refresh(void);
void figures_start(void); /* a thread that refreshes them */
void figures_end(void);
void figures_forked(void);
/* This thread waits for a page. */
void figures_waits(void);

/* --- fork() (more in fork.h) ------------------------------------------------ */

extern _Atomic unsigned fork_readers; /* children that may ask */

/* At the start. */
void fork_begin(void);
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
/* Before a fault is served: waits while too many saved pages are in local
 * memory. */
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

/* If the program was begun with some of descriptors 0 to 2 closed: occupies these
 * numbers while the library opens, so that no descriptor of ours ever has one; then
 * closes them again. */
void descriptor_standard_hold(void);
void descriptor_standard_give(void);
/* It was closed when the program was begun: what is there now is the program's. */
bool descriptor_standard_closed(int fd);

/* Moves a descriptor of ours out of the program's way; returns its new number. */
int descriptor_keep(int fd);
void descriptor_close(int fd);
/* All of ours except one; all that are not ours except stderr. */
void descriptor_close_all(int except);
void descriptor_close_others(void);
/* The range of numbers that is ours; false: the process may have too few
 * descriptors for that. */
bool descriptor_numbers(unsigned *ret_first, unsigned *ret_last);

/* --- block.c -------------------------------------------------------------- */

struct block {
	uint64_t region;     /* index */
	uint64_t page;	     /* first, in its region */
	uint64_t page_count; /* of the slab */
	uint64_t live_count; /* pages of it not yet freed */
	uintptr_t base;	     /* where the slab begins */
	uintptr_t start;     /* what the program was given, in its first pages */
};

extern _Atomic uintptr_t block_low, block_high; /* bounds of all regions */
bool block_contains_slow(uintptr_t address);

/* True when [p, p + size) begins or ends in external memory, or where external memory is
 * reserved. */
static inline bool block_contains(const void *p, size_t size)
{
	uintptr_t first = (uintptr_t)p, last = first + (size ? size - 1 : 0);

	if (last < atomic_load_explicit(&block_low, memory_order_relaxed) ||
	    first >= atomic_load_explicit(&block_high, memory_order_relaxed))
		return false;
	return block_contains_slow(first) || block_contains_slow(last);
}

/* Zeroed memory, or NULL with errno ENOMEM; then see budget_overflow(). */
void *block_take(size_t size, size_t alignment);
/* The block that holds this live address; false: none. */
bool block_find(const void *address, struct block *ret);
static inline size_t block_capacity(const struct block *b)
{
	return b->base + b->page_count * SHIM_PAGE - b->start;
}
/* Frees the pages of [address, address + size), which are the caller's; a slab is
 * freed with its last page. */
void block_give(void *address, size_t size);
/* For the pages that lie inside as a whole. */
int block_advise(void *address, size_t size, enum extmem_advice);
/* PROT_READ, PROT_WRITE; 0, -ENOTSUP: it cannot be done with this paging, or -errno. */
int block_protect(void *address, size_t size, int rights);
/* Copies, and discards the source piece by piece. */
void block_move(void *to, void *from, size_t size);
/* The index-th region; false: there are fewer. */
bool block_region_at(unsigned index, uintptr_t *ret_base, uint64_t *ret_size);
bool block_is_reserve(unsigned index);
/* Local memory for tables: zeroed, and backed by pages as it is used. Or NULL. */
void *block_reserve(size_t size);
/* A slab that is no block, for arena.c; 0: no room. */
uintptr_t block_slab_take(uint64_t size);
void block_slab_give(uintptr_t base, uint64_t size);
/* The owner of pages: the number of a block, of a span | BLOCK_SPAN, or 0. */
#define BLOCK_SPAN (UINT32_C(1) << 31)
void block_own(uintptr_t base, uint64_t size, uint32_t owner);
uint32_t block_owner(const void *address);
/* Discards the contents of these pages. */
void block_empty(uintptr_t base, uint64_t size);
/* The pages that the index-th region can grow to. */
uint64_t block_region_pages_max(unsigned index);
/* Contents must not be discarded: a child may ask for them. */
static inline bool block_keeps_contents(void)
{
	return atomic_load_explicit(&fork_readers, memory_order_relaxed) > 0;
}
void block_lock_all(void);
void block_unlock_all(void);

/* --- growth.c -------------------------------------------------------------- */

/* True once after each growth: figures.c then asks the appliances what they have
 * left, and notes it. */
bool growth_take_question(void);
void growth_set_remote_free(uint64_t bytes);
/* The reserve is a region from now on; false: there are too many. */
bool growth_add_reserve(uintptr_t base, uint64_t size);

/* --- budget.c -------------------------------------------------------------- */

/* Counts an allocation that found no room, and prints a message the first few
 * times. True: it is to be served locally. */
bool budget_overflow(size_t size);
/* True when so much more would be more than --limit. */
bool budget_limited(uint64_t size);
/* Adds to the external bytes in use (negative: freed); counts allocations. */
void budget_live(int64_t size);
void budget_count(uint64_t count, uint64_t size);
/* When the client is open. */
void budget_start(void);
uint64_t budget_local(void); /* the local budget, in bytes, as it is now */
/* So much more is in use: a budget that is a share of that follows. */
void budget_follow(uint64_t more);

/* --- rest.c ----------------------------------------------------------------- */

/* Measures what is local besides what the library has. */
void rest_measure(const struct extmem_stats *);
/* Whether a mapping of the kernel's may be made; else it is refused with ENOMEM. */
bool rest_allows(size_t size, int rights, int flags);

/* --- arena.c -------------------------------------------------------------- */

#define ARENA_SIZE_MAX ((size_t)32 << 10)

void arena_start(void);
void *arena_take(size_t size, size_t alignment);
/* `owner` is what block_owner() says of it. */
void arena_give(void *p, uint32_t owner);
size_t arena_size(const char *call, const void *p, uint32_t owner);
/* The thread returns the free objects that it has for itself. */
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
/* Reserves them before the client is open; false: they cannot be had. */
bool map_reserve(void);
/* True when any page of the range is in the arena. */
bool map_touches(const void *address, size_t size);
/* The library's advice for this one of madvise(2), or -1. */
int map_advice_meaning(int advice);

/* --- trap.c ------------------------------------------------------------------ */

extern bool trap_installed;
/* What the kernel says (si_errno) of a call that our filter trapped, and not one of
 * the program's. */
#define TRAP_MARK 0x786d
/* This thread is in a trapped call. */
extern _Thread_local bool trap_inside __attribute__((tls_model("initial-exec")));
/* Where the kernel says that shim_raw()'s calls come from; on x86-64. */
extern const char shim_raw_next[] __attribute__((visibility("hidden")));
/* Makes a system call that the filter lets pass: a result, or -errno. */
long shim_raw(long number, long a, long b, long c, long d, long e, long f);
/* 0, or -errno: then the wrappers are all there is. */
int trap_start(void);
void trap_serve(siginfo_t *, void *context);

/* --- call.c ------------------------------------------------------------------ */

/* As shim_raw(), with arguments that may be external. */
long call_serve(long number, const long arguments[6]);
/* What the filter and the wrapper of syscall(2) look at before a call. Below
 * CALL_SETS: a bit for each argument that is an address, and may be external. */
enum {
	CALL_SETS = 64,
	CALL_NOSYS = CALL_SETS, /* ENOSYS, whatever it is given */
	CALL_FUTEX,	   /* what argument 1 makes of them: call_futex_set() */
	CALL_PLACE,	   /* memory from argument 0 on, argument 1 bytes */
	CALL_CLOSE,	   /* ends descriptor argument 0 */
	CALL_DUP,	   /* argument 1 */
	CALL_CLOSE_RANGE,  /* arguments 0 to 1 */
	CALL_CHECKS,
};
/* For numbers below call_count(). `kernel`: the kernel may touch absent pages, so
 * only calls that would take pages or descriptors away are looked at. */
unsigned call_shape_check(unsigned number, bool kernel);
unsigned call_count(void);
/* A bit for each argument of futex(2) that is an address in this operation. */
unsigned call_futex_set(unsigned operation);
/* For syscall(2), which unlike the filter can look at lists of buffers on a
 * stack. False: the call needs no help; else its result, or -errno. */
bool call_made(long number, const long arguments[6], long *ret);

/* --- thread.c ---------------------------------------------------------------- */

#define BOUNCE_MAX ((size_t)64 << 10)

struct bounce {
	bool mine;
};

void thread_start(void);
/* On a thread of the program, before it touches external memory. */
void thread_begin(void);
/* The thread's bounce buffer, BOUNCE_MAX bytes; NULL: it is in use. */
char *thread_bounce_take(struct bounce *ret);
void thread_bounce_give(void *bounce);
/* After a longjmp() out of signal handlers: releases the bounce buffer if it was
 * taken at a nesting depth of handlers >= level. */
void thread_bounce_left(unsigned level);
/* A thread that libc has started by itself is the program's from now on. */
void thread_open(void);
/* This thread is the library's, or is no longer. Before one is started: one more
 * is coming. */
void thread_ours(bool is);
void thread_ours_coming(int more);
/* The index-th thread of the library, or 0 if it has ended; false: no more. */
bool thread_ours_at(unsigned index, int *ret);
/* Stops all threads of the program except the caller. */
void thread_stop_others(void);
bool thread_stopping(void);
/* This thread ends. True: it was the program's last, and the process is to end. */
bool thread_leave(void);
void thread_forked(void);
/* Sends each thread of the program but this one a SIGSYS; how many there are. */
unsigned thread_signal_others(void);
/* It is one of these. */
bool thread_signaled(const siginfo_t *);
_Noreturn void thread_park(void);

/* --- rights.c -------------------------------------------------------------- */

/* How many bytes from here on can be loaded from, or stored to, until a touch is
 * denied. */
size_t rights_permit(const void *address, size_t size, bool write);
/* Memory of malloc() may be without a right from now on. */
void rights_of_blocks(void);

/* --- present.c ------------------------------------------------------------- */

/* Makes memory present for the kernel and keeps it so (pins it), for writing if
 * `write`. Returns how many bytes from `address` on are pinned, or 0 if none can
 * be. */
size_t present_begin(const void *address, size_t size, bool write);
void present_end(const void *address, size_t size);
/* The most bytes to pin at once, so that many threads can do it. */
size_t present_piece_max(void);
/* Whether the kernel may need help with external memory at all. */
static inline bool present_possible(void)
{
	return !shim_kernel_faults && !shim_inside &&
	       (atomic_load_explicit(&shim_ready, memory_order_relaxed) ||
		atomic_load_explicit(&child_serves, memory_order_relaxed));
}
/* Whether it does with this buffer. */
static inline bool present_needed(const void *address, size_t size)
{
	return block_contains(address, size) && present_possible();
}
/* Makes a system call with pinned or local memory; it is a cancellation point.
 * -1 and errno on failure. */
ssize_t present_call(long number, long a, long b, long c, long d, long e,
		     long f);
/* Once, and in a child of fork(). */
void alone_start(void);
/* True: some thread writes in pieces, so other writes to that file must wait. */
bool alone_needed(void);
/* Waits for the file's lock. False: there is nothing to wait for, or no way to;
 * true: call alone_end(). */
struct alone {
	int lock;
};
bool alone_begin(int fd, struct alone *ret);
void alone_end(void *alone);
bool present_is_message_socket(int fd);
bool present_is_regular(int fd);
/* Local memory for one call. */
void *local_take(size_t size);
void local_give(void *, size_t size);

/* --- signal.c -------------------------------------------------------------- */

/* Installs on_bus() before the library opens, so that the library's handler
 * passes on to it; and on_fault() after, in front of the library's. */
void signal_start(void);
void signal_opened(void);
/* When the program begins: the two signals are ours from now on. */
void signal_begin(void);
/* In a child of fork(). */
void signal_forked(void);
void signal_open_mask(sigset_t *);
bool signal_blocks_ours(const sigset_t *);
/* True: this is a system call about signals, and it has been made here. */
bool signal_call(long number, const long arguments[6], long *ret);

/* --- handler.c ------------------------------------------------------------- */

/* sigaction(2), but for SIGBUS and SIGSYS. */
int handler_action(int number, const struct sigaction *action,
		   struct sigaction *ret);
/* Calls a handler of the program, as the program. */
void handler_call(void (*call)(int, siginfo_t *, void *), int number,
		  siginfo_t *, void *context);
/* When the library has returned: delivers a signal that has waited. */
void handler_deliver_waiting(void);
/* A call on this thread has pinned this memory; it has unpinned it. */
void handler_pinned(const void *address, size_t size);
/* The stack pointer of who was interrupted; 0 on a processor that is not known. */
uintptr_t handler_stack(const ucontext_t *);
void handler_unpinned(const void *address);
/* Keeps a signal until handler_deliver_waiting(). */
void handler_wait(int number, const siginfo_t *, void *context);
unsigned handler_level(void); /* handlers that run, one in another */

/* --- environment.c --------------------------------------------------------- */

/* The library sees the environment as it is now, from now on. */
void environment_start(void);

/* --- confine.c ------------------------------------------------------------- */

/* The program has set a filter: calls that it forbids end this process. */
bool confine_is(void);
/* True: this system call set a filter, or asked for one, and has been made here. */
bool confine_call(long number, const long arguments[6], long *ret);
/* True: a thread wants all others to set its filter too. confine_thread() sets it
 * on this thread. */
bool confine_is_asked(void);
void confine_thread(void);

/* --- exec.c ---------------------------------------------------------------- */

/* Copies the variables that exec() needs, and removes them from the environment
 * if children are to run plain. */
void exec_start(void);
/* getenv(3), before main() of any program. */
const char *exec_variable(const char *name);

#endif
