/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The libfabric transport: six schemes, one code.
 *
 * poll() is on the path of a fault. While something is posted it costs one
 * fi_cq_read per link that has something posted; event queues and idle links
 * are looked at every CHORES_NS, which bounds how late a peer's end is seen
 * by a caller that polls.
 *
 * A target has a completion queue per client, and 1.17's tcp moves bytes only
 * while that is read. Reading all of them would cost every poll as much as
 * there are clients, so their descriptors hang in one epoll set, `doors`: a
 * poll asks that (85 ns here), and reads the queues it names, in the kernel's
 * order, which puts the one that was named last at the end. What libfabric
 * promises of a descriptor holds after fi_trywait() only; so a queue that was
 * read is *stirred* until that has been asked of it, and a stirred one is read
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

#include "transports/ofi/ofi.h"

#define CHORES_NS (500 * XM_US)
#define CHORES_POLLS 16 /* looks at the clock once in so many busy polls */
#define NAP_MIN_NS (50 * XM_US)
#define NAP_MAX_NS (5 * XM_MS)
#define NAMED_MAX 64	  /* queues read in one poll, most */
#define POLLS_PER_READ 64   /* where a counter is read, the queue's turn */
#define POLLS_PER_STIRRED 8 /* a stirred queue is read once in so many */

uint64_t xm_ofi_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

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

	if (error && t->fd_waits) {
		attr.wait_obj = FI_WAIT_NONE;
		t->fd_waits = false;
		error = fi_cq_open(domain, &attr, &cq, NULL);
	}
	if (error)
		return xm_ofi_say(t, xm_ofi_errno(error), "%s: fi_cq_open: %s",
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
		return xm_ofi_say(t, xm_ofi_errno(error), "%s: fi_eq_open: %s",
				  t->provider, xm_ofi_error_words(error));
	if (fi_control(&eq->fid, FI_GETWAIT, ret_fd))
		*ret_fd = -1;
	*ret = eq;
	return 0;
}

/* --- doors ---------------------------------------------------------------- */

void xm_ofi_door_open(struct xm_transport *t, int fd, uint32_t number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = number };

	/* For want of kernel memory: then nobody sleeps for long. */
	if (t->fd_waits &&
	    (fd < 0 || epoll_ctl(t->doors, EPOLL_CTL_ADD, fd, &event)))
		t->fd_waits = false;
}

/* Before its object is closed: a child of fork() may keep it open. */
void xm_ofi_door_close(struct xm_transport *t, int fd)
{
	if (fd >= 0)
		epoll_ctl(t->doors, EPOLL_CTL_DEL, fd, NULL);
}

static void tenant_stir(struct xm_transport *t, uint32_t index)
{
	struct ofi_tenant *tenant = &t->tenants[index];

	if (tenant->stirred)
		return;
	tenant->stirred = true;
	if (t->stirred == OFI_NONE) {
		t->stirred = tenant->next = tenant->previous = index;
		return;
	}
	tenant->next = t->stirred;
	tenant->previous = t->tenants[t->stirred].previous;
	t->tenants[tenant->previous].next = index;
	t->tenants[tenant->next].previous = index;
}

void xm_ofi_tenant_calm(struct xm_transport *t, uint32_t index)
{
	struct ofi_tenant *tenant = &t->tenants[index];

	if (!tenant->stirred)
		return;
	tenant->stirred = false;
	t->tenants[tenant->previous].next = tenant->next;
	t->tenants[tenant->next].previous = tenant->previous;
	if (t->stirred == index)
		t->stirred = tenant->next == index ? OFI_NONE : tenant->next;
}

/* --- open and close --------------------------------------------------------- */

static void ofi_close(struct xm_transport *t)
{
	if (t->links && t->ops)
		for (uint32_t i = 0; i < t->links_used; i++)
			xm_ofi_link_close(t, i);
	xm_ofi_target_close(t);
	if (t->info)
		fi_freeinfo(t->info);
	free(t->links);
	free(t->ops);
	free(t->tenants);
	free(t->tickets);
	free(t->exposures);
	if (t->doors >= 0)
		close(t->doors);
	free(t);
}

/* What is never used is never touched, and costs addresses alone. */
static int open_memory(struct xm_transport *t)
{
	t->links = calloc(t->links_max, sizeof(*t->links));
	t->ops = calloc(t->depth, sizeof(*t->ops));
	if (!t->links || !t->ops)
		return -ENOMEM;
	xm_ofi_ops_init(t);
	if (!t->target)
		return 0;
	t->tenants = calloc(t->tenants_max, sizeof(*t->tenants));
	t->tickets = calloc(t->tickets_max, sizeof(*t->tickets));
	t->exposures = calloc(t->exposures_max, sizeof(*t->exposures));
	return t->tenants && t->tickets && t->exposures ? 0 : -ENOMEM;
}

static void limits_set(struct xm_transport *t, uint32_t clients)
{
	if (clients == 0)
		clients = OFI_CLIENTS_DEFAULT;
	t->links_max = t->target ? clients * OFI_LANES_MAX : OFI_PEERS_MAX;
	t->tenants_max = clients;
	t->tickets_max = clients * OFI_TICKETS_PER_CLIENT;
	t->exposures_max = (uint32_t)xm_max(
		(uint64_t)clients * OFI_EXPOSED_PER_CLIENT, OFI_EXPOSED_MIN);
}

static int open_fabric(struct xm_transport *t,
		       const struct xm_transport_options *options)
{
	bool inet = t->scheme->inet, everywhere;
	int error = xm_ofi_address(t, options->address);

	if (error)
		return error;
	environment_prepare();
	/* The provider's own address: its port is the system's to choose. */
	if (t->target)
		return xm_ofi_info(t, inet ? t->host : NULL, inet ? "0" : NULL,
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
	t->target = options->target;
	t->eq_fd = -1;
	t->fd_waits = scheme->waits;
	t->stirred = OFI_NONE;
	limits_set(t, options->clients_max);
	t->bank_size = options->bank_size;
	t->nap_ns = NAP_MIN_NS;
	t->depth = options->depth ? options->depth : OFI_DEPTH_DEFAULT;
	if (t->depth > OFI_DEPTH_MAX)
		t->depth = OFI_DEPTH_MAX;
	snprintf(t->provider, sizeof(t->provider), "%s",
		 options->provider ? options->provider : scheme->provider);
	t->doors = epoll_create1(EPOLL_CLOEXEC);
	error = t->doors < 0 ? -errno : open_memory(t);
	if (error)
		xm_ofi_say(t, error, "no %s for a transport",
			   t->doors < 0 ? "descriptor" : "memory");
	xm_ofi_handlers_keep(&handlers);
	if (!error)
		error = open_fabric(t, options);
	xm_ofi_handlers_restore(&handlers);
	if (!error)
		t->scatter = (uint32_t)xm_max(
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
		.depth_max = t->depth,
		.peers_max = t->links_max,
		.scatter_max = t->scatter,
		.revokes = t->scheme->revokes && (msg || !t->viewless),
		.admits = msg,
		.reports_death = msg,
		.registers = t->info->domain_attr->mr_mode & FI_MR_LOCAL,
		.waits = t->fd_waits,
		.tells = msg ? t->fd_waits : t->rdm_cntr != NULL,
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

static const char *ofi_words(struct xm_transport *t)
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
	struct fid_cq *cq = t->tenants[index].cq;
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

	if (t->rdm_cntr && ++t->polls % POLLS_PER_READ) {
		uint64_t counted = fi_cntr_read(t->rdm_cntr);

		t->moved |= counted != t->rdm_count;
		t->rdm_count = counted;
		return;
	}
	if (!t->fd_waits || t->rdm_ep) {
		for (uint32_t i = 0; i < t->tenants_used; i++)
			tenant_read(t, i);
		return;
	}
	count = epoll_wait(t->doors, named, NAMED_MAX, 0);
	for (int i = 0; i < count; i++) {
		if (named[i].data.u32 == DOOR_OF_EQ) {
			t->chores_ns = 0;
			continue;
		}
		tenant_read(t, named[i].data.u32);
		tenant_stir(t, named[i].data.u32);
		t->moved = true;
	}
	if (t->stirred != OFI_NONE && !t->moved &&
	    ++t->polls % POLLS_PER_STIRRED == 0) {
		tenant_read(t, t->stirred);
		t->stirred = t->tenants[t->stirred].next;
	}
}

static bool chores_due(struct xm_transport *t, bool busy)
{
	uint64_t now;

	if (t->connecting)
		return true;
	if (busy && ++t->polls % CHORES_POLLS)
		return false;
	now = xm_ofi_now();
	if (now < t->chores_ns)
		return false;
	t->chores_ns = now + CHORES_NS;
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

static int chores(struct xm_transport *t, struct xm_transport_event *ret,
		  int count)
{
	int n = 0;

	if (t->target) {
		if (t->eq)
			xm_ofi_eq_read(t, t->eq, OFI_NONE);
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

	if (t->done_first != OFI_NONE)
		n += xm_ofi_ops_done(t, ret, count);
	if (t->news && n < count)
		n += xm_ofi_link_news(t, ret + n, count - n);
	if (t->target)
		tenants_poll(t);
	else if (n < count)
		n += links_poll(t, ret + n, count - n, &busy);
	if (n < count && chores_due(t, busy))
		n += chores(t, ret + n, count - n);
	if (t->moved && n < count) {
		ret[n++] = (struct xm_transport_event){
			.kind = XM_TRANSPORT_MOVED,
		};
		t->moved = false;
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
	t->chores_ns = 0;
	t->polls = CHORES_POLLS - 1;
	if (t->done_first != OFI_NONE || t->news)
		return -EAGAIN;
	if (!t->fd_waits)
		return -ENOSYS;
	for (uint32_t i = 0; !t->target && i < t->links_used; i++)
		if (!link_armed(&t->links[i]))
			return -EAGAIN;
	while (t->stirred != OFI_NONE) {
		struct fid *fid = &t->tenants[t->stirred].cq->fid;

		if (fi_trywait(t->fabric, &fid, 1))
			return -EAGAIN;
		xm_ofi_tenant_calm(t, t->stirred);
	}
	if (t->eq) {
		struct fid *fid = &t->eq->fid;

		if (fi_trywait(t->fabric, &fid, 1))
			return -EAGAIN;
	}
	return t->doors;
}

static void ofi_wait(struct xm_transport *t, int fd, uint64_t timeout_ns)
{
	int doors = ofi_arm(t);
	struct pollfd fds[2] = { { doors, POLLIN, 0 }, { fd, POLLIN, 0 } };
	struct timespec time;

	if (doors == -EAGAIN)
		return;
	if (doors < 0) {
		timeout_ns = xm_min(timeout_ns, t->nap_ns);
		t->nap_ns = xm_min(2 * t->nap_ns, NAP_MAX_NS);
	}
	/* Some ends show on no descriptor: never for long. */
	timeout_ns = xm_min(timeout_ns, XM_SECOND);
	time.tv_sec = (time_t)(timeout_ns / XM_SECOND);
	time.tv_nsec = (long)(timeout_ns % XM_SECOND);
	ppoll(fds, 2, &time, NULL); /* those below 0 are passed over */
}

#define OFI_OPS(name, text)                                                   \
	const struct xm_transport_ops xm_ofi_##name = {                       \
		.scheme = text,                                               \
		.open = ofi_open,                                             \
		.close = ofi_close,                                           \
		.limits = ofi_limits,                                         \
		.words = ofi_words,                                           \
		.connect = xm_ofi_connect,                                    \
		.disconnect = xm_ofi_disconnect,                              \
		.register_memory = xm_ofi_enlist,                                      \
		.deregister_memory = xm_ofi_delist,                                      \
		.read = ofi_read,                                             \
		.write = ofi_write,                                           \
		.scatter = ofi_scatter,                                       \
		.listen = xm_ofi_listen,                                      \
		.admit = xm_ofi_admit,                                        \
		.expel = xm_ofi_expel,                                        \
		.expose = xm_ofi_expose,                                      \
		.conceal = xm_ofi_conceal,                                    \
		.poll = ofi_poll,                                             \
		.arm = ofi_arm,                                               \
		.wait = ofi_wait,                                             \
	}

OFI_OPS(tcp, "ofi+tcp");
OFI_OPS(verbs, "ofi+verbs");
OFI_OPS(shm, "ofi+shm");
OFI_OPS(net, "ofi+net");
OFI_OPS(rxm, "ofi+rxm");
OFI_OPS(sockets, "ofi+sockets");
