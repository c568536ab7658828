/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Module bad_start: its start function fails, and so must the daemon's start. */
#include <errno.h>

#include <drpc/module.h>

static int refuse(struct drpc_request *request, const void *input, void *output)
{
	(void)request;
	(void)input;
	(void)output;
	return -EIO;
}

static int start(void **ret_data)
{
	(void)ret_data;
	return -EIO;
}

static const struct drpc_method methods[] = { { .id = 0, .name = "refuse", .handler = refuse } };

DRPC_MODULE = {
	.abi = DRPC_MODULE_ABI,
	.id = 903,
	.name = "bad_start",
	.methods = methods,
	.method_count = 1,
	.start = start,
};
