/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two ends of the interface's socket say to each other at the start;
 * both are the same program. Included by interface.c and interface_main.c
 * alone. Floor: skin.
 */
#ifndef XM_INTERFACE_PARTS_H
#define XM_INTERFACE_PARTS_H

#include "appliance/interface.h"

/* What the process is handed, besides the pool (child.h). */
struct xm_interface_setup {
	uint32_t size; /* of this struct: both ends are of one build */
	uint32_t clients_max, spans_max;
	uint32_t polling;
	pid_t parent;
	char scheme[32];
	char address[512];
	char provider[64];  /* "": the scheme's own */
	char advertise[64]; /* "": nothing else than `address` */
	uint16_t data_port;
	bool confine;
};

/* The first datagram from it. */
struct xm_interface_started {
	int status;
	char words[XM_REPORT_WORDS_SIZE];
	char confined[XM_CONFINED_SIZE];
	uint32_t confines; /* XM_CONFINED_ */
	struct xm_transport_limits limits;
	struct xm_locator locator;
};

#endif
