/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * fuzz_service: the whole service, bytes in, Response out. An input draws a policy for each of two
 * modules, then callers and messages. A handler runs exactly when the message is a Call
 * (protobuf-c's word), the naive evaluator allows the caller the method, the method exists, no
 * limit is hit, and the payload is well-formed (protobuf-c's word again). The Response is
 * well-formed, carries the Call's sequence or -1, the status that this comes to, and a body with
 * SUCCESS only. Each denial is told of, once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/service.h>

#include "access/policy_file.h"
#include "drpc.pb-c.h"
#include "naive_policy.h"
#include "service/payload.h"
#include "tree_oracle.h"

enum { TEXT_MAX = 4096, CALLS_MAX = 12, MODULES = 3, METHODS_MAX = 4, PEERS = 8 };

/* What the last handler saw. */
static struct {
	int count;
	int32_t module;
	int32_t method;
	size_t body_size;
} ran;

static unsigned denials;

/* Memory of a call is zeroed, whatever was in it before. */
static void check_memory(struct drpc_request *request)
{
	uint8_t *memory = drpc_request_alloc(request, 100);

	REQUIRE(memory != NULL, "no memory for a handler");
	for (size_t i = 0; i < 100; i++) {
		REQUIRE(memory[i] == 0, "byte %zu of a handler's memory is %u", i, memory[i]);
		memory[i] = 0xff;
	}
}

static void note_run(struct drpc_request *request)
{
	const struct drpc_call *call = drpc_request_call(request);

	check_memory(request);
	ran.count++;
	ran.module = call->module;
	ran.method = call->method;
	ran.body_size = call->body_size;
}

static int echo(struct drpc_request *request, const void *input, void *output)
{
	const struct drpc_call *call = drpc_request_call(request);

	(void)input;
	(void)output;
	note_run(request);
	drpc_request_set_body(request, call->body, call->body_size);
	return 0;
}

static int prune(struct drpc_request *request, const void *input, void *output)
{
	const Tree__Tree *from = input;
	Tree__Tree *to = output;

	note_run(request);
	to->has_data = from->has_data;
	to->data = from->data;
	to->n_names = from->n_names;
	to->names = from->names;
	return 0;
}

/* Answers before it returns, or does not need to. */
static int later(struct drpc_request *request, const void *input, void *output)
{
	const struct drpc_call *call = drpc_request_call(request);
	bool at_once = call->body_size % 2 == 0;

	(void)input;
	(void)output;
	note_run(request);
	drpc_request_set_body(request, call->body, call->body_size);
	if (at_once)
		return 0;
	drpc_request_answer(request, 0);
	return DRPC_PENDING;
}

enum { RESULTS = 7 };

/* What `odd` returns, by the first byte of its body, and what that must be answered with. */
static const struct {
	int result;
	int32_t status;
} results[RESULTS] = {
	{ 0, DRPC_STATUS_SUCCESS },
	{ DRPC_FAILURE(DRPC_STATUS_BUSY), DRPC_STATUS_BUSY },
	{ DRPC_FAILURE(DRPC_STATUS_SUBMITTED), DRPC_STATUS_SUBMITTED },
	{ -ENOMEM, DRPC_STATUS_FAILURE },
	{ -EIO, DRPC_STATUS_FAILURE },
	{ DRPC_PENDING, DRPC_STATUS_FAILURE }, /* not a LATER method */
	{ 5, DRPC_STATUS_FAILURE },
};

static int odd(struct drpc_request *request, const void *input, void *output)
{
	const struct drpc_call *call = drpc_request_call(request);
	uint8_t first = call->body_size > 0 ? call->body[0] : 0;

	(void)input;
	(void)output;
	note_run(request);
	drpc_request_set_body(request, call->body, call->body_size);
	if (first >= 128)
		return drpc_request_fail(request, DRPC_STATUS_SUCCESS, "byte %u", first);
	return results[first % RESULTS].result;
}

static const struct drpc_method first_methods[] = {
	{ 0, "echo", DRPC_METHOD_NOW, NULL, NULL, echo },
	{ 1, "prune", DRPC_METHOD_NOW, &tree__tree__descriptor, &tree__tree__descriptor, prune },
	{ 5, "wait", DRPC_METHOD_BLOCKING, NULL, NULL, echo },
};

static const struct drpc_method second_methods[] = {
	{ INT32_MAX, "later", DRPC_METHOD_LATER, NULL, NULL, later },
	{ -1, "odd", DRPC_METHOD_NOW, NULL, NULL, odd },
	{ 1, "strict", DRPC_METHOD_NOW, &tree__tree__descriptor, NULL, echo },
};

static const struct drpc_method third_methods[] = {
	{ 0, "never", DRPC_METHOD_NOW, NULL, NULL, echo },
};

/* The last has no policy: nobody may call it. */
static const struct drpc_module modules[MODULES] = {
	{ DRPC_MODULE_ABI, 0, "first", first_methods, 3 },
	{ DRPC_MODULE_ABI, -7, "second", second_methods, 3 },
	{ DRPC_MODULE_ABI, 1001, "third", third_methods, 1 },
};

/* One run: the service, and what is known of it by other means. */
struct run {
	struct drpc_service *service;
	struct drpc_policy *policies[MODULES];
	struct naive_policy *naive[MODULES];
	unsigned begun[MODULES][PEERS]; /* calls that counted, by uid */
};

static void take_event(void *data, const struct drpc_event *event)
{
	(void)data;
	REQUIRE(event->reason != NULL, "an event without a reason");
	denials += event->kind == DRPC_EVENT_DENY;
}

static int find_user(void *data, const char *name, uint32_t *ret_uid)
{
	(void)data;
	return naive_account(name, false, ret_uid) ? 0 : -ENOENT;
}

static int find_group(void *data, const char *name, uint32_t *ret_gid)
{
	(void)data;
	return naive_account(name, true, ret_gid) ? 0 : -ENOENT;
}

static void write_caller(FILE *text, struct input *input)
{
	unsigned shape = (unsigned)input_between(input, 0, 7);
	unsigned first = (unsigned)input_between(input, 0, PEERS - 1);
	const char *group = shape % 2 != 0 ? "%" : "";

	if (shape < 4)
		fprintf(text, "%s%u", group, first);
	else if (shape < 6)
		fprintf(text, "%s%u-%u", group, first, first + shape);
	else
		fprintf(text, "%s", shape == 6 ? "root" : "*");
}

static void write_method(FILE *text, const struct drpc_module *module, struct input *input)
{
	size_t choice = (size_t)input_between(input, 0, 2 * module->method_count + 1);

	if (choice < module->method_count)
		fprintf(text, "%s", module->methods[choice].name);
	else if (choice < 2 * module->method_count)
		fprintf(text, "%d", module->methods[choice - module->method_count].id);
	else
		fprintf(text, "%s", "*");
}

static void write_policy(FILE *text, const struct drpc_module *module, struct input *input)
{
	unsigned rules = (unsigned)input_between(input, 0, 5);
	unsigned limit = input_u8(input);

	fprintf(text, "[module]\nname = %s\nid = %d\n", module->name, module->id);
	if (limit % 4 == 1)
		fprintf(text, "[limits]\nmax-call-size = %u\n", limit);
	if (limit % 4 == 2)
		fprintf(text, "[limits]\ncalls-per-second = %u\n", limit % 8);
	for (unsigned i = 0; i < rules; i++) {
		unsigned shape = input_u8(input);

		fprintf(text, "[%s rule%u]\ncallers = ", shape % 3 == 0 ? "deny" : "allow", i);
		write_caller(text, input);
		for (unsigned j = 0; j < shape / 16 % 4; j++) {
			fputs(", ", text);
			write_caller(text, input);
		}
		fputs("\nmethods = ", text);
		write_method(text, module, input);
		for (unsigned j = 0; j < shape / 64 % 3; j++) {
			fputs(", ", text);
			write_method(text, module, input);
		}
		fputs("\n", text);
	}
}

static size_t name_methods(const struct drpc_module *module, struct naive_method *named)
{
	for (size_t i = 0; i < module->method_count; i++)
		named[i] = (struct naive_method){ module->methods[i].id, module->methods[i].name };
	return module->method_count;
}

/* A file that says something twice is refused; then the module has no policy. Both parsers agree on
 * it. */
static void make_policy(struct run *run, size_t index, struct input *input)
{
	static const struct principal_names names = { find_user, find_group, NULL };
	const struct drpc_module *module = &modules[index];
	struct naive_method named[METHODS_MAX];
	char text[TEXT_MAX];
	FILE *stream = fmemopen(text, sizeof(text), "w");
	const char *why = "nothing";
	long size;
	int r;

	write_policy(stream, module, input);
	size = ftell(stream);
	fclose(stream);
	r = policy_file_parse(
		module->name, text, (size_t)size, &names, NULL, &run->policies[index]);
	run->naive[index] = naive_parse(text, (size_t)size, &why);
	REQUIRE((r == 0) == (run->naive[index] != NULL), "parsing gives %d; against it is %s: %.*s",
		r, why, (int)size, text);
	if (r == 0 && !naive_fits(run->naive[index], module->name, module->id, named,
			      name_methods(module, named))) {
		drpc_policy_free(run->policies[index]);
		naive_free(run->naive[index]);
		run->policies[index] = NULL;
		run->naive[index] = NULL;
	}
}

static void begin(struct run *run, struct input *input)
{
	*run = (struct run){ 0 };
	REQUIRE(drpc_service_new(&run->service) == 0, "no service");
	drpc_service_on_event(run->service, take_event, NULL, false);
	for (size_t i = 0; i < MODULES; i++) {
		if (i < MODULES - 1)
			make_policy(run, i, input);
		REQUIRE(drpc_service_register(run->service, &modules[i], run->policies[i], NULL) ==
				0,
			"module %zu is not taken", i);
	}
}

static void end(struct run *run)
{
	drpc_service_free(run->service);
	for (size_t i = 0; i < MODULES; i++) {
		drpc_policy_free(run->policies[i]);
		naive_free(run->naive[i]);
	}
}

struct message {
	uint8_t *data;
	size_t size;
};

static struct message pack_call(struct input *input)
{
	static const int32_t ids[] = { 0, -7, 1001, 2 };
	static const int32_t methods[] = { 0, 1, 5, INT32_MAX, -1, 2 };
	Drpc__Call call = DRPC__CALL__INIT;
	struct message message;
	const uint8_t *body;
	uint8_t shape;

	call.module = ids[input_between(input, 0, 3)];
	call.method = methods[input_between(input, 0, 5)];
	call.sequence = (int64_t)input_u64(input);
	shape = input_u8(input);
	call.body.len = input_take(input, input_u8(input), &body);
	call.body.data = fuzz_copy(body, call.body.len);
	call.body.data = tree_wrap(call.body.data, &call.body.len, shape > 190 ? shape - 190u : 0);
	message.data = fuzz_alloc(drpc__call__get_packed_size(&call));
	message.size = drpc__call__pack(&call, message.data);
	free(call.body.data);
	return message;
}

static struct message draw_message(struct input *input)
{
	struct message message;
	const uint8_t *bytes;

	if (input_u8(input) % 4 != 0)
		return pack_call(input);
	message.size = input_take(input, input_u8(input), &bytes);
	message.data = fuzz_copy(bytes, message.size);
	return message;
}

/* What one message must come to. */
struct expected {
	int64_t sequence;
	int32_t status;
	bool may_be_busy; /* too many in a second, or not: the clock knows */
	bool runs;
	const struct drpc_method *method;
};

static bool is_payload(const struct drpc_method *method, const ProtobufCBinaryData *body)
{
	if (method->input == NULL)
		return true;
	return tree_look(body->data, body->len, PAYLOAD_MAX_DEPTH).depth <= PAYLOAD_MAX_DEPTH &&
	       tree_is_accepted(body->data, body->len, NULL, NULL);
}

static int32_t status_of_run(const struct drpc_method *method, const ProtobufCBinaryData *body)
{
	if (method->handler != odd || body->len == 0)
		return DRPC_STATUS_SUCCESS;
	if (body->data[0] >= 128)
		return DRPC_STATUS_FAILURE;
	return results[body->data[0] % RESULTS].status;
}

static void expect_of_module(struct run *run, size_t index, const struct naive_caller *caller,
	const Drpc__Call *call, struct expected *e)
{
	const struct naive_policy *policy = run->naive[index];
	struct naive_method named[METHODS_MAX];
	size_t count = name_methods(&modules[index], named);

	e->status = DRPC_STATUS_PERMISSION_DENIED;
	if (policy == NULL || !naive_allows(policy, caller, call->method, named, count))
		return;
	e->status = DRPC_STATUS_UNKNOWN_METHOD;
	for (size_t i = 0; i < count; i++) {
		if (named[i].id == call->method)
			e->method = &modules[index].methods[i];
	}
	if (e->method == NULL)
		return;
	e->status = DRPC_STATUS_BUSY;
	if (policy->max_call_size != 0 && call->body.len > policy->max_call_size)
		return;
	run->begun[index][caller->uid]++;
	e->may_be_busy = policy->calls_per_second != 0 &&
			 run->begun[index][caller->uid] > policy->calls_per_second;
	e->runs = is_payload(e->method, &call->body);
	e->status = e->runs ? status_of_run(e->method, &call->body)
			    : DRPC_STATUS_FAILED_UNMARSHAL_PAYLOAD;
}

static struct expected expect(
	struct run *run, const struct naive_caller *caller, const Drpc__Call *call)
{
	struct expected e = { .sequence = -1, .status = DRPC_STATUS_FAILED_UNMARSHAL_CALL };

	if (call == NULL)
		return e;
	e.sequence = call->sequence;
	e.status = DRPC_STATUS_UNKNOWN_MODULE;
	for (size_t i = 0; i < MODULES; i++) {
		if (modules[i].id == call->module)
			expect_of_module(run, i, caller, call, &e);
	}
	return e;
}

static void check_run(const struct expected *e, const Drpc__Call *call)
{
	REQUIRE(ran.count == (e->runs ? 1 : 0), "a handler ran %d times", ran.count);
	if (e->runs)
		REQUIRE(ran.module == call->module && ran.method == call->method &&
				ran.body_size == call->body.len,
			"another handler ran");
}

static void check_body(
	const struct expected *e, const Drpc__Call *call, const Drpc__Response *response)
{
	const ProtobufCBinaryData *body = &response->body;

	if (e->status != DRPC_STATUS_SUCCESS) {
		REQUIRE(body->len == 0, "status %d with a body", e->status);
	} else if (e->method->output != NULL) {
		REQUIRE(tree_is_accepted(body->data, body->len, NULL, NULL), "no Tree came back");
	} else {
		REQUIRE(body->len == call->body.len &&
				(body->len == 0 ||
					memcmp(body->data, call->body.data, body->len) == 0),
			"another body came back");
	}
}

static void check(struct expected e, const Drpc__Call *call, const uint8_t *bytes, size_t size)
{
	Drpc__Response *response = drpc__response__unpack(NULL, size, bytes);

	REQUIRE(response != NULL, "the Response does not decode");
	if (e.may_be_busy && (int32_t)response->status == DRPC_STATUS_BUSY && ran.count == 0) {
		e.status = DRPC_STATUS_BUSY;
		e.runs = false;
	}
	REQUIRE(response->sequence == e.sequence, "sequence %lld, not %lld",
		(long long)response->sequence, (long long)e.sequence);
	REQUIRE((int32_t)response->status == e.status, "status %d, not %d",
		(int32_t)response->status, e.status);
	check_run(&e, call);
	check_body(&e, call, response);
	REQUIRE(denials == (e.status == DRPC_STATUS_PERMISSION_DENIED), "%u denials told", denials);
	drpc__response__free_unpacked(response, NULL);
}

static void process(
	struct run *run, const struct naive_caller *caller, const struct message *message)
{
	Drpc__Call *call = drpc__call__unpack(NULL, message->size, message->data);
	struct expected expected = expect(run, caller, call);
	struct drpc_peer *peer;
	uint8_t *bytes;
	size_t size;

	REQUIRE(drpc_peer_new(
			caller->uid, caller->gid, caller->groups, caller->group_count, &peer) == 0,
		"the harness is out of memory");
	memset(&ran, 0, sizeof(ran));
	denials = 0;
	REQUIRE(drpc_service_process(
			run->service, peer, message->data, message->size, &bytes, &size) == 0,
		"no Response");
	check(expected, call, bytes, size);
	free(bytes);
	drpc_peer_free(peer);
	if (call != NULL)
		drpc__call__free_unpacked(call, NULL);
}

/* One thing at a time: the order within an initializer is the compiler's to choose. */
static struct naive_caller draw_caller(struct input *input, uint32_t groups[2])
{
	struct naive_caller caller = { .groups = groups };

	groups[0] = (uint32_t)input_between(input, 0, 9);
	caller.uid = (uint32_t)input_between(input, 0, PEERS - 1);
	caller.gid = (uint32_t)input_between(input, 0, 9);
	caller.group_count = (size_t)input_between(input, 0, 2);
	return caller;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct run run;

	begin(&run, &input);
	for (int i = 0; i < CALLS_MAX && input.left > 0; i++) {
		uint32_t groups[2] = { 0, 6 };
		struct naive_caller caller = draw_caller(&input, groups);
		struct message message = draw_message(&input);

		process(&run, &caller, &message);
		free(message.data);
	}
	end(&run);
	return 0;
}
