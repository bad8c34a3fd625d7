/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which provider, which address: hints, locators, and errors in words.
 *
 * The provider is always named in the hints, never left to libfabric: another
 * provider is another wire format, another meaning of death, another speed.
 * A locator is a line of text, "tcp 1.17 117.0 MSG 127.0.0.1 41234", so that
 * an initiator with a provider that cannot talk to it says so in words.
 *
 * Floor: skin of the transport.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transports/address.h"
#include "transports/ofi/ofi.h"

static const struct ofi_scheme schemes[] = {
	{ "ofi+tcp", "tcp", FI_EP_MSG, true, true, true, true, false },
	{ "ofi+verbs", "verbs", FI_EP_MSG, true, true, true, true, false },
	{ "ofi+shm", "shm", FI_EP_RDM, false, false, true, false, true },
	{ "ofi+net", "net", FI_EP_RDM, true, true, true, true, false },
	{ "ofi+rxm", "tcp;ofi_rxm", FI_EP_RDM, true, true, true, true, false },
	/* sockets answers EACCES when a peer is gone, too */
	{ "ofi+sockets", "sockets", FI_EP_RDM, true, true, false, false, true },
};

const struct ofi_scheme *xm_ofi_scheme(const char *address)
{
	for (size_t i = 0; i < XM_COUNT(schemes); i++) {
		size_t size = strlen(schemes[i].scheme);

		if (strncmp(address, schemes[i].scheme, size) == 0 &&
		    strncmp(address + size, "://", 3) == 0)
			return &schemes[i];
	}
	return NULL;
}

int xm_ofi_fail(struct xm_transport *t, int error, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(t->words, sizeof(t->words), format, list);
	va_end(list);
	return error;
}

/* Not strerror(), which fi_strerror() calls: it translates, and reads the
 * environment to find out into what (see xm_ofi_info_to()). */
const char *xm_ofi_error_words(int error)
{
	const char *words;

	if (error < 0)
		error = -error;
	words = error < FI_ERRNO_OFFSET ? strerrordesc_np(error)
					: fi_strerror(error);
	return words ? words : "an unknown error";
}

int xm_ofi_errno(ssize_t fi_error)
{
	switch (fi_error < 0 ? -fi_error : fi_error) {
	case 0:
		return 0;
	case FI_EAGAIN:
		return -EAGAIN;
	case FI_ENOMEM:
		return -ENOMEM;
	case FI_ENOSPC:
	case FI_EMFILE:
		return -ENOSPC;
	case FI_EINVAL:
	case FI_ENOKEY: /* the key is in use */
		return -EINVAL;
	case FI_EADDRINUSE:
		return -EADDRINUSE;
	case FI_ECONNREFUSED:
	case FI_ECONNRESET:
	case FI_ECONNABORTED:
		return -ECONNREFUSED;
	case FI_ETIMEDOUT:
	case FI_EHOSTUNREACH:
	case FI_ENETUNREACH:
		return -ETIMEDOUT;
	case FI_ENOSYS:
	case FI_ENODATA:
		return -ENOSYS;
	default:
		return -ENOTCONN;
	}
}

/* "scheme://host:port", "scheme://[v6]:port", "scheme://host", "scheme://".
 * Keeps the host as digits: names are looked up here, once, because open()
 * may take its time and connect() may not. */
int xm_ofi_address(struct xm_transport *t, const char *address)
{
	const char *host = strstr(address, "://") + 3;
	const char *end = host + strlen(host);
	const char *colon = strrchr(host, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	char name[256];
	int error;

	t->host[0] = '\0';
	if (!t->scheme->inet)
		return 0;
	if (*host == '[') {
		host++;
		end = strchr(host, ']');
		if (!end)
			return xm_ofi_fail(t, -EINVAL, "%s: a [ without its ]",
					   address);
	} else if (colon) {
		end = colon;
	}
	if ((size_t)(end - host) >= sizeof(name))
		return xm_ofi_fail(t, -EINVAL, "%.64s...: the host is too long",
				   address);
	if (end == host) {
		strcpy(t->host, "0.0.0.0");
		return 0;
	}
	memcpy(name, host, (size_t)(end - host));
	name[end - host] = '\0';
	error = getaddrinfo(name, NULL, &hints, &found);
	if (error)
		return xm_ofi_fail(t, xm_address_failure(error), "host %s: %s",
				   name, gai_strerror(error));
	error = getnameinfo(found->ai_addr, found->ai_addrlen, t->host,
			    sizeof(t->host), NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(found);
	if (error)
		return xm_ofi_fail(t, xm_address_failure(error), "host %s: %s",
				   name, gai_strerror(error));
	return 0;
}

/* The providers that are here, for a message about one that is not. */
static void providers_list(char *ret, size_t size)
{
	struct fi_info *all = NULL;
	size_t used = 0;

	ret[0] = '\0';
	if (fi_getinfo(OFI_API, NULL, NULL, 0, NULL, &all))
		return;
	for (struct fi_info *i = all; i; i = i->next) {
		const char *name = i->fabric_attr->prov_name;
		bool seen = false;
		int n;

		for (struct fi_info *j = all; j != i && !seen; j = j->next)
			seen = strcmp(name, j->fabric_attr->prov_name) == 0;
		if (seen)
			continue;
		n = snprintf(ret + used, size - used, "%s%s", used ? ", " : "",
			     name);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	fi_freeinfo(all);
}

static struct fi_info *hints_make(struct xm_transport *t)
{
	struct fi_info *hints = fi_allocinfo();

	if (!hints)
		return NULL;
	hints->fabric_attr->prov_name = strdup(t->provider);
	if (!hints->fabric_attr->prov_name) {
		fi_freeinfo(hints);
		return NULL;
	}
	hints->ep_attr->type = t->scheme->type;
	hints->caps = FI_MSG | FI_RMA;
	/* One thread at a time, and we always poll: no progress threads. */
	hints->domain_attr->threading = FI_THREAD_DOMAIN;
	hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
	hints->domain_attr->control_progress = FI_PROGRESS_MANUAL;
	hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR |
				      FI_MR_ALLOCATED | FI_MR_PROV_KEY |
				      FI_MR_ENDPOINT;
	hints->tx_attr->op_flags = FI_COMPLETION;
	if (t->scheme->inet)
		hints->addr_format = strchr(t->host, ':') ? FI_SOCKADDR_IN6
							  : FI_SOCKADDR_IN;
	return hints;
}

/* An endpoint of shm is a file named by the number of its process; in another
 * namespace, with the same /dev/shm, that is another process, whose file the provider
 * would take away. */
static int name_apart(const struct xm_transport *t, struct fi_info *info)
{
	char name[64];
	struct stat status;

	if (strcmp(t->provider, "shm") != 0 ||
	    stat("/proc/self/ns/pid", &status) != 0)
		return 0;
	snprintf(name, sizeof(name), "fi_shm://%llu-%d",
		 (unsigned long long)status.st_ino, (int)getpid());
	free(info->src_addr);
	info->src_addr = strdup(name);
	info->src_addrlen = strlen(name) + 1;
	return info->src_addr ? 0 : -ENOMEM;
}

/* `source`: host and service are ours, else the remote side's. */
int xm_ofi_info(struct xm_transport *t, const char *host, const char *service,
		bool source, struct fi_info **ret)
{
	struct fi_info *hints, *info = NULL;
	char list[256];
	int error;

	if (fi_version() == 0) /* it is not there */
		return xm_ofi_fail(t, -ENOSYS, "%s", fi_strerror(0));
	hints = hints_make(t);
	if (!hints)
		return xm_ofi_fail(t, -ENOMEM, "no memory for hints");
	if (host && t->scheme->inet)
		hints->addr_format = strchr(host, ':') ? FI_SOCKADDR_IN6
						       : FI_SOCKADDR_IN;
	error = fi_getinfo(OFI_API, host, service,
			   (source ? FI_SOURCE : 0) |
				   (host ? FI_NUMERICHOST : 0),
			   hints, &info);
	fi_freeinfo(hints);
	/* "tcp" also matches layered providers on it: take the very name. */
	for (struct fi_info *i = info; !error && i; i = i->next) {
		if (strcmp(i->fabric_attr->prov_name, t->provider))
			continue;
		*ret = fi_dupinfo(i);
		fi_freeinfo(info);
		if (!*ret || name_apart(t, *ret) != 0)
			return xm_ofi_fail(t, -ENOMEM, "no memory for info");
		return 0;
	}
	if (info)
		fi_freeinfo(info);
	providers_list(list, sizeof(list));
	return xm_ofi_fail(t, -ENOSYS,
			   "%s: libfabric has no provider %s with %s endpoints "
			   "and RMA for %s%s; it has: %s%s",
			   t->scheme->scheme, t->provider,
			   t->scheme->type == FI_EP_MSG ? "MSG" : "RDM",
			   host ? "host " : "this machine", host ? host : "",
			   list, strcmp(t->provider, "shm") != 0 ? ""
				 : " (shm needs room in /dev/shm)");
}

/* "10.1.2.3" or "fe80::1%eth0", and a port. */
static int address_read(const char *host, const char *service,
			struct ofi_address *ret)
{
	char name[OFI_HOST_SIZE * 2];
	uint16_t port = htons((uint16_t)strtoul(service, NULL, 10));
	char *scope;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, host, &ret->u.in.sin_addr) == 1) {
		ret->size = sizeof(ret->u.in);
		ret->u.in.sin_family = AF_INET;
		ret->u.in.sin_port = port;
		return 0;
	}
	snprintf(name, sizeof(name), "%s", host);
	scope = strchr(name, '%');
	if (scope)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, name, &ret->u.in6.sin6_addr) != 1)
		return -EINVAL;
	ret->size = sizeof(ret->u.in6);
	ret->u.in6.sin6_family = AF_INET6;
	ret->u.in6.sin6_port = port;
	if (scope) {
		unsigned index = if_nametoindex(scope);

		ret->u.in6.sin6_scope_id =
			index ? index : (uint32_t)strtoul(scope, NULL, 10);
	}
	return 0;
}

/* The address of ours from which the kernel would send to `far`, and port 0. */
static int address_towards(const struct ofi_address *far,
			   struct ofi_address *ret)
{
	int fd = socket(far->u.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = 0;

	*ret = (struct ofi_address){ .size = sizeof(ret->u) };
	if (fd < 0 || connect(fd, &far->u.any, far->size) != 0 ||
	    getsockname(fd, &ret->u.any, &ret->size) != 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (ret->u.any.sa_family == AF_INET)
		ret->u.in.sin_port = 0;
	else
		ret->u.in6.sin6_port = 0;
	return -error;
}

static bool address_set(const struct ofi_address *address, void **ret,
			size_t *ret_size)
{
	void *copy = malloc(address->size);

	if (!copy)
		return false;
	memcpy(copy, &address->u, address->size);
	free(*ret);
	*ret = copy;
	*ret_size = address->size;
	return true;
}

/* For a connection of an initiator: what open() was told, with other addresses.
 *
 * fi_getinfo() is not asked again. Connections are made again at any time, on
 * the keeper's thread, which holds the lock of a lane then; and fi_getinfo()
 * reads the environment. The environment is memory of the program's, which may
 * be external: reading it would be a fault that waits for that very lock. */
int xm_ofi_info_to(struct xm_transport *t, const char *host,
		   const char *service, struct fi_info **ret)
{
	struct fi_info *info = fi_dupinfo(t->info);
	struct ofi_address far, near;
	int error = 0;

	if (!info)
		return xm_ofi_fail(t, -ENOMEM, "no memory for info");
	if (t->scheme->inet) {
		error = address_read(host, service, &far);
		if (!error)
			error = address_towards(&far, &near);
		if (!error && (!address_set(&far, &info->dest_addr,
					    &info->dest_addrlen) ||
			       !address_set(&near, &info->src_addr,
					    &info->src_addrlen)))
			error = -ENOMEM;
		info->addr_format = strchr(host, ':') ? FI_SOCKADDR_IN6
						      : FI_SOCKADDR_IN;
	}
	if (error) {
		fi_freeinfo(info);
		return xm_ofi_fail(t, xm_ofi_errno(error), "host %s: %s", host,
				   xm_ofi_error_words(error));
	}
	*ret = info;
	return 0;
}

void xm_ofi_version(const struct fi_info *info, char *ret, size_t size)
{
	uint32_t library = fi_version();
	uint32_t provider = info->fabric_attr->prov_version;

	snprintf(ret, size, "%u.%u / %u.%u", FI_MAJOR(library),
		 FI_MINOR(library), FI_MAJOR(provider), FI_MINOR(provider));
}

void xm_ofi_mr_mode(const struct fi_info *info, char *ret, size_t size)
{
	static const struct {
		int bit;
		const char *word;
	} words[] = {
		{ FI_MR_LOCAL, "local" },
		{ FI_MR_VIRT_ADDR, "virt_addr" },
		{ FI_MR_ALLOCATED, "allocated" },
		{ FI_MR_PROV_KEY, "prov_key" },
		{ FI_MR_ENDPOINT, "endpoint" },
	};
	size_t used = 0;

	snprintf(ret, size, "offsets, chosen keys");
	for (size_t i = 0; i < XM_COUNT(words); i++) {
		int n;

		if (!(info->domain_attr->mr_mode & words[i].bit))
			continue;
		n = snprintf(ret + used, size - used, "%s%s", used ? " " : "",
			     words[i].word);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

int xm_ofi_locator_make(struct xm_transport *t, fid_t fid,
			struct xm_locator *ret)
{
	char name[256] = "", host[INET6_ADDRSTRLEN + 1] = "";
	char line[XM_LOCATOR_SIZE + 1], service[OFI_SERVICE_SIZE] = "0";
	uint32_t library = fi_version();
	size_t size = sizeof(name) - 1;
	int error = fi_getname(fid, name, &size);
	int n;

	if (error)
		return xm_ofi_fail(t, xm_ofi_errno(error), "fi_getname: %s",
				   xm_ofi_error_words(error));
	if (t->scheme->inet) {
		error = getnameinfo((struct sockaddr *)name, (socklen_t)size,
				    host, sizeof(host), service,
				    sizeof(service),
				    NI_NUMERICHOST | NI_NUMERICSERV);
		if (error)
			return xm_ofi_fail(t, -EINVAL, "getnameinfo: %s",
					   gai_strerror(error));
	}
	n = snprintf(line, sizeof(line), "%s %u.%u %s %s %s", t->provider,
		     FI_MAJOR(library), FI_MINOR(library),
		     t->scheme->type == FI_EP_MSG ? "MSG" : "RDM",
		     !t->scheme->inet ? name
		     : t->target.advertise[0] != '\0' ? t->target.advertise
						     : host, service);
	if (n < 0 || n > XM_LOCATOR_SIZE)
		return xm_ofi_fail(t, -ENOSPC, "the provider's address is too "
					      "long for a locator");
	memset(ret, 0, sizeof(*ret));
	ret->size = (uint32_t)n;
	memcpy(ret->bytes, line, (size_t)n);
	return 0;
}

/* 1.18 gave the name tcp to what had been net: another wire format. */
static bool versions_meet(uint32_t minor_there)
{
	return (FI_MINOR(fi_version()) >= 18) == (minor_there >= 18);
}

int xm_ofi_locator_read(struct xm_transport *t, const struct xm_locator *l,
			struct ofi_locator *ret)
{
	if (!ofi_locator_parse(l, ret))
		return xm_ofi_fail(t, -EINVAL, "a malformed locator of %u bytes",
				   (unsigned)l->size);
	if (strcmp(ret->provider, t->provider) || !versions_meet(ret->minor) ||
	    strcmp(ret->type, t->scheme->type == FI_EP_MSG ? "MSG" : "RDM"))
		return xm_ofi_fail(
			t, -ENOSYS,
			"the appliance speaks %s (%s, libfabric %u.%u), this "
			"side %s (%s, libfabric %u.%u): they do not "
			"interoperate; use the same provider and library",
			ret->provider, ret->type, ret->major, ret->minor, t->provider,
			t->scheme->type == FI_EP_MSG ? "MSG" : "RDM",
			FI_MAJOR(fi_version()), FI_MINOR(fi_version()));
	/* An interface that listens everywhere is where we found it. */
	if (t->scheme->inet &&
	    (!strcmp(ret->host, "0.0.0.0") || !strcmp(ret->host, "::"))) {
		if (!t->host[0])
			return xm_ofi_fail(t, -EINVAL,
					   "the locator names no host");
		snprintf(ret->host, sizeof(ret->host), "%s", t->host);
	}
	return 0;
}

/* 1.17's shm provider installs handlers of its own for these, process-wide,
 * the first time an endpoint is opened. They are put back after each call in
 * which that may happen: signals belong to the program. */
static const int handled[] = { SIGBUS, SIGSEGV, SIGTERM, SIGINT };

void xm_ofi_handlers_keep(struct ofi_handlers *h)
{
	for (size_t i = 0; i < XM_COUNT(handled); i++)
		sigaction(handled[i], NULL, &h->kept[i]);
}

void xm_ofi_handlers_restore(const struct ofi_handlers *h)
{
	for (size_t i = 0; i < XM_COUNT(handled); i++) {
		struct sigaction now;

		sigaction(handled[i], NULL, &now);
		if (now.sa_sigaction != h->kept[i].sa_sigaction)
			sigaction(handled[i], &h->kept[i], NULL);
	}
}

/* An endpoint of shm is a file named by process and number, which a killed
 * process leaves. Who meets one of a dead namesake is refused, and the file is
 * unlinked (smr_retry_map): the next attempt finds the name free. */
int xm_ofi_enable(struct fid_ep *ep)
{
	int error = fi_enable(ep);

	return error == -FI_EBUSY ? fi_enable(ep) : error;
}
