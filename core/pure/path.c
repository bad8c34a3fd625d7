/* SPDX-License-Identifier: BSD-3-Clause */
/* The path machine; see path.h. */
#include "core/pure/path.h"

#include <string.h>

#include "core/pure/plant.h"

void xm_path_init(struct xm_path *path, uint64_t loss_ns, uint64_t now_ns)
{
	memset(path, 0, sizeof(*path));
	path->loss_ns = loss_ns;
	path->hang_ns = xm_max(xm_min(loss_ns / 2, XM_PATH_HANG), XM_MS);
	path->gone_ns = xm_min(loss_ns, XM_PATH_GONE);
	path->attempt_ns = xm_min(loss_ns, XM_PATH_ATTEMPT);
	path->retry_ns = xm_max(path->hang_ns / 8, XM_MS);
	path->down_since_ns = now_ns;
}

static void note(const struct xm_path *path, uint64_t now_ns,
		 enum xm_trace_id id, uint64_t more)
{
	xm_trace_put(path->trace, now_ns, id, path->appliance, path->lane,
		     more, 0);
}

static void go_down(struct xm_path *path, uint64_t since_ns, uint64_t now_ns)
{
	if (path->state == XM_PATH_UP)
		path->down_since_ns = since_ns;
	path->state = XM_PATH_DOWN;
	path->retry_at_ns = xm_time_after(now_ns, path->retry_ns);
}

/* After so much silence of its oldest operation the path is given up. */
static uint64_t patience(const struct xm_path *path,
			 const struct xm_path_event *ev)
{
	if (!ev->spared)
		return path->hang_ns;
	return xm_min(path->hang_ns,
		      ev->ready ? XM_PATH_HANG_SPARED : XM_PATH_HANG_AWAY);
}

static void on_tick(struct xm_path *path, const struct xm_path_event *ev,
		    struct xm_path_effects *fx)
{
	path->gone = ev->gone;
	switch (path->state) {
	case XM_PATH_DOWN:
		if (!ev->wanted) {
			/* Nobody waits: the time of waiting begins later. */
			path->down_since_ns = ev->now_ns;
		} else if (ev->ready && ev->now_ns >= path->retry_at_ns) {
			path->state = XM_PATH_ASKED;
			path->deadline_ns =
				xm_time_after(ev->now_ns, path->attempt_ns);
			fx->ask = true;
			note(path, ev->now_ns, XM_TRACE_PATH_ASKED, 0);
		}
		break;
	case XM_PATH_ASKED:
		if (XM_PLANTED(refused_for_good))
			break;
		if (ev->now_ns >= path->deadline_ns) {
			note(path, ev->now_ns, XM_TRACE_PATH_TIMEOUT, 0);
			go_down(path, ev->now_ns, ev->now_ns);
		}
		break;
	case XM_PATH_CONNECTING:
		if (ev->now_ns >= path->deadline_ns) {
			fx->disconnect = true;
			note(path, ev->now_ns, XM_TRACE_PATH_TIMEOUT, 0);
			go_down(path, ev->now_ns, ev->now_ns);
		}
		break;
	case XM_PATH_UP:
		if (ev->oldest_ns < ev->now_ns &&
		    ev->now_ns - ev->oldest_ns >= patience(path, ev)) {
			fx->disconnect = true;
			note(path, ev->now_ns, XM_TRACE_PATH_HUNG,
			     ev->now_ns - ev->oldest_ns);
			go_down(path, ev->oldest_ns, ev->now_ns);
		}
		break;
	}
}

void xm_path_step(struct xm_path *path, const struct xm_path_event *ev,
		  struct xm_path_effects *fx)
{
	memset(fx, 0, sizeof(*fx));
	switch (ev->kind) {
	case XM_PATH_TICK:
		on_tick(path, ev, fx);
		break;
	case XM_PATH_TICKETED:
		if (path->state != XM_PATH_ASKED) {
			/* It will lapse unused. */
			note(path, ev->now_ns, XM_TRACE_PATH_LATE, 0);
			break;
		}
		path->state = XM_PATH_CONNECTING;
		path->deadline_ns = xm_time_after(ev->now_ns, path->attempt_ns);
		fx->connect = true;
		note(path, ev->now_ns, XM_TRACE_PATH_CONNECTING, 0);
		break;
	case XM_PATH_REFUSED:
		if (path->state == XM_PATH_CONNECTING)
			fx->disconnect = true; /* where there is one yet */
		if (XM_PLANTED(refused_for_good))
			break;
		if (path->state == XM_PATH_ASKED ||
		    path->state == XM_PATH_CONNECTING) {
			note(path, ev->now_ns, XM_TRACE_PATH_REFUSED, 0);
			go_down(path, ev->now_ns, ev->now_ns);
		}
		break;
	case XM_PATH_CAME_UP:
		if (path->state != XM_PATH_CONNECTING)
			break;
		path->state = XM_PATH_UP;
		path->times_up++;
		note(path, ev->now_ns, XM_TRACE_PATH_UP, path->times_up);
		break;
	case XM_PATH_WENT_DOWN:
	case XM_PATH_FENCED:
		if (path->state == XM_PATH_UP ||
		    path->state == XM_PATH_CONNECTING) {
			fx->disconnect = true;
			note(path, ev->now_ns,
			     ev->kind == XM_PATH_FENCED ? XM_TRACE_PATH_FENCED
							: XM_TRACE_PATH_DOWN,
			     0);
			go_down(path, ev->now_ns, ev->now_ns);
		}
		break;
	}
}

enum xm_reach xm_path_reach(const struct xm_path *path, uint64_t now_ns)
{
	if (path->state == XM_PATH_UP)
		return XM_REACH_UP;
	if (now_ns > path->down_since_ns &&
	    now_ns - path->down_since_ns >=
		    (path->gone ? path->gone_ns : path->loss_ns))
		return XM_REACH_LOST;
	return XM_REACH_DOWN;
}
