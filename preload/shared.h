/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the shim and `extmem run` tell each other.
 *
 * Down, in the environment: EXTMEM_RUN_*, listed here. Up, in a memory file that
 * both have mapped: the shim updates it several times a second and at the end, so
 * that the figures are there even if the program is killed. Both ends are always
 * from one build.
 *
 * The file is RUN_FOLDER/RUN_FILE_PREFIX UID.PID.CHANCE, where `extmem top` finds it;
 * where there is no room for one, the figures are in memory that only these two have.
 * The process that maintains it holds a lock on it (flock(2)); a file without a lock
 * was left behind. A client that was given no file (--children=same) makes its own.
 *
 * Floor: none of core's; preload and cli stand on extmem.h.
 */
#ifndef EXTMEM_RUN_SHARED_H
#define EXTMEM_RUN_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/ring.h"
#include "core/extmem.h"

#define RUN_MAGIC UINT32_C(0x58524e31)
#define RUN_APPLIANCES_MAX EXTMEM_APPLIANCES_MAX
#define RUN_FORMER_MAX 64
#define RUN_FOLDER "/dev/shm"
#define RUN_FILE_PREFIX "extmem-run."

/* "", or each on a line of its own */
#define RUN_ENV_APPLIANCES "EXTMEM_RUN_APPLIANCES"
#define RUN_ENV_LOCAL "EXTMEM_RUN_LOCAL"	 /* bytes, or "25%" */
#define RUN_ENV_LIMIT "EXTMEM_RUN_LIMIT"	 /* bytes; 0: none */
#define RUN_ENV_ADVISE "EXTMEM_RUN_ADVISE" /* "normal", "sequential", ... */
#define RUN_ENV_EXTERNAL "EXTMEM_RUN_EXTERNAL"	 /* bytes; 0: by need */
#define RUN_ENV_THRESHOLD "EXTMEM_RUN_THRESHOLD" /* bytes; 0: by calls */
#define RUN_ENV_CALLS "EXTMEM_RUN_CALLS"	 /* "auto", "trap", "wrap" */
#define RUN_ENV_PAGING "EXTMEM_RUN_PAGING"
#define RUN_ENV_OVERFLOW "EXTMEM_RUN_OVERFLOW"	 /* "fail", "local" */
#define RUN_ENV_CHILDREN "EXTMEM_RUN_CHILDREN"	 /* "plain", "same" */
#define RUN_ENV_LOCAL_REST "EXTMEM_RUN_LOCAL_REST" /* "count", "warn", "refuse" */
#define RUN_ENV_FORK "EXTMEM_RUN_FORK" /* "snapshot", "absent", "refuse" */
#define RUN_ENV_OPEN_AFTER "EXTMEM_RUN_OPEN_AFTER" /* bytes; 0: at once */
#define RUN_ENV_RECORD "EXTMEM_RUN_RECORD" /* a file: see common/record.h */
#define RUN_ENV_SHARED_FD "EXTMEM_RUN_SHARED_FD"
#define RUN_ENV_PREFIX "EXTMEM_RUN_"
/* Two digits: how many programs in the chain of exec() and fork() that led to
 * this one had external memory. Set for every program that is started, plain or
 * not: the seccomp filter of each is still in force, so this one must use other
 * addresses. */
#define RUN_ENV_NESTING "EXTMEM_NESTING"
#define RUN_NESTING_MAX 10

/* The default of --threshold when only libc's functions are watched
 * (RUN_ENV_CALLS "wrap"). Large blocks are data (sort's buffer, a numpy array, an
 * allocator's chunk). Smaller ones also hold names and structs, which the program
 * passes to system calls that are not watched then. When every system call is
 * watched, all allocations are external. */
#define RUN_THRESHOLD_WRAPPED (UINT64_C(2) << 20)

/* A budget that is a share of what the program uses begins with this. */
#define RUN_LOCAL_FLOOR (UINT64_C(4) << 20)

enum run_state {
	RUN_EMPTY = 0, /* the shim never came up: static, or not loaded */
	RUN_ATTACHED,
	RUN_REFUSED, /* words say why; the program did not begin */
	RUN_ENDED,
};

/* The appliance that `extmem run` starts: the program asks for it with a futex. */
enum run_appliance_asks {
	RUN_APPLIANCE_NAMED = 0, /* there are others, by name */
	RUN_APPLIANCE_BY_NEED,
	RUN_APPLIANCE_ASKED,
	RUN_APPLIANCE_THERE,
	RUN_APPLIANCE_FAILED, /* `extmem run` has said why */
};

struct run_appliance {
	char appliance[128];
	char name[64];
	char transport[32], provider[64], version[32], endpoint[16];
	char paging[16], paging_reason[128];
	char state[16];
};

struct run_shared {
	uint32_t magic;
	uint32_t pid; /* whose figures these are */
	uint64_t pid_space; /* the namespace of that number (inode); 0: unknown */
	char program[64];
	uint32_t percent; /* of what is used, that the budget is; 0: fixed */
	_Atomic uint32_t state;
	_Atomic uint32_t appliance_asks; /* enum run_appliance_asks */
	char appliance_address[128];
	_Atomic uint32_t generation; /* of all below: odd while written */
	char words[512]; /* of RUN_REFUSED */
	char lost[512];	 /* to what the first lost page was lost; "" */
	struct extmem_stats stats;
	/* Time of the program: of each thread that waited for a page, in each tenth of a
	 * second in which it did, and of one thread at least. */
	_Atomic uint64_t threads_ns;
	char calls[16]; /* how they meet external memory: "trapped", ... */
	uint64_t threshold;
	uint64_t region_bytes_peak;
	_Atomic uint64_t refused_count;	 /* allocations that found no room */
	_Atomic uint64_t refused_bytes;
	_Atomic uint64_t overflow_count; /* of these, served locally */
	_Atomic uint64_t overflow_bytes;
	_Atomic uint64_t rest_bytes; /* local, and not counted in stats.local_now */
	_Atomic uint64_t rest_bytes_peak;
	_Atomic uint64_t blocks_count;	 /* served externally, ever */
	_Atomic uint64_t blocks_bytes;
	_Atomic uint64_t live_bytes; /* served externally and not given back */
	_Atomic uint64_t live_bytes_peak;
	_Atomic uint64_t call_count;	 /* system calls given such memory */
	_Atomic uint64_t trap_count;	 /* of these, seen by the filter alone */
	_Atomic uint64_t fork_count;	 /* snapshots for children */
	_Atomic uint64_t fork_spilled;	 /* pages saved for them in external memory */
	_Atomic uint64_t fork_saved_bytes_peak; /* of these, in local memory */
	_Atomic uint64_t lost_address;	 /* of the first lost page touched */
	uint32_t appliance_count;
	struct run_appliance appliances[RUN_APPLIANCES_MAX];
	/* The leases of the program, and (`former`) of the programs that this process
	 * was before exec(). `extmem run` ends them when the process is gone. */
	uint32_t lease_count;
	struct extmem_lease leases[RUN_APPLIANCES_MAX];
	_Atomic uint32_t former_count;
	struct extmem_lease former[RUN_FORMER_MAX];
};

/* The file: the figures, and what `extmem trace` reads. */
struct run_file {
	struct run_shared shared;
	struct xm_ring ring;
};

/* Makes the file, with room for all of it, locked and close-on-exec, and says its name.
 * Returns its descriptor; or -errno, and the name is "". */
int run_shared_make(char *ret_name, size_t size);
/* The figures of one program, as another process reads them. */
struct run_client {
	uid_t uid;
	ino_t file; /* processes of two namespaces may have one number */
	char name[64]; /* of it, in RUN_FOLDER */
	struct run_shared at; /* its texts end, and are printable */
};
/* The programs of this machine whose files this process may read, `count` of them at
 * most; *ret_hidden: those that it may not read. Returns how many it stored. A file that
 * nobody maintains any more is removed, if that is allowed. */
unsigned run_clients_read(struct run_client *ret, unsigned count,
			  unsigned *ret_hidden);
/* The namespace of this process's numbers of processes; 0: unknown. */
uint64_t run_shared_space(void);

#endif
