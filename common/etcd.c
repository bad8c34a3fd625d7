/* SPDX-License-Identifier: BSD-3-Clause */
/* See etcd.h. Floor: ground. */
#include "common/etcd.h"

#include <string.h>

/* Far above all limits; with it, no compiler makes strlen() of the loop, which the ground
 * floor does not call. */
#define LENGTH_MAX 65536

static size_t length_of(const char *text)
{
	size_t n = 0;

	while (n < LENGTH_MAX && text[n] != '\0')
		n++;
	return n;
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

bool xm_etcd_is(const char *address)
{
	size_t scheme = sizeof(XM_ETCD_SCHEME) - 1;

	return length_of(address) >= scheme &&
	       memcmp(address, XM_ETCD_SCHEME, scheme) == 0;
}

/* --- the URL ---------------------------------------------------------------- */

static bool host_suits(const char *host, size_t size)
{
	bool brackets = size > 2 && host[0] == '[' && host[size - 1] == ']';

	if (brackets) {
		host++;
		size -= 2;
	}
	for (size_t i = 0; i < size; i++) {
		if (!is_letter_or_digit(host[i]) && host[i] != '.' &&
		    (brackets ? host[i] != ':' : host[i] != '-' && host[i] != '_'))
			return false;
	}
	return size > 0;
}

static bool port_suits(const char *port, size_t size)
{
	uint32_t number = 0;

	if (size == 0 || size > 5)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (port[i] < '0' || port[i] > '9')
			return false;
		number = number * 10 + (uint32_t)(port[i] - '0');
	}
	return number >= 1 && number <= 65535;
}

/* Why not, or NULL. */
static const char *read_endpoint(const char *text, size_t size, struct xm_etcd_url *ret)
{
	size_t host = size;

	while (host > 0 && text[host - 1] != ':')
		host--;
	if (ret->count == XM_ETCD_ENDPOINTS_MAX)
		return "has more than 8 members";
	if (size >= XM_ETCD_ENDPOINT_SIZE)
		return "has a host of more than 79 characters";
	if (host == 0 || !host_suits(text, host - 1) ||
	    !port_suits(text + host, size - host))
		return "has a member that is not HOST:PORT";
	memcpy(ret->endpoints[ret->count], text, size);
	ret->endpoints[ret->count][size] = '\0';
	ret->count++;
	return NULL;
}

static const char *read_prefix(const char *text, size_t size, struct xm_etcd_url *ret)
{
	while (size > 0 && text[size - 1] == '/')
		size--;
	if (size == 0)
		return "does not say below which key";
	if (size >= XM_ETCD_PREFIX_SIZE)
		return "has a prefix of more than 127 characters";
	for (size_t i = 0; i < size; i++) {
		if (!is_letter_or_digit(text[i]) && text[i] != '.' && text[i] != '-' &&
		    text[i] != '_' && text[i] != '/')
			return "has a prefix of other characters than letters, digits and"
			       " ._-/";
	}
	memcpy(ret->prefix, text, size);
	ret->prefix[size] = '\0';
	return NULL;
}

static const char *read_url(const char *text, struct xm_etcd_url *ret)
{
	const char *why = NULL;

	text += sizeof(XM_ETCD_SCHEME) - 1;
	while (why == NULL) {
		size_t size = 0;

		while (text[size] != '\0' && text[size] != ',' && text[size] != '/')
			size++;
		why = read_endpoint(text, size, ret);
		text += size;
		if (*text != ',')
			break;
		text++;
	}
	if (why == NULL && *text != '/')
		why = "does not say below which key";
	return why != NULL ? why : read_prefix(text + 1, length_of(text + 1), ret);
}

int xm_etcd_url_read(const char *text, struct xm_etcd_url *ret, struct xm_words *words)
{
	struct xm_etcd_url url;
	const char *why = "does not begin with etcd://";

	memset(&url, 0, sizeof(url));
	if (xm_etcd_is(text))
		why = read_url(text, &url);
	if (why == NULL) {
		*ret = url;
		return 0;
	}
	xm_words_add(words, text);
	xm_words_add(words, " ");
	xm_words_add(words, why);
	xm_words_add(words, ": write etcd://HOST:PORT/PREFIX, such as"
			    " etcd://127.0.0.1:2379/extmem");
	return -1;
}

bool xm_etcd_address_suits(const char *address)
{
	size_t size = length_of(address), scheme = 0;

	for (size_t i = 0; i < size; i++) {
		if (address[i] <= ' ' || address[i] > '~' || address[i] == ',')
			return false;
	}
	while (is_letter_or_digit(address[scheme]) || address[scheme] == '+')
		scheme++;
	return size < XM_ETCD_ADDRESS_SIZE && scheme > 0 && size > scheme + 3 &&
	       memcmp(address + scheme, "://", 3) == 0 && !xm_etcd_is(address);
}

/* --- base64 ----------------------------------------------------------------- */

static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void xm_base64_write(const void *bytes, size_t size, char *text)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < size; i += 3) {
		uint32_t three = (uint32_t)from[i] << 16;

		if (i + 1 < size)
			three |= (uint32_t)from[i + 1] << 8;
		if (i + 2 < size)
			three |= from[i + 2];
		*text++ = digits[three >> 18];
		*text++ = digits[three >> 12 & 63];
		*text++ = i + 1 < size ? digits[three >> 6 & 63] : '=';
		*text++ = i + 2 < size ? digits[three & 63] : '=';
	}
	*text = '\0';
}

static int digit_of(char c)
{
	for (int i = 0; i < 64; i++)
		if (digits[i] == c)
			return i;
	return -1;
}

long xm_base64_read(const char *text, size_t length, void *bytes, size_t size)
{
	uint8_t *to = bytes;
	size_t used = 0, padding = 0;

	if (length % 4 != 0)
		return -1;
	while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
		padding++;
	if (length / 4 * 3 - padding > size)
		return -1;
	for (size_t i = 0; i < length; i += 4) {
		size_t kept = i + 4 == length ? 4 - padding : 4;
		uint32_t three = 0;

		for (size_t k = 0; k < 4; k++) {
			int digit = k < kept ? digit_of(text[i + k]) : 0;

			if (digit < 0)
				return -1;
			three = three << 6 | (uint32_t)digit;
		}
		/* Bits that no byte has must be zero: one text for one value. */
		if ((three & ((1u << (4 - kept) * 8) - 1)) != 0)
			return -1;
		for (size_t k = 0; k + 1 < kept; k++)
			to[used++] = (uint8_t)(three >> (16 - 8 * k));
	}
	return (long)used;
}
