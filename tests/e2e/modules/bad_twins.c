/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Module bad_twins: two methods with one id. Whom would a policy mean? */
#include <drpc/module.h>

static int nothing(struct drpc_request *request, const void *input, void *output)
{
	(void)request;
	(void)input;
	(void)output;
	return 0;
}

static const struct drpc_method methods[] = {
	{ .id = 0, .name = "one", .handler = nothing },
	{ .id = 0, .name = "other", .handler = nothing },
};

DRPC_MODULE = {
	.abi = DRPC_MODULE_ABI,
	.id = 904,
	.name = "bad_twins",
	.methods = methods,
	.method_count = 2,
};
