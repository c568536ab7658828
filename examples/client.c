/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A client: receives a socket and numbers, prints their sum, which method 0 of module 2000 makes.
 * Usage: client SOCKET NUMBER...
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <drpc/drpc.h>

#include "adder.pb-c.h"

#define TIMEOUT_MS 5000

/* What the server answered: a refusal is an answer too, and only SUCCESS has a body. */
static int print_sum(const struct drpc_response *response)
{
	Adder__Sum *sum;

	if (response->status != DRPC_STATUS_SUCCESS)
		return DRPC_FAILURE(response->status);
	sum = adder__sum__unpack(NULL, response->body_size, response->body);
	if (sum == NULL)
		return -EBADMSG;
	printf("%lld\n", (long long)sum->sum);
	adder__sum__free_unpacked(sum, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	int64_t numbers[64];
	Adder__Terms terms = ADDER__TERMS__INIT;
	struct drpc_client *client = NULL;
	struct drpc_response *response = NULL;
	uint8_t *body = NULL;
	size_t size = 0;
	int r;

	terms.term = numbers;
	for (int i = 2; i < argc && terms.n_term < 64; i++)
		numbers[terms.n_term++] = strtoll(argv[i], NULL, 10);
	r = drpc_client_new(argc > 1 ? argv[1] : "", &client);
	if (r == 0)
		r = drpc_client_connect(client, TIMEOUT_MS);
	if (r == 0)
		r = drpc_marshal(&terms.base, &body, &size);
	if (r == 0)
		r = drpc_client_call(client, 2000, 0, body, size, TIMEOUT_MS, &response);
	if (r == 0)
		r = print_sum(response);
	if (r < 0)
		fprintf(stderr, "client: %s\n", drpc_error_text(r));
	drpc_response_free(response);
	free(body);
	drpc_client_free(client);
	return r < 0;
}
