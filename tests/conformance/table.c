/* SPDX-License-Identifier: BSD-3-Clause */
/* What is tested: the transports that programs have, and models of the interface. */
#include <string.h>

#include "tests/conformance/far_side.h"

extern const struct xm_transport_ops xm_model;
#ifdef XM_RTL
extern const struct xm_transport_ops xm_rtl;
#endif

static const struct xm_transport_ops *const models[] = {
	&xm_model,
#ifdef XM_RTL
	&xm_rtl,
#endif
};

const struct xm_transport_ops *ops_at(unsigned index)
{
	unsigned count = 0;

	while (xm_transports[count] != NULL)
		count++;
	if (index < count)
		return xm_transports[index];
	return index - count < XM_COUNT(models) ? models[index - count] : NULL;
}

const struct xm_transport_ops *ops_find(const char *scheme)
{
	for (unsigned i = 0; ops_at(i) != NULL; i++)
		if (strcmp(ops_at(i)->scheme, scheme) == 0)
			return ops_at(i);
	return NULL;
}

bool ops_one_process(const struct xm_transport_ops *ops)
{
	return strcmp(ops->scheme, "loop") == 0 || strcmp(ops->scheme, "model") == 0 ||
	       strcmp(ops->scheme, "rtl") == 0;
}
