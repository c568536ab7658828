/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Runs the groups of room service. */
#include "groups.h"

int main(void)
{
	int failed = 0;

	failed += register_tests();
	failed += process_tests();
	failed += later_tests();
	failed += payload_tests();
	failed += quota_tests();
	failed += memory_tests();
	return failed > 0;
}
