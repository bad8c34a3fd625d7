/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ciphers that seal pages (core/skin/cipher_parts.h): known answers of AES-256-GCM, the
 * same bytes from each, keys from files and variables, and no memory allocated while pages
 * are sealed and opened, not even when a tag is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/skin/cipher.h"
#include "core/skin/cipher_parts.h"
#include "tests/support/cunit.h"

static const struct xm_cipher_kind *const kinds[] = { &xm_cipher_openssl,
						      &xm_cipher_ipsec_mb };
static bool there[XM_COUNT(kinds)];

/* --- no allocation: these stand before libc's ----------------------------------- */

static bool forbidden;
static unsigned allocations;

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *malloc(size_t size)
{
	allocations += forbidden;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations += forbidden;
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	allocations += forbidden;
	return __libc_realloc(old, size);
}
#endif

/* --- known answers ---------------------------------------------------------------- */

static void bytes_of(const char *hex, uint8_t *ret)
{
	for (; hex[0] != '\0'; hex += 2) {
		char pair[3] = { hex[0], hex[1], '\0' };

		*ret++ = (uint8_t)strtoul(pair, NULL, 16);
	}
}

/* Test case 16 of McGrew and Viega's GCM specification, which NIST took over. */
static void a_known_answer(void)
{
	_Alignas(64) static uint8_t place[4096];
	uint8_t key[32], nonce[12], data[20], text[60], tag[16], want[60],
		want_tag[16], bytes[64];

	bytes_of("feffe9928665731c6d6a8f9467308308"
		 "feffe9928665731c6d6a8f9467308308", key);
	bytes_of("cafebabefacedbaddecaf888", nonce);
	bytes_of("feedfacedeadbeeffeedfacedeadbeefabaddad2", data);
	bytes_of("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39", text);
	bytes_of("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662", want);
	bytes_of("76fc6ece0f4e1768cddf8853bb2d551b", want_tag);
	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		if (!there[i])
			continue;
		CU_ASSERT_FATAL(kinds[i]->place_size <= sizeof(place));
		CU_ASSERT_TRUE_FATAL(kinds[i]->open(place));
		kinds[i]->set(place, key);
		memcpy(bytes, text, sizeof(text));
		kinds[i]->seal(place, nonce, data, sizeof(data), bytes,
			       sizeof(text), tag);
		CU_ASSERT_EQUAL(memcmp(bytes, want, sizeof(want)), 0);
		CU_ASSERT_EQUAL(memcmp(tag, want_tag, sizeof(tag)), 0);
		CU_ASSERT_TRUE(kinds[i]->unseal(place, nonce, data, sizeof(data),
						bytes, sizeof(text), tag));
		CU_ASSERT_EQUAL(memcmp(bytes, text, sizeof(text)), 0);
		kinds[i]->close(place);
	}
}

/* --- pages ------------------------------------------------------------------------- */

static const uint8_t key[XM_KEY_SIZE] = { 1, 2, 3 };
static const uint8_t salt[XM_NONCE_SIZE] = { 4, 5, 6 };
static const uint8_t other_salt[XM_NONCE_SIZE] = { 7 };

struct sealer {
	const struct xm_seal_ops *ops;
	struct xm_seal *seal;
};

static struct sealer sealer_open(unsigned kind)
{
	struct sealer s;

	CU_ASSERT_EQUAL_FATAL(xm_cipher_keys_open(kinds[kind], 2, key, salt,
						  &s.ops, &s.seal), 0);
	return s;
}

static struct xm_seal_page page_at(uint64_t page, uint64_t version)
{
	return (struct xm_seal_page){ .region = { { 7 } }, .page = page,
				      .version = version, .lane = 1 };
}

static void fill(uint8_t *bytes)
{
	for (unsigned i = 0; i < XM_PAGE; i++)
		bytes[i] = (uint8_t)(i * 7);
}

/* Over several epochs, forwards and back, so that keys are made again. */
static void all_give_the_same_bytes(void)
{
	static const uint64_t versions[] = {
		1, 2, 1 << 24, (1 << 24) + 1, 5 << 24, 9 << 24, 2,
		(UINT64_C(1) << 44) + 1,
	};
	_Alignas(8) static uint8_t first[XM_PAGE], other[XM_PAGE], plain[XM_PAGE];
	uint8_t tag[16], other_tag[16];
	struct sealer a, b;

	if (!there[0] || !there[1])
		return;
	fill(plain);
	a = sealer_open(0);
	b = sealer_open(1);
	for (unsigned i = 0; i < XM_COUNT(versions); i++) {
		struct xm_seal_page at = page_at(i, versions[i]);

		memcpy(first, plain, XM_PAGE);
		memcpy(other, plain, XM_PAGE);
		a.ops->seal(a.seal, &at, first, XM_PAGE, tag);
		b.ops->seal(b.seal, &at, other, XM_PAGE, other_tag);
		CU_ASSERT_EQUAL(memcmp(first, other, XM_PAGE), 0);
		CU_ASSERT_EQUAL(memcmp(tag, other_tag, sizeof(tag)), 0);
		CU_ASSERT_NOT_EQUAL(memcmp(first, plain, XM_PAGE), 0);
		CU_ASSERT_EQUAL(b.ops->open(b.seal, &at, first, XM_PAGE, tag), 0);
		CU_ASSERT_EQUAL(memcmp(first, plain, XM_PAGE), 0);
	}
	xm_cipher_close(a.seal);
	xm_cipher_close(b.seal);
}

static void what_is_wrong_is_not_opened(void)
{
	_Alignas(8) static uint8_t sealed[XM_PAGE], bytes[XM_PAGE], zeros[XM_PAGE];
	uint8_t tag[16], bad[16];
	uint16_t number;

	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		struct xm_seal_page at = page_at(3, 4), other;
		struct sealer s;

		if (!there[i])
			continue;
		s = sealer_open(i);
		CU_ASSERT_EQUAL(xm_cipher_key(s.seal, other_salt, &number), 0);
		CU_ASSERT_EQUAL(number, 1);
		fill(sealed);
		s.ops->seal(s.seal, &at, sealed, XM_PAGE, tag);
		for (unsigned wrong = 0; wrong < 6; wrong++) {
			memcpy(bytes, sealed, XM_PAGE);
			memcpy(bad, tag, sizeof(bad));
			other = at;
			switch (wrong) {
			case 0: bytes[4095] ^= 1; break;
			case 1: bad[0] ^= 128; break;
			case 2: other.page++; break;
			case 3: other.version++; break;
			case 4: other.region.bytes[15]++; break;
			default: other.key++; break;
			}
			CU_ASSERT_EQUAL(s.ops->open(s.seal, &other, bytes,
						    XM_PAGE, bad), -EBADMSG);
			CU_ASSERT_EQUAL(memcmp(bytes, zeros, XM_PAGE), 0);
		}
		/* And after all that the page still opens. */
		CU_ASSERT_EQUAL(s.ops->open(s.seal, &at, sealed, XM_PAGE, tag), 0);
		xm_cipher_close(s.seal);
	}
}

static void a_page_is_opened_under_the_key_of_its_number(void)
{
	struct xm_cipher_source next = { .key = { 9 }, .salted = true };
	_Alignas(8) static uint8_t old[XM_PAGE], new[XM_PAGE], bytes[XM_PAGE],
		plain[XM_PAGE];
	uint8_t old_tag[16], new_tag[16], salts[2][XM_SALT_SIZE];

	fill(plain);
	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		struct xm_seal_page at = page_at(3, 4), later = page_at(3, 4);
		struct sealer s;

		if (!there[i])
			continue;
		s = sealer_open(i);
		memcpy(old, plain, XM_PAGE);
		s.ops->seal(s.seal, &at, old, XM_PAGE, old_tag);
		if (i == 1)
			memcpy(next.key, key, sizeof(key)); /* of the same source, too */
		CU_ASSERT_EQUAL(xm_cipher_salt(s.seal, salts[0]), 0);
		CU_ASSERT_EQUAL(xm_cipher_renew(s.seal, &next, &later.key), 0);
		CU_ASSERT_EQUAL(later.key, 1);
		CU_ASSERT_EQUAL(xm_cipher_salt(s.seal, salts[1]), 0);
		CU_ASSERT_NOT_EQUAL(memcmp(salts[0], salts[1], XM_SALT_SIZE), 0);
		memcpy(new, plain, XM_PAGE);
		s.ops->seal(s.seal, &later, new, XM_PAGE, new_tag);
		CU_ASSERT_NOT_EQUAL(memcmp(old, new, XM_PAGE), 0);
		for (unsigned turn = 0; turn < 2; turn++) {
			memcpy(bytes, old, XM_PAGE);
			CU_ASSERT_EQUAL(s.ops->open(s.seal, &at, bytes, XM_PAGE,
						    old_tag), 0);
			CU_ASSERT_EQUAL(memcmp(bytes, plain, XM_PAGE), 0);
			memcpy(bytes, new, XM_PAGE);
			CU_ASSERT_EQUAL(s.ops->open(s.seal, &later, bytes, XM_PAGE,
						    new_tag), 0);
			CU_ASSERT_EQUAL(memcmp(bytes, plain, XM_PAGE), 0);
		}
		xm_cipher_forget(s.seal, 0, 0);
		xm_cipher_forget(s.seal, 0, 1);
		memcpy(bytes, new, XM_PAGE);
		CU_ASSERT_EQUAL(s.ops->open(s.seal, &later, bytes, XM_PAGE, new_tag),
				0);
		xm_cipher_close(s.seal);
	}
}

static void no_memory_is_allocated_on_the_way(void)
{
	_Alignas(8) static uint8_t bytes[XM_PAGE];
	uint8_t tag[16];

	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		struct sealer s;

		if (!there[i])
			continue;
		s = sealer_open(i);
		allocations = 0;
		forbidden = true;
		for (uint64_t n = 0; n < 64; n++) {
			struct xm_seal_page at = page_at(n, n << 22 | 1);

			s.ops->seal(s.seal, &at, bytes, XM_PAGE, tag);
			tag[0] ^= n & 1;
			CU_ASSERT_EQUAL(s.ops->open(s.seal, &at, bytes, XM_PAGE,
						    tag), n & 1 ? -EBADMSG : 0);
		}
		forbidden = false;
		CU_ASSERT_EQUAL(allocations, 0);
		xm_cipher_close(s.seal);
	}
}

/* --- keys -------------------------------------------------------------------------- */

static int opens(const char *source, char *words)
{
	const struct xm_seal_ops *ops;
	struct xm_seal *s = NULL;
	int rc = xm_cipher_open(source, 1, &ops, &s, words, 256);

	xm_cipher_close(s);
	return rc;
}

static void keys_come_from_where_they_are_said_to(void)
{
	char path[] = "/tmp/xm-key-XXXXXX", source[64], words[256];
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0 && (there[0] || there[1]));
	snprintf(source, sizeof(source), "file:%s", path);
	CU_ASSERT_EQUAL(write(fd, key, 31), 31);
	CU_ASSERT_EQUAL(opens(source, words), -EINVAL);
	CU_ASSERT_EQUAL(write(fd, key, 1), 1);
	CU_ASSERT_EQUAL(opens(source, words), 0);
	fchmod(fd, 0640);
	CU_ASSERT_EQUAL(opens(source, words), -EACCES);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "chmod 600"));
	close(fd);
	unlink(path);
	CU_ASSERT_EQUAL(opens(source, words), -ENOENT);
	CU_ASSERT_EQUAL(opens("environment:XM_NO_SUCH_KEY", words), -EINVAL);
	setenv("XM_KEY", "00112233445566778899AABBCCDDEEFF"
			 "00112233445566778899aabbccddeeff", 1);
	CU_ASSERT_EQUAL(opens("environment:XM_KEY", words), 0);
	CU_ASSERT_EQUAL(opens("credential:a/b", words), -ENOENT);
	CU_ASSERT_EQUAL(opens("", words), 0);
	CU_ASSERT_EQUAL(opens("nothing", words), -EINVAL);
}

/* The same source and the salt: another process opens it. Between its own pages, so that
 * keys are changed for each. */
static void what_another_process_has_sealed_is_opened_by_its_salt(void)
{
	_Alignas(8) static uint8_t bytes[2][XM_PAGE], plain[XM_PAGE];
	uint8_t tags[2][16], of_first[XM_SALT_SIZE];
	struct sealer s, first;
	uint16_t number;

	fill(plain);
	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		struct xm_seal_page at = page_at(3, 4);

		if (!there[i])
			continue;
		first = sealer_open(i);
		CU_ASSERT_EQUAL(xm_cipher_keys_open(kinds[i], 2, key, other_salt,
						    &s.ops, &s.seal), 0);
		CU_ASSERT_EQUAL(xm_cipher_salt(first.seal, of_first), 0);
		CU_ASSERT_EQUAL(xm_cipher_key(s.seal, of_first, &number), 0);
		CU_ASSERT_EQUAL(number, 1);
		CU_ASSERT_EQUAL(xm_cipher_key(s.seal, of_first, &number), 0);
		CU_ASSERT_EQUAL(number, 1);
		for (unsigned turn = 0; turn < 3; turn++) {
			memcpy(bytes[0], plain, XM_PAGE);
			memcpy(bytes[1], plain, XM_PAGE);
			at.key = 0;
			first.ops->seal(first.seal, &at, bytes[0], XM_PAGE, tags[0]);
			s.ops->seal(s.seal, &at, bytes[1], XM_PAGE, tags[1]);
			CU_ASSERT_NOT_EQUAL(memcmp(bytes[0], bytes[1], XM_PAGE), 0);
			at.key = 1;
			CU_ASSERT_EQUAL(s.ops->open(s.seal, &at, bytes[0], XM_PAGE,
						    tags[0]), 0);
			at.key = 0;
			CU_ASSERT_EQUAL(s.ops->open(s.seal, &at, bytes[1], XM_PAGE,
						    tags[1]), 0);
			CU_ASSERT_EQUAL(memcmp(bytes[0], plain, XM_PAGE), 0);
			CU_ASSERT_EQUAL(memcmp(bytes[1], plain, XM_PAGE), 0);
		}
		xm_cipher_close(s.seal);
		xm_cipher_close(first.seal);
		CU_ASSERT_EQUAL(xm_cipher_keys_open(kinds[i], 1, key, NULL, &s.ops,
						    &s.seal), 0);
		CU_ASSERT_EQUAL(xm_cipher_salt(s.seal, of_first), -ENOKEY);
		xm_cipher_close(s.seal);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_known_answer),
		XM_TEST(all_give_the_same_bytes),
		XM_TEST(what_is_wrong_is_not_opened),
		XM_TEST(what_another_process_has_sealed_is_opened_by_its_salt),
		XM_TEST(a_page_is_opened_under_the_key_of_its_number),
		XM_TEST(no_memory_is_allocated_on_the_way),
		XM_TEST(keys_come_from_where_they_are_said_to),
		CU_TEST_INFO_NULL,
	};
	char words[256];

	unsetenv("CREDENTIALS_DIRECTORY");
	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		there[i] = kinds[i]->load(words, sizeof(words)) == 0;
		if (!there[i])
			printf("%s is left out: %s\n", kinds[i]->name, words);
	}
	if (!there[0] && !there[1])
		return 77;
	return xm_tests_run("cipher", tests);
}
