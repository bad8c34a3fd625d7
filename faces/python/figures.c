/* SPDX-License-Identifier: BSD-3-Clause */
/* The structs of extmem.h as dicts: a table for each; tests/python compares them with the
 * header. See python.h. */
#include "faces/python/python.h"

#include <string.h>

enum kind { U64, U32, I32, TEXT };

struct figure {
	const char *name;
	size_t offset;
	enum kind kind;
};

#define KIND(member) \
	_Generic((member), uint64_t: U64, uint32_t: U32, int32_t: I32, char *: TEXT)
#define FIGURE(type, member) \
	{ #member, offsetof(struct type, member), KIND(((struct type *)0)->member) }

static PyObject *figure_value(const struct figure *f, const char *base)
{
	const char *at = base + f->offset;
	uint64_t u64;
	uint32_t u32;
	int32_t i32;

	switch (f->kind) {
	case U64:
		memcpy(&u64, at, sizeof(u64));
		return PyLong_FromUnsignedLongLong(u64);
	case U32:
		memcpy(&u32, at, sizeof(u32));
		return PyLong_FromUnsignedLong(u32);
	case I32:
		memcpy(&i32, at, sizeof(i32));
		return PyLong_FromLong(i32);
	default:
		return PyUnicode_DecodeUTF8(at, (Py_ssize_t)strlen(at), "replace");
	}
}

/* Adds a value, of which it takes the reference; -1 with an error set, also if it is NULL. */
static int put(PyObject *dict, const char *name, PyObject *value)
{
	int rc = value == NULL ? -1 : PyDict_SetItemString(dict, name, value);

	Py_XDECREF(value);
	return rc;
}

static PyObject *figures_dict(const struct figure *figures, size_t count, const void *base)
{
	PyObject *dict = PyDict_New();

	for (size_t i = 0; dict != NULL && i < count; i++)
		if (put(dict, figures[i].name, figure_value(&figures[i], base)) < 0)
			Py_CLEAR(dict);
	return dict;
}

static PyObject *numbers_list(const uint64_t *numbers, Py_ssize_t count)
{
	PyObject *list = PyList_New(count), *number;

	for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
		number = PyLong_FromUnsignedLongLong(numbers[i]);
		if (number == NULL)
			Py_CLEAR(list);
		else
			PyList_SET_ITEM(list, i, number);
	}
	return list;
}

#define DICT(table, base) figures_dict(table, sizeof(table) / sizeof((table)[0]), base)

PyObject *xm_py_stats_dict(const struct extmem_stats *stats)
{
#define F(member) FIGURE(extmem_stats, member)
	static const struct figure table[] = {
		F(faults), F(faults_write), F(misses), F(zero_fills), F(pages_read),
		F(pages_written), F(bytes_read), F(bytes_written), F(evictions), F(prefetched),
		F(prefetched_wasted), F(reads), F(writes), F(local_limit), F(local_now),
		F(local_peak), F(messages), F(reconnects), F(pages_lost), F(regions),
		F(region_bytes), F(slabs), F(objects), F(page_size), F(segments), F(stripes),
		F(copies), F(members), F(members_missing), F(failovers), F(failover_ns_max),
		F(mended_bytes), F(degraded_ms), F(view), F(mending_bytes), F(mending_ms),
		F(waited_ns), F(returned_ns), F(moved_bytes), F(leaving_bytes),
		F(stranded_bytes), F(bad_tags), F(tampered), F(pages_compared),
		F(pages_unchanged), F(unspared_bytes),
	};
#undef F
	static const unsigned permille[] = { 500, 900, 990, 999 };
	PyObject *dict = DICT(table, stats);
	char name[32];

	for (size_t i = 0; dict != NULL && i < 4; i++) {
		snprintf(name, sizeof(name), "latency_ns_%u", permille[i]);
		if (put(dict, name,
			PyLong_FromUnsignedLongLong(extmem_latency_ns(stats, permille[i]))) < 0)
			Py_CLEAR(dict);
	}
	if (dict != NULL &&
	    (put(dict, "latency", numbers_list(stats->latency, EXTMEM_LATENCY_BUCKETS)) < 0 ||
	     put(dict, "returned", numbers_list(stats->returned, EXTMEM_LOCAL_STEPS)) < 0))
		Py_CLEAR(dict);
	return dict;
}

PyObject *xm_py_info_dict(const struct extmem_info *info)
{
#define F(member) FIGURE(extmem_info, member)
	static const struct figure table[] = {
		F(appliance), F(name), F(transport), F(provider), F(version), F(endpoint),
		F(mr_mode), F(progress), F(paging), F(paging_reason), F(state), F(lease_ms),
		F(lanes), F(polling), F(kernel_touches), F(reason),
	};
#undef F

	return DICT(table, info);
}

PyObject *xm_py_status_dict(const struct extmem_status *status)
{
#define F(member) FIGURE(extmem_status, member)
	static const struct figure table[] = {
		F(name), F(provider), F(library), F(incarnation), F(uptime_ms), F(pool), F(free),
		F(free_run), F(leased), F(quarantined), F(clients), F(clients_max), F(extents),
		F(extents_max), F(messages), F(malformed), F(refused), F(expired), F(leaving),
		F(load), F(zone), F(goal), F(wanted), F(confined), F(filed),
		F(borrowed), F(identity),
	};
#undef F
	PyObject *dict = DICT(table, status);
	Py_ssize_t lenders = 0;

	while (lenders < EXTMEM_LENDERS_MAX && status->lenders[lenders] != 0)
		lenders++;
	if (dict != NULL && put(dict, "lenders", numbers_list(status->lenders, lenders)) < 0)
		Py_CLEAR(dict);
	return dict;
}

PyObject *xm_py_entry_dict(const struct extmem_region_entry *entry)
{
#define F(member) FIGURE(extmem_region_entry, member)
	static const struct figure table[] = {
		F(name), F(owner), F(appliance), F(client), F(extent), F(size), F(epoch), F(part),
	};
#undef F

	return DICT(table, entry);
}

PyObject *xm_py_capabilities_dict(const struct extmem_capabilities *capabilities)
{
#define F(member) FIGURE(extmem_capabilities, member)
	static const struct figure table[] = {
		F(device), F(full), F(user), F(sigbus), F(protects), F(poisons), F(moves),
		F(error), F(drops_many), F(missing),
	};
#undef F

	return DICT(table, capabilities);
}

static PyObject *plan_runs(const struct extmem_plan *plan)
{
	size_t places = (size_t)plan->columns * plan->copies;
	PyObject *list = PyList_New(plan->runs_count), *run;

	for (uint32_t i = 0; list != NULL && i < plan->runs_count; i++) {
		run = PyDict_New();
		if (run == NULL ||
		    put(run, "size", PyLong_FromUnsignedLongLong(plan->runs[i].size)) < 0 ||
		    put(run, "appliances",
			PyByteArray_FromStringAndSize((const char *)plan->runs[i].appliances,
						      (Py_ssize_t)places)) < 0) {
			Py_XDECREF(run);
			Py_CLEAR(list);
		} else {
			PyList_SET_ITEM(list, i, run);
		}
	}
	return list;
}

PyObject *xm_py_plan_dict(const struct extmem_plan *plan)
{
#define F(member) FIGURE(extmem_plan, member)
	static const struct figure table[] = {
		F(status), F(choice), F(region_size), F(unit), F(columns), F(copies), F(text),
		F(words),
	};
#undef F
#define F(member) FIGURE(extmem_plan_appliance, member)
	static const struct figure appliance[] = {
		F(address), F(name), F(zone), F(free), F(bytes), F(load), F(reason),
	};
#undef F
	PyObject *dict = DICT(table, plan), *list = PyList_New(plan->appliances_count), *one;

	for (uint32_t i = 0; list != NULL && i < plan->appliances_count; i++) {
		one = DICT(appliance, &plan->appliances[i]);
		if (one == NULL)
			Py_CLEAR(list);
		else
			PyList_SET_ITEM(list, i, one);
	}
	if (dict == NULL) {
		Py_XDECREF(list);
		return NULL;
	}
	if (put(dict, "appliances", list) < 0 || put(dict, "runs", plan_runs(plan)) < 0)
		Py_CLEAR(dict);
	return dict;
}
