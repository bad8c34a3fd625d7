/* SPDX-License-Identifier: BSD-3-Clause */
/* The strategies of a client; see strategies.h. */
#include "core/client/strategies.h"

#include <errno.h>
#include <stdio.h>

#include "core/client/client.h"

static int parse(const char *call, const char *text, struct xm_strategy **ret)
{
	struct xm_strategy_error error;
	struct xm_strategy *s = os_alloc(sizeof(*s));

	if (s == NULL)
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	if (xm_strategy_parse(text, s, &error) != 0) {
		os_free(s);
		return xm_fail(-EINVAL, "%s: strategy \"%.200s\": %s", call,
			       text, error.words);
	}
	*ret = s;
	return 0;
}

int xm_strategies_open(extmem *x)
{
	int rc;

	x->settings.members_max = 1;
	if (x->settings.strategy[0] == '\0')
		return 0;
	rc = parse("extmem_open", x->settings.strategy, &x->strategy);
	/* A segment has one member more than its copies while one is replaced. */
	if (rc == 0 && xm_strategy_mirrors(x->strategy) > 1)
		x->settings.members_max = XM_MEMBERS_MAX;
	return rc;
}

void xm_strategies_close(extmem *x)
{
	os_free(x->strategy);
}

int xm_strategy_of_text(extmem *x, const char *call, const char *text,
			struct xm_strategy **ret)
{
	struct xm_strategy *s;
	int rc = parse(call, text, &s);

	if (rc != 0)
		return rc;
	if (xm_strategy_mirrors(s) > x->settings.members_max) {
		os_free(s);
		return xm_fail(-EINVAL, "%s: strategy \"%.200s\": the client "
			       "was opened without mirrors: give it a strategy "
			       "with mirror 2 in its settings", call, text);
	}
	*ret = s;
	return 0;
}

int xm_strategy_size(const extmem *x, const char *call,
		     const struct xm_strategy *s, uint64_t *size)
{
	uint64_t granule = x->ask.granule, row = granule;

	if (*size == 0 || *size > UINT64_MAX / 2)
		return xm_fail(-EINVAL, "%s: a region of %llu bytes: the size "
			       "must be at least 1 and fit in memory", call,
			       (unsigned long long)*size);
	if (s != NULL)
		row = xm_strategy_row(s, granule);
	if (row > granule && *size < row)
		return xm_fail(-EINVAL, "%s: a region of %llu bytes is less "
			       "than one row of the strategy's stripes, which "
			       "has %llu: ask for that much, or for fewer or "
			       "smaller stripes", call,
			       (unsigned long long)*size,
			       (unsigned long long)row);
	*size = (*size + row - 1) / row * row;
	return 0;
}
