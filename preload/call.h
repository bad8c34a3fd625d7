/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What call.c, call_copy.c, call_serve.c and call_wait.c share: the shape of a
 * system call, and the functions that serve one.
 */
#ifndef EXTMEM_CALL_H
#define EXTMEM_CALL_H

#include "preload/shim.h"

#include <sys/syscall.h>

/* Newer than some headers; from here on the numbers are those of all machines. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define CALL_FUTEX_LOCK_PI2 13
#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* What an argument is. */
enum call_kind {
	VALUE = 0,
	NAME,	    /* ends in 0 */
	IN,	    /* size bytes are read by the kernel */
	OUT,	    /* written */
	BOTH,
	IN_BY,	    /* argument `by` times size bytes */
	OUT_BY,
	OUT_LENGTH, /* *(socklen_t *)argument `by` bytes */
	BITS,	    /* a set of as many bits as argument `by` says */
	POLLED,	    /* argument `by` times a struct pollfd */
	MASK,	    /* of signals, for as long as the call waits */
	MASK_PAIR,  /* where such a mask is, and its size */
	PINNED,	    /* of a shape that is not told here */
	SERVED,	    /* by a function of its own */
	NAMED,	    /* an address, and no more: what is there is not looked at */
};

struct call_part {
	uint8_t kind, by;
	uint16_t size;
};

struct call_shape {
	struct call_part part[6];
	/* As shim_raw() of this number, instead of copies and pins; or NULL. */
	long (*serve)(const long arguments[6]);
	uint8_t check; /* CALL_PLACE and later: in place of the arguments' */
	bool always;   /* syscall(2)'s wrapper looks at it whatever is given:
			* at lists that may themselves be on a stack */
	bool trapped;  /* the filter's handler alone can serve it */
};

/* --- call_copy.c ----------------------------------------------------------------- */

/* The call, with local copies of what is external. */
long call_by_copies(long number, const struct call_shape *,
		    const long arguments[6]);
/* With all that is external pinned. */
long call_by_pins(long number, const long arguments[6]);

/* --- call_serve.c ---------------------------------------------------------------- */

#define CALL_SERVE(name) long call_##name(const long a[6])
CALL_SERVE(read);
CALL_SERVE(write);
CALL_SERVE(pread64);
CALL_SERVE(pwrite64);
CALL_SERVE(readv);
CALL_SERVE(writev);
CALL_SERVE(preadv);
CALL_SERVE(pwritev);
CALL_SERVE(preadv2);
CALL_SERVE(pwritev2);
CALL_SERVE(vmsplice);
CALL_SERVE(recvfrom);
CALL_SERVE(sendto);
CALL_SERVE(recvmsg);
CALL_SERVE(sendmsg);
CALL_SERVE(recvmmsg);
CALL_SERVE(sendmmsg);
CALL_SERVE(getrandom);
CALL_SERVE(execve);
CALL_SERVE(sigaltstack);
CALL_SERVE(execveat);
CALL_SERVE(clone3);
CALL_SERVE(process_vm_readv);
CALL_SERVE(process_vm_writev);
CALL_SERVE(process_madvise);
CALL_SERVE(ioctl);
CALL_SERVE(mmap);
CALL_SERVE(mremap);
CALL_SERVE(shmat);
CALL_SERVE(munmap);
CALL_SERVE(madvise);
CALL_SERVE(mprotect);
CALL_SERVE(mincore);
CALL_SERVE(pkey_mprotect);
CALL_SERVE(mlock);
CALL_SERVE(mlock2);
CALL_SERVE(mlockall);
CALL_SERVE(close);
CALL_SERVE(dup2);
CALL_SERVE(dup3);
CALL_SERVE(close_range);

/* --- call_wait.c ----------------------------------------------------------------- */

CALL_SERVE(futex);
CALL_SERVE(futex_wait);
CALL_SERVE(futex_wake);
CALL_SERVE(futex_waitv);
CALL_SERVE(futex_requeue);
CALL_SERVE(fcntl);
CALL_SERVE(msgsnd);
CALL_SERVE(msgrcv);

#endif
