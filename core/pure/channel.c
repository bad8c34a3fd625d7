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

static void explain_before(struct xm_words *w, const char *address, int status)
{
	switch (status) {
	case -ECONNREFUSED:
		xm_words_add(w, "nobody listens at ");
		xm_words_add(w, address);
		xm_words_add(w, " (connection refused): is extmemd running"
				" there?");
		break;
	case -EPROTO:
		xm_words_add(w, "something at ");
		xm_words_add(w, address);
		xm_words_add(w, " does not speak extmem: is that the right"
				" port?");
		break;
	case -ECONNRESET:
		xm_words_add(w, address);
		xm_words_add(w, " accepted and hung up: it is full, or not an"
				" extmemd");
		break;
	case -ETIMEDOUT:
		xm_words_add(w, "no answer from ");
		xm_words_add(w, address);
		xm_words_add(w, ": is the host up, and the port open?");
		break;
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		xm_words_add(w, "there is no way to ");
		xm_words_add(w, address);
		xm_words_add(w, ": check the network, or the address");
		break;
	case -EADDRNOTAVAIL:
		xm_words_add(w, "the host of ");
		xm_words_add(w, address);
		xm_words_add(w, " is not known: check the name");
		break;
	case -EINVAL:
		xm_words_add(w, address);
		xm_words_add(w, " is not an address: write SCHEME://HOST:PORT,"
				" such as ofi+tcp://host:7470, or"
				" ofi+shm://NAME");
		break;
	case -ENOKEY:
		xm_words_add(w, address);
		xm_words_add(w, " wants credentials: give auth=FILE, or set"
				" EXTMEM_AUTH; see extmem-auth(1)");
		break;
	case -EKEYEXPIRED:
	case -EKEYREVOKED:
	case -EKEYREJECTED:
		xm_words_add(w, "certificates of this side and of ");
		xm_words_add(w, address);
		xm_words_add(w, " do not agree; see extmem-auth(1)");
		break;
	case -EACCES:
		xm_words_add(w, "not permitted to connect to ");
		xm_words_add(w, address);
		break;
	default:
		xm_words_add(w, "cannot connect to ");
		xm_words_add(w, address);
		xm_words_add(w, " (errno ");
		xm_words_number(w, (uint64_t)-(int64_t)status);
		xm_words_add(w, ")");
	}
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
