/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the shim was asked for, read once at the start and not changed after.
 *
 * `extmem run` has checked it and hands it down as EXTMEM_RUN_NAME. Where the
 * shim is loaded by LD_PRELOAD alone, the variables are those of `extmem run`
 * itself, EXTMEM_NAME.
 */
#ifndef EXTMEM_RUN_OPTIONS_H
#define EXTMEM_RUN_OPTIONS_H

#include "common/options.h"

enum options_advise { ADVISE_NORMAL, ADVISE_SEQUENTIAL, ADVISE_RANDOM };
enum options_calls { CALLS_AUTO, CALLS_TRAP, CALLS_WRAP };
enum options_local_rest {
	LOCAL_REST_COUNT,
	LOCAL_REST_WARN,
	LOCAL_REST_REFUSE,
};
enum options_fork { FORK_SNAPSHOT, FORK_ABSENT, FORK_REFUSE };

struct shim_options {
	struct xm_option_share local; /* percent 0: a fixed budget */
	bool local_given;
	uint64_t external;  /* bytes, most to allocate; 0: no limit of ours */
	uint64_t limit;	    /* bytes, most the program is given; 0: none */
	uint64_t threshold; /* bytes, from where on; 0: as --calls has it */
	uint64_t open_after; /* bytes that stay local first; 0: open at once */
	uint32_t advise;    /* enum options_advise */
	uint32_t calls;	    /* enum options_calls */
	uint32_t fork;	    /* enum options_fork */
	uint32_t local_rest; /* enum options_local_rest */
	uint32_t overflow_local; /* 1: what finds no room is local */
	uint32_t children_same;	 /* 1: what is started has a client too */
	unsigned nesting; /* programs with external memory before this one */
};

extern struct shim_options shim_options;

/* Before the others. False: RUN_NESTING_MAX programs in the chain that led to
 * this one had external memory, so this one gets none. */
bool options_nesting(void);
/* Reads all others. Ends the process with words if one is wrong. */
void options_read(void);
/* What was asked for of the client, before it is taken out of the environment. */
void options_prepare_client(void);
/* Opens shim_client with that. Returns as extmem_open(). */
int options_open_client(void);
/* Returns as extmem_check(). */
int options_check_client(void);
/* Adds an appliance to those that options_open_client() uses. */
void options_add_appliance(const char *address);
bool options_paging_by_thread(void);

#endif
