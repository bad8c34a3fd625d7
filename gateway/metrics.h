/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the gateway knows, as Prometheus reads it (text format 0.0.4). An appliance that is
 * away has `extmem_appliance_up` 0 and no other series, a program that has ended has none.
 */
#ifndef EXTMEM_GATEWAY_METRICS_H
#define EXTMEM_GATEWAY_METRICS_H

#include "gateway/gateway.h"
#include "gateway/text.h"

/* The process itself. */
struct gateway_self {
	uint64_t resident; /* bytes */
	unsigned descriptors;
	double began_s;
};

void gateway_metrics(const struct gateway_model *, const struct gateway_served *,
		     const struct gateway_self *, struct gateway_text *ret);

#endif
