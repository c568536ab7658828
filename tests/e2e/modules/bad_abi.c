/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Module bad_abi: built against headers of another time. It must not be loaded. */
#include <drpc/module.h>

DRPC_MODULE = { .abi = DRPC_MODULE_ABI + 1, .id = 902, .name = "bad_abi" };
