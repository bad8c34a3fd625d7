/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The libfabric transport: six schemes, one code.
 *
 * poll() is on the path of a fault. While something is posted it costs one
 * fi_cq_read per link that has something posted; event queues and idle links
 * are looked at every HOUSEKEEPING_NS, which bounds how late a peer's end is seen
 * by a caller that polls.
 *
 * A target has a completion queue per client, and 1.17's tcp moves bytes only
 * while that is read. Reading all of them would cost every poll as much as
 * there are clients, so their descriptors hang in one epoll set, `wakeups`: a
 * poll asks that (85 ns here), and reads the queues it names, in the kernel's
 * order, which puts the one that was named last at the end. What libfabric
 * promises of a descriptor holds after fi_trywait() only; so a queue that was
 * read is *unarmed* until that has been asked of it, and an unarmed one is read
 * now and then without being named. (1.17's tcp needs none of this.)
 *
 * Floor: skin of the transport. One thread at a time per instance, and that
 * is what libfabric is told (FI_THREAD_DOMAIN).
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "transports/ofi/ofi.h"

#define HOUSEKEEPING_NS (500 * XM_US)
#define HOUSEKEEPING_POLLS 16 /* looks at the clock once in so many busy polls */
#define NAP_MIN_NS (50 * XM_US)
#define NAP_MAX_NS (5 * XM_MS)
#define NAMED_MAX 64	  /* queues read in one poll, most */
#define POLLS_PER_READ 64   /* where a counter is read, the queue's turn */
#define POLLS_PER_UNARMED 8 /* an unarmed queue is read once in so many */

/* Before libfabric reads its environment, once. Neither is overwritten.
 *
 * FI_MR_CACHE_MONITOR: the monitors patch mmap() and madvise(), or open a
 * userfaultfd of their own; both belong to the program.
 * FI_SHM_DISABLE_CMA: with cross-memory attach a peer writes into this
 * process by address, past every key, and even after an endpoint was closed.
 */
static void environment_prepare(void)
{
	static atomic_flag done = ATOMIC_FLAG_INIT;

	if (atomic_flag_test_and_set(&done))
		return;
	setenv("FI_MR_CACHE_MONITOR", "disabled", 0);
	setenv("FI_SHM_DISABLE_CMA", "1", 0);
}

int xm_ofi_cq_open(struct xm_transport *t, struct fid_domain *domain,
		   size_t size, struct fid_cq **ret, int *ret_fd)
{
	struct fi_cq_attr attr = {
		.size = size,
		.format = FI_CQ_FORMAT_CONTEXT,
		.wait_obj = t->fd_waits ? FI_WAIT_FD : FI_WAIT_NONE,
	};
	struct fid_cq *cq;
	int error = fi_cq_open(domain, &attr, &cq, NULL);

	/* A target has told how it waits: one that naps instead would be a thousand times
	 * as slow, and nobody would know why. */
	if (error && t->fd_waits && !t->is_target) {
		attr.wait_obj = FI_WAIT_NONE;
		t->fd_waits = false;
		error = fi_cq_open(domain, &attr, &cq, NULL);
	}
	if (error)
		return xm_ofi_fail(t, xm_ofi_errno(error), "%s: fi_cq_open: %s",
				   t->provider, xm_ofi_error_words(error));
	*ret_fd = -1;
	if (t->fd_waits && fi_control(&cq->fid, FI_GETWAIT, ret_fd))
		*ret_fd = -1;
	*ret = cq;
	return 0;
}

int xm_ofi_eq_open(struct xm_transport *t, struct fid_fabric *fabric,
		   struct fid_eq **ret, int *ret_fd)
{
	struct fi_eq_attr attr = { .size = 64, .wait_obj = FI_WAIT_FD };
	struct fid_eq *eq;
	int error = fi_eq_open(fabric, &attr, &eq, NULL);

	if (error)
		return xm_ofi_fail(t, xm_ofi_errno(error), "%s: fi_eq_open: %s",
				   t->provider, xm_ofi_error_words(error));
	if (fi_control(&eq->fid, FI_GETWAIT, ret_fd))
		*ret_fd = -1;
	*ret = eq;
	return 0;
}

/* --- wakeups ---------------------------------------------------------------- */

void xm_ofi_wakeup_add(struct xm_transport *t, int fd, uint32_t number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = number };

	/* For want of kernel memory: then nobody sleeps for long. */
	if (t->fd_waits &&
	    (fd < 0 || epoll_ctl(t->wakeups, EPOLL_CTL_ADD, fd, &event)))
		t->fd_waits = false;
}

/* Before its object is closed: a child of fork() may keep it open. */
void xm_ofi_wakeup_remove(struct xm_transport *t, int fd)
{
	if (fd >= 0)
		epoll_ctl(t->wakeups, EPOLL_CTL_DEL, fd, NULL);
}

static void tenant_mark_unarmed(struct xm_transport *t, uint32_t index)
{
	struct ofi_tenant *tenant = &t->target.tenants[index];

	if (tenant->unarmed)
		return;
	tenant->unarmed = true;
	if (t->target.unarmed == OFI_NONE) {
		t->target.unarmed = tenant->next = tenant->previous = index;
		return;
	}
	tenant->next = t->target.unarmed;
	tenant->previous = t->target.tenants[t->target.unarmed].previous;
	t->target.tenants[tenant->previous].next = index;
	t->target.tenants[tenant->next].previous = index;
}

void xm_ofi_tenant_forget_unarmed(struct xm_transport *t, uint32_t index)
{
	struct ofi_tenant *tenant = &t->target.tenants[index];

	if (!tenant->unarmed)
		return;
	tenant->unarmed = false;
	t->target.tenants[tenant->previous].next = tenant->next;
	t->target.tenants[tenant->next].previous = tenant->previous;
	if (t->target.unarmed == index)
		t->target.unarmed = tenant->next == index ? OFI_NONE : tenant->next;
}

/* --- open and close --------------------------------------------------------- */

static void ofi_close(struct xm_transport *t)
{
	if (t->links && t->initiator.ops)
		for (uint32_t i = 0; i < t->links_used; i++)
			xm_ofi_link_close(t, i);
	xm_ofi_target_close(t);
	if (t->info)
		fi_freeinfo(t->info);
	free(t->links);
	free(t->initiator.ops);
	free(t->target.tenants);
	free(t->target.tickets);
	free(t->target.exposures);
	if (t->wakeups >= 0)
		close(t->wakeups);
	free(t);
}

/* What is never used is never touched, and costs addresses alone. */
static int open_memory(struct xm_transport *t)
{
	t->links = calloc(t->links_max, sizeof(*t->links));
	t->initiator.ops = calloc(t->initiator.depth, sizeof(*t->initiator.ops));
	if (!t->links || !t->initiator.ops)
		return -ENOMEM;
	xm_ofi_ops_init(t);
	if (!t->is_target)
		return 0;
	t->target.tenants = calloc(t->target.tenants_max, sizeof(*t->target.tenants));
	t->target.tickets = calloc(t->target.tickets_max, sizeof(*t->target.tickets));
	t->target.exposures = calloc(t->target.exposures_max, sizeof(*t->target.exposures));
	return t->target.tenants && t->target.tickets && t->target.exposures ? 0 : -ENOMEM;
}

static void limits_set(struct xm_transport *t, uint32_t clients, uint32_t spans)
{
	if (clients == 0)
		clients = OFI_CLIENTS_DEFAULT;
	t->links_max = t->is_target ? clients * OFI_LANES_MAX : OFI_PEERS_MAX;
	t->target.tenants_max = clients;
	t->target.tickets_max = clients * OFI_TICKETS_PER_CLIENT;
	/* Besides, there are views that are kept reserved (target.c). */
	t->target.exposures_max = spans + (uint32_t)xm_max(
		(uint64_t)clients * OFI_EXPOSED_PER_CLIENT, OFI_EXPOSED_MIN);
}

static int open_fabric(struct xm_transport *t,
		       const struct xm_transport_options *options)
{
	bool inet = t->scheme->inet, everywhere;
	char port[OFI_SERVICE_SIZE];
	int error = xm_ofi_address(t, options->address);

	if (error)
		return error;
	environment_prepare();
	/* The provider's own address, beside that of control. */
	snprintf(port, sizeof(port), "%u", options->data_port);
	if (t->is_target)
		return xm_ofi_info(t, inet ? t->host : NULL, inet ? port : NULL,
				   inet, &t->info);
	/* Any port will do: connections have their own; see
	 * xm_ofi_info_to(). */
	everywhere = strcmp(t->host, "0.0.0.0") == 0;
	return inet && !everywhere
		       ? xm_ofi_info(t, t->host, "1", false, &t->info)
		       : xm_ofi_info(t, NULL, NULL, false, &t->info);
}

static int ofi_open(const struct xm_transport_options *options, char *words,
		    size_t words_size, struct xm_transport **ret)
{
	const struct ofi_scheme *scheme = xm_ofi_scheme(options->address);
	struct ofi_handlers handlers;
	struct xm_transport *t;
	int error;

	if (!scheme) {
		snprintf(words, words_size, "%s: no libfabric scheme",
			 options->address);
		return -EINVAL;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		snprintf(words, words_size, "no memory for a transport");
		return -ENOMEM;
	}
	t->scheme = scheme;
	t->is_target = options->target;
	t->target.eq_fd = -1;
	t->fd_waits = scheme->waits;
	t->target.unarmed = OFI_NONE;
	limits_set(t, options->clients_max, options->spans_max);
	t->target.bank_size = options->bank_size;
	if (options->advertise != NULL)
		snprintf(t->target.advertise, sizeof(t->target.advertise), "%s",
			 options->advertise);
	t->nap_ns = NAP_MIN_NS;
	t->initiator.depth = options->depth ? options->depth : OFI_DEPTH_DEFAULT;
	if (t->initiator.depth > OFI_DEPTH_MAX)
		t->initiator.depth = OFI_DEPTH_MAX;
	snprintf(t->provider, sizeof(t->provider), "%s",
		 options->provider ? options->provider : scheme->provider);
	t->wakeups = epoll_create1(EPOLL_CLOEXEC);
	error = t->wakeups < 0 ? -errno : open_memory(t);
	if (error)
		xm_ofi_fail(t, error, "no %s for a transport",
			    t->wakeups < 0 ? "descriptor" : "memory");
	xm_ofi_handlers_keep(&handlers);
	if (!error)
		error = open_fabric(t, options);
	xm_ofi_handlers_restore(&handlers);
	if (!error)
		t->initiator.scatter = (uint32_t)xm_max(
			1, xm_min(OFI_SCATTER_MAX,
				  t->info->tx_attr->rma_iov_limit));
	if (error) {
		snprintf(words, words_size, "%s", t->words);
		ofi_close(t);
		return error;
	}
	*ret = t;
	return 0;
}

static void ofi_limits(struct xm_transport *t,
		       struct xm_transport_limits *ret)
{
	bool msg = t->scheme->type == FI_EP_MSG;
	struct xm_transport_limits limits = {
		.size_max = xm_min(OFI_SIZE_MAX,
				   t->info->ep_attr->max_msg_size),
		.depth_max = t->initiator.depth,
		.peers_max = t->links_max,
		.scatter_max = t->initiator.scatter,
		.revokes = t->scheme->revokes && (msg || !t->target.viewless),
		.admits = msg,
		.reports_death = msg,
		.registers = t->info->domain_attr->mr_mode & FI_MR_LOCAL,
		.pins = t->info->domain_attr->mr_mode & FI_MR_ALLOCATED,
		.waits = t->fd_waits,
		.tells = msg ? t->fd_waits : t->target.rdm_cntr != NULL,
		.restricts = t->scheme->revokes,
	};

	snprintf(limits.transport, sizeof(limits.transport), "%s",
		 t->scheme->scheme);
	snprintf(limits.provider, sizeof(limits.provider), "%s",
		 t->info->fabric_attr->prov_name);
	xm_ofi_version(t->info, limits.version, sizeof(limits.version));
	snprintf(limits.endpoint, sizeof(limits.endpoint),
		 msg ? "MSG" : "RDM");
	xm_ofi_mr_mode(t->info, limits.mr_mode, sizeof(limits.mr_mode));
	snprintf(limits.progress, sizeof(limits.progress), "%s, polled",
		 t->info->domain_attr->data_progress == FI_PROGRESS_AUTO
			 ? "auto"
			 : "manual");
	*ret = limits;
}

static const char *ofi_last_error(struct xm_transport *t)
{
	return t->words;
}

static int ofi_read(struct xm_transport *t, uint32_t peer,
		    const struct xm_remote_mr *remote, uint64_t offset, void *local,
		    size_t size, uint64_t token)
{
	return xm_ofi_rma(t, peer, remote, &offset, 1, local, size, token, false);
}

static int ofi_write(struct xm_transport *t, uint32_t peer,
		     const struct xm_remote_mr *remote, uint64_t offset,
		     const void *local, size_t size, uint64_t token)
{
	return xm_ofi_rma(t, peer, remote, &offset, 1, (void *)(uintptr_t)local,
			  size, token, true);
}

static int ofi_scatter(struct xm_transport *t, uint32_t peer,
		       const struct xm_remote_mr *remote, const uint64_t *offsets,
		       uint32_t count, const void *local, size_t piece,
		       uint64_t token)
{
	return xm_ofi_rma(t, peer, remote, offsets, count,
			  (void *)(uintptr_t)local, piece, token, true);
}

/* Moves bytes for a client. Nothing is ever posted here, so what comes out of
 * these queues says at most that a connection broke, and that comes through
 * the event queue as well. */
static void tenant_read(struct xm_transport *t, uint32_t index)
{
	struct fid_cq *cq = t->target.tenants[index].cq;
	struct fi_cq_err_entry error;
	struct fi_cq_entry entry;

	if (!cq || fi_cq_read(cq, &entry, 1) != -FI_EAVAIL)
		return;
	memset(&error, 0, sizeof(error));
	fi_cq_readerr(cq, &error, 0);
}

static void tenants_poll(struct xm_transport *t)
{
	struct epoll_event named[NAMED_MAX];
	int count;

	if (t->target.rdm_cntr && ++t->polls % POLLS_PER_READ) {
		uint64_t counted = fi_cntr_read(t->target.rdm_cntr);

		t->target.moved |= counted != t->target.rdm_count;
		t->target.rdm_count = counted;
		return;
	}
	if (!t->fd_waits || t->target.rdm_ep) {
		for (uint32_t i = 0; i < t->target.tenants_used; i++)
			tenant_read(t, i);
		return;
	}
	count = epoll_wait(t->wakeups, named, NAMED_MAX, 0);
	for (int i = 0; i < count; i++) {
		if (named[i].data.u32 == DOOR_OF_EQ) {
			t->housekeeping_ns = 0;
			continue;
		}
		tenant_read(t, named[i].data.u32);
		tenant_mark_unarmed(t, named[i].data.u32);
		t->target.moved = true;
	}
	if (t->target.unarmed != OFI_NONE && !t->target.moved &&
	    ++t->polls % POLLS_PER_UNARMED == 0) {
		tenant_read(t, t->target.unarmed);
		t->target.unarmed = t->target.tenants[t->target.unarmed].next;
	}
}

static bool housekeeping_due(struct xm_transport *t, bool busy)
{
	uint64_t now;

	if (t->connecting)
		return true;
	if (busy && ++t->polls % HOUSEKEEPING_POLLS)
		return false;
	now = xm_clock_ns();
	if (now < t->housekeeping_ns)
		return false;
	t->housekeeping_ns = now + HOUSEKEEPING_NS;
	return true;
}

static int links_poll(struct xm_transport *t, struct xm_transport_event *ret,
		      int count, bool *ret_busy)
{
	uint32_t begin = t->turn;
	int n = 0;

	for (uint32_t i = 0; i < t->links_used && n < count; i++) {
		uint32_t index = begin + i < t->links_used
					 ? begin + i
					 : begin + i - t->links_used;

		if (t->links[index].state != OFI_LINK_UP ||
		    !(t->links[index].posted || t->links[index].eager))
			continue;
		*ret_busy = true;
		t->turn = index + 1 < t->links_used ? index + 1 : 0;
		n += xm_ofi_link_poll(t, index, ret + n, count - n);
	}
	return n;
}

/* Whoever connects and does not say all that he promises takes some milliseconds, so this
 * rests for as long as it took: strangers have half of the time at most. */
static void requests_read(struct xm_transport *t)
{
	uint64_t began_ns = xm_clock_ns(), took_ns;

	xm_ofi_strangers_look(t, began_ns);
	if (began_ns < t->target.eq_rest_ns)
		return;
	xm_ofi_eq_read(t, t->target.eq, OFI_NONE);
	took_ns = xm_clock_ns() - began_ns;
	if (took_ns > XM_MS)
		t->target.eq_rest_ns = began_ns + 2 * took_ns;
}

static int housekeeping(struct xm_transport *t, struct xm_transport_event *ret,
		  int count)
{
	int n = 0;

	if (t->is_target) {
		if (t->target.eq)
			requests_read(t);
		return 0;
	}
	for (uint32_t i = 0; i < t->links_used; i++) {
		struct ofi_link *link = &t->links[i];

		if (link->state == OFI_LINK_UP && n < count)
			n += xm_ofi_link_poll(t, i, ret + n, count - n);
		if (link->eq)
			xm_ofi_eq_read(t, link->eq, i);
	}
	return n;
}

static int ofi_poll(struct xm_transport *t, struct xm_transport_event *ret,
		    int count)
{
	bool busy = false;
	int n = 0;

	if (t->initiator.done_first != OFI_NONE)
		n += xm_ofi_ops_done(t, ret, count);
	if (t->news && n < count)
		n += xm_ofi_link_news(t, ret + n, count - n);
	if (t->is_target)
		tenants_poll(t);
	else if (n < count)
		n += links_poll(t, ret + n, count - n, &busy);
	if (n < count && housekeeping_due(t, busy))
		n += housekeeping(t, ret + n, count - n);
	if (t->target.moved && n < count) {
		ret[n++] = (struct xm_transport_event){
			.kind = XM_TRANSPORT_MOVED,
		};
		t->target.moved = false;
	}
	if (n)
		t->nap_ns = NAP_MIN_NS;
	return n;
}

static bool link_armed(struct ofi_link *link)
{
	struct fid *fids[2];
	int count = 0;

	if (link->cq)
		fids[count++] = &link->cq->fid;
	if (link->eq)
		fids[count++] = &link->eq->fid;
	if (count == 0)
		return true;
	/* No signal is left over from what is in the queue already. */
	if (link->mute && fi_cq_read(link->cq, NULL, 0) != -FI_EAGAIN)
		return false;
	return fi_trywait(link->fabric, fids, count) == 0;
}

static int ofi_arm(struct xm_transport *t)
{
	t->housekeeping_ns = 0;
	t->polls = HOUSEKEEPING_POLLS - 1;
	if (t->initiator.done_first != OFI_NONE || t->news)
		return -EAGAIN;
	if (!t->fd_waits)
		return -ENOSYS;
	for (uint32_t i = 0; !t->is_target && i < t->links_used; i++)
		if (!link_armed(&t->links[i]))
			return -EAGAIN;
	while (t->target.unarmed != OFI_NONE) {
		struct fid *fid = &t->target.tenants[t->target.unarmed].cq->fid;

		if (fi_trywait(t->target.fabric, &fid, 1))
			return -EAGAIN;
		xm_ofi_tenant_forget_unarmed(t, t->target.unarmed);
	}
	if (t->target.eq) {
		struct fid *fid = &t->target.eq->fid;

		if (fi_trywait(t->target.fabric, &fid, 1))
			return -EAGAIN;
	}
	return t->wakeups;
}

static void ofi_wait(struct xm_transport *t, int fd, uint64_t timeout_ns)
{
	int wakeups = ofi_arm(t);
	struct pollfd fds[2] = { { wakeups, POLLIN, 0 }, { fd, POLLIN, 0 } };
	struct timespec time;

	if (wakeups == -EAGAIN)
		return;
	if (wakeups < 0) {
		timeout_ns = xm_min(timeout_ns, t->nap_ns);
		t->nap_ns = xm_min(2 * t->nap_ns, NAP_MAX_NS);
	}
	/* Some ends show on no descriptor: never for long. */
	timeout_ns = xm_min(timeout_ns, XM_SECOND);
	time.tv_sec = (time_t)(timeout_ns / XM_SECOND);
	time.tv_nsec = (long)(timeout_ns % XM_SECOND);
	ppoll(fds, 2, &time, NULL); /* those below 0 are passed over */
}

#define OFI_OPS(name, text, rest, pinned)                                     \
	const struct xm_transport_ops xm_ofi_##name = {                       \
		.scheme = text,                                               \
		.sample = text "://" rest,                                    \
		.pins = pinned,                                               \
		.open = ofi_open,                                             \
		.close = ofi_close,                                           \
		.limits = ofi_limits,                                         \
		.last_error = ofi_last_error,                                     \
		.connect = xm_ofi_connect,                                    \
		.disconnect = xm_ofi_disconnect,                              \
		.register_memory = xm_ofi_register_memory,                                      \
		.deregister_memory = xm_ofi_deregister_memory,                                      \
		.read = ofi_read,                                             \
		.write = ofi_write,                                           \
		.scatter = ofi_scatter,                                       \
		.listen = xm_ofi_listen,                                      \
		.admit = xm_ofi_admit,                                        \
		.retract = xm_ofi_retract,                                    \
		.expel = xm_ofi_expel,                                        \
		.expose = xm_ofi_expose,                                      \
		.conceal = xm_ofi_conceal,                                    \
		.poll = ofi_poll,                                             \
		.arm = ofi_arm,                                               \
		.wait = ofi_wait,                                             \
	}

OFI_OPS(tcp, "ofi+tcp", "127.0.0.1:0", false);
OFI_OPS(verbs, "ofi+verbs", "127.0.0.1:0", true);
OFI_OPS(shm, "ofi+shm", "sample", false);
OFI_OPS(net, "ofi+net", "127.0.0.1:0", false);
OFI_OPS(rxm, "ofi+rxm", "127.0.0.1:0", false);
OFI_OPS(sockets, "ofi+sockets", "127.0.0.1:0", false);
