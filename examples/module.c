/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A module: receives Terms, hands on their Sum. The framework unpacks the call's body into a Terms
 * before add() runs and encodes the Sum after it, because the method names both types.
 *
 * Built as adder.so, it is served by: drpcd --module-dir DIR --policy-dir DIR, with adder.policy.
 */
#include <drpc/drpc.h>

#include "adder.pb-c.h"

static int add(struct drpc_request *request, const void *input, void *output)
{
	const Adder__Terms *terms = input;
	Adder__Sum *sum = output;

	for (size_t i = 0; i < terms->n_term; i++) {
		if (__builtin_add_overflow(sum->sum, terms->term[i], &sum->sum))
			return drpc_request_fail(
				request, DRPC_STATUS_FAILURE, "overflow at %zu", i);
	}
	return 0;
}

static const struct drpc_method methods[] = {
	{
		.id = 0,
		.name = "add",
		.input = &adder__terms__descriptor,
		.output = &adder__sum__descriptor,
		.handler = add,
	},
};

DRPC_MODULE = {
	.abi = DRPC_MODULE_ABI,
	.id = 2000,
	.name = "adder",
	.methods = methods,
	.method_count = sizeof(methods) / sizeof(methods[0]),
};
