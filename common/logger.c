/* SPDX-License-Identifier: BSD-3-Clause */
/* See logger.h. */
#include "common/logger.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_SIZE 1001
#define RECORD_SIZE 1280

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct xm_log_rules rules;
static const char *program;
static int journal = -1;

/* JOURNAL_STREAM is "DEVICE:INODE" of the stream that the service manager has opened;
 * a program that was started with its output elsewhere has the variable all the same. */
static bool error_is_the_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;
	char rest;

	return stream != NULL &&
	       sscanf(stream, "%llu:%llu%c", &device, &inode, &rest) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 &&
	       status.st_dev == device && status.st_ino == inode;
}

static int dial(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(to.sun_path))
		return -1;
	memcpy(to.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void xm_logger_begin(const char *name, const char *const *subsystems,
		     unsigned count, const char *path)
{
	if (journal >= 0)
		close(journal);
	program = name;
	xm_log_rules_begin(&rules, subsystems, count);
	journal = error_is_the_journal() ? dial(path) : -1;
}

int xm_logger_levels(const char *text, struct xm_words *ret_words)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = xm_log_rules_read(&rules, text, ret_words);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* What the journal does not take, for it is full or has ended, people see all the same. */
static void put(unsigned subsystem, enum xm_level level, const char *message)
{
	char record[RECORD_SIZE];
	size_t size;

	if (journal >= 0) {
		size = xm_log_fields(&rules, program, subsystem, level, message,
				     record, sizeof(record));
		if (send(journal, record, size, MSG_NOSIGNAL) == (ssize_t)size)
			return;
	}
	size = xm_log_line(&rules, program, subsystem, level, message, record,
			   sizeof(record));
	if (write(STDERR_FILENO, record, size) < 0)
		return; /* standard error is closed: nobody can be told */
}

void xm_logger_say(unsigned subsystem, enum xm_level level, uint64_t now_ns,
		   const char *format, va_list arguments)
{
	char message[MESSAGE_SIZE], before[80];
	uint32_t unsaid = 0;

	pthread_mutex_lock(&lock);
	if (xm_log_rules_pass(&rules, subsystem, level, now_ns, &unsaid)) {
		if (unsaid > 0) {
			snprintf(before, sizeof(before),
				 "%u messages before this were too many, and are "
				 "left out", (unsigned)unsaid);
			put(subsystem, XM_LEVEL_WARNING, before);
		}
		vsnprintf(message, sizeof(message), format, arguments);
		put(subsystem, level, message);
	}
	pthread_mutex_unlock(&lock);
}
