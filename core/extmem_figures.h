/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem: what is counted, and what can be known of clients, appliances and
 * this machine. extmem.h includes this
 * header: include that one, whose first lines say what holds for all calls.
 */
#ifndef EXTMEM_FIGURES_H
#define EXTMEM_FIGURES_H

#define EXTMEM_LATENCY_BUCKETS 512

/* Counted since extmem_open(). */
struct extmem_stats {
	uint64_t size;		  /* sizeof(struct extmem_stats) */
	uint64_t faults;	  /* of any kind, delivered to the library */
	uint64_t faults_write;	  /* of these: a store to a protected page */
	uint64_t misses;	  /* faults that waited for an appliance */
	uint64_t zero_fills;	  /* fresh pages, which needed no transfer */
	uint64_t pages_read, pages_written;   /* by paging */
	uint64_t bytes_read, bytes_written;   /* by paging and explicit calls */
	uint64_t evictions;		      /* pages that left to make room */
	uint64_t prefetched;		      /* pages read ahead */
	uint64_t prefetched_wasted;	      /* of these: not used (an estimate) */
	uint64_t reads, writes;		      /* one-sided operations */
	uint64_t local_limit, local_now, local_peak; /* bytes */
	uint64_t messages;   /* control messages sent */
	uint64_t reconnects; /* connections that were replaced */
	uint64_t pages_lost; /* faults on lost pages */
	uint64_t regions, region_bytes; /* now */
	uint64_t slabs, objects;	/* now */
	uint64_t page_size;		/* 4096 */
	/* Faults by service time. Bucket b < 16 counts faults of b ns. Above, each
	 * power of two has 16 buckets of equal width. Read it with
	 * extmem_latency_ns(). */
	uint64_t latency[EXTMEM_LATENCY_BUCKETS];
	uint64_t segments;  /* of all regions now; each column of stripes is one */
	uint64_t stripes;   /* the most columns that one of them has */
	uint64_t copies;    /* the most appliances that have one byte */
	/* Of mirrors. A member is one copy of a piece of a region; it is missing while
	 * it is out of reach, lost, or being given what it lacks. */
	uint64_t members, members_missing; /* now */
	uint64_t failovers;	  /* appliances that mirrors went on without */
	uint64_t failover_ns_max; /* from the end of its connection until then */
	uint64_t mended_bytes;	  /* copied to members that lacked them */
	uint64_t degraded_ms;	  /* in which an appliance was missing */
	uint64_t view;		  /* number of the set of appliances in use */
	/* What a copy that is being made still has to look at, and the time that will
	 * take at the rate so far; 0: not known yet. */
	uint64_t mending_bytes, mending_ms;
	/* Time that threads waited in faults; of this, for pages that had been local and
	 * had made room for others. */
	uint64_t waited_ns, returned_ns;
	/* Faults on such pages: [0] what there were, [i] what there would have been with
	 * 2^(i/8) times the local memory, an estimate. */
#define EXTMEM_LOCAL_STEPS 49
	uint64_t returned[EXTMEM_LOCAL_STEPS];
	/* Of appliances that drain, or whose pool shrinks. What lies there, or beyond their
	 * new size, moves, also what has one copy. */
	uint64_t moved_bytes;	 /* to other appliances */
	uint64_t leaving_bytes;	 /* lie there now, */
	uint64_t stranded_bytes; /* and of these: no other appliance has room for them */
	/* Of sealed regions: how often a page came that is not what was sealed, and how many
	 * pages no copy had right: they are lost. */
	uint64_t bad_tags, tampered;
	/* Of pages that were writable and had to leave, those that were compared with what
	 * they had been; and of these, those that were the same and were not sent. */
	uint64_t pages_compared, pages_unchanged;
	/* Of mirrors: the copies that could not be made anew if an appliance ended now,
	 * because no other one that the strategy allows has room; of the appliance of which
	 * they are most. */
	uint64_t unspared_bytes;
};

/* Counters are read lane by lane: while faults are served, they need not add up.
 * Errors: -EINVAL the struct's size is not set. */
int extmem_stats(extmem *, struct extmem_stats *ret);
/* The time in ns within which `permille` of the faults were served: 500 is the
 * median, 990 the 99th percentile. 0 if there were no faults. */
uint64_t extmem_latency_ns(const struct extmem_stats *, unsigned permille);
/* The local memory in bytes with which threads would have waited in faults for at most
 * `permille` of their time: an estimate. time_ns is their time as it was, of which they
 * waited for waited_ns. 0: more than 64 times as much, or no local memory helps. */
uint64_t extmem_local_for(const struct extmem_stats *, uint64_t time_ns,
			  unsigned permille);

struct extmem_info {
	uint64_t size;	     /* sizeof(struct extmem_info) */
	char appliance[128]; /* address */
	char name[64];	     /* the appliance's own */
	char transport[32], provider[64], version[32];
	char endpoint[16], mr_mode[96], progress[16]; /* libfabric's words */
	char paging[16];	 /* inline or thread */
	char paging_reason[128]; /* why */
	/* "away"; "greeting": connected, not ready yet; "ready"; "leaving": it still
	 * serves, but drains and lends nothing more. */
	char state[16];
	uint64_t lease_ms; /* of silence, after which it takes our memory back */
	uint32_t lanes;	   /* connections to it */
	char polling[16];  /* adaptive, busy, or block */
	/* 1: the kernel's touches of mapped memory are served too, so any system call
	 * may be given an absent page. 0: pin it first. */
	uint32_t kernel_touches;
	char reason[512]; /* why it is away; else "" */
};

/* About one appliance; `index` counts from 0 in the order of the settings, then of
 * extmem_appliance_add().
 * Errors: -ERANGE no such index. -EINVAL the struct's size is not set. */
int extmem_info(extmem *, unsigned index, struct extmem_info *ret);
/* A sentence about the first page of this client that was lost: its address, what went
 * with it, each appliance that had it and why. "" if none was. Valid until extmem_close(). */
const char *extmem_lost(const extmem *);

struct extmem_status {
	uint64_t size; /* sizeof(struct extmem_status) */
	char name[64];
	char provider[64], library[32];
	uint64_t incarnation; /* another number after each start */
	uint64_t uptime_ms;
	uint64_t pool, free, free_run, leased, quarantined; /* bytes */
	uint32_t clients, clients_max, extents, extents_max;
	uint64_t messages, malformed, refused, expired;
	uint32_t leaving; /* 1: it drains */
	uint32_t load;	  /* clients, in thousandths of clients_max */
	char zone[32];	  /* "": it says none */
	uint64_t goal, wanted; /* bytes: see extmem_shrink() */
	/* What its interface processes have given up: those below, or'ed. 0: it does not
	 * say. */
	uint64_t confined;
	uint64_t filed; /* 1: its pool is a file on a disk (pool-file in extmemd(8)) */
	uint64_t borrowed; /* bytes of its pool that are other appliances' (borrow in extmemd(8)) */
	uint64_t identity; /* the same after each start at its address, until a reboot; 0: unknown */
	/* Identities of those it has borrowed from, and of those that they have; 0 ends the list. */
#define EXTMEM_LENDERS_MAX 16
	uint64_t lenders[EXTMEM_LENDERS_MAX];
};

#define EXTMEM_CONFINED_SAYS 1	       /* it says */
#define EXTMEM_CONFINED_CAPABILITIES 2 /* all capabilities, or all but to pin memory */
#define EXTMEM_CONFINED_TRACING 4      /* nobody of its user may look into it */
#define EXTMEM_CONFINED_FILES 8	       /* files (Landlock) */
#define EXTMEM_CONFINED_CALLS 16       /* most system calls (seccomp) */
#define EXTMEM_CONFINED_USER 32	       /* its user is not root */
#define EXTMEM_CONFINED_TENANTS 64     /* each tenant has one of its own */

/* Asks an appliance for its figures, without becoming its client.
 * Errors: -EINVAL the address is malformed. -ECONNREFUSED, -EHOSTUNREACH,
 * -ETIMEDOUT, -EPROTO, ... no appliance answers. -ENOKEY, ... credentials, which
 * EXTMEM_AUTH names, as for extmem_open(). -ENOMEM. */
int extmem_status(const char *appliance, uint32_t timeout_ms,
		  struct extmem_status *ret);
/* The segments that it has lent, as extmem_region_list(). Errors as above. */
int extmem_status_regions(const char *appliance, uint32_t timeout_ms,
			  uint64_t skip, struct extmem_region_entry *ret,
			  size_t count);

/* Writes one line for each transport that is built in: its scheme, and the provider
 * that it would use here, or why it cannot be used. Stores as much as fits in `size`
 * bytes, with a NUL at the end; returns the length of the whole text. */
int extmem_providers(char *ret, size_t size);

/* What the kernel offers this process. Each is 1 or 0, except `error`. */
struct extmem_capabilities {
	uint64_t size;	   /* sizeof(struct extmem_capabilities) */
	uint32_t device;   /* /dev/userfaultfd can be opened */
	uint32_t full;	   /* userfaultfd(2), for the kernel's faults too */
	uint32_t user;	   /* userfaultfd(2), for faults in user mode */
	uint32_t sigbus;   /* faults can be served inline */
	uint32_t protects; /* write protection */
	uint32_t poisons;  /* UFFDIO_POISON */
	uint32_t moves;	   /* UFFDIO_MOVE */
	int32_t error;	   /* an errno, if device, full and user are all 0 */
	uint32_t drops_many; /* one call drops many ranges of pages */
	/* The calls that the kernel lacks and extmem would use, each with what it does
	 * instead. "" if none is missing. */
	char missing[256];
};
/* Errors: -EINVAL the struct's size is not set. */
int extmem_capabilities(struct extmem_capabilities *ret);

#endif
