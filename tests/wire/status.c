/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Status: names and numbers are the wire's; errors become statuses and words. */
#include "groups.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <drpc/status.h>

#include "drpc.pb-c.h"

/* The names and numbers of drpc.proto are the reference. */
static void test_drpc_status_name_and_value_are_those_of_the_proto(void **state)
{
	const ProtobufCEnumDescriptor *proto = &drpc__status__descriptor;

	(void)state;
	assert_int_equal(proto->n_values, DRPC_STATUS_BUSY + 1);
	for (unsigned i = 0; i < proto->n_values; i++) {
		enum drpc_status status = DRPC_STATUS_FAILURE;

		assert_string_equal(
			drpc_status_name(proto->values[i].value), proto->values[i].name);
		assert_int_equal(drpc_status_value(proto->values[i].name, &status), 0);
		assert_int_equal(status, proto->values[i].value);
	}
}

static void test_drpc_status_functions_know_what_is_no_status(void **state)
{
	static const int32_t unknown[] = { -1, 10, 11, INT32_MAX, INT32_MIN };
	enum drpc_status status = DRPC_STATUS_BUSY;

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_null(drpc_status_name(unknown[i]));
		assert_string_equal(drpc_status_text(unknown[i]), "unknown status");
	}
	assert_int_equal(drpc_status_value("success", &status), -ENOENT);
	assert_int_equal(drpc_status_value("", &status), -ENOENT);
	assert_int_equal(status, DRPC_STATUS_BUSY);
}

static void test_drpc_status_text_differs_for_each_status(void **state)
{
	(void)state;
	for (int32_t i = 0; i <= DRPC_STATUS_BUSY; i++)
		for (int32_t j = -1; j < i; j++)
			assert_string_not_equal(drpc_status_text(i), drpc_status_text(j));
}

static void test_drpc_error_status_tells_failures_from_errnos(void **state)
{
	(void)state;
	assert_int_equal(drpc_error_status(0), DRPC_STATUS_SUCCESS);
	for (int i = 0; i <= DRPC_STATUS_BUSY; i++)
		assert_int_equal(drpc_error_status(DRPC_FAILURE(i)), i);
	assert_int_equal(drpc_error_status(DRPC_FAILURE(10)), DRPC_STATUS_FAILURE);
	assert_int_equal(drpc_error_status(-0x10000 + 1), DRPC_STATUS_FAILURE);
	assert_int_equal(drpc_error_status(-ENOMEM), DRPC_STATUS_FAILURE);
	assert_int_equal(drpc_error_status(-4095), DRPC_STATUS_FAILURE);
	assert_int_equal(drpc_error_status(1), DRPC_STATUS_FAILURE);
	assert_int_equal(drpc_error_status(INT_MIN), DRPC_STATUS_FAILURE);
	assert_int_equal(drpc_error_status(INT_MAX), DRPC_STATUS_FAILURE);
}

static void test_drpc_error_text_speaks_of_both(void **state)
{
	(void)state;
	assert_string_equal(drpc_error_text(-ENOENT), strerror(ENOENT));
	for (int i = 0; i <= DRPC_STATUS_BUSY; i++)
		assert_string_equal(drpc_error_text(DRPC_FAILURE(i)), drpc_status_text(i));
	assert_string_equal(drpc_error_text(DRPC_FAILURE(10)), "unknown status");
	assert_string_equal(drpc_error_text(INT_MIN), "unknown status");
	assert_non_null(drpc_error_text(0));
	assert_non_null(drpc_error_text(INT_MAX));
}

int status_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drpc_status_name_and_value_are_those_of_the_proto),
		cmocka_unit_test(test_drpc_status_functions_know_what_is_no_status),
		cmocka_unit_test(test_drpc_status_text_differs_for_each_status),
		cmocka_unit_test(test_drpc_error_status_tells_failures_from_errnos),
		cmocka_unit_test(test_drpc_error_text_speaks_of_both),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
