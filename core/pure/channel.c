/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a control connection failed, in words a user can act on.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "core/pure/channel.h"
#include "common/words.h"

/* Why nothing could be connected: words around the address. */
static const struct {
	int status;
	const char *before, *behind;
} causes[] = {
	{ -ECONNREFUSED, "nobody listens at ",
	  " (connection refused): is extmemd running there?" },
	{ -EPROTO, "something at ",
	  " does not speak extmem: is that the right port?" },
	{ -ECONNRESET, "",
	  " accepted and hung up: it is full, or not an extmemd" },
	{ -ETIMEDOUT, "no answer from ",
	  ": is the host up, and the port open?" },
	{ -EHOSTUNREACH, "there is no way to ",
	  ": check the network, or the address" },
	{ -ENETUNREACH, "there is no way to ",
	  ": check the network, or the address" },
	{ -EADDRNOTAVAIL, "the host of ", " is not known: check the name" },
	{ -EINVAL, "",
	  " is not an address: write SCHEME://HOST:PORT, such as"
	  " ofi+tcp://host:7470, or ofi+shm://NAME" },
	{ -ENOKEY, "",
	  " wants credentials: give auth=FILE, or set EXTMEM_AUTH; see"
	  " extmem-auth(1)" },
	{ -EKEYEXPIRED, "certificates of this side and of ",
	  " do not agree; see extmem-auth(1)" },
	{ -EKEYREVOKED, "certificates of this side and of ",
	  " do not agree; see extmem-auth(1)" },
	{ -EKEYREJECTED, "certificates of this side and of ",
	  " do not agree; see extmem-auth(1)" },
	{ -EACCES, "not permitted to connect to ", "" },
};

static void explain_before(struct xm_words *w, const char *address, int status)
{
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (causes[i].status != status)
			continue;
		xm_words_add(w, causes[i].before);
		xm_words_add(w, address);
		xm_words_add(w, causes[i].behind);
		return;
	}
	xm_words_add(w, "cannot connect to ");
	xm_words_add(w, address);
	xm_words_add(w, " (errno ");
	xm_words_number(w, (uint64_t)-(int64_t)status);
	xm_words_add(w, ")");
}

void xm_channel_explain(const char *address, int status, bool up, char *words,
			size_t words_size)
{
	struct xm_words w;

	xm_words_begin(&w, words, words_size);
	if (!up) {
		explain_before(&w, address, status);
		return;
	}
	xm_words_add(&w, "the control connection to ");
	xm_words_add(&w, address);
	if (status == -EPROTO)
		xm_words_add(&w, " carried bytes that are no message");
	else if (status == -ETIMEDOUT)
		xm_words_add(&w, " went silent");
	else
		xm_words_add(&w, " was lost: extmemd ended, or the network"
				 " broke");
}
