/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of cli/authority_issued.c: the list of what an authority has issued. */
#include <string.h>

#include "cli/authority.h"
#include "common/base.h"
#include "tests/support/cunit.h"

static void a_list_of_certificates_is_read_strictly(void)
{
#define SERIAL "0123456789abcdef0123456789abcdef"
	static const char *const wrong[] = {
		"", " ", SERIAL, SERIAL " ", SERIAL " bob", "x bob client 1 good",
		"0" SERIAL " bob client 1 good", SERIAL "  bob client 1 good",
		SERIAL " b/b client 1 good", SERIAL " bob clients 1 good",
		SERIAL " bob client", SERIAL " bob client 1", SERIAL " bob client -1 good",
		SERIAL " bob client 1x good", SERIAL " bob client 1 goods",
		SERIAL " bob client 1 good ", SERIAL " bob client 1 good x",
		SERIAL " bob client 1234567890123 good",
		SERIAL " a2345678901234567890123456789012345678901234567890123456"
		       "78901234 client 1 good",
	};
	struct authority_entry e, untouched;

	CU_ASSERT_TRUE(authority_parse(SERIAL " bob client 1800000000 good", &e));
	CU_ASSERT_STRING_EQUAL(e.serial, SERIAL);
	CU_ASSERT_STRING_EQUAL(e.name, "bob");
	CU_ASSERT(e.role == AUTHORITY_CLIENT && e.until == 1800000000 && !e.revoked);
	CU_ASSERT_TRUE(authority_parse(SERIAL " b.-_9 appliance 0 revoked", &e));
	CU_ASSERT(e.role == AUTHORITY_APPLIANCE && e.until == 0 && e.revoked);
	untouched = e;
	for (unsigned i = 0; i < XM_COUNT(wrong); i++) {
		if (authority_parse(wrong[i], &e))
			printf("    %s\n", wrong[i]);
		CU_ASSERT_EQUAL(memcmp(&e, &untouched, sizeof(e)), 0);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_list_of_certificates_is_read_strictly),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("issued", tests);
}
