/* SPDX-License-Identifier: BSD-3-Clause */
/* See listen.h. */
#include "gateway/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 256

/* --- the socket ---------------------------------------------------------------------------- */

static int lookup(const char *address, struct addrinfo **ret, char *words,
		  size_t size)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_PASSIVE };
	const char *colon = strrchr(address, ':');
	char host[256];
	size_t length;
	int rc;

	if (!colon || colon[1] == '\0' || colon == address ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
		snprintf(words, size, "--listen %s: write HOST:PORT, such as "
			 "127.0.0.1:7480", address);
		return -EINVAL;
	}
	length = (size_t)(colon - address);
	if (address[0] == '[' && colon[-1] == ']') {
		address++;
		length -= 2;
	}
	if (length >= sizeof(host)) {
		snprintf(words, size, "--listen: the host's name is too long");
		return -EINVAL;
	}
	memcpy(host, address, length);
	host[length] = '\0';
	rc = getaddrinfo(host, colon + 1, &hints, ret);
	if (rc == 0)
		return 0;
	snprintf(words, size, "--listen: %s: %s", host, gai_strerror(rc));
	return -EADDRNOTAVAIL;
}

static bool is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >>
			       24 == 127;
	return a->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static int bind_to(const struct addrinfo *a, int *ret_fd)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;
	int error;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
		*ret_fd = fd;
		return 0;
	}
	error = errno;
	close(fd);
	return -error;
}

static void name_of(int fd, char *ret, size_t size)
{
	struct sockaddr_storage at;
	socklen_t length = sizeof(at);
	char host[INET6_ADDRSTRLEN + 16] = "?", port[16] = "?";

	if (getsockname(fd, (struct sockaddr *)&at, &length) == 0)
		getnameinfo((struct sockaddr *)&at, length, host, sizeof(host),
			    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(ret, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

int gateway_listen(const char *address, bool *ret_loopback, char *ret_name,
		   size_t name_size, int *ret_fd, char *words, size_t words_size)
{
	struct addrinfo *found = NULL;
	int rc = lookup(address, &found, words, words_size);

	if (rc != 0)
		return rc;
	rc = bind_to(found, ret_fd);
	if (rc == 0) {
		*ret_loopback = is_loopback(found->ai_addr);
		name_of(*ret_fd, ret_name, name_size);
	} else {
		snprintf(words, words_size, "--listen %s: %s", address,
			 strerror(-rc));
	}
	freeaddrinfo(found);
	return rc;
}

/* --- files ---------------------------------------------------------------------------------- */

static const char *wrong_with(int fd, bool secret)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return strerror(errno);
	if (!S_ISREG(status.st_mode))
		return "that is no regular file";
	if (status.st_size > GATEWAY_FILE_MAX)
		return "it has more than 64 KiB";
	if (!secret)
		return NULL;
	if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "others than its owner have rights on it: chmod 600";
	if (status.st_uid != geteuid() && status.st_uid != 0)
		return "it belongs to another user";
	return NULL;
}

char *gateway_file_read(const char *path, bool secret, char *words,
			size_t words_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *wrong = fd < 0 ? strerror(errno) : wrong_with(fd, secret);
	char *text = wrong ? NULL : calloc(1, GATEWAY_FILE_MAX + 1);
	ssize_t n = text ? read(fd, text, GATEWAY_FILE_MAX) : -1;

	if (!wrong && n < 0)
		wrong = text ? strerror(errno) : "out of memory";
	else if (!wrong && strlen(text) != (size_t)n)
		wrong = "that is no text";
	if (fd >= 0)
		close(fd);
	if (!wrong)
		return text;
	snprintf(words, words_size, "%s: %s", path, wrong);
	free(text);
	return NULL;
}
