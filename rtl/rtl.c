/* SPDX-License-Identifier: BSD-3-Clause */
/* "rtl:NAME": the transport of transports/model, whose bytes move by the Verilog. */
#include "transports/model/device.h"
#include "transports/model/model.h"

extern const struct xm_path_ops xm_path_rtl;

static const struct xm_model rtl = XM_MODEL_PATH("rtl", &xm_path_rtl, 0);

static int rtl_open(const struct xm_transport_options *options, char *words,
		    size_t words_size, struct xm_transport **ret)
{
	return xm_loop_open(&rtl.loop, options, words, words_size, ret);
}

const struct xm_transport_ops xm_rtl = {
	.scheme = "rtl",
	.sample = "rtl:sample",
	.open = rtl_open,
	XM_LOOP_OPS,
};
