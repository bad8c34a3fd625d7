/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork(), around the call: what is locked, what the child inherits, and when
 * a fork is refused.
 *
 * The ranges of external memory are MADV_DONTFORK except while a fork of ours
 * is under way. So a child that is made by an instruction of the program's own
 * has no pages there at all, rather than zeros. vfork(), posix_spawn() and
 * system() come nowhere near this.
 *
 * Locks, in the order in which they are taken: the fork's, area.c's, arena.c's,
 * block.c's, that of the snapshot machine. They are held across the call, so
 * that the child finds all of them free and its tables whole.
 */
#include "preload/fork.h"
#include "preload/area.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;

/* Of the fork under way, by the thread that makes it. */
static struct {
	bool ready;	  /* this process has external memory */
	bool serves;	  /* the child is to have the memory */
	bool from_child;  /* this process is a child itself */
	int mine, childs; /* ends of the connection */
	uint32_t number;  /* of the snapshot */
	sigset_t signals;
} now = { .childs = -1, .mine = -1 };

static void advise_all(int advice)
{
	uintptr_t base;
	uint64_t size;

	for (unsigned i = 0; block_region_at(i, &base, &size); i++)
		shim_raw(SYS_madvise, (long)base, (long)size, advice, 0, 0, 0);
}

/* With fork_lock held. False: it cannot be made. */
static bool begin_snapshot(void)
{
	int pair[2];

	if (now.childs >= 0)
		return true;
	if (!snapshots_prepare() || broker_start() < 0 ||
	    shim_real()->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    pair) < 0)
		return false;
	now.mine = descriptor_keep(pair[0]);
	now.childs = descriptor_keep(pair[1]);
	return true;
}

/* Before any lock is taken: a handler of the program's may fork, too. */
static void block_signals(sigset_t *ret)
{
	sigset_t all;

	sigfillset(&all);
	shim_real()->pthread_sigmask(SIG_SETMASK, &all, ret);
}

void fork_prepare(void)
{
	sigset_t signals;
	bool ready;

	block_signals(&signals);
	opening_fork();
	pthread_mutex_lock(&fork_lock);
	now.signals = signals;
	now.serves = false;
	now.ready = ready = atomic_load(&shim_ready);
	now.from_child = atomic_load(&child_serves);
	if (ready && shim_options.fork == FORK_SNAPSHOT &&
	    atomic_load(&block_high) != 0)
		now.serves = begin_snapshot();
	if (now.from_child) {
		child_lock();
		now.childs = child_prepare();
		return;
	}
	if (!ready)
		return;
	area_lock();
	arena_lock();
	block_lock_all();
	allocator_lock();
	now.serves = now.serves && snapshots_begin(&now.number);
	if (!now.serves)
		return;
	atomic_fetch_add(&shim_shared->fork_count, 1);
	advise_all(MADV_DOFORK);
}

static void unlock(void)
{
	allocator_unlock();
	block_unlock_all();
	arena_unlock();
	area_unlock();
}

static void finish_fork(void)
{
	sigset_t signals = now.signals;

	now.childs = now.mine = -1;
	pthread_mutex_unlock(&fork_lock);
	shim_real()->pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

void fork_in_parent(void)
{
	if (now.from_child) {
		child_unlock();
	} else if (now.ready) {
		if (now.serves) {
			advise_all(MADV_DONTFORK);
			snapshots_forked();
			broker_add(now.mine, now.number);
		}
		unlock();
	}
	descriptor_close(now.childs);
	opening_forked(false);
	finish_fork();
}

void fork_in_child(void)
{
	broker_forked();
	descriptor_close_all(now.childs);
	atomic_store(&shim_ready, false);
	if (now.from_child) {
		child_again(now.childs);
		child_unlock();
	} else if (now.ready) {
		if (now.serves) {
			snapshots_in_child();
			child_begin(now.childs);
		}
		unlock();
	}
	opening_forked(true);
	shim_forked();
	finish_fork();
}

/* Children's handlers run in the order in which they were made known: ours
 * must be the first, before that of any library whose memory is external. So
 * it is made known when the first library asks for one of its own, which is
 * before this one's own start. */
static void register_first(void)
{
	static _Atomic bool registered;

	if (!atomic_exchange(&registered, true))
		shim_real()->__register_atfork(fork_prepare, fork_in_parent,
					       fork_in_child, NULL);
}

int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);

SHIM_EXPORT int __register_atfork(void (*before)(void), void (*parent)(void),
				  void (*child)(void), void *library)
{
	register_first();
	return shim_real()->__register_atfork(before, parent, child, library);
}

void fork_begin(void)
{
	register_first();
}

int fork_start(void)
{
	return shim_options.fork == FORK_SNAPSHOT ? snapshots_watch() : 0;
}

/* What libc forks by itself (daemon(3), forkpty(3)) comes by the handlers
 * alone, and has no memory rather than no child. */
bool fork_refused(void)
{
	sigset_t signals;
	bool possible;
	int error;

	if (!atomic_load(&shim_ready) || atomic_load(&block_high) == 0 ||
	    shim_options.fork == FORK_ABSENT)
		return false;
	if (shim_options.fork == FORK_REFUSE) {
		shim_say("fork: refused, by --fork=refuse: this process has "
			 "external memory");
		return true;
	}
	block_signals(&signals);
	pthread_mutex_lock(&fork_lock);
	possible = begin_snapshot();
	error = errno;
	pthread_mutex_unlock(&fork_lock);
	shim_real()->pthread_sigmask(SIG_SETMASK, &signals, NULL);
	if (!possible)
		shim_say("fork: refused: what the child needs to have the "
			 "external memory cannot be had: %s",
			 strerror(error));
	return !possible;
}

void fork_get_ready(void)
{
	sigset_t signals;

	if (!atomic_load(&shim_ready) || shim_options.fork != FORK_SNAPSHOT)
		return;
	block_signals(&signals);
	pthread_mutex_lock(&fork_lock);
	broker_start();
	pthread_mutex_unlock(&fork_lock);
	shim_real()->pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

/* libc has locks of its own here, which a handler that forks would want: so no
 * handler runs, but faults are served. */
SHIM_EXPORT pid_t fork(void)
{
	sigset_t most, before;
	int error;
	pid_t pid;

	if (fork_refused()) {
		errno = EAGAIN;
		return -1;
	}
	sigfillset(&most);
	signal_open_mask(&most);
	shim_real()->pthread_sigmask(SIG_SETMASK, &most, &before);
	pid = shim_real()->fork();
	error = errno;
	shim_real()->pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}
