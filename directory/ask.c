/* SPDX-License-Identifier: BSD-3-Clause */
/* See ask.h. Floor: skin. */
#include "directory/ask.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory/messages.h"

int xm_ask_begin(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

/* curl's; less than it was given ends the transfer. */
static size_t take(char *bytes, size_t one, size_t count, void *to)
{
	struct xm_asked *a = to;
	size_t size = one * count;
	char *text;

	if (size > XM_ASKED_MAX - a->size)
		return 0;
	text = realloc(a->text, a->size + size + 1);
	if (text == NULL)
		return 0;
	memcpy(text + a->size, bytes, size);
	a->text = text;
	a->size += size;
	return size;
}

/* Nothing of the environment, such as http_proxy, has a say. */
static bool set_up(CURL *curl, const char *url, const char *body, struct curl_slist *headers,
		   uint64_t timeout_ms, struct xm_asked *to)
{
	return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEDATA, to) == CURLE_OK;
}

static bool judge(const struct xm_asked *a, CURLcode code, struct xm_words *words)
{
	if (code != CURLE_OK) {
		xm_words_add(words, code == CURLE_WRITE_ERROR
					    ? "its answer is too large"
					    : curl_easy_strerror(code));
		return false;
	}
	if (a->status == 200)
		return true;
	xm_words_add(words, "HTTP status ");
	xm_words_number(words, (uint64_t)a->status);
	xm_words_add(words, " ");
	xm_answer_error(a->text, a->size, words);
	return false;
}

bool xm_ask_etcd(const char *endpoint, const char *path, const char *body,
		 uint64_t timeout_ms, struct xm_asked *ret, struct xm_words *words)
{
	struct curl_slist *headers =
		curl_slist_append(NULL, "Content-Type: application/json");
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	char url[256];

	memset(ret, 0, sizeof(*ret));
	snprintf(url, sizeof(url), "http://%s/v3/%s", endpoint, path);
	if (curl != NULL && headers != NULL && body != NULL &&
	    set_up(curl, url, body, headers, timeout_ms, ret)) {
		code = curl_easy_perform(curl);
		if (code == CURLE_OK)
			curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if (ret->text == NULL)
		ret->text = calloc(1, 1);
	xm_words_add(words, endpoint);
	xm_words_add(words, ": ");
	return judge(ret, code, words) && ret->text != NULL;
}
