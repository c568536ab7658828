/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Request: see request.h. The steps are in the order in which a call takes them. */
#include "service/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <drpc/sandbox.h>

#include "service/payload.h"
#include "util/cleanup.h"
#include "wire/envelope.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* What a handler may take beyond what its output may have: room for its own structures. */
#define HANDLER_BUDGET_EXTRA ((size_t)1024 * 1024)

void request_begin(struct drpc_request *request, struct drpc_service *service,
	const struct drpc_peer *peer, struct quota_user *user, struct arena *arena, int socket)
{
	*request = (struct drpc_request){
		.service = service,
		.peer = peer,
		.user = user,
		.socket = socket,
		.arena = arena,
	};
}

static void report(struct drpc_request *request, enum drpc_event_kind kind,
	const struct drpc_verdict *verdict, const char *reason)
{
	request->is_reported = true;
	service_report(request->service,
		&(struct drpc_event){
			.kind = kind,
			.peer = request->peer,
			.call = &request->call,
			.module = request->module != NULL ? request->module->module : NULL,
			.method = request->method,
			.verdict = verdict,
			.status = request->response.status,
			.reason = reason,
		});
}

static void respond(struct drpc_request *request, enum drpc_status status)
{
	request->response = (struct drpc_response){
		.sequence = request->call.sequence,
		.status = (int32_t)status,
	};
}

static bool refuse(struct drpc_request *request, enum drpc_status status)
{
	respond(request, status);
	return false;
}

/* There is no call that an event could be about. */
static bool refuse_undecodable(struct drpc_request *request)
{
	request->call = (struct drpc_call){ .sequence = DRPC_SEQUENCE_NONE };
	refuse(request, DRPC_STATUS_FAILED_UNMARSHAL_CALL);
	request->is_reported = true;
	service_report(request->service, &(struct drpc_event){
						 .kind = DRPC_EVENT_FAIL,
						 .peer = request->peer,
						 .status = request->response.status,
						 .reason = "the message is not a Call",
					 });
	return false;
}

static bool refuse_denied(struct drpc_request *request, const struct drpc_verdict *verdict)
{
	refuse(request, DRPC_STATUS_PERMISSION_DENIED);
	report(request, DRPC_EVENT_DENY, verdict, verdict->reason);
	return false;
}

void request_refuse_busy(struct drpc_request *request, const char *limit)
{
	refuse(request, DRPC_STATUS_BUSY);
	report(request, DRPC_EVENT_LIMIT, NULL, limit);
}

/* The limits of the module's policy. NULL: none was hit. */
static const char *hit_limit(struct drpc_request *request, uint64_t now_ns)
{
	const struct drpc_policy_limits *limits = drpc_policy_limits(request->module->policy);
	size_t index = (size_t)(request->module - request->service->modules);

	if (limits->max_call_size != 0 && request->call.body_size > limits->max_call_size)
		return "max-call-size";
	return quota_begin_call(request->user, index, limits, now_ns, &request->is_counted);
}

bool request_judge(
	struct drpc_request *request, const uint8_t *message, size_t size, uint64_t now_ns)
{
	struct drpc_verdict verdict;
	const char *limit;

	if (envelope_decode_call(message, size, &request->call) < 0)
		return refuse_undecodable(request);
	request->module = service_find(request->service, request->call.module);
	if (request->module == NULL)
		return refuse(request, DRPC_STATUS_UNKNOWN_MODULE);
	request->method = drpc_module_method(request->module->module, request->call.method);

	verdict = drpc_policy_judge(request->module->policy, request->peer, request->call.method);
	if (verdict.decision != DRPC_ALLOW)
		return refuse_denied(request, &verdict);
	if (request->method == NULL)
		return refuse(request, DRPC_STATUS_UNKNOWN_METHOD);
	limit = hit_limit(request, now_ns);
	if (limit != NULL)
		request_refuse_busy(request, limit);
	return limit == NULL;
}

static int init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t recursive;
	int r;

	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	r = pthread_mutex_init(lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	return -r;
}

/* The body's bytes must outlive the loop's buffer. */
static int keep_body(struct kept *kept, struct message *message)
{
	struct drpc_call *call = &kept->request.call;

	if (message->buffer != NULL) {
		kept->message = take_ptr(message->buffer);
		return 0;
	}
	if (call->body_size == 0)
		return 0;
	kept->message = malloc(call->body_size);
	if (kept->message == NULL)
		return -ENOMEM;
	memcpy(kept->message, call->body, call->body_size);
	call->body = kept->message;
	return 0;
}

int request_keep(
	const struct drpc_request *request, struct message *message, struct kept **ret_kept)
{
	size_t bytes =
		sizeof(struct kept) + (message->buffer != NULL ? message->capacity : message->size);
	struct kept *kept;
	int r;

	if (!quota_take_bytes(&request->service->quota, request->user, bytes))
		return -ENOBUFS;
	kept = calloc(1, sizeof(*kept));
	if (kept == NULL)
		goto give_back;
	kept->request = *request;
	r = init_lock(&kept->lock);
	if (r < 0)
		goto free_kept;
	r = keep_body(kept, message);
	if (r < 0)
		goto destroy_lock;
	arena_init(&kept->arena);
	kept->request.arena = &kept->arena;
	kept->request.kept = kept;
	kept->request.socket = -1;
	kept->bytes_charged = bytes;
	*ret_kept = kept;
	return 0;

destroy_lock:
	pthread_mutex_destroy(&kept->lock);
free_kept:
	free(kept);
give_back:
	quota_give_bytes(request->user, bytes);
	return -ENOMEM;
}

void kept_free(struct kept *kept)
{
	quota_give_bytes(kept->request.user, kept->bytes_charged);
	pthread_mutex_destroy(&kept->lock);
	arena_deinit(&kept->arena);
	free(kept->message);
	free(kept);
}

static int unpack_input(struct drpc_request *request, const ProtobufCMessage **ret_input)
{
	const struct drpc_call *call = &request->call;
	int r;

	if (request->method->input == NULL)
		return 0;
	r = payload_unpack(
		request->method->input, call->body, call->body_size, request->arena, ret_input);
	switch (r) {
	case 0:
		return 0;
	case -ENOMEM:
		return drpc_request_fail(request, DRPC_STATUS_FAILURE, "out of memory");
	case -E2BIG:
		return drpc_request_fail(request, DRPC_STATUS_BUSY,
			"the payload needs more memory than a payload of its size may");
	case -ELOOP:
		return drpc_request_fail(request, DRPC_STATUS_FAILED_UNMARSHAL_PAYLOAD,
			"the payload is nested more than %d deep", PAYLOAD_MAX_DEPTH);
	default:
		return drpc_request_fail(request, DRPC_STATUS_FAILED_UNMARSHAL_PAYLOAD,
			"the payload is not a %s", request->method->input->name);
	}
}

static int make_output(struct drpc_request *request)
{
	const ProtobufCMessageDescriptor *type = request->method->output;

	if (type == NULL)
		return 0;
	request->output = arena_alloc(request->arena, type->sizeof_message);
	if (request->output == NULL)
		return -ENOMEM;
	protobuf_c_message_init(type, request->output);
	return 0;
}

/* What was unpacked lasts as long as the call, and so is its caller's to answer for. */
static int charge_input(struct kept *kept)
{
	size_t held = arena_held(&kept->arena);

	if (!quota_take_bytes(&kept->request.service->quota, kept->request.user, held))
		return drpc_request_fail(&kept->request, DRPC_STATUS_BUSY, "max-bytes-per-uid");
	kept->bytes_charged += held;
	return 0;
}

static int run_handler(struct drpc_request *request)
{
	const ProtobufCMessage *input = NULL;
	int r;

	arena_set_budget(request->arena, PAYLOAD_BUDGET_FLOOR);
	r = unpack_input(request, &input);
	if (r == 0 && request->kept != NULL)
		r = charge_input(request->kept);
	if (r < 0)
		return r;
	arena_set_budget(request->arena, request->service->max_message_size + HANDLER_BUDGET_EXTRA);
	r = make_output(request);
	if (r < 0)
		return r;
	drpc_sandbox_running(request->module->module->name, request->method->name);
	r = request->method->handler(request, input, request->output);
	drpc_sandbox_running(NULL, NULL);
	return r;
}

/* Whether the response's message, envelope and all, is no larger than messages may be. */
static bool response_fits(const struct drpc_request *request)
{
	uint8_t head[ENVELOPE_HEAD_MAX];
	size_t max = atomic_load(&request->service->max_message_size);
	size_t head_size = envelope_encode_response(&request->response, head);

	return head_size <= max && request->response.body_size <= max - head_size;
}

/* The output of a handler that succeeded. */
static int marshal_output(struct drpc_request *request)
{
	struct drpc_response *response = &request->response;
	int r = 0;

	response->sequence = request->call.sequence;
	if (request->output != NULL)
		r = payload_pack(request->output, atomic_load(&request->service->max_message_size),
			request->arena, &response->body, &response->body_size);
	if (r == 0 && !response_fits(request))
		r = -EMSGSIZE;
	switch (r) {
	case 0:
		return 0;
	case -EMSGSIZE:
		return drpc_request_fail(request, DRPC_STATUS_FAILED_MARSHAL,
			"the output is larger than max-message-size");
	case -ENOMEM:
		return drpc_request_fail(request, DRPC_STATUS_FAILED_MARSHAL, "out of memory");
	default:
		return drpc_request_fail(request, DRPC_STATUS_FAILED_MARSHAL,
			"the output lacks something that its type requires");
	}
}

/* From what the handler returned to the Response. */
static void finish(struct drpc_request *request, int result)
{
	if (result > 0)
		result = drpc_request_fail(request, DRPC_STATUS_FAILURE,
			"the handler returned %d, which means nothing here", result);
	if (result == 0)
		result = marshal_output(request);
	if (result < 0 && request->why == NULL)
		result = drpc_request_fail(
			request, drpc_error_status(result), "%s", drpc_error_text(result));
	if (result == DRPC_FAILURE(DRPC_STATUS_SUCCESS)) /* says two things at once */
		result = DRPC_FAILURE(DRPC_STATUS_FAILURE);
	if (result < 0)
		respond(request, drpc_error_status(result));
	request->response.sequence = request->call.sequence;
}

bool request_run(struct drpc_request *request)
{
	bool may_pend = request->method->mode == DRPC_METHOD_LATER;
	int result = run_handler(request);

	if (result == DRPC_PENDING && may_pend)
		return false;
	finish(request, result);
	return true;
}

void request_end(struct drpc_request *request)
{
	size_t index;

	if (request->why != NULL)
		report(request, DRPC_EVENT_FAIL, NULL, request->why);
	if (request->service->reports_calls && !request->is_reported)
		report(request, DRPC_EVENT_CALL, NULL, drpc_status_text(request->response.status));
	if (request->is_counted) {
		index = (size_t)(request->module - request->service->modules);
		quota_end_call(request->user, index);
		request->is_counted = false;
	}
}

void kept_cancel(struct kept *kept)
{
	atomic_store(&kept->is_cancelled, true);
	pthread_mutex_lock(&kept->lock);
	if (!kept->is_answered && kept->on_cancel != NULL) {
		void (*on_cancel)(struct drpc_request *, void *) = kept->on_cancel;

		kept->on_cancel = NULL;
		on_cancel(&kept->request, kept->cancel_data);
	}
	pthread_mutex_unlock(&kept->lock);
}

/* What a handler can ask and do. */

const struct drpc_call *drpc_request_call(const struct drpc_request *request)
{
	return &request->call;
}

const struct drpc_peer *drpc_request_peer(const struct drpc_request *request)
{
	return request->peer;
}

void *drpc_request_data(const struct drpc_request *request)
{
	return request->module->data;
}

int drpc_request_pidfd(const struct drpc_request *request)
{
	socklen_t size = sizeof(int);
	int pidfd;

	if (request->socket < 0)
		return -EBADF;
	if (getsockopt(request->socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
		return errno == ENOPROTOOPT ? -EOPNOTSUPP : -errno;
	return pidfd;
}

void *drpc_request_alloc(struct drpc_request *request, size_t size)
{
	return arena_alloc(request->arena, size);
}

static __attribute__((format(printf, 2, 0))) char *format_text(
	struct drpc_request *request, const char *format, va_list arguments)
{
	va_list again;
	char *text;
	int length;

	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0)
		return NULL;
	text = arena_alloc_raw(request->arena, (size_t)length + 1);
	if (text != NULL)
		vsnprintf(text, (size_t)length + 1, format, arguments);
	return text;
}

char *drpc_request_printf(struct drpc_request *request, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = format_text(request, format, arguments);
	va_end(arguments);
	return text;
}

void drpc_request_set_body(struct drpc_request *request, const void *body, size_t size)
{
	request->response.body = size != 0 ? body : NULL;
	request->response.body_size = size;
}

int drpc_request_fail(
	struct drpc_request *request, enum drpc_status status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	arena_set_budget(request->arena, HANDLER_BUDGET_EXTRA);
	request->why = format_text(request, format, arguments);
	va_end(arguments);
	if (request->why == NULL)
		request->why = "out of memory";
	return DRPC_FAILURE(status == DRPC_STATUS_SUCCESS ? DRPC_STATUS_FAILURE : status);
}

void drpc_request_answer(struct drpc_request *request, int result)
{
	struct kept *kept = request->kept;

	pthread_mutex_lock(&kept->lock);
	kept->is_answered = true;
	kept->on_cancel = NULL;
	finish(request, result);
	pthread_mutex_unlock(&kept->lock);
	kept->answered(kept);
}

bool drpc_request_is_cancelled(const struct drpc_request *request)
{
	return request->kept != NULL && atomic_load(&request->kept->is_cancelled);
}

int drpc_request_on_cancel(struct drpc_request *request,
	void (*function)(struct drpc_request *request, void *data), void *data)
{
	struct kept *kept = request->kept;

	if (kept == NULL || request->method->mode != DRPC_METHOD_LATER)
		return -EINVAL;
	pthread_mutex_lock(&kept->lock);
	if (!kept->is_answered) {
		kept->on_cancel = function;
		kept->cancel_data = data;
	}
	pthread_mutex_unlock(&kept->lock);
	return 0;
}
