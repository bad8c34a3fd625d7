/* SPDX-License-Identifier: BSD-3-Clause */
/* See lineage.h. Floor: ground. */
#include "appliance/lineage.h"


static bool add(struct xm_lineage *l, uint64_t id)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (l->ids[i] == id)
			return true;
	if (l->count == XM_LENDERS_MAX)
		return false;
	l->ids[l->count++] = id;
	return true;
}

static enum xm_lineage_verdict worse(enum xm_lineage_verdict a, enum xm_lineage_verdict b)
{
	return a != XM_LINEAGE_FITS ? a : b;
}

enum xm_lineage_verdict xm_lineage_step(uint64_t self, const struct xm_lender *lenders,
					uint32_t count, struct xm_lineage *ret)
{
	enum xm_lineage_verdict verdict = XM_LINEAGE_FITS;

	ret->count = 0;
	/* They themselves first: if there are too many, those are told of. */
	for (uint32_t i = 0; i < count; i++) {
		if (lenders[i].identity == 0)
			continue;
		if (lenders[i].identity == self)
			verdict = worse(verdict, XM_LINEAGE_ITSELF);
		else if (!add(ret, lenders[i].identity))
			verdict = worse(verdict, XM_LINEAGE_LONG);
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct xm_lineage *l = &lenders[i].lineage;

		for (uint32_t n = 0; n < l->count; n++) {
			if (l->ids[n] == self)
				verdict = worse(verdict, XM_LINEAGE_LOOP);
			else if (!add(ret, l->ids[n]))
				verdict = worse(verdict, XM_LINEAGE_LONG);
		}
	}
	return verdict;
}

const char *xm_lineage_words(enum xm_lineage_verdict verdict)
{
	switch (verdict) {
	case XM_LINEAGE_ITSELF:
		return "that is this appliance itself";
	case XM_LINEAGE_LOOP:
		return "that one has borrowed from this appliance, so it would borrow its own"
		       " memory, in a loop";
	case XM_LINEAGE_LONG:
		return "more than 16 appliances would lend to one another";
	default:
		return "";
	}
}
