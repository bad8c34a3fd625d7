/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring of trace records, the hash over them, and the sentences they make.
 *
 * Putting a record is a store into the ring and six rounds of a hash, no
 * text: that of xxHash's XXH64 for eight bytes at a time (Collet 2012), with
 * its constants. It is not cryptographic and not XXH64 of the bytes; equal
 * stories have equal hashes, and different ones all but never.
 *
 * Text is made here without libc, so that the simulator and the production
 * sinks write the same. What goes where is the sinks' affair.
 *
 * Floor: ground.
 */
#include "core/pure/trace.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	const char *sentence;
} points[XM_TRACE_IDS] = {
#define XM_TRACE_POINT(identifier, name, sentence)                            \
	[XM_TRACE_##identifier] = { name, sentence },
	XM_TRACE_POINTS(XM_TRACE_POINT)
#undef XM_TRACE_POINT
};

static const struct {
	int code;
	const char *name;
} errors[] = {
	{ 0, "no error" },
#define XM_ERROR(name) { name, #name }
	XM_ERROR(EPERM),      XM_ERROR(ENOENT),	      XM_ERROR(EINTR),
	XM_ERROR(EIO),	      XM_ERROR(EAGAIN),	      XM_ERROR(ENOMEM),
	XM_ERROR(EACCES),     XM_ERROR(EFAULT),	      XM_ERROR(EBUSY),
	XM_ERROR(EEXIST),     XM_ERROR(ENODEV),	      XM_ERROR(EINVAL),
	XM_ERROR(EMFILE),     XM_ERROR(ENOSPC),	      XM_ERROR(EPIPE),
	XM_ERROR(ERANGE),     XM_ERROR(ENOSYS),	      XM_ERROR(EPROTO),
	XM_ERROR(EOVERFLOW),  XM_ERROR(EBADMSG),      XM_ERROR(EMSGSIZE),
	XM_ERROR(EADDRINUSE), XM_ERROR(EADDRNOTAVAIL), XM_ERROR(ENETUNREACH),
	XM_ERROR(ECONNABORTED), XM_ERROR(ECONNRESET), XM_ERROR(ENOBUFS),
	XM_ERROR(ENOTCONN),   XM_ERROR(ESHUTDOWN),    XM_ERROR(ETIMEDOUT),
	XM_ERROR(ECONNREFUSED), XM_ERROR(EHOSTDOWN),  XM_ERROR(EHOSTUNREACH),
	XM_ERROR(EALREADY),   XM_ERROR(EINPROGRESS),  XM_ERROR(ESTALE),
	XM_ERROR(EDQUOT),     XM_ERROR(ECANCELED),    XM_ERROR(EKEYEXPIRED),
	XM_ERROR(EKEYREVOKED), XM_ERROR(EKEYREJECTED), XM_ERROR(EPROTONOSUPPORT),
	XM_ERROR(EOPNOTSUPP), XM_ERROR(ENOTSUP),
#undef XM_ERROR
};

/* By enum xm_page_state of pager.h. */
static const char *const page_states[] = { "absent", "on its way", "clean",
					   "dirty", "locked", "poisoned" };

/* --- recording ----------------------------------------------------------- */

static uint64_t rotate(uint64_t n, unsigned bits)
{
	return n << bits | n >> (64 - bits);
}

static uint64_t hash_word(uint64_t hash, uint64_t word)
{
	const uint64_t prime1 = UINT64_C(0x9e3779b185ebca87);
	const uint64_t prime2 = UINT64_C(0xc2b2ae3d27d4eb4f);
	const uint64_t prime4 = UINT64_C(0x85ebca77c2b2ae63);

	hash ^= rotate(word * prime2, 31) * prime1;
	return rotate(hash, 27) * prime1 + prime4;
}

void xm_trace_init(struct xm_trace *t, struct xm_trace_record *memory,
		   uint64_t count)
{
	XM_ASSERT(xm_is_power_of_two(count));
	t->records = memory;
	t->mask = count - 1;
	t->count = 0;
	t->hash = 0;
}

void xm_trace_record(struct xm_trace *t, uint64_t now_ns, enum xm_trace_id id,
		     uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct xm_trace_record *record = &t->records[t->count++ & t->mask];
	uint64_t hash;

	record->now_ns = now_ns;
	record->id = id;
	record->a = a;
	record->b = b;
	record->c = c;
	record->d = d;
	hash = hash_word(t->hash, now_ns);
	hash = hash_word(hash, id);
	hash = hash_word(hash, a);
	hash = hash_word(hash, b);
	hash = hash_word(hash, c);
	t->hash = hash_word(hash, d);
}

const struct xm_trace_record *xm_trace_get(const struct xm_trace *t,
					   uint64_t index)
{
	if (index >= t->count || t->count - index > t->mask + 1)
		return NULL;
	return &t->records[index & t->mask];
}

/* --- text ------------------------------------------------------------------ */

struct text {
	char *buffer;
	size_t size;   /* of the buffer, with room for the NUL */
	size_t length; /* written */
};

static void text_put(struct text *t, const char *bytes, size_t count)
{
	size_t room = t->size - 1 - t->length;

	if (count > room)
		count = room;
	memcpy(t->buffer + t->length, bytes, count);
	t->length += count;
}

/* Byte by byte: a loop that counts would be made a call of strlen. */
static void text_string(struct text *t, const char *string)
{
	for (; *string; string++)
		text_put(t, string, 1);
}

static void text_number(struct text *t, uint64_t n, unsigned base)
{
	char digits[20]; /* 2^64 - 1 has twenty */
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n != 0);
	text_put(t, digits + at, sizeof(digits) - at);
}

static void text_bytes(struct text *t, uint64_t n)
{
	static const char *const units[] = { " B",   " KiB", " MiB", " GiB",
					     " TiB", " PiB", " EiB" };
	size_t unit = 0;

	while (n != 0 && n % 1024 == 0 && unit + 1 < XM_COUNT(units)) {
		n /= 1024;
		unit++;
	}
	text_number(t, n, 10);
	text_string(t, units[unit]);
}

/* The largest unit of which there is one, and three digits behind it. */
static void text_ns(struct text *t, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = { { XM_SECOND, " s" },
		      { XM_MS, " ms" },
		      { XM_US, " us" },
		      { 1, " ns" } };
	size_t unit = 0;
	uint64_t part;

	if (ns == XM_NEVER) {
		text_string(t, "ever");
		return;
	}
	while (ns < units[unit].ns && units[unit].ns > 1)
		unit++;
	text_number(t, ns / units[unit].ns, 10);
	part = ns % units[unit].ns * 1000 / units[unit].ns;
	if (part != 0) {
		char digits[4] = { '.', (char)('0' + part / 100),
				   (char)('0' + part / 10 % 10),
				   (char)('0' + part % 10) };
		size_t count = 4;

		while (digits[count - 1] == '0')
			count--;
		text_put(t, digits, count);
	}
	text_string(t, units[unit].name);
}

/* Either sign will do: an errno, or a negative errno cast to 64 bits. */
static void text_error(struct text *t, uint64_t value)
{
	uint64_t code = value > INT64_MAX ? -value : value;

	for (size_t i = 0; i < XM_COUNT(errors); i++)
		if ((uint64_t)errors[i].code == code) {
			text_string(t, errors[i].name);
			if (code == 0)
				return;
			text_string(t, " (");
			text_number(t, code, 10);
			text_string(t, ")");
			return;
		}
	text_string(t, "error ");
	text_number(t, code, 10);
}

/* `form` is what stands behind the colon, `size` bytes of it. */
static void text_field(struct text *t, const char *form, size_t size,
		       uint64_t value)
{
	if (size == 3 && memcmp(form, "hex", 3) == 0) {
		text_string(t, "0x");
		text_number(t, value, 16);
	} else if (size == 5 && memcmp(form, "bytes", 5) == 0) {
		text_bytes(t, value);
	} else if (size == 2 && memcmp(form, "ns", 2) == 0) {
		text_ns(t, value);
	} else if (size == 5 && memcmp(form, "error", 5) == 0) {
		text_error(t, value);
	} else if (size == 4 && memcmp(form, "page", 4) == 0) {
		text_string(t, value < XM_COUNT(page_states)
				       ? page_states[value] : "?");
	} else if (size == 4 && memcmp(form, "bool", 4) == 0) {
		text_string(t, value ? "yes" : "no");
	} else {
		XM_ASSERT(size == 0);
		text_number(t, value, 10);
	}
}

const char *xm_trace_name(uint64_t id)
{
	if (id == XM_TRACE_NONE || id >= XM_TRACE_IDS)
		return "?";
	return points[id].name;
}

static void text_sentence(struct text *t, const char *sentence,
			  const uint64_t fields[4])
{
	size_t field = 0;

	for (const char *at = sentence; *at; at++) {
		const char *end, *form;

		if (*at != '{') {
			text_put(t, at, 1);
			continue;
		}
		for (end = at; *end != '}'; end++)
			XM_ASSERT(*end);
		for (form = at; form < end && *form != ':'; form++)
			;
		if (form < end)
			form++;
		XM_ASSERT(field < 4);
		text_field(t, form, (size_t)(end - form), fields[field++]);
		at = end;
	}
}

size_t xm_trace_sentence(const char *sentence, const uint64_t fields[4],
			 char *buffer, size_t size)
{
	struct text t = { .buffer = buffer, .size = size };

	XM_ASSERT(size >= 1);
	text_sentence(&t, sentence, fields);
	buffer[t.length] = '\0';
	return t.length;
}

size_t xm_trace_text(const struct xm_trace_record *record, char *buffer,
		     size_t size)
{
	const uint64_t fields[4] = { record->a, record->b, record->c,
				     record->d };
	struct text t = { .buffer = buffer, .size = size };

	XM_ASSERT(size >= 1);
	text_string(&t, xm_trace_name(record->id));
	text_string(&t, ": ");
	if (record->id == XM_TRACE_NONE || record->id >= XM_TRACE_IDS) {
		text_string(&t, "no such point: ");
		text_number(&t, record->id, 10);
	} else {
		text_sentence(&t, points[record->id].sentence, fields);
	}
	buffer[t.length] = '\0';
	return t.length;
}
