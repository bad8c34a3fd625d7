/* SPDX-License-Identifier: BSD-3-Clause */
/* See admit.h. */
#include "gateway/admit.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define BEARER "Bearer "

/* How long the name in "name:port" or "[address]:port" is. */
static size_t name_length(const char *host)
{
	if (host[0] == '[')
		return strcspn(host, "]") + (strchr(host, ']') != NULL);
	return strcspn(host, ":");
}

static bool is_name(const char *host, const char *name)
{
	size_t length = name_length(host);

	return strlen(name) == length && strncasecmp(host, name, length) == 0;
}

bool gateway_host_is_loopback(const char *host)
{
	char text[INET_ADDRSTRLEN] = "";
	size_t length = name_length(host);
	struct in_addr address;

	if (is_name(host, "localhost") || is_name(host, "[::1]"))
		return true;
	if (length >= sizeof(text))
		return false;
	memcpy(text, host, length);
	return inet_pton(AF_INET, text, &address) == 1 &&
	       ntohl(address.s_addr) >> 24 == 127;
}

static bool host_is_ours(const struct gateway_rules *r, const char *host)
{
	if (host == NULL)
		return true; /* no browser leaves it out */
	if (gateway_host_is_loopback(host))
		return true;
	for (size_t i = 0; r->names != NULL && r->names[i] != NULL; i++)
		if (is_name(host, r->names[i]))
			return true;
	return false;
}

/* Origin is "scheme://host:port", or "null". */
static bool origin_is_ours(const struct gateway_headers *h)
{
	const char *host;

	if (h->fetch_site != NULL && strcmp(h->fetch_site, "same-origin") != 0 &&
	    strcmp(h->fetch_site, "none") != 0)
		return false;
	if (h->origin == NULL)
		return true;
	host = strstr(h->origin, "://");
	return host != NULL && h->host != NULL &&
	       strcasecmp(host + 3, h->host) == 0;
}

/* In a time that does not say where they differ. */
static bool same(const char *a, const char *b)
{
	size_t length = strlen(a);
	unsigned char differ = 0;

	if (length != strlen(b))
		return false;
	for (size_t i = 0; i < length; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return differ == 0;
}

static enum gateway_admission by_token(const struct gateway_rules *r,
				       const char *authorization,
				       enum gateway_right right)
{
	bool acts = false, known = false;
	const char *token;

	if (strncasecmp(authorization, BEARER, strlen(BEARER)) != 0)
		return GATEWAY_WRONG_TOKEN;
	token = authorization + strlen(BEARER);
	token += strspn(token, " ");
	for (unsigned i = 0; i < r->tokens_count; i++)
		if (same(r->tokens[i].text, token)) {
			known = true;
			acts |= r->tokens[i].acts;
		}
	if (!known)
		return GATEWAY_WRONG_TOKEN;
	return right == GATEWAY_ACTS && !acts ? GATEWAY_READ_TOKEN
					      : GATEWAY_ADMITTED;
}

static bool has_acts(const struct gateway_rules *r)
{
	for (unsigned i = 0; i < r->tokens_count; i++)
		if (r->tokens[i].acts)
			return true;
	return false;
}

enum gateway_admission gateway_admit(const struct gateway_rules *r,
				     const struct gateway_headers *h,
				     enum gateway_right right)
{
	if (r->loopback && !host_is_ours(r, h->host))
		return GATEWAY_FOREIGN_HOST;
	if (right == GATEWAY_FREE)
		return GATEWAY_ADMITTED;
	if (!origin_is_ours(h))
		return GATEWAY_FOREIGN_ORIGIN;
	if (right == GATEWAY_ACTS && !has_acts(r))
		return GATEWAY_NO_ACTS;
	if (h->authorization != NULL)
		return by_token(r, h->authorization, right);
	return right == GATEWAY_READS && r->loopback && r->read_without_token
		       ? GATEWAY_ADMITTED
		       : GATEWAY_NO_TOKEN;
}

const char *gateway_tokens_add(struct gateway_rules *r, const char *text, bool acts)
{
	unsigned before = r->tokens_count;

	while (*text != '\0') {
		size_t length;

		text += strspn(text, " \t\r\n");
		length = strcspn(text, " \t\r\n");
		if (*text == '#') {
			text += strcspn(text, "\n");
			continue;
		}
		if (length == 0)
			break;
		if (length < GATEWAY_TOKEN_MIN)
			return "a token has fewer than 16 characters";
		if (length >= GATEWAY_TOKEN_SIZE)
			return "a token has more than 256 characters";
		if (r->tokens_count == GATEWAY_TOKENS_MAX)
			return "there are more than 16 tokens";
		memcpy(r->tokens[r->tokens_count].text, text, length);
		r->tokens[r->tokens_count].text[length] = '\0';
		r->tokens[r->tokens_count++].acts = acts;
		text += length;
	}
	return r->tokens_count == before ? "there is no token in it" : NULL;
}
