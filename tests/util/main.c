/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tests of util: arena, log, INI, problems and trusted files. */
#include "groups.h"

int main(void)
{
	return arena_tests() + log_tests() + problems_tests() + ini_tests() + trusted_file_tests() >
	       0;
}
