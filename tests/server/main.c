/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Runs the groups of room server. */
#include "groups.h"

int main(void)
{
	int failed = 0;

	failed += listener_tests();
	failed += channel_tests();
	failed += single_tests();
	failed += lifecycle_tests();
	failed += calls_tests();
	failed += under_way_tests();
	failed += limits_tests();
	return failed > 0;
}
