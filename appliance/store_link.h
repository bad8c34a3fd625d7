/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the control process and the store process say to each other. The store does what it
 * is told in order, and answers each command with one report: of DRAFT when the bytes are
 * taken aside, of the others once all that came with them is durable, or failed.
 *
 * Floor: ground.
 */
#ifndef XM_STORE_LINK_H
#define XM_STORE_LINK_H

#include "appliance/store_form.h"

/* Commands that are told and not answered yet, at most. */
#define XM_STORE_COMMANDS_MAX 64

enum xm_store_command_kind {
	XM_STORE_KEEP = 1, /* slot, fresh, entry */
	XM_STORE_FORGET,   /* slot */
	/* slot, tenant, offset, size: of the pool, whole pages; zeros, also. They are taken aside:
	 * answered at once, without a sync. With `back` what the store has of them is put into
	 * the pool instead. */
	XM_STORE_DRAFT,
	/* slot: what was drafted of it last, all or nothing. -EAGAIN: that had to make room for
	 * others. */
	XM_STORE_PERSIST,
};

struct xm_store_command {
	enum xm_store_command_kind kind;
	uint32_t slot;
	uint32_t tenant; /* DRAFT: whose it is */
	bool fresh; /* the extent had no entry before: all its pages are zero */
	bool zeros; /* the bytes are, whatever lies in the pool */
	bool back;
	bool also;  /* they are added to what was drafted of the extent last */
	uint64_t extent; /* its number, for the report */
	uint64_t offset, size;
	struct xm_store_entry entry;
};

struct xm_store_report {
	enum xm_store_command_kind kind; /* 0: the store does nothing any more */
	int status;
	uint64_t extent;
};

struct xm_store_link_ops {
	/* 0, or -EAGAIN: not now. */
	int (*command)(void *link, const struct xm_store_command *);
	/* One report at a time: 1, or 0: none. */
	int (*poll)(void *link, struct xm_store_report *ret);
};

#endif
