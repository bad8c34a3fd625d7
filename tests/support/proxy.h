/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A proxy for the control stream of an appliance: data has an address of its own, and does
 * not go this way. It can be cut, closed, and lie about who is behind it.
 */
#ifndef XM_TESTS_PROXY_H
#define XM_TESTS_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Forwards one port to another until it is closed. */
struct proxy {
	int fd, port, port_there;
	pthread_t thread;
	atomic_bool cut;    /* set: all connections break, once */
	atomic_bool closed; /* while set nobody is let in */
	atomic_bool mute;   /* while set no answer comes */
	atomic_bool end;
	atomic_uint accepted;
	_Atomic uint64_t incarnation; /* what the last WELCOME said */
	_Atomic uint64_t lie;	      /* it says this instead; 0: it does not */
};

bool proxy_open(struct proxy *, const char *address);
void proxy_close(struct proxy *);

#endif
