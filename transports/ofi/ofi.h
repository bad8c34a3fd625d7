/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the libfabric transport share; included from nowhere else.
 *
 * Everything hangs on links. A link is one libfabric endpoint with what it
 * needs. An initiator has one link per peer, each with a domain, a completion
 * queue and (RDM) an address vector of its own: taking a link apart then takes
 * every trace of that peer with it, and its local memory is safe, without
 * touching the other peers. A target over FI_EP_MSG has one link per accepted
 * connection, and one *tenant* (domain and completion queue) per client, so a
 * key of one client means nothing on another's connection. A target over RDM
 * has a single tenant and a single endpoint for everybody.
 *
 * ofi.c    the table of operations, open, limits, poll, wait
 * fabric.c which provider, addresses, locators
 * link.c   peers of an initiator, links taken apart
 * target.c tickets, tenants, connection requests, exposures
 * pool_view.c   a second mapping of exposed memory that can be pulled away
 * mute.c   a completion queue that need not wake anybody
 * rma.c    reads and writes, the table of outstanding operations
 */
#ifndef XM_OFI_H
#define XM_OFI_H

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

#include "core/pure/transport.h"
#include "transports/ofi/locator.h"

#define OFI_API FI_VERSION(1, 17)
#define OFI_PEERS_MAX 256	  /* of an initiator */
#define OFI_CLIENTS_DEFAULT 128	  /* of a target; more are an option */
#define OFI_LANES_MAX 16	  /* connections of a client, on average, most */
#define OFI_TICKETS_PER_CLIENT 16 /* not used yet; likewise */
#define OFI_EXPOSED_MIN 4096	  /* spans, besides those asked for; or, for each client: */
#define OFI_EXPOSED_PER_CLIENT 16
#define OFI_SPANS_MAX XM_SPANS_MAX
#define OFI_SCATTER_MAX 8
#define OFI_DEPTH_DEFAULT 128
#define OFI_DEPTH_MAX 4096
#define OFI_SIZE_MAX (16 * XM_MIB)
#define OFI_HOST_SIZE 64
#define OFI_SERVICE_SIZE 16
#define OFI_WORDS_SIZE 512
#define OFI_NONE UINT32_MAX
#define DOOR_OF_EQ OFI_NONE

struct ofi_scheme {
	const char *scheme;
	const char *provider;
	enum fi_ep_type type;
	bool inet;    /* host:port; else the provider makes up a name */
	bool revokes; /* memory is reached through the target's checks alone */
	bool eacces;  /* its EACCES means a refusal, and nothing else */
	bool waits;   /* queues have a descriptor that tells by itself */
	bool counts;  /* a counter of others' accesses (RDM) */
};

enum ofi_op_state { OFI_OP_FREE, OFI_OP_POSTED, OFI_OP_DONE };

/* One accepted operation. In the list of its link while posted, in the
 * instance's list of finished ones once it is over but not yet reported. */
struct ofi_op {
	uint64_t token;
	uint32_t next, prev;
	uint32_t link;
	int status;
	enum ofi_op_state state;
};

enum ofi_link_state {
	OFI_LINK_FREE,
	OFI_LINK_CONNECTING,
	OFI_LINK_UP,
	OFI_LINK_DEAD, /* taken apart; number kept till disconnect() */
};

struct ofi_link {
	enum ofi_link_state state;
	struct fi_info *info; /* this and the next two: initiator */
	struct fid_fabric *fabric;
	struct fid_eq *eq; /* MSG */
	struct fid_domain *domain;
	struct fid_cq *cq;
	struct fid_av *av; /* RDM */
	struct fid_ep *ep;
	struct fid_mr *local_mr[OFI_SPANS_MAX];
	fi_addr_t remote;
	uint8_t unused[8]; /* of a receive that never comes */
	int cq_fd, eq_fd;
	uint32_t posted; /* operations in flight */
	uint32_t first;	 /* the list of them */
	uint64_t client; /* target */
	uint64_t peer;	 /* target: xm_ofi_peer_number() */
	uint32_t lane;	 /* target */
	uint32_t tenant; /* target */
	bool mute; /* initiator: its queue does not signal; see mute.c */
	bool eager; /* a post was refused: needs polling, has nothing posted */
	bool say_up, say_down;
	int status;
};

struct ofi_view {
	void *base;
	size_t size;
};

struct ofi_tenant {
	uint64_t client; /* 0: free */
	struct fid_domain *domain;
	struct fid_cq *cq;
	int cq_fd;
	uint32_t links;	    /* connections */
	uint32_t exposures; /* and what is exposed and not concealed */
	uint32_t retired;   /* views pulled away, addresses still reserved */
	/* Its queue was read since it was last armed: in a ring. */
	bool unarmed;
	uint32_t next, previous;
};

struct ofi_exposure {
	uint64_t client; /* 0: free */
	struct fid_mr *mr;
	struct xm_remote_mr remote;
	struct ofi_view view;
	uint32_t tenant;
	bool retired; /* concealed; the view is junk that is kept reserved */
};

struct ofi_ticket {
	uint64_t client; /* 0: free */
	uint32_t lane;
	uint8_t bytes[XM_TICKET_SIZE];
};

struct ofi_span {
	void *memory;
	size_t size;
};

struct ofi_address {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;
};

/* What a provider may replace behind our back; see fabric.c. */
struct ofi_handlers {
	struct sigaction kept[4];
};

/* What a transport has only as an initiator. */
struct ofi_initiator {
	struct ofi_op *ops;
	uint32_t depth;	  /* of `ops` */
	uint32_t scatter; /* pieces in one write, most */
	uint32_t op_free;
	uint32_t done_first, done_last;
	struct ofi_span spans[OFI_SPANS_MAX];
};

/* A connection that is no link, and not yet read; see strangers.c. */
struct ofi_stranger {
	int fd;
	bool seen, ended;
	uint64_t peer, since_ns;
};

#define OFI_STRANGERS_MAX 64
#define OFI_EQ_NS XM_MS /* of requests in one turn, but for the last one */

struct ofi_strangers {
	uint16_t port; /* ours, as in an address; 0: nobody is one */
	uint64_t look_ns;
	uint32_t count;
	struct ofi_stranger list[OFI_STRANGERS_MAX];
	/* Scratch of one look: the set of connected peers, a hash table whose room is a power
	 * of two and at most half used; 0 is an empty place. */
	uint64_t *peers;
	size_t room;
};

/* And only as a target. */
struct ofi_target {
	struct fid_fabric *fabric;
	struct fid_eq *eq; /* MSG: the next two as well */
	int eq_fd;
	struct fid_pep *pep;
	uint64_t eq_rest_ns; /* requests are not read before */
	struct ofi_strangers strangers;
	char advertise[OFI_HOST_SIZE]; /* "": the host listened at */
	uint8_t *pool;
	size_t pool_size;
	uint64_t bank_size; /* of the pool; 0: it is one mapping */
	bool viewless;	    /* the pool cannot be mapped twice */
	struct fid_ep *rdm_ep;
	struct fid_cntr *rdm_cntr; /* of accesses by others, or NULL */
	uint64_t rdm_count;
	struct fid_av *rdm_av;
	struct ofi_tenant *tenants;
	uint32_t tenants_used, tenants_max;
	uint32_t unarmed; /* one of the ring, or OFI_NONE */
	bool moved;	  /* to be told */
	struct ofi_ticket *tickets;
	uint32_t tickets_max;
	struct ofi_exposure *exposures;
	uint32_t exposures_used, exposures_max;
};

struct xm_transport {
	const struct ofi_scheme *scheme;
	char words[OFI_WORDS_SIZE];
	char provider[64]; /* forced, or the scheme's own */
	char host[OFI_HOST_SIZE];
	bool fd_waits; /* completion queues have a descriptor */
	int wakeups;   /* epoll: all of those, and of event queues; or -1 */

	/* Target: what it listens with. Initiator: what its connections are
	 * opened with, but for the addresses. */
	struct fi_info *info;

	struct ofi_link *links;
	uint32_t links_max;
	uint32_t links_used; /* one past the highest ever used */
	uint32_t connecting; /* links in that state */
	uint32_t news;	     /* links with something to say */
	uint32_t turn;	     /* where the round robin begins */

	uint32_t polls;
	uint64_t housekeeping_ns; /* when the rare work is due */
	uint64_t nap_ns;

	bool is_target; /* which of the two is in use */
	struct ofi_initiator initiator;
	struct ofi_target target;
};

/* fabric.c */
const struct ofi_scheme *xm_ofi_scheme(const char *scheme);
int xm_ofi_address(struct xm_transport *, const char *address);
int xm_ofi_info(struct xm_transport *, const char *host, const char *service,
		bool source, struct fi_info **ret);
int xm_ofi_info_to(struct xm_transport *, const char *host,
		   const char *service, struct fi_info **ret);
void xm_ofi_version(const struct fi_info *, char *ret, size_t size);
void xm_ofi_mr_mode(const struct fi_info *, char *ret, size_t size);
int xm_ofi_locator_make(struct xm_transport *, fid_t,
			struct xm_locator *ret);
int xm_ofi_locator_read(struct xm_transport *, const struct xm_locator *,
			struct ofi_locator *ret);
/* Of whatever libfabric opened: `pointer` is that of the handle, which is NULL then. */
static inline void xm_ofi_close(void *pointer)
{
	fid_t *fid = pointer;

	if (*fid)
		fi_close(*fid);
	*fid = NULL;
}

int xm_ofi_errno(ssize_t fi_error);
const char *xm_ofi_error_words(int error);
int xm_ofi_fail(struct xm_transport *, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

int xm_ofi_enable(struct fid_ep *);
void xm_ofi_handlers_keep(struct ofi_handlers *);
void xm_ofi_handlers_restore(const struct ofi_handlers *);

/* ofi.c */
int xm_ofi_cq_open(struct xm_transport *, struct fid_domain *, size_t size,
		   struct fid_cq **ret, int *ret_fd);
int xm_ofi_eq_open(struct xm_transport *, struct fid_fabric *,
		   struct fid_eq **ret, int *ret_fd);
void xm_ofi_wakeup_add(struct xm_transport *, int fd, uint32_t number);
void xm_ofi_wakeup_remove(struct xm_transport *, int fd);
void xm_ofi_tenant_forget_unarmed(struct xm_transport *, uint32_t tenant);

/* link.c */
int xm_ofi_connect(struct xm_transport *, const struct xm_locator *,
		   const uint8_t *ticket, uint32_t *ret);
void xm_ofi_disconnect(struct xm_transport *, uint32_t peer);
int xm_ofi_register_memory(struct xm_transport *, void *memory, size_t size);
void xm_ofi_deregister_memory(struct xm_transport *, void *memory, size_t size);
uint32_t xm_ofi_link_take(struct xm_transport *);
void xm_ofi_link_close(struct xm_transport *, uint32_t link);
void xm_ofi_link_up(struct xm_transport *, uint32_t link);
void xm_ofi_link_down(struct xm_transport *, uint32_t link, int status);
void xm_ofi_eq_read(struct xm_transport *, struct fid_eq *, uint32_t link);
int xm_ofi_link_news(struct xm_transport *, struct xm_transport_event *ret,
		     int count);

/* target.c */
int xm_ofi_listen(struct xm_transport *, void *pool, size_t pool_size,
		  struct xm_locator *ret);
int xm_ofi_admit(struct xm_transport *, uint64_t client, uint32_t lane,
		 const uint8_t *ticket);
int xm_ofi_retract(struct xm_transport *, uint64_t client,
		   const uint8_t ticket[XM_TICKET_SIZE]);
void xm_ofi_expel(struct xm_transport *, uint64_t client);
int xm_ofi_expose(struct xm_transport *, uint64_t client, uint64_t offset,
		  uint64_t size, uint32_t rights, uint64_t key, struct xm_remote_mr *ret);
void xm_ofi_conceal(struct xm_transport *, uint64_t client,
		    const struct xm_remote_mr *);
void xm_ofi_request(struct xm_transport *, struct fi_info *,
		    const void *data, size_t size);
void xm_ofi_tenant_leave(struct xm_transport *, uint32_t tenant);
void xm_ofi_target_close(struct xm_transport *);

/* strangers.c */
/* 0: the provider does not say, and nobody is a stranger from then on; or it has gone. */
uint64_t xm_ofi_peer_number(struct xm_transport *, struct fid_ep *);
/* 0 or -ENOMEM. */
int xm_ofi_strangers_begin(struct xm_transport *);
void xm_ofi_strangers_end(struct xm_transport *);
void xm_ofi_strangers_look(struct xm_transport *, uint64_t now_ns);

/* pool_view.c */
int xm_ofi_view_open(uint8_t *pool, uint64_t bank_size, uint64_t offset,
		     size_t size, struct ofi_view *,
		     void **ret);
int xm_ofi_view_retire(const struct ofi_view *);
void xm_ofi_view_close(struct ofi_view *);

/* mute.c */
bool xm_ofi_mute(const struct xm_transport *, int cq_fd);

/* rma.c */
int xm_ofi_rma(struct xm_transport *, uint32_t peer, const struct xm_remote_mr *,
	       const uint64_t *offsets, uint32_t count, void *local,
	       size_t piece, uint64_t token, bool write);
void xm_ofi_ops_init(struct xm_transport *);
void xm_ofi_ops_cancel(struct xm_transport *, uint32_t link);
int xm_ofi_ops_done(struct xm_transport *, struct xm_transport_event *ret,
		    int count);
int xm_ofi_link_poll(struct xm_transport *, uint32_t link,
		     struct xm_transport_event *ret, int count);

#endif
