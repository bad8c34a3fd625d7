/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads, writes and the table that makes each complete exactly once.
 *
 * An accepted operation holds one entry of a fixed table, is in the list of
 * its link while the provider has it, and leaves that list in one of two
 * ways: its completion is read, or the link is taken apart. In the second
 * case the endpoint and its completion queue are closed first, so no late
 * completion can meet an entry that has found a new use: a queue serves one
 * link for its whole life.
 *
 * Writes ask for FI_DELIVERY_COMPLETE in every call: without it several
 * providers complete once the bytes are in a socket buffer.
 *
 * Floor: skin of the transport. On the path of a fault: no allocation.
 */
#include <errno.h>
#include <string.h>

#include "transports/ofi/ofi.h"

#define ENTRIES 16

void xm_ofi_ops_init(struct xm_transport *t)
{
	for (uint32_t i = 0; i < t->initiator.depth; i++)
		t->initiator.ops[i].next = i + 1 < t->initiator.depth ? i + 1 : OFI_NONE;
	t->initiator.op_free = 0;
	t->initiator.done_first = t->initiator.done_last = OFI_NONE;
}

static void op_unlink(struct xm_transport *t, uint32_t index)
{
	struct ofi_op *op = &t->initiator.ops[index];
	struct ofi_link *link = &t->links[op->link];

	XM_ASSERT(op->state == OFI_OP_POSTED);
	if (op->prev == OFI_NONE)
		link->first = op->next;
	else
		t->initiator.ops[op->prev].next = op->next;
	if (op->next != OFI_NONE)
		t->initiator.ops[op->next].prev = op->prev;
	link->posted--;
}

static void op_free(struct xm_transport *t, uint32_t index)
{
	t->initiator.ops[index].state = OFI_OP_FREE;
	t->initiator.ops[index].next = t->initiator.op_free;
	t->initiator.op_free = index;
}

static void op_finish(struct xm_transport *t, uint32_t index, int status)
{
	struct ofi_op *op = &t->initiator.ops[index];

	op_unlink(t, index);
	op->state = OFI_OP_DONE;
	op->status = status;
	op->next = OFI_NONE;
	if (t->initiator.done_last == OFI_NONE)
		t->initiator.done_first = index;
	else
		t->initiator.ops[t->initiator.done_last].next = index;
	t->initiator.done_last = index;
}

/* After the link's endpoint was closed: nobody completes these but us. */
void xm_ofi_ops_cancel(struct xm_transport *t, uint32_t link)
{
	while (t->links[link].first != OFI_NONE)
		op_finish(t, t->links[link].first, -ECANCELED);
}

int xm_ofi_ops_done(struct xm_transport *t, struct xm_transport_event *ret,
		    int count)
{
	int n = 0;

	while (n < count && t->initiator.done_first != OFI_NONE) {
		uint32_t index = t->initiator.done_first;
		struct ofi_op *op = &t->initiator.ops[index];

		t->initiator.done_first = op->next;
		if (t->initiator.done_first == OFI_NONE)
			t->initiator.done_last = OFI_NONE;
		ret[n++] = (struct xm_transport_event){
			.kind = XM_TRANSPORT_DONE,
			.status = op->status,
			.token = op->token,
		};
		op_free(t, index);
	}
	return n;
}

/* The registration descriptor of local memory, where one is needed. */
static int near_desc(struct xm_transport *t, struct ofi_link *link,
		     const void *local, size_t size, void **ret)
{
	if (!(link->info->domain_attr->mr_mode & FI_MR_LOCAL))
		return 0;
	for (uint32_t i = 0; i < OFI_SPANS_MAX; i++) {
		uintptr_t base = (uintptr_t)t->initiator.spans[i].memory;

		if (link->local_mr[i] && (uintptr_t)local >= base &&
		    xm_span_fits((uintptr_t)local - base, size,
				 t->initiator.spans[i].size)) {
			*ret = fi_mr_desc(link->local_mr[i]);
			return 0;
		}
	}
	return -EINVAL;
}

/* The first free operation is posted on this link from now on. */
static void op_posted(struct xm_transport *t, uint32_t peer, uint64_t token)
{
	struct ofi_link *link = &t->links[peer];
	uint32_t index = t->initiator.op_free;
	struct ofi_op *op = &t->initiator.ops[index];

	t->initiator.op_free = op->next;
	op->state = OFI_OP_POSTED;
	op->token = token;
	op->link = peer;
	op->prev = OFI_NONE;
	op->next = link->first;
	if (link->first != OFI_NONE)
		t->initiator.ops[link->first].prev = index;
	link->first = index;
	link->posted++;
}

int xm_ofi_rma(struct xm_transport *t, uint32_t peer, const struct xm_remote_mr *remote,
	       const uint64_t *offsets, uint32_t count, void *local,
	       size_t piece, uint64_t token, bool write)
{
	struct fi_rma_iov spans[OFI_SCATTER_MAX];
	struct ofi_link *link;
	uint32_t index = t->initiator.op_free;
	size_t size = count * piece;
	void *desc = NULL;
	ssize_t error;

	if (piece == 0 || piece > OFI_SIZE_MAX || count == 0 ||
	    count > t->initiator.scatter || size > OFI_SIZE_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (offsets[i] > UINT64_MAX - remote->base)
			return -EINVAL;
		spans[i] = (struct fi_rma_iov){ remote->base + offsets[i], piece,
						remote->key };
	}
	if (peer >= t->links_used || t->is_target)
		return -ENOTCONN;
	link = &t->links[peer];
	if (link->state != OFI_LINK_UP)
		return -ENOTCONN;
	if (near_desc(t, link, local, size, &desc))
		return -EINVAL;
	if (index == OFI_NONE)
		return -EAGAIN;

	struct iovec iov = { local, size };
	struct fi_msg_rma message = {
		.msg_iov = &iov,
		.desc = &desc,
		.iov_count = 1,
		.addr = link->remote,
		.rma_iov = spans,
		.rma_iov_count = count,
		.context = (void *)(uintptr_t)(index + 1),
	};

	if (write)
		error = fi_writemsg(link->ep, &message,
				    FI_COMPLETION | FI_DELIVERY_COMPLETE);
	else
		error = fi_readmsg(link->ep, &message, FI_COMPLETION);
	link->eager = error == -FI_EAGAIN;
	if (error == -FI_EAGAIN)
		return -EAGAIN;
	if (error == -FI_ENOMEM)
		return -ENOMEM;
	if (error) {
		xm_ofi_link_down(t, peer, -ENOTCONN);
		return -ENOTCONN;
	}

	op_posted(t, peer, token);
	return 0;
}

/* A failed operation. Over a connection any failure is the end of it: the
 * providers drop it on a wrong key. Over RDM only a certain refusal is not. */
static void link_failed(struct xm_transport *t, uint32_t index)
{
	struct ofi_link *link = &t->links[index];
	struct fi_cq_err_entry entry;
	uintptr_t op;
	int status;

	memset(&entry, 0, sizeof(entry));
	if (fi_cq_readerr(link->cq, &entry, 0) < 0)
		return;
	op = (uintptr_t)entry.op_context;
	status = entry.err == FI_EACCES && t->scheme->eacces ? -EACCES
							     : -ECANCELED;
	if (op >= 1 && op <= t->initiator.depth &&
	    t->initiator.ops[op - 1].state == OFI_OP_POSTED &&
	    t->initiator.ops[op - 1].link == index)
		op_finish(t, (uint32_t)op - 1, status);
	if (status != -EACCES || t->scheme->type == FI_EP_MSG)
		xm_ofi_link_down(t, index, -ECANCELED);
}

int xm_ofi_link_poll(struct xm_transport *t, uint32_t index,
		     struct xm_transport_event *ret, int count)
{
	struct ofi_link *link = &t->links[index];
	struct fi_cq_entry entries[ENTRIES];
	ssize_t got;

	got = fi_cq_read(link->cq, entries,
			 (size_t)(count < ENTRIES ? count : ENTRIES));
	if (got == -FI_EAGAIN)
		return 0;
	if (got < 0) {
		link_failed(t, index);
		return 0;
	}
	for (ssize_t i = 0; i < got; i++) {
		uintptr_t op = (uintptr_t)entries[i].op_context - 1;

		XM_ASSERT(op < t->initiator.depth && t->initiator.ops[op].link == index);
		op_unlink(t, (uint32_t)op);
		ret[i] = (struct xm_transport_event){
			.kind = XM_TRANSPORT_DONE,
			.token = t->initiator.ops[op].token,
		};
		op_free(t, (uint32_t)op);
	}
	return (int)got;
}
