/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Status: receives a status, its name, or an error; hands on one of the others.
 */
#include <drpc/status.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "util/cleanup.h"

static const struct {
	const char *name;
	const char *text;
} statuses[] = {
	[DRPC_STATUS_SUCCESS] = { "SUCCESS", "the call succeeded" },
	[DRPC_STATUS_SUBMITTED] = { "SUBMITTED", "the call was queued, to be done later" },
	[DRPC_STATUS_FAILURE] = { "FAILURE", "the method failed" },
	[DRPC_STATUS_UNKNOWN_MODULE] = { "UNKNOWN_MODULE", "the server has no such module" },
	[DRPC_STATUS_UNKNOWN_METHOD] = { "UNKNOWN_METHOD", "the module has no such method" },
	[DRPC_STATUS_FAILED_UNMARSHAL_CALL] = { "FAILED_UNMARSHAL_CALL",
		"the message is not a call" },
	[DRPC_STATUS_FAILED_UNMARSHAL_PAYLOAD] = { "FAILED_UNMARSHAL_PAYLOAD",
		"the body is not what the method takes" },
	[DRPC_STATUS_FAILED_MARSHAL] = { "FAILED_MARSHAL",
		"the method's output could not be encoded" },
	[DRPC_STATUS_PERMISSION_DENIED] = { "PERMISSION_DENIED",
		"the server's policy does not allow this call" },
	[DRPC_STATUS_BUSY] = { "BUSY", "a limit of the server was reached; try again later" },
};

/* -1 if the number is no status. */
static int status_index(int64_t status)
{
	return status >= 0 && status < (int64_t)ARRAY_SIZE(statuses) ? (int)status : -1;
}

/* The number in DRPC_FAILURE(number); negative for other errors. */
static int64_t failure_number(int error)
{
	return (int64_t)DRPC_FAILURE(0) - error;
}

const char *drpc_status_name(int32_t status)
{
	int i = status_index(status);

	return i < 0 ? NULL : statuses[i].name;
}

int drpc_status_value(const char *name, enum drpc_status *ret_status)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		if (strcmp(statuses[i].name, name) == 0) {
			*ret_status = (enum drpc_status)i;
			return 0;
		}
	}
	return -ENOENT;
}

const char *drpc_status_text(int32_t status)
{
	int i = status_index(status);

	return i < 0 ? "unknown status" : statuses[i].text;
}

enum drpc_status drpc_error_status(int error)
{
	int i = status_index(failure_number(error));

	if (error == 0)
		return DRPC_STATUS_SUCCESS;
	return i < 0 ? DRPC_STATUS_FAILURE : (enum drpc_status)i;
}

const char *drpc_error_text(int error)
{
	int64_t number = failure_number(error);

	if (number >= 0)
		return drpc_status_text(number <= INT32_MAX ? (int32_t)number : -1);
	return error <= 0 ? strerror(-error) : strerror(error);
}
