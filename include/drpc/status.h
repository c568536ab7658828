/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Status: what a Response says of its call, and how an error becomes one.
 *
 * An error in this library is an int: 0 is success, -1 to -4095 are errno values, and below those
 * stand the failures of the protocol, one for each status. So one return value of a handler can say
 * "out of memory" and "the payload is malformed" alike, and neither can be taken for the other.
 */
#ifndef DRPC_STATUS_H
#define DRPC_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum drpc_status {
	DRPC_STATUS_SUCCESS = 0,
	DRPC_STATUS_SUBMITTED = 1,
	DRPC_STATUS_FAILURE = 2,
	DRPC_STATUS_UNKNOWN_MODULE = 3,
	DRPC_STATUS_UNKNOWN_METHOD = 4,
	DRPC_STATUS_FAILED_UNMARSHAL_CALL = 5,
	DRPC_STATUS_FAILED_UNMARSHAL_PAYLOAD = 6,
	DRPC_STATUS_FAILED_MARSHAL = 7,
	DRPC_STATUS_PERMISSION_DENIED = 8,
	DRPC_STATUS_BUSY = 9,
};

/* The failure that carries @status as an error: negative, and never an errno value. */
#define DRPC_FAILURE(status) (-0x10000 - (int)(status))

/**
 * drpc_status_name - the name of a status on the wire, "SUCCESS", "BUSY", ...
 *
 * Returns a static string; NULL for a number that is no status. Any thread.
 */
const char *drpc_status_name(int32_t status);

/**
 * drpc_status_value - the status of a name, the opposite of drpc_status_name()
 * @ret_status: untouched on failure
 *
 * Returns 0, or -ENOENT: there is no status of that name (the caller). Any thread.
 */
int drpc_status_value(const char *name, enum drpc_status *ret_status);

/**
 * drpc_status_text - a status in words for a person: "the module has no such method"
 *
 * Returns a static string, "unknown status" for a number that is none. Any thread.
 */
const char *drpc_status_text(int32_t status);

/**
 * drpc_error_status - the status that an error is answered with
 * @error: what a handler or a function of this library returned
 *
 * 0 is SUCCESS, DRPC_FAILURE(s) is s, anything else is FAILURE. Any thread.
 */
enum drpc_status drpc_error_status(int error);

/**
 * drpc_error_text - an error in words for a person
 * @error: what a handler or a function of this library returned
 *
 * Returns a string that lives as long as the thread's next call of strerror(). Any thread.
 */
const char *drpc_error_text(int error);

#ifdef __cplusplus
}
#endif

#endif
