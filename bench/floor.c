/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor under a fault: an absent page is touched, the kernel sends SIGBUS
 * to the thread, its handler puts a page there by UFFDIO_COPY and returns.
 * That is all that inline paging cannot do without, written here once more,
 * and apart, because a library that is measured by a fault of its own would
 * look the better the slower that is.
 *
 * A part of alone.h: answers "costs" with what costs.h has, and every other
 * question with the median of TIMES faults in microseconds. Floor: skin.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/alone.h"
#include "bench/bench.h"
#include "bench/costs.h"

enum { TIMES = 4000 };

static int descriptor;
static char *source;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr & ~(uintptr_t)(BENCH_PAGE - 1);
	struct uffdio_copy copy = { .dst = at,
				    .src = (uintptr_t)source,
				    .len = BENCH_PAGE };

	(void)number;
	(void)context;
	if (ioctl(descriptor, UFFDIO_COPY, &copy) != 0)
		_exit(1);
}

static bool get_ready(char *ret, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_SIGBUS };
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };

	/* An unprivileged program is given the faults of user mode only,
	 * which are all that there are here. */
	descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK |
						   UFFD_USER_MODE_ONLY);
	if (descriptor < 0 || ioctl(descriptor, UFFDIO_API, &api) != 0) {
		snprintf(ret, size, "no userfaultfd with SIGBUS: %s",
			 strerror(errno));
		return false;
	}
	source = mmap(NULL, BENCH_PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (source == MAP_FAILED || sigaction(SIGBUS, &action, NULL) != 0) {
		snprintf(ret, size, "no memory");
		return false;
	}
	memset(source, 1, BENCH_PAGE);
	return true;
}

static bool costs_answer(char *ret, size_t size)
{
	struct costs c;

	if (!costs_measure(&c)) {
		snprintf(ret, size, "not all of userfaultfd is there: %s",
			 strerror(errno));
		return false;
	}
	snprintf(ret, size, "%.4f %.4f %.4f %.4f %.4f %.4f %.4f %.4f",
		 c.install, c.install_more, c.zero, c.protect, c.protect_more,
		 c.drop, c.drop_more, c.copy);
	return true;
}

bool floor_answer(const char *argument, const char *question, char *ret,
		  size_t size)
{
	const size_t length = (size_t)TIMES * BENCH_PAGE;
	struct uffdio_register registration = {
		.mode = UFFDIO_REGISTER_MODE_MISSING
	};
	static double took[TIMES];
	volatile char *memory;

	(void)argument;
	if (question == NULL)
		return get_ready(ret, size);
	if (strcmp(question, "costs") == 0)
		return costs_answer(ret, size);
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	registration.range.start = (uintptr_t)memory;
	registration.range.len = length;
	if (memory == MAP_FAILED ||
	    madvise((void *)memory, length, MADV_NOHUGEPAGE) != 0 ||
	    ioctl(descriptor, UFFDIO_REGISTER, &registration) != 0) {
		snprintf(ret, size, "userfaultfd: %s", strerror(errno));
		return false;
	}
	for (size_t i = 0; i < TIMES; i++) {
		/* Far from the last: no neighbour's page table is warm. */
		size_t page = i * 1021 % TIMES;
		double began = bench_now_us();

		if (memory[page * BENCH_PAGE] != 1)
			return false;
		took[i] = bench_now_us() - began;
	}
	munmap((void *)memory, length);
	snprintf(ret, size, "%.3f", bench_permille(took, TIMES, 500));
	return true;
}
