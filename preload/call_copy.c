/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A system call with local copies of its external arguments, or with these
 * arguments pinned. Copies are on the stack up to 8 KiB, else in memory that is
 * mapped for the call; of more than 64 MiB the call fails with ENOMEM.
 *
 * A call may wait for hours, while other threads change the memory that it was
 * given. So what is copied back is what the kernel has written, and not a byte
 * more: the events of epoll_wait(2) by their number, of a list of poll(2) the
 * field `revents` of each.
 */
#include "preload/call.h"

#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define STACK_SIZE 8192
#define COPIES_MAX ((size_t)1 << 26)

/* As the kernel has a signal mask, and the last argument of pselect6(2). */
#define MASK_SIZE sizeof(uint64_t)
struct mask_pair {
	const uint64_t *mask;
	size_t size;
};

struct copies {
	char stack[STACK_SIZE];
	char *memory;
	size_t size, used;
	char *at[6];
	size_t length[6];
};

/* Masks are copied wherever they are: two signals are taken out of them. */
static bool is_copied(const struct call_part *part, long argument)
{
	return block_contains((const void *)argument, 1) ||
	       (argument != 0 &&
		(part->kind == MASK || part->kind == MASK_PAIR));
}

/* Bytes behind an argument; 0: none to care for. */
static size_t part_size(const struct call_part *part, long argument,
			const long arguments[6])
{
	size_t size = part->size;
	socklen_t length;

	switch ((enum call_kind)part->kind) {
	case VALUE:
	case PINNED:
	case SERVED:
	case NAMED:
		return 0;
	case NAME:
		return strnlen((const char *)argument, PATH_MAX) + 1;
	case IN:
	case OUT:
	case BOTH:
		return size;
	case IN_BY:
	case OUT_BY:
		if (arguments[part->by] < 0 ||
		    __builtin_mul_overflow(size, (size_t)arguments[part->by],
					   &size))
			return 0;
		return size;
	case OUT_LENGTH:
		if (!arguments[part->by])
			return 0;
		length = *(const socklen_t *)arguments[part->by];
		return length < 1 << 16 ? length : 1 << 16;
	case BITS:
		return arguments[part->by] <= 0
			       ? 0
			       : ((size_t)arguments[part->by] + 63) / 64 * 8;
	case POLLED:
		return arguments[part->by] <= 0
			       ? 0
			       : (size_t)arguments[part->by] *
					 sizeof(struct pollfd);
	case MASK:
		return MASK_SIZE;
	case MASK_PAIR:
		return sizeof(struct mask_pair) + MASK_SIZE;
	}
	return 0;
}

static void fill_mask(uint64_t *to, const uint64_t *from)
{
	*to = *from & ~(UINT64_C(1) << (SIGBUS - 1) |
			UINT64_C(1) << (SIGSYS - 1));
}

/* The copy of an argument, before the call. */
static void fill(const struct call_part *part, char *to, size_t size,
		 const void *from)
{
	struct mask_pair pair;

	switch ((enum call_kind)part->kind) {
	case MASK:
		fill_mask((uint64_t *)(void *)to, from);
		return;
	case MASK_PAIR:
		pair = *(const struct mask_pair *)from;
		if (pair.mask && pair.size == MASK_SIZE) {
			uint64_t *mask = (uint64_t *)(void *)(to + sizeof(pair));

			fill_mask(mask, pair.mask);
			pair.mask = mask;
		}
		memcpy(to, &pair, sizeof(pair));
		return;
	default:
		/* What the kernel only writes too: it may write less. */
		memcpy(to, from, size);
	}
	if (part->kind == NAME)
		to[size - 1] = size > PATH_MAX ? 'x' : '\0';
}

static void take_polled(struct pollfd *to, const struct pollfd *from,
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i].revents = from[i].revents;
}

/* What the kernel has written to copy `i`, after the call has said `r`. */
static void take(const struct copies *c, int i, const struct call_part *part,
		 const long arguments[6], const long local[6], long r)
{
	void *to = (void *)arguments[i];
	size_t size = 0, said;

	switch ((enum call_kind)part->kind) {
	case OUT:
	case BOTH:
		size = c->length[i];
		break;
	case BITS:
		size = r >= 0 ? c->length[i] : 0;
		break;
	case OUT_BY:
		if (r > 0 && !__builtin_mul_overflow((size_t)r, part->size, &said))
			size = said < c->length[i] ? said : c->length[i];
		break;
	case OUT_LENGTH:
		said = r >= 0 ? *(const socklen_t *)local[part->by] : 0;
		size = said < c->length[i] ? said : c->length[i];
		break;
	case POLLED:
		if (r >= 0)
			take_polled(to, (const void *)c->at[i],
				    c->length[i] / sizeof(struct pollfd));
		return;
	default:
		return;
	}
	memcpy(to, c->at[i], size);
}

static bool is_written(const struct call_part *part)
{
	return part->kind == OUT || part->kind == BOTH || part->kind == BITS ||
	       part->kind == OUT_BY || part->kind == OUT_LENGTH ||
	       part->kind == POLLED;
}

/* How many bytes of an argument are copied; 0: none. False: there is no right to. */
static bool length_of(const struct call_part *part, long argument,
		      const long arguments[6], size_t *ret)
{
	const void *p = (const void *)argument;

	*ret = 0;
	if (!is_copied(part, argument))
		return true;
	/* A name, or a length, is read to know. */
	if (rights_permit(p, 1, false) == 0)
		return false;
	*ret = part_size(part, argument, arguments);
	return rights_permit(p, *ret, is_written(part)) == *ret;
}

/* Room for all copies; false: too much, or no memory. */
static bool copies_begin(struct copies *c, size_t size)
{
	c->used = 0;
	c->size = sizeof(c->stack);
	c->memory = c->stack;
	if (size <= c->size)
		return true;
	if (size > COPIES_MAX)
		return false;
	c->size = size;
	c->memory = (char *)shim_raw(SYS_mmap, 0, (long)size,
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return (uintptr_t)c->memory < (uintptr_t)-4096;
}

static void copies_end(struct copies *c)
{
	if (c->memory != c->stack)
		shim_raw(SYS_munmap, (long)c->memory, (long)c->size, 0, 0, 0,
			 0);
}

long call_by_copies(long number, const struct call_shape *shape,
		    const long arguments[6])
{
	struct copies c;
	long local[6], r;
	size_t total = 0;

	for (int i = 0; i < 6; i++) {
		local[i] = arguments[i];
		if (!length_of(&shape->part[i], arguments[i], arguments,
			       &c.length[i]))
			return -EFAULT;
		total += (c.length[i] + 15) & ~(size_t)15;
	}
	if (!copies_begin(&c, total))
		return -ENOMEM;
	for (int i = 0; i < 6; i++) {
		if (c.length[i] == 0)
			continue;
		c.at[i] = c.memory + c.used;
		c.used += (c.length[i] + 15) & ~(size_t)15;
		fill(&shape->part[i], c.at[i], c.length[i],
		     (const void *)arguments[i]);
		local[i] = (long)c.at[i];
	}
	r = shim_raw(number, local[0], local[1], local[2], local[3], local[4],
		     local[5]);
	for (int i = 0; i < 6; i++)
		if (c.length[i] > 0 && (r >= 0 || r == -EINTR))
			take(&c, i, &shape->part[i], arguments, local, r);
	copies_end(&c);
	return r;
}

/* --- pins ------------------------------------------------------------------------ */

/* Memory of unknown shape: to the end of the second page behind it. */
static size_t span_of(long number, int i, const long arguments[6])
{
	size_t size = 0;

	if (number == SYS_ioctl && i == 2)
		size = _IOC_SIZE((unsigned)arguments[1]);
	if (size == 0)
		size = 2 * SHIM_PAGE -
		       ((uintptr_t)arguments[i] & (SHIM_PAGE - 1));
	return size;
}

long call_by_pins(long number, const long arguments[6])
{
	size_t pinned[6] = { 0 };
	long r;

	for (int i = 0; i < 6; i++)
		if (block_contains((const void *)arguments[i], 1))
			pinned[i] = present_begin((const void *)arguments[i],
						  span_of(number, i, arguments),
						  true);
	r = shim_raw(number, arguments[0], arguments[1], arguments[2],
		     arguments[3], arguments[4], arguments[5]);
	for (int i = 0; i < 6; i++)
		if (pinned[i])
			present_end((const void *)arguments[i], pinned[i]);
	return r;
}
