/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of a running extmemd, for the files that start, run and end it:
 *
 *	extmemd.c	main, the loop, signals
 *	start.c		from options to a daemon that is ready
 *	interfaces.c	its interface processes, and the memory behind each
 *	start_store.c	its durable store, if it has one
 *	directory.c	its entry in a directory of appliances
 *	borrow.c	memory of other appliances, if it lends that
 *	give_back.c	memory that goes to this machine by itself
 *	feed.c		what the service manager's watchdog is told
 *	limits.c	every limit that follows from the options
 *
 * One thread. Floor: skin.
 */
#ifndef XM_DAEMON_H
#define XM_DAEMON_H

#include "appliance/host.h"
#include "appliance/interface.h"
#include "appliance/pool.h"
#include "appliance/pressure.h"
#include "appliance/settings.h"
#include "appliance/storage.h"
#include "appliance/watchdog.h"
#include "common/progress.h"
#include "core/pure/channel.h"

#define XM_WORDS_MAX 512 /* bytes of a sentence */

/* What the store has brought back, until the service has it. */
#define XM_DAEMON_DAMAGE 16384
struct xm_daemon_kept {
	struct xm_store_entry *entries; /* by slot */
	struct xm_daemon_damage {
		uint32_t slot;
		uint64_t offset;
	} *damage; /* pages, XM_DAEMON_DAMAGE at most */
	uint32_t damage_count;
	uint32_t count;
	uint64_t bytes;
	uint64_t say_ns; /* how far it is, the next time */
};

/* An interface process and all the memory that it can reach. */
struct xm_daemon_part {
	char tenant[XM_TENANT_NAME_SIZE]; /* "": everybody's */
	uint64_t offset; /* of its memory, as the service counts */
	struct xm_pool pool;
	struct xm_interface interface; /* pid 0: there is none now */
	struct xm_transport_limits limits;
	struct xm_locator locator;
	bool listens;
	bool hangs; /* as feed.c has said in the log */
	uint64_t begin_ns; /* there is none: when to begin another */
	uint64_t until_ns; /* it begins: how long that may take; 0: it is to end */
};

/* Its entry in a directory, which a process of its own keeps there. */
struct xm_daemon_directory {
	pid_t pid; /* 0: there is none */
	int fd;	   /* its lines, both ways */
	char line[XM_WORDS_MAX]; /* of it, so far */
	size_t used;
	uint64_t told; /* bytes free, as it was told last */
	uint64_t tell_ns, begin_ns; /* when again */
	bool leaves; /* it was told to take the entry away */
};

/* What it lends is borrowed: of extmem-bank, which borrows it. */
struct xm_daemon_borrow {
	pid_t pid; /* 0: there is none */
	int fd;	   /* its lines, both ways */
	int file;  /* that the pool is a mapping of; the pool's, once that is there */
	char lines[4096]; /* of it, so far */
	size_t used;
	struct xm_lender lenders[XM_LENDERS_MAX]; /* identity 0: away since the start */
	uint32_t speaker; /* whose line comes next */
	bool met; /* all have spoken */
	struct xm_lineage lineage;
	bool announced; /* it, to clients */
};

struct xm_daemon {
	struct xm_settings settings;
	struct xm_options *options;
	int argc;
	char **argv;
	const char *program; /* of its children, as in xm_child */
	const struct xm_transport_ops *transport_ops;
	const struct xm_channel_ops *channel_ops;
	struct xm_channel *channel;
	struct xm_daemon_part parts[XM_TENANTS_MAX];
	uint32_t parts_count;
	uint32_t heard; /* whose report was taken last */
	struct xm_watchdog watchdog;
	uint64_t pool_size; /* of all parts */
	struct xm_storage storage; /* zeros: there is none */
	struct xm_daemon_kept kept;
	struct xm_host *host;
	int signals; /* signalfd */
	int wakeups; /* epoll of `signals` and the interfaces' sockets */
	bool tenants_named; /* a file says who may have what */
	bool draining;
	uint64_t drain_until_ns;
	struct xm_progress drains; /* what it has to move */
	uint64_t say_ns; /* it, the next time */
	struct xm_daemon_directory directory;
	struct xm_daemon_borrow borrow;
	uint64_t incarnation;
	struct xm_pressure pressure;
	uint64_t look_ns; /* at this machine's memory, the next time */
	uint64_t progress; /* steps shown while the pool is prepared */
};

/* --- start.c ------------------------------------------------------------- */

/* The address's scheme must have both a transport and a channel. 0, or
 * -EINVAL, said in the log. */
int xm_daemon_choose_scheme(struct xm_daemon *);
/* Opens everything, in the order that extmemd.c states. 0, or -errno, said in
 * the log; what was opened then is closed by xm_daemon_finish(). */
int xm_daemon_start(struct xm_daemon *);
/* What of it concerns no other part of the process, for a library in one (library.c): what
 * clients reach, then who decides; between them nobody is let in. Likewise. */
int xm_daemon_open_memory(struct xm_daemon *);
int xm_daemon_open_service(struct xm_daemon *);
/* Wakes the loop when it can be read. 0, or -errno. */
int xm_daemon_watch(const struct xm_daemon *, int fd);
void xm_daemon_finish(struct xm_daemon *);
/* Says where clients may come: in the log, to --ready-fd, to the service
 * manager. */
void xm_daemon_tell_ready(struct xm_daemon *);
/* Reads the tenants file of these settings, if they name one, for the service, if
 * there is one yet: 0, or -errno, said in the log, and nothing has changed. */
int xm_daemon_read_tenants(struct xm_daemon *, const struct xm_settings *settings);

/* --- interfaces.c -------------------------------------------------------- */

/* The memory, and a process for each part of it. 0, or -errno, said in the log. */
int xm_daemon_open_pools(struct xm_daemon *);
/* Ends the process in words where a page of it cannot be had, unless the process is not ours:
 * its control process touches no page of what is borrowed. */
void xm_daemon_guard(const struct xm_daemon *, const struct xm_pool *);
int xm_daemon_open_interfaces(struct xm_daemon *);
void xm_daemon_close_interfaces(struct xm_daemon *);
void xm_daemon_close_pools(struct xm_daemon *);
/* How each is confined, for the log. */
void xm_daemon_tell_interfaces(const struct xm_daemon *);
/* What holds of all of them, XM_CONFINED_. */
uint32_t xm_daemon_confined(const struct xm_daemon *);
/* A child has ended. False: with it the daemon, as the log says. */
bool xm_daemon_interfaces_live(struct xm_daemon *);
/* Begins those that are to begin; returns when there may be more to do. */
uint64_t xm_daemon_tend_interfaces(struct xm_daemon *, uint64_t now_ns);
/* Wakes the loop for its reports. */
int xm_daemon_watch_interface(const struct xm_daemon *, uint32_t part);
/* As in xm_link_ops. */
int xm_daemon_command(struct xm_daemon *, uint32_t place, const struct xm_command *);
int xm_daemon_report(struct xm_daemon *, uint32_t *ret_place, struct xm_report *ret);
/* In which part these bytes lie. */
struct xm_daemon_part *xm_daemon_part_of(struct xm_daemon *, uint64_t offset,
					 uint64_t size);

/* --- start_store.c ------------------------------------------------------- */

/* All but the last do nothing without --store. Puts what is durable into the pool, which
 * nobody can reach yet; makes it orphans of the service; wakes the loop for its reports. 0, or
 * -errno, said in the log. */
int xm_daemon_open_store(struct xm_daemon *);
int xm_daemon_restore(struct xm_daemon *);
int xm_daemon_watch_store(struct xm_daemon *);
/* A child has ended: if it was the store, that is said, and memory goes on. */
void xm_daemon_look_at_store(struct xm_daemon *);

/* --- directory.c --------------------------------------------------------- */

/* All do nothing without --directory. 0, or -EINVAL, said in the log: it cannot be kept. */
int xm_daemon_check_directory(const struct xm_daemon *);
/* Begins it, hears what it says, tells it what is free; returns when to come again. */
uint64_t xm_daemon_tend_directory(struct xm_daemon *, uint64_t now_ns);
/* The entry is to go: nobody new shall come. */
void xm_daemon_leave_directory(struct xm_daemon *);
void xm_daemon_close_directory(struct xm_daemon *);

/* --- borrow.c ------------------------------------------------------------ */

/* All but the first and open() do nothing without --borrow. */
bool xm_daemon_borrows(const struct xm_daemon *);
/* What of it stays when it begins again at the same address. Once it listens. */
uint64_t xm_daemon_identity(const struct xm_daemon *);
/* 0, or -EINVAL, said in the log: it cannot be done here. */
int xm_daemon_check_borrow(const struct xm_daemon *);
/* The pool, whose size is set: a minute at most. 0, or -errno, said in the log. */
int xm_daemon_open_borrowed(struct xm_daemon *, struct xm_pool *);
int xm_daemon_watch_borrowed(struct xm_daemon *);
/* Hears what extmem-bank says. False: what was borrowed is lost, as the log says. */
bool xm_daemon_tend_borrowed(struct xm_daemon *);
/* As in xm_link_ops: -EAGAIN until it is done. */
int xm_daemon_zero_borrowed(struct xm_pool *, uint64_t offset, uint64_t size);
/* Before the pool is closed: nothing is under way in it any more. */
void xm_daemon_settle_borrowed(struct xm_daemon *);
/* Gives it back, ten seconds at most. */
void xm_daemon_close_borrowed(struct xm_daemon *);

/* --- give_back.c --------------------------------------------------------- */

/* Looks whether this machine needs memory, if it is time; returns when that is again. */
uint64_t xm_daemon_give_back(struct xm_daemon *, uint64_t now_ns);

/* --- feed.c -------------------------------------------------------------- */

/* Reads from the environment whether there is a watchdog. */
void xm_daemon_open_watchdog(struct xm_daemon *);
/* In each round; returns when to come again. Does nothing where there is none. */
uint64_t xm_daemon_feed_watchdog(struct xm_daemon *, uint64_t now_ns);

/* --- limits.c ------------------------------------------------------------ */

/* What the pool's size is rounded up to, bytes. */
uint64_t xm_daemon_pool_size(const struct xm_settings *);
uint32_t xm_daemon_streams_max(const struct xm_settings *);
/* All but the incarnation and the places. The pool's size and the interface's limits are
 * those of the daemon so far. */
struct xm_service_options xm_daemon_service_options(const struct xm_daemon *);
void xm_daemon_print_limits(const struct xm_daemon *);
/* Raises the limit of open files for both processes; warns if too low. */
void xm_daemon_raise_files(const struct xm_daemon *);
/* Warns where the device could not pin the pool. */
void xm_daemon_warn_of_memlock(const struct xm_daemon *);

#endif
