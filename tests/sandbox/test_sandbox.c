/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The sandbox's promises, one after the other: receives nothing, hands on how many are broken. */
#include "sandbox/child.h"

int main(void)
{
	return run_user_tests() + run_give_up_tests() + run_filter_tests() + run_keeper_tests();
}
