/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Module: a package of methods, and what a handler can ask and do while it handles a call.
 *
 * A module is a constant: an id, a name and a table of methods. A method with input and output
 * descriptors gets its payload unpacked and its output marshalled by the framework; one without
 * gets and gives bytes. A shared object is a module when it defines the symbol `drpc_module` with
 * DRPC_MODULE.
 */
#ifndef DRPC_MODULE_H
#define DRPC_MODULE_H

#include <stdbool.h>

#include <drpc/message.h>
#include <drpc/peer.h>
#include <drpc/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever struct drpc_module or struct drpc_method changes. */
#define DRPC_MODULE_ABI 1

/* One call under way. A handler sees it for as long as its method's mode says. */
struct drpc_request;

/* How a method's handler is run. */
enum drpc_method_mode {
	DRPC_METHOD_NOW = 0,  /* on the loop, at once: it must not wait for anything */
	DRPC_METHOD_BLOCKING, /* on a worker thread: it may wait */
	DRPC_METHOD_LATER, /* on the loop, and may return DRPC_PENDING: see drpc_request_answer() */
};

/* What the handler of a LATER method returns when the answer comes later. */
#define DRPC_PENDING 1

/**
 * drpc_handler - handle one call
 * @input:  the unpacked payload, of the method's input type; NULL for a method without one, which
 *          reads drpc_request_call()->body
 * @output: a message of the method's output type, initialised, to be filled; what it points to must
 *          come from drpc_request_alloc(), the input, or be static. NULL for a method without one,
 *          which may call drpc_request_set_body()
 *
 * Returns 0: the call succeeded. DRPC_FAILURE(status), or what drpc_request_fail() returned: it is
 * answered with that status. Another negative number: FAILURE. DRPC_PENDING: see above.
 * @input, @output and all that hangs on them live until the call is answered.
 */
typedef int drpc_handler(struct drpc_request *request, const void *input, void *output);

struct drpc_method {
	int32_t id;
	const char *name; /* as policies and logs write it */
	enum drpc_method_mode mode;
	const ProtobufCMessageDescriptor *input;  /* NULL: raw bytes */
	const ProtobufCMessageDescriptor *output; /* NULL: raw bytes */
	drpc_handler *handler;
};

struct drpc_module {
	uint32_t abi; /* DRPC_MODULE_ABI */
	int32_t id;
	const char *name;
	const struct drpc_method *methods;
	size_t method_count;

	/*
	 * Optional. start runs once, after the process gave up its privileges and before it serves:
	 * the place to start threads, which must not be started earlier. A negative errno ends the
	 * start. stop runs once after the last call. What start puts in *ret_data is
	 * drpc_request_data().
	 */
	int (*start)(void **ret_data);
	void (*stop)(void *data);
};

/* The symbol that a module's shared object exports, and its definition: DRPC_MODULE = { ... }; */
#define DRPC_MODULE_SYMBOL "drpc_module"
#define DRPC_MODULE	   __attribute__((visibility("default"))) const struct drpc_module drpc_module

/**
 * drpc_module_method - the method of an id, or NULL: the module has no such method
 */
const struct drpc_method *drpc_module_method(const struct drpc_module *module, int32_t id);

/** drpc_request_call - the Call, as it was received; its body lives until the call is answered */
const struct drpc_call *drpc_request_call(const struct drpc_request *request);

/** drpc_request_peer - who calls; lives until the call is answered */
const struct drpc_peer *drpc_request_peer(const struct drpc_request *request);

/** drpc_request_data - what the module's start put in *ret_data */
void *drpc_request_data(const struct drpc_request *request);

/**
 * drpc_request_pidfd - a descriptor of the process that connected, free of PID reuse
 *
 * Only in the handler of a NOW method. Returns a descriptor, the caller's to close, or -EOPNOTSUPP:
 * the kernel has none before 6.5, -ESRCH: the process is gone, -EBADF: not in such a handler.
 */
int drpc_request_pidfd(const struct drpc_request *request);

/**
 * drpc_request_alloc - zeroed memory that lives until the call is answered
 * @size: bytes
 *
 * Returns NULL when out of memory or when the call has used up its budget.
 */
void *drpc_request_alloc(struct drpc_request *request, size_t size);

/** drpc_request_printf - format into such memory. Returns NULL as drpc_request_alloc(). */
char *drpc_request_printf(struct drpc_request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * drpc_request_set_body - the output of a method without an output type
 * @body: from drpc_request_alloc(), the call's own body, or static. Not copied
 */
void drpc_request_set_body(struct drpc_request *request, const void *body, size_t size);

/**
 * drpc_request_fail - fail the call, and say why to the log (never to the peer)
 *
 * Returns DRPC_FAILURE(status), to be returned by the handler; FAILURE in place of SUCCESS.
 */
int drpc_request_fail(struct drpc_request *request, enum drpc_status status, const char *format,
	...) __attribute__((format(printf, 3, 4)));

/**
 * drpc_request_answer - answer a call whose handler returned DRPC_PENDING
 * @result: what the handler would have returned
 *
 * Once for each such call, from any thread, also when the client is gone. The request and all of
 * its memory are gone when this returns.
 */
void drpc_request_answer(struct drpc_request *request, int result);

/** drpc_request_is_cancelled - whether the client went away or the server stops. Any thread. */
bool drpc_request_is_cancelled(const struct drpc_request *request);

/**
 * drpc_request_on_cancel - be told when the client goes away, for a LATER method
 * @function: runs on the loop, at most once, never after drpc_request_answer(); it may answer. It
 * must not take a lock under which another thread answers: each would wait for the other
 *
 * In the handler, before it returns. Returns 0, or -EINVAL: not a LATER method.
 */
int drpc_request_on_cancel(struct drpc_request *request,
	void (*function)(struct drpc_request *request, void *data), void *data);

#ifdef __cplusplus
}
#endif

#endif
