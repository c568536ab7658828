/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Message: payloads and envelopes in one piece, and as text. */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/message.h>
#include <drpc/status.h>

#include "drpc.pb-c.h"
#include "fail_alloc.h"

static void test_drpc_marshal_writes_what_protobuf_c_writes(void **state)
{
	static const uint8_t expected[] = { 0x08, 3, 0x22, 2, 'h', 'i' };
	uint8_t body[] = { 'h', 'i' };
	Drpc__Call payload = DRPC__CALL__INIT;
	uint8_t *bytes;
	size_t size;

	(void)state;
	payload.module = 3;
	payload.body = (ProtobufCBinaryData){ .len = sizeof(body), .data = body };
	assert_int_equal(drpc_marshal(&payload.base, &bytes, &size), 0);
	assert_int_equal(size, sizeof(expected));
	assert_memory_equal(bytes, expected, size);
	free(bytes);
}

static void test_drpc_marshal_gives_an_empty_payload_memory_too(void **state)
{
	Drpc__Call payload = DRPC__CALL__INIT;
	uint8_t *bytes = NULL;
	size_t size = 1;

	(void)state;
	assert_int_equal(drpc_marshal(&payload.base, &bytes, &size), 0);
	assert_non_null(bytes);
	assert_int_equal(size, 0);
	free(bytes);
}

/* Nothing of the body is read: it is too large by its size alone. */
static void test_drpc_marshal_refuses_above_the_limit(void **state)
{
	Drpc__Call payload = DRPC__CALL__INIT;
	uint8_t byte = 0;
	uint8_t *bytes = &byte;
	size_t size = 42;

	(void)state;
	payload.body = (ProtobufCBinaryData){ .len = DRPC_MESSAGE_MAX_BYTES - 4, .data = &byte };
	assert_int_equal(drpc_marshal(&payload.base, &bytes, &size), -EMSGSIZE);
	assert_ptr_equal(bytes, &byte);
	assert_int_equal(size, 42);
}

static void test_drpc_call_marshal_and_unmarshal_agree(void **state)
{
	const struct drpc_call call = { .module = 1001,
		.method = -2,
		.sequence = 1234567890123,
		.body = (const uint8_t *)"body",
		.body_size = 4 };
	struct drpc_call back;
	uint8_t *bytes;
	size_t size;

	(void)state;
	assert_int_equal(drpc_call_marshal(&call, &bytes, &size), 0);
	assert_int_equal(drpc_call_unmarshal(bytes, size, &back), 0);
	assert_int_equal(back.module, call.module);
	assert_int_equal(back.method, call.method);
	assert_int_equal(back.sequence, call.sequence);
	assert_int_equal(back.body_size, 4);
	assert_memory_equal(back.body, "body", 4);
	free(bytes);
}

static void test_drpc_response_marshal_and_unmarshal_agree(void **state)
{
	const struct drpc_response response = { .sequence = -1,
		.status = DRPC_STATUS_BUSY,
		.body = (const uint8_t *)"body",
		.body_size = 4 };
	struct drpc_response back;
	uint8_t *bytes;
	size_t size;

	(void)state;
	assert_int_equal(drpc_response_marshal(&response, &bytes, &size), 0);
	assert_int_equal(drpc_response_unmarshal(bytes, size, &back), 0);
	assert_int_equal(back.sequence, -1);
	assert_int_equal(back.status, DRPC_STATUS_BUSY);
	assert_int_equal(back.body_size, 4);
	assert_memory_equal(back.body, "body", 4);
	free(bytes);
}

/* A body of which the tag and length take 5 bytes, at the limit's edge and one above. */
static void test_drpc_call_marshal_applies_the_limit_at_its_edge(void **state)
{
	uint8_t *body = calloc(1, DRPC_MESSAGE_MAX_BYTES);
	struct drpc_call call = { .body = body, .body_size = DRPC_MESSAGE_MAX_BYTES - 5 };
	uint8_t *bytes = NULL;
	size_t size = 0;

	(void)state;
	assert_int_equal(drpc_call_marshal(&call, &bytes, &size), 0);
	assert_int_equal(size, DRPC_MESSAGE_MAX_BYTES);
	free(bytes);
	call.body_size++;
	assert_int_equal(drpc_call_marshal(&call, &bytes, &size), -EMSGSIZE);
	call.body_size = SIZE_MAX;
	assert_int_equal(drpc_call_marshal(&call, &bytes, &size), -EMSGSIZE);
	free(body);
}

static void test_drpc_marshal_functions_report_want_of_memory(void **state)
{
	const struct drpc_response response = { 0 };
	const struct drpc_call call = { 0 };
	Drpc__Call payload = DRPC__CALL__INIT;
	uint8_t *bytes = NULL;
	size_t size;

	(void)state;
	fail_alloc_after(0);
	assert_int_equal(drpc_marshal(&payload.base, &bytes, &size), -ENOMEM);
	fail_alloc_after(0);
	assert_int_equal(drpc_call_marshal(&call, &bytes, &size), -ENOMEM);
	fail_alloc_after(0);
	assert_int_equal(drpc_response_marshal(&response, &bytes, &size), -ENOMEM);
	fail_alloc_off();
	assert_null(bytes);
}

static void test_drpc_call_text_is_one_line_that_fits(void **state)
{
	const struct drpc_call call = { .module = 1, .method = -2, .sequence = 3, .body_size = 7 };
	char text[100];
	char small[8];

	(void)state;
	assert_string_equal(
		drpc_call_text(&call, text, sizeof(text)), "module=1 method=-2 sequence=3 body=7");
	assert_string_equal(drpc_call_text(&call, small, sizeof(small)), "module=");
}

static void test_drpc_response_text_names_the_status_or_prints_its_number(void **state)
{
	struct drpc_response response = { .sequence = -1, .status = DRPC_STATUS_BUSY };
	char text[100];

	(void)state;
	assert_string_equal(drpc_response_text(&response, text, sizeof(text)),
		"sequence=-1 status=BUSY body=0");
	response.status = 99;
	assert_string_equal(
		drpc_response_text(&response, text, sizeof(text)), "sequence=-1 status=99 body=0");
}

int message_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drpc_marshal_writes_what_protobuf_c_writes),
		cmocka_unit_test(test_drpc_marshal_gives_an_empty_payload_memory_too),
		cmocka_unit_test(test_drpc_marshal_refuses_above_the_limit),
		cmocka_unit_test(test_drpc_call_marshal_and_unmarshal_agree),
		cmocka_unit_test(test_drpc_response_marshal_and_unmarshal_agree),
		cmocka_unit_test(test_drpc_call_marshal_applies_the_limit_at_its_edge),
		cmocka_unit_test(test_drpc_marshal_functions_report_want_of_memory),
		cmocka_unit_test(test_drpc_call_text_is_one_line_that_fits),
		cmocka_unit_test(test_drpc_response_text_names_the_status_or_prints_its_number),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
