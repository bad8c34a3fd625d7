/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the simulator's files share: the fabric, the mapper, the appliances,
 * the clients' programs, the oracle, and the shape of one run.
 *
 * One run: a seed draws a shape (how many of what, how large, which provider
 * behaviour, which weather), appliances and clients are started, programs run
 * while the weather blows (safety), then it clears and everything must end
 * (liveness). The oracle asks the laws all the while.
 */
#ifndef XM_SIM_H
#define XM_SIM_H

#include <stdio.h>

#include "common/base.h"
#include "core/pure/channel.h"
#include "core/extmem.h"
#include "sim/outcomes.h"
#include "appliance/service.h"
#include "common/spin.h"
#include "core/pure/transport.h"
#include "sim/world.h"

#define SIM_APPLIANCES_MAX 8
#define SIM_CLIENTS_MAX 8
#define SIM_NODES (SIM_APPLIANCES_MAX + SIM_CLIENTS_MAX)

/* How the provider under the fabric behaves; see PITFALLS in ARCHITECTURE. */
struct sim_provider {
	bool revokes;	    /* a concealed key is dead at once */
	bool admits;	    /* connections with tickets; else keys alone */
	bool reports_death; /* a dead peer's connection is shut down */
	bool refuses;	    /* a bad key is -EACCES; else the connection ends */
	bool registers;
	bool sticks;	    /* posts to one that is gone say -EAGAIN for ever */
	uint64_t late_ns;   /* a connection's end is told up to this late */
	uint32_t depth;
	uint64_t size_max;
	uint32_t scatter; /* pieces in one write */
};

struct sim_link {
	uint64_t latency_ns, jitter_ns;
	uint64_t bytes_per_us;
	uint32_t loss_permille; /* each costs a retransmission's wait */
};

struct sim_shape {
	uint64_t seed;
	uint32_t appliances, clients, threads, lanes;
	uint64_t pool_size, local, arena;
	uint32_t granule, prefetch, lease_ms;
	uint32_t reclaim; /* enum xm_reclaim */
	uint64_t timeout_ms, loss_ms;
	uint32_t extents_max, extents_each, clients_max;
	uint32_t streams_max;
	bool streams_tight; /* as many as clients */
	uint32_t zero_size, handshake_ms;
	uint32_t operations; /* of each thread */
	uint64_t kinds;	     /* of operations: a bit of each that there is */
	uint64_t think_ns;   /* between them, on average */
	uint32_t polling;    /* enum xm_polling, of clients */
	uint64_t safety_ns;
	struct sim_provider provider;
	struct sim_link link;
	/* One in so many; 0: never. */
	uint32_t again;	     /* posts that say -EAGAIN */
	uint32_t no_memory;  /* exposures and admissions that fail */
	uint32_t no_memory_client; /* allocations, threads, registrations */
	uint32_t weather_ms; /* between weather events, mean; 0: none */
	uint32_t hang_halves; /* of appliances: 1 control, 2 interface, 3 both */
	bool hang, kill_appliance, kill_client, partition, clog, slow, skew;
	bool drawn;  /* by weather_draw(): nothing disturbs but the weather */
	bool races;  /* threads store while the mapper is at work */
	bool pauses; /* nothing but clients that hang */
};

enum sim_fault {
	SIM_FAULT_DELAY, SIM_FAULT_LOSS, SIM_FAULT_PARTITION,
	SIM_FAULT_ONE_WAY, SIM_FAULT_CLOG, SIM_FAULT_BREAK,
	SIM_FAULT_HANG_CONTROL, SIM_FAULT_HANG_INTERFACE,
	SIM_FAULT_HANG_APPLIANCE, SIM_FAULT_HANG_CLIENT,
	SIM_FAULT_KILL_APPLIANCE, SIM_FAULT_KILL_INTERFACE,
	SIM_FAULT_KILL_CLIENT, SIM_FAULT_SKEW, SIM_FAULT_JUMP_CLIENT,
	SIM_FAULT_JUMP_APPLIANCE, SIM_FAULT_SLOW,
	SIM_FAULT_AGAIN, SIM_FAULT_STUCK, SIM_FAULT_LATE_WRITE,
	SIM_FAULT_LATE_DEATH, SIM_FAULT_UNTOLD_DEATH, SIM_FAULT_FULL,
	SIM_FAULT_REFUSED_KEY, SIM_FAULT_STREAM, SIM_FAULT_STREAMS,
	SIM_FAULT_MEMORY, SIM_FAULT_CLIENT_MEMORY,
	SIM_FAULTS,
};

struct sim_counts {
	uint64_t faults[SIM_FAULTS];
	uint64_t laws_asked;
	uint64_t operations, loads, stores, reads, writes, lost, failed;
	uint64_t lost_regions, regions, restarts;
	uint64_t points[XM_TRACE_IDS]; /* how often each was reached */
	outcome_counts outcomes;
};

extern struct sim_shape sim_shape;
extern struct sim_counts sim_counts;
const char *sim_fault_name(enum sim_fault);

/* --- plan.c: what of a seed's run takes place ----------------------------------- */

#define SIM_MASK_MAX 1024

/* Of things that are numbered: all, or those whose bit is set. */
struct sim_mask {
	bool some; /* else all */
	uint64_t bits[SIM_MASK_MAX / 64];
};

/* All zero: everything, as the seed has it. */
struct sim_plan {
	/* Instead of the seed's own; 0: its own. */
	uint64_t appliances, clients, threads, lanes, operations, safety_ns;
	uint64_t weather_ms;
	uint64_t without;	    /* a bit of each kind: sim_kind_name() */
	struct sim_mask weather;    /* events of weather.c, by number */
	struct sim_mask operations_of; /* each thread's operations, likewise */
	const char *fail_on;	    /* a note that breaks a law; or NULL */
	FILE *show;		    /* what happens; or NULL */
	uint64_t until;		    /* the run ends with this line; 0: as it does */
};

extern struct sim_plan sim_plan;

/* Kinds that can be left out: faults that weather makes, then operations. */
#define SIM_KINDS_MAX 64
const char *sim_kind_name(uint32_t kind); /* NULL: there is none */
bool sim_without(uint32_t kind);
uint32_t sim_kind_of_operation(uint32_t operation);
bool sim_mask_has(const struct sim_mask *, uint64_t number);
void sim_mask_set(struct sim_mask *, uint64_t number, bool on);
/* "3,7-9"; "none"; "": all. -EINVAL. */
int sim_mask_parse(const char *text, struct sim_mask *ret);
void sim_mask_format(const struct sim_mask *, char *ret, size_t size);

/* --- run.c: one seed's run ------------------------------------------------------ */

struct sim_result {
	bool held; /* every law */
	uint64_t hash, events, simulated_ns;
	uint64_t weather; /* events numbered, the one under way too */
};

/* As sim_plan has it. What broke is in world_law() and world_why(). */
void sim_run(uint64_t seed, struct sim_result *ret);
/* A world in which `live` happens, instead. */
void sim_live(uint64_t seed, void (*live)(uint64_t seed),
	      struct sim_result *ret);

/* --- story.c: scripted runs, whose traces are known ------------------------------- */

/* The index-th story's name (a sentence, with _), or NULL. */
const char *story_name(uint32_t index);
/* Tells it to `trace` (or NULL); true when all it expects came true. */
bool story_run(uint32_t index, FILE *trace);
/* Runs them all, and compares with the traces in a folder, or writes them.
 * Returns an exit status; the last line is "N passed, M failed". */
int stories_run(const char *folder, bool write);

/* --- minimize.c ------------------------------------------------------------------ */

/* Makes sim_plan as small as it gets while the seed breaks the same law, tells
 * of its progress on stderr, and prints the command line that does it.
 * Returns an exit status. */
int sim_minimize(uint64_t seed, bool quiet);

/* --- fabric.c ----------------------------------------------------------------- */

void fabric_open(void);
void fabric_close(void);
extern const struct xm_transport_ops fabric_transport;
extern const struct xm_channel_ops fabric_channel;
/* The kernel of the process's host hangs up for it. */
void fabric_process_died(struct process *);
/* From node to node, this way only. */
void fabric_block(uint32_t from, uint32_t to, bool blocked);
void fabric_clog(uint32_t node, uint64_t until_ns);
void fabric_slow(uint32_t node, uint64_t until_ns);
/* Every connection between two nodes ends, as by a router's whim. */
void fabric_break(uint32_t a, uint32_t b);
/* The same for control streams; if half, node b never hears of it. */
void fabric_hang_up(uint32_t a, uint32_t b, bool half);
void fabric_clear(void);
/* Where in the pool a live key's span begins. */
bool fabric_key(const struct process *interface, uint64_t key,
		uint64_t *ret_offset);

struct fabric_counts {
	uint64_t reads, writes, bytes_read, bytes_written; /* ever accepted */
	uint32_t flying; /* accepted, and their ends not yet polled */
};

/* Adds what a transport was asked to do. */
void fabric_count(const struct xm_transport *, struct fabric_counts *sum);

/* Asks of an interface's connections and keys; see oracle_key(). */
void fabric_ask(uint32_t appliance);

/* --- os.c ---------------------------------------------------------------------- */

/* What wakes a thread of this process that waits for its channel: anything that
 * comes to the process, so that more can happen in more orders; but where it
 * matters what things cost, only what would. */
const void *sim_door(const struct process *);

#define SIM_KICKS 1024 /* descriptors from here on are the fabric's */
void sim_os_open(void);
bool sim_kicked(int kick);
/* Has poll() something, at the transport whose arm() gave this? */
bool fabric_readable(int door);

/* --- appliance.c ---------------------------------------------------------------- */

void appliance_open(uint32_t index);
void appliance_close(uint32_t index);
/* What stands at an address ("sim:3"). */
uint32_t appliance_of(const char *address);
uint32_t appliance_node(uint32_t index);
struct process *appliance_control(uint32_t index);
struct process *appliance_interface(uint32_t index);
struct xm_service *appliance_service(uint32_t index);
uint8_t *appliance_pool(uint32_t index);
/* These bytes of its pool are about to be written. */
void appliance_written(uint32_t index, uint64_t offset, uint64_t size);
/* Which appliance's interface process this is; UINT32_MAX: none. */
uint32_t appliance_at_interface(const struct process *);
/* Ends both processes now; they come again, empty, after `pause_ns`. */
void appliance_kill(uint32_t index, uint64_t pause_ns);
/* Ends the interface process; extmemd sees it and ends as a whole. */
void appliance_kill_interface(uint32_t index, uint64_t pause_ns);

/* --- mapper.c ------------------------------------------------------------------- */

/* Its arena is gone, if it had one. */
void mapper_process_died(const struct process *);

/* --- client.c ---------------------------------------------------------------------- */

void program_open(uint32_t client);
void program_close(uint32_t client);
/* Its handle, or NULL. */
extmem *program_client(uint32_t client);
struct process *program_process(uint32_t client);
/* Ends the client's process; it begins anew after `pause_ns`. */
void program_kill(uint32_t client, uint64_t pause_ns);
/* The mapper is at work for a thread of this process, on a page of the arena that
 * is open: another thread may store into it, without a fault. */
void program_races(const struct process *, uint64_t page);
/* From now on clients do this once, and end; NULL: random operations. One
 * that is killed does not come back. */
void programs_script(void (*)(uint32_t client, extmem *));
/* No new operations: what is under way ends. */
void programs_finish(void);
bool programs_ended(void);
/* Asks whether any of their calls is past its deadline. */
void programs_ask(void);
/* Says what the ones that have not ended are doing. */
void programs_stuck(char *ret, size_t size);
/* Something begins, for so long, that has a name among outcomes. */
void programs_trouble(enum outcome_trouble, uint64_t ns);
const char *program_operation_name(uint32_t operation); /* NULL: none */
/* All kinds of operations, or for some runs a part of them. */
uint64_t program_kinds_draw(struct xm_rand *);

/* --- weather.c --------------------------------------------------------------------- */

void weather_draw(uint64_t seed, struct sim_shape *ret);
void weather_begin(void);
void weather_clear(void);
/* This client is about to do something in several messages: now and then its
 * streams break in the middle of it. */
void weather_strike(uint32_t client);
uint64_t weather_events(void); /* so many have been numbered */
/* Until when links, streams or clients were disturbed, of late; or will be. */
uint64_t weather_disturbs(void);
/* So far nothing has gone wrong but that clients hung, and lost their streams. */
bool weather_only_pauses(void);
/* A process begins on a host whose clock is its own. */
void weather_clock(struct process *);
/* Is there, for once, nothing to be had by a client? */
bool weather_no_memory(void);

/* --- oracle.c ------------------------------------------------------------------------ */

/* After every event that can have changed an answer. */
void oracle_ask(void);
/* An appliance begins, with nothing known about anyone. */
void oracle_begin(uint32_t appliance);
/* Its control process is handed a message by this peer of its channel. */
void oracle_heard(uint32_t appliance, uint32_t peer);
/* A key of this client's opens [offset, + size) of the pool. */
void oracle_key(uint32_t appliance, uint64_t client, uint64_t offset,
		uint64_t size);
/* A touch found that its page is lost. */
void oracle_page_lost(void);
/* A remote access is about to succeed at this appliance. */
void oracle_access(uint32_t appliance, uint64_t client, uint64_t offset,
		   uint64_t size, bool write);

#endif
