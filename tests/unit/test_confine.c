/* SPDX-License-Identifier: BSD-3-Clause */
/* The store process's confinement: what it does goes on, and anything else ends it in words.
 * And an interface process has no way to send others signals. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/confine.h"
#include "tests/support/cunit.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	defined(XM_COVERED) || !defined(HAVE_SECCOMP)
#define FILTERS 0
#else
#define FILTERS 1
#endif

/* Runs it in a confined process, whose standard error comes into `ret`. Returns its wait
 * status. */
static int run(void (*body)(void), char *ret, size_t size)
{
	int ends[2], status = -1;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		char words[XM_CONFINED_SIZE];

		dup2(ends[1], STDERR_FILENO);
		xm_confine_store(words);
		body();
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], ret + used, size - 1 - used)) > 0)
		used += (size_t)n;
	ret[used] = '\0';
	close(ends[0]);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return status;
}

static int file, pair[2];

static void do_what_a_store_does(void)
{
	char bytes[4096] = "x";
	char *more = malloc(8 << 20);

	if (more == NULL || pwrite(file, bytes, sizeof(bytes), 4096) != sizeof(bytes) ||
	    fdatasync(file) != 0 || pread(file, bytes, 1, 4096) != 1 ||
	    bytes[0] != 'x' || send(pair[0], bytes, 1, MSG_NOSIGNAL) != 1 ||
	    recv(pair[1], bytes, 1, MSG_DONTWAIT) != 1)
		_exit(7);
	free(more);
	fprintf(stderr, "all of it\n");
}

static void open_a_file(void)
{
	_exit(open("/etc/passwd", O_RDONLY) < 0 ? 8 : 9);
}

static void start_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	_exit(8);
}

static void abort_it(void)
{
	abort();
}

static void what_a_store_does_goes_on(void)
{
	char name[] = "/tmp/test_confineXXXXXX", words[512];

	file = mkstemp(name);
	CU_ASSERT_FATAL(file >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	unlink(name);
	CU_ASSERT_EQUAL(run(do_what_a_store_does, words, sizeof(words)), 0);
	CU_ASSERT_STRING_EQUAL(words, "all of it\n");
	close(file);
	close(pair[0]);
	close(pair[1]);
}

static void anything_else_ends_it_in_words(void)
{
	void (*const bodies[])(void) = { open_a_file, start_a_program };

	for (unsigned i = 0; i < XM_COUNT(bodies) && FILTERS; i++) {
		char words[512];
		int status = run(bodies[i], words, sizeof(words));

		CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(words, "made system call "));
	}
	if (!FILTERS)
		printf("skipped system calls: without libseccomp, or with a sanitizer\n");
}

static void have_the_parent_signalled(void)
{
	char words[XM_CONFINED_SIZE];
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		_exit(7);
	xm_confine("ofi+tcp", false, words);
	if (fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK) != 0 ||
	    (fcntl(ends[0], F_GETFL) & O_NONBLOCK) == 0)
		_exit(8);
	if (fcntl(ends[0], F_SETOWN, getppid()) != -1 || errno != EPERM ||
	    fcntl(ends[0], F_SETSIG, SIGUSR2) != -1)
		_exit(9);
	_exit(0);
}

static void an_interface_has_nobody_signalled(void)
{
	int status = -1;
	pid_t pid;

	if (!FILTERS)
		return;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		have_the_parent_signalled();
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void an_assertion_that_fails_is_a_signal(void)
{
	char words[512];
	int status = run(abort_it, words, sizeof(words));

	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	CU_TestInfo tests[] = {
		XM_TEST(what_a_store_does_goes_on),
		XM_TEST(anything_else_ends_it_in_words),
		XM_TEST(an_assertion_that_fails_is_a_signal),
		XM_TEST(an_interface_has_nobody_signalled),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("confine", tests);
}
