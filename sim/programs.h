/* SPDX-License-Identifier: BSD-3-Clause */
/* program.c: clients and the programs they run, as the rest of the simulator sees
 * them. */
#ifndef XM_SIM_PROGRAMS_H
#define XM_SIM_PROGRAMS_H

#include "common/base.h"
#include "common/rand.h"
#include "core/extmem.h"
#include "sim/outcomes.h"

struct process;

void program_open(uint32_t client);
void program_close(uint32_t client);
/* Its open client; NULL: there is none at the moment. */
extmem *program_client(uint32_t client);
struct process *program_process(uint32_t client);
/* Ends the client's process now; it is started again after `pause_ns`. */
void program_kill(uint32_t client, uint64_t pause_ns);
/* The mapper works on a page of this process's arena that is mapped writable:
 * another thread of the process may store into it meanwhile, without a fault. */
void program_races(const struct process *, uint64_t page);
/* Clients that begin from now on run this once and end. A killed one is not
 * started again. NULL: random operations. */
void programs_script(void (*)(uint32_t client, extmem *));
/* Programs begin no more operations, and end. */
void programs_finish(void);
bool programs_ended(void);
/* A law: no call is past its deadline. */
void programs_ask(void);
/* Writes into `ret` what the programs are doing that have not ended. */
void programs_stuck(char *ret, size_t size);
/* A trouble of this kind begins, and lasts so long; see outcomes.h. */
void programs_trouble(enum outcome_trouble, uint64_t ns);
const char *program_operation_name(uint32_t operation); /* NULL: none */
/* The kinds of operations of a run: all, or in one run of three a part. */
uint64_t program_kinds_draw(struct xm_rand *);
/* Those that leave pages in the remote memory. */
uint64_t program_kinds_explicit(void);

#endif
