/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The raw libfabric call: reads and writes between two processes by nothing
 * but fi_readmsg, fi_writemsg and fi_cq_read, over the same provider and kind
 * of endpoint, with the same promise (a write completes when it is there).
 * What extmem adds to that is what `rma` shows; so this is written once more
 * and apart, and shares nothing with transports/ofi.
 *
 * A part of alone.h; its argument is "PROVIDER MSG|RDM HOST". This process
 * initiates; a child of it, forked before either has touched libfabric, is
 * the target. It polls while a question is being answered, and sleeps else.
 * "read BYTES DEPTH MS" is answered by "US MBPS": microseconds an operation
 * (at depth 1 the median of each, else the whole by their number), for about
 * MS milliseconds. Floor: skin.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_rma.h>

#include "bench/alone.h"
#include "bench/ranks.h"
#include "bench/rma.h"

#define API FI_VERSION(1, 17)
#define CQ_SIZE 1024
#define ENTRIES 16
#define PATIENCE_US 20e6

/* What the two processes tell each other. */
struct shared {
	atomic_int named, connected, go;
	char name[256];
	size_t name_size;
	uint64_t base, key;
};

struct raw {
	char provider[64];
	char host[64];
	bool connects; /* MSG */
	struct fi_info *info;
	struct fid_fabric *fabric;
	struct fid_domain *domain;
	struct fid_eq *eq;
	struct fid_cq *cq;
	struct fid_av *av;
	struct fid_ep *ep;
	struct fid_mr *mr;
	fi_addr_t remote;
	char *memory; /* RMA_SPAN bytes: remote memory, or the buffers */
	struct shared *shared;
	int wake; /* a byte: the target is to poll */
	char words[300];
};

static struct raw raw;

static bool fails(struct raw *r, ssize_t error, const char *call)
{
	if (error >= 0)
		return false;
	snprintf(r->words, sizeof(r->words), "raw libfabric, %s: %s: %s",
		 r->provider, call, fi_strerror((int)-error));
	return true;
}

/* --- both sides -------------------------------------------------------------------------- */

static struct fi_info *hints_of(const struct raw *r)
{
	struct fi_info *hints = fi_allocinfo();

	if (hints == NULL)
		return NULL;
	hints->fabric_attr->prov_name = strdup(r->provider);
	hints->ep_attr->type = r->connects ? FI_EP_MSG : FI_EP_RDM;
	hints->caps = FI_MSG | FI_RMA;
	hints->domain_attr->threading = FI_THREAD_DOMAIN;
	hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
	hints->domain_attr->control_progress = FI_PROGRESS_MANUAL;
	hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR |
				      FI_MR_ALLOCATED | FI_MR_PROV_KEY |
				      FI_MR_ENDPOINT;
	return hints;
}

/* `far`: the address to connect to, or NULL: one of this host's. */
static bool find(struct raw *r, const void *remote, size_t far_size)
{
	struct fi_info *hints = hints_of(r);
	bool inet = strcmp(r->provider, "shm") != 0;
	int error;

	if (hints == NULL)
		return !fails(r, -FI_ENOMEM, "fi_allocinfo");
	if (remote != NULL) {
		hints->dest_addr = malloc(far_size);
		if (hints->dest_addr != NULL)
			memcpy(hints->dest_addr, remote, far_size);
		hints->dest_addrlen = far_size;
	}
	if (inet)
		hints->addr_format = FI_SOCKADDR_IN;
	error = fi_getinfo(API, remote == NULL && inet ? r->host : NULL, NULL,
			   remote == NULL && inet ? FI_SOURCE : 0, hints,
			   &r->info);
	fi_freeinfo(hints);
	return !fails(r, error, "fi_getinfo") &&
	       !fails(r, fi_fabric(r->info->fabric_attr, &r->fabric, NULL),
		      "fi_fabric");
}

/* Domain, queue, endpoint and memory, from r->info. */
static bool open_endpoint(struct raw *r, uint64_t access)
{
	struct fi_cq_attr cq = { .format = FI_CQ_FORMAT_CONTEXT,
				 .size = CQ_SIZE };
	struct fi_av_attr av = { .type = FI_AV_TABLE, .count = 4 };
	uint64_t mode = (uint64_t)r->info->domain_attr->mr_mode;

	r->info->tx_attr->size = r->info->tx_attr->size < RMA_DEPTH_MAX
					 ? r->info->tx_attr->size
					 : RMA_DEPTH_MAX;
	if (fails(r, fi_domain(r->fabric, r->info, &r->domain, NULL),
		  "fi_domain") ||
	    fails(r, fi_cq_open(r->domain, &cq, &r->cq, NULL), "fi_cq_open") ||
	    fails(r, fi_endpoint(r->domain, r->info, &r->ep, NULL),
		  "fi_endpoint") ||
	    fails(r, fi_ep_bind(r->ep, &r->cq->fid, FI_TRANSMIT | FI_RECV),
		  "fi_ep_bind"))
		return false;
	if (r->connects) {
		if (fails(r, fi_ep_bind(r->ep, &r->eq->fid, 0), "fi_ep_bind"))
			return false;
	} else if (fails(r, fi_av_open(r->domain, &av, &r->av, NULL),
			 "fi_av_open") ||
		   fails(r, fi_ep_bind(r->ep, &r->av->fid, 0), "fi_ep_bind")) {
		return false;
	}
	if (fails(r, fi_enable(r->ep), "fi_enable"))
		return false;
	/* An initiator's memory is registered where that is asked for. */
	if ((access & FI_REMOTE_READ) == 0 && (mode & FI_MR_LOCAL) == 0)
		return true;
	if (fails(r, fi_mr_reg(r->domain, r->memory, RMA_SPAN, access, 0, 1, 0,
			       &r->mr, NULL),
		  "fi_mr_reg"))
		return false;
	if ((mode & FI_MR_ENDPOINT) == 0)
		return true;
	return !fails(r, fi_mr_bind(r->mr, &r->ep->fid, 0), "fi_mr_bind") &&
	       !fails(r, fi_mr_enable(r->mr), "fi_mr_enable");
}

/* Waits for this event; its info is the caller's. */
static bool await_event(struct raw *r, uint32_t wanted, struct fi_info **ret)
{
	double until = bench_now_us() + PATIENCE_US;
	struct fi_eq_cm_entry entry;
	uint32_t event = 0;

	while (bench_now_us() < until) {
		ssize_t n = fi_eq_read(r->eq, &event, &entry, sizeof(entry),
				       0);

		/* Manual progress: a connection needs its queue read. */
		if (r->cq != NULL && n == -FI_EAGAIN) {
			struct fi_cq_entry ignored;

			fi_cq_read(r->cq, &ignored, 1);
		}
		if (n == -FI_EAGAIN) {
			sched_yield();
			continue;
		}
		if (fails(r, n, "fi_eq_read"))
			return false;
		if (event == wanted) {
			if (ret != NULL)
				*ret = entry.info;
			return true;
		}
	}
	return !fails(r, -FI_ETIMEDOUT, "connecting");
}

static bool open_eq(struct raw *r)
{
	struct fi_eq_attr eq = { .size = 16 };

	return !fails(r, fi_eq_open(r->fabric, &eq, &r->eq, NULL),
		      "fi_eq_open");
}

/* --- the target ---------------------------------------------------------------------------- */

static bool target_listen(struct raw *r, struct fid_pep **ret)
{
	struct shared *s = r->shared;

	s->name_size = sizeof(s->name);
	if (!open_eq(r) ||
	    fails(r, fi_passive_ep(r->fabric, r->info, ret, NULL),
		  "fi_passive_ep") ||
	    fails(r, fi_pep_bind(*ret, &r->eq->fid, 0), "fi_pep_bind") ||
	    fails(r, fi_listen(*ret), "fi_listen") ||
	    fails(r, fi_getname(&(*ret)->fid, s->name, &s->name_size),
		  "fi_getname"))
		return false;
	atomic_store(&s->named, 1);
	return true;
}

static bool target_open(struct raw *r)
{
	const uint64_t access = FI_REMOTE_READ | FI_REMOTE_WRITE;
	struct shared *s = r->shared;
	struct fid_pep *pep;
	struct fi_info *from;

	if (!find(r, NULL, 0))
		return false;
	if (r->connects) {
		if (!target_listen(r, &pep) ||
		    !await_event(r, FI_CONNREQ, &from))
			return false;
		fi_freeinfo(r->info);
		r->info = from;
	}
	if (!open_endpoint(r, access))
		return false;
	s->base = (r->info->domain_attr->mr_mode & FI_MR_VIRT_ADDR)
			  ? (uintptr_t)r->memory
			  : 0;
	s->key = fi_mr_key(r->mr);
	if (r->connects) {
		if (fails(r, fi_accept(r->ep, NULL, 0), "fi_accept") ||
		    !await_event(r, FI_CONNECTED, NULL))
			return false;
	} else {
		s->name_size = sizeof(s->name);
		if (fails(r, fi_getname(&r->ep->fid, s->name, &s->name_size),
			  "fi_getname"))
			return false;
		atomic_store(&s->named, 1);
	}
	atomic_store(&s->connected, 1);
	return true;
}

/* A launcher gives each rank a core, a client one and an appliance another. The
 * initiator has its rank's, which only waits for it; the target takes the others,
 * or all where there are no others. */
static void leave_the_core(void)
{
	cpu_set_t own, all;

	memset(&all, 0xff, sizeof(all));
	if (!ranks_launched() || sched_getaffinity(0, sizeof(own), &own) != 0 ||
	    sched_setaffinity(0, sizeof(all), &all) != 0 ||
	    sched_getaffinity(0, sizeof(all), &all) != 0)
		return;
	CPU_XOR(&all, &all, &own);
	if (CPU_COUNT(&all) > 0)
		sched_setaffinity(0, sizeof(all), &all);
}

/* How an initiator that is gone looks does not matter: it is the parent. */
static _Noreturn void be_target(struct raw *r, int wake)
{
	struct fi_cq_entry entries[ENTRIES];
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	leave_the_core();
	for (uint64_t i = 0; i < RMA_SPAN / 8; i++)
		((uint64_t *)r->memory)[i] = rma_word(i, 0);
	if (!target_open(r)) {
		fprintf(stderr, "extmem-bench: target: %s\n", r->words);
		atomic_store(&r->shared->connected, -1);
		atomic_store(&r->shared->named, -1);
		_exit(1);
	}
	for (;;) {
		if (!atomic_load_explicit(&r->shared->go,
					  memory_order_relaxed) &&
		    read(wake, &byte, 1) != 1)
			_exit(0);
		fi_cq_read(r->cq, entries, ENTRIES);
		/* As extmem's target: who asks may be waiting for this very
		 * processor. */
		sched_yield();
	}
}

static void target_go(struct raw *r)
{
	atomic_store(&r->shared->go, 1);
	if (write(r->wake, "", 1) != 1)
		exit(1);
}

/* --- the initiator --------------------------------------------------------------------------- */

static bool await(struct raw *r, atomic_int *what)
{
	double until = bench_now_us() + PATIENCE_US;

	while (atomic_load(what) == 0 && bench_now_us() < until)
		usleep(200);
	if (atomic_load(what) == 1)
		return true;
	return !fails(r, -FI_ETIMEDOUT, "the target");
}

static bool initiator_open(struct raw *r)
{
	struct shared *s = r->shared;

	if (!await(r, &s->named) ||
	    !find(r, r->connects ? s->name : NULL, s->name_size))
		return false;
	if (r->connects && !open_eq(r))
		return false;
	if (!open_endpoint(r, FI_READ | FI_WRITE))
		return false;
	if (r->connects) {
		if (fails(r, fi_connect(r->ep, s->name, NULL, 0),
			  "fi_connect") ||
		    !await_event(r, FI_CONNECTED, NULL))
			return false;
	} else if (fi_av_insert(r->av, s->name, 1, &r->remote, 0, NULL) != 1) {
		return !fails(r, -FI_EADDRNOTAVAIL, "fi_av_insert");
	}
	return await(r, &s->connected);
}

static bool completed(struct raw *r, uint64_t *ended)
{
	struct fi_cq_entry entries[ENTRIES];
	struct fi_cq_err_entry error = { .err = 0 };
	ssize_t n = fi_cq_read(r->cq, entries, ENTRIES);

	if (n == -FI_EAGAIN)
		return true;
	if (n < 0) {
		fi_cq_readerr(r->cq, &error, 0);
		return !fails(r, error.err != 0 ? -error.err : n,
			      "an operation");
	}
	*ended += (uint64_t)n;
	return true;
}

/* 1: posted; 0: not now; negative: an error. */
static ssize_t post(struct raw *r, bool write, void *local, uint64_t offset,
		    size_t bytes)
{
	void *desc = r->mr != NULL ? fi_mr_desc(r->mr) : NULL;
	struct iovec iov = { local, bytes };
	struct fi_rma_iov remote = { r->shared->base + offset, bytes,
				  r->shared->key };
	struct fi_msg_rma message = { .msg_iov = &iov,
				      .desc = &desc,
				      .iov_count = 1,
				      .addr = r->remote,
				      .rma_iov = &remote,
				      .rma_iov_count = 1 };
	ssize_t error = write ? fi_writemsg(r->ep, &message,
					    FI_COMPLETION |
						    FI_DELIVERY_COMPLETE)
			      : fi_readmsg(r->ep, &message, FI_COMPLETION);

	return error == 0 ? 1 : error == -FI_EAGAIN ? 0 : error;
}

/* Operations complete in order here, or are alike: a buffer is used again
 * when as many have ended as there are buffers. */
static bool measure(struct raw *r, const struct rma_point *p,
		    struct rma_result *ret)
{
	struct rma_pace pace;
	uint64_t begun = 0, ended = 0, seen = 0;
	unsigned empty = 0;

	rma_pace_begin(&pace, p);
	while (!rma_pace_over(&pace, begun) || ended < begun) {
		while (begun - ended < p->depth &&
		       !rma_pace_over(&pace, begun)) {
			ssize_t n = post(r, p->write,
					 r->memory + begun % p->depth *
							     p->bytes,
					 rma_offset(p, begun), p->bytes);

			if (n == 0)
				break;
			if (fails(r, n, "posting"))
				return false;
			begun++;
		}
		if (!completed(r, &ended))
			return false;
		rma_pace_step(&pace, ended);
		/* As extmem's client does: its target may be where this is. */
		empty = ended == seen ? empty + 1 : 0;
		seen = ended;
		if (empty > RMA_POLLS)
			sched_yield();
	}
	*ret = rma_pace_end(&pace, ended);
	return true;
}

/* So that nothing is measured that does not happen. */
static bool check(struct raw *r, const struct rma_point *p)
{
	uint64_t word;

	if (p->write || p->bytes < 8)
		return true;
	memcpy(&word, r->memory, 8);
	for (uint64_t i = 0; i < RMA_SPAN / 8; i += p->bytes / 8) {
		if (word == rma_word(i, 0))
			return true;
	}
	return !fails(r, -FI_EIO, "what was read is wrong");
}

static bool get_ready(struct raw *r, const char *argument)
{
	char kind[8];
	int pipes[2];
	pid_t pid;

	if (sscanf(argument, "%63s %7s %63s", r->provider, kind, r->host) != 3)
		return !fails(r, -FI_EINVAL, "the part's argument");
	r->connects = strcmp(kind, "MSG") == 0;
	/* As transports/ofi has it: see its README for the reasons. */
	setenv("FI_MR_CACHE_MONITOR", "disabled", 0);
	setenv("FI_SHM_DISABLE_CMA", "1", 0);
	r->shared = mmap(NULL, sizeof(*r->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	r->memory = mmap(NULL, RMA_SPAN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->shared == MAP_FAILED || r->memory == MAP_FAILED ||
	    pipe(pipes) != 0)
		return !fails(r, -FI_ENOMEM, "memory");
	pid = fork();
	if (pid == 0) {
		close(pipes[1]);
		be_target(r, pipes[0]);
	}
	close(pipes[0]);
	r->wake = pipes[1];
	if (pid < 0)
		return !fails(r, -errno, "fork");
	memset(r->memory, 0, RMA_SPAN);
	target_go(r);
	return initiator_open(r);
}

bool raw_answer(const char *argument, const char *question, char *ret,
		size_t size)
{
	struct rma_point p = { .bytes = 0 };
	struct rma_result result;
	struct raw *r = &raw;
	unsigned long long bytes;
	char op[8];
	bool well;

	if (question == NULL) {
		well = get_ready(r, argument);
	} else if (sscanf(question, "%7s %llu %u %lf", op, &bytes, &p.depth,
			  &p.ms) != 4) {
		well = !fails(r, -FI_EINVAL, "the question");
	} else {
		p.bytes = bytes;
		p.write = strcmp(op, "write") == 0;
		target_go(r);
		well = measure(r, &p, &result) && check(r, &p);
		if (well)
			snprintf(ret, size, "%.4f %.3f", result.us,
				 result.MBps);
	}
	atomic_store(&r->shared->go, 0);
	if (!well)
		snprintf(ret, size, "%s", r->words);
	return well;
}
