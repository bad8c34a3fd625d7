/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libextmem-appliance: an appliance within a program, such as a hypervisor, that has memory
 * to spare. What extmemd decides (who owns which bytes, for how long) is decided by a thread
 * of this library; the memory that is lent is the program's.
 *
 * What else the library does to the program: nothing. It installs no handler, reads no
 * variable of the environment (but PATH, with `borrow`), writes to no standard stream, never exits, and changes no
 * limit. What moves bytes, with libfabric and its providers, is a process of its own, which
 * executes extmemd by vfork(2): a provider may install handlers, and reads bytes of
 * strangers. When the program ends in whatever way, that process ends too. When that process
 * ends, the program gets SIGCHLD, which it may ignore.
 *
 * All functions may be called by any thread, but not by a child of fork(2). Sizes are in
 * bytes. Errors are -errno.
 */
#ifndef EXTMEM_APPLIANCE_H
#define EXTMEM_APPLIANCE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

struct extmem_appliance;

struct extmem_appliance_figures {
	uint64_t memory; /* that is lent, or can be */
	uint64_t leased; /* of that, by clients */
	int ended;	 /* 0: it serves; else -errno: why it does not any more */
};

/* What an operator would read in a log; `level` as in syslog(3). Called by the library's thread,
 * which it must not keep waiting. The text is valid during the call. */
typedef void extmem_appliance_log(void *context, int level, const char *words);

/* Begins to lend. `settings` are NAME=VALUE, ended by NULL, with the names of extmemd(8)'s options:
 * listen and memory are necessary. One more is program: the path of extmemd, if it is not where
 * the library was installed. `log` may be NULL. Waits until clients may come, a minute at most.
 *
 * 0; *ret is the caller's, until extmem_appliance_stop().
 * -EBUSY: the process has one already; -EINVAL: a setting is wrong, or is for extmemd alone;
 * -EADDRINUSE, -ENOMEM, -EIO ...: as `log` says in words. */
int extmem_appliance_start(const char *const settings[], extmem_appliance_log *log,
			   void *context, struct extmem_appliance **ret);
/* Where clients reach it; valid until it is stopped. */
const char *extmem_appliance_address(const struct extmem_appliance *);
void extmem_appliance_figures(const struct extmem_appliance *,
			      struct extmem_appliance_figures *ret);
/* Gives clients so many milliseconds to move what they have here, then ends. 0; -EBUSY: it
 * ended though clients had memory here, which they have lost. NULL is ignored. */
int extmem_appliance_stop(struct extmem_appliance *, uint32_t drain_ms);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
