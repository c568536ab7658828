/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Lab: see lab.h. */
#include "lab.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nest.pb-c.h"

struct lab lab;

const char lab_open_policy[] = "[module]\n"
			       "name = lab\n"
			       "id = 7\n"
			       "[allow all]\n"
			       "callers = *\n"
			       "methods = *\n";

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Not sem_clockwait(3), of which ThreadSanitizer knows nothing. */
bool lab_wait(sem_t *semaphore)
{
	struct timespec deadline;
	int r;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_SECONDS;
	do {
		r = sem_timedwait(semaphore, &deadline);
	} while (r < 0 && errno == EINTR);
	return r == 0;
}

static int give_back(struct drpc_request *request)
{
	const struct drpc_call *call = drpc_request_call(request);

	drpc_request_set_body(request, call->body, call->body_size);
	return 0;
}

static int echo(struct drpc_request *request, const void *input, void *output)
{
	REQUIRE(input == NULL && output == NULL);
	lab.runs++;
	return give_back(request);
}

static int nest(struct drpc_request *request, const void *input, void *output)
{
	const Nest__Nest *in = input;
	Nest__Nest *out = output;

	lab.runs++;
	out->word = drpc_request_printf(request, "%s!", in->word != NULL ? in->word : "");
	return out->word != NULL ? 0 : -ENOMEM;
}

static int need(struct drpc_request *request, const void *input, void *output)
{
	(void)request;
	(void)input;
	REQUIRE(output != NULL);
	lab.runs++;
	return 0;
}

static int fail_errno(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	drpc_request_set_body(request, "secret", 6);
	return -EIO;
}

static int fail_said(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	drpc_request_set_body(request, "secret", 6);
	return drpc_request_fail(request, DRPC_STATUS_BUSY, "disk %d is busy", 3);
}

static int fail_said_success(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	return drpc_request_fail(request, DRPC_STATUS_SUCCESS, "no success");
}

static int nonsense(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	drpc_request_set_body(request, "secret", 6);
	return 42;
}

static int pends(struct drpc_request *request, const void *input, void *output)
{
	(void)request;
	(void)input;
	(void)output;
	lab.runs++;
	return DRPC_PENDING;
}

/* Nobody may read a body of that size. */
static int huge(struct drpc_request *request, const void *input, void *output)
{
	static const uint8_t byte;

	(void)input;
	(void)output;
	lab.runs++;
	drpc_request_set_body(request, &byte, DRPC_MESSAGE_MAX_BYTES);
	return 0;
}

static int hungry(struct drpc_request *request, const void *input, void *output)
{
	size_t taken = 0;
	char *place;

	(void)input;
	(void)output;
	lab.runs++;
	while ((place = drpc_request_alloc(request, 1024 * 1024)) != NULL)
		taken += 1024 * 1024;
	REQUIRE(drpc_request_alloc(request, SIZE_MAX) == NULL);
	REQUIRE(drpc_request_printf(request, "%0*d", 2 * 1024 * 1024, 0) == NULL);
	return drpc_request_fail(
		request, DRPC_STATUS_FAILURE, "%zu MiB", taken / ((size_t)1024 * 1024));
}

static int pidfd(struct drpc_request *request, const void *input, void *output)
{
	int fd = drpc_request_pidfd(request);

	(void)input;
	(void)output;
	lab.runs++;
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EOPNOTSUPP ? 0 : fd;
}

static int data(struct drpc_request *request, const void *input, void *output)
{
	const char *text = drpc_request_data(request);

	(void)input;
	(void)output;
	lab.runs++;
	if (text == NULL)
		return drpc_request_fail(request, DRPC_STATUS_FAILURE, "never started");
	drpc_request_set_body(request, text, strlen(text));
	return 0;
}

static int blocking(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	sem_post(&lab.entered);
	REQUIRE(lab_wait(&lab.gate));
	lab.was_cancelled = drpc_request_is_cancelled(request);
	return give_back(request);
}

static int await_cancel(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	sem_post(&lab.entered);
	for (int ms = 0; ms < PATIENCE_SECONDS * 1000; ms++) {
		if (drpc_request_is_cancelled(request)) {
			sem_post(&lab.cancelled);
			return -ECANCELED;
		}
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}

static int later_at_once(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	return give_back(request);
}

static int later_inside(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	drpc_request_answer(request, give_back(request));
	return DRPC_PENDING;
}

static void *answer(void *request)
{
	drpc_request_answer(request, give_back(request));
	return NULL;
}

static int later_before(struct drpc_request *request, const void *input, void *output)
{
	pthread_t thread;

	(void)input;
	(void)output;
	lab.runs++;
	REQUIRE(pthread_create(&thread, NULL, answer, request) == 0);
	pthread_join(thread, NULL);
	return DRPC_PENDING;
}

static int later_after(struct drpc_request *request, const void *input, void *output)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)input;
	(void)output;
	lab.runs++;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	REQUIRE(pthread_create(&thread, &attributes, answer, request) == 0);
	pthread_attr_destroy(&attributes);
	return DRPC_PENDING;
}

static void cancelled(struct drpc_request *request, void *argument)
{
	bool answers;

	REQUIRE(argument == &lab);
	REQUIRE(drpc_request_is_cancelled(request));
	pthread_mutex_lock(&lab.lock);
	answers = lab.answers_cancel;
	for (unsigned i = 0; answers && i < lab.kept_count; i++) {
		if (lab.kept[i] == request)
			lab.kept[i] = NULL;
	}
	pthread_mutex_unlock(&lab.lock);
	if (answers)
		drpc_request_answer(request, -ECANCELED);
	sem_post(&lab.cancelled);
}

static int later_kept(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	lab.runs++;
	if (lab.listens_cancel)
		REQUIRE(drpc_request_on_cancel(request, cancelled, &lab) == 0);
	pthread_mutex_lock(&lab.lock);
	REQUIRE(lab.kept_count < LAB_KEPT_MAX);
	lab.kept[lab.kept_count++] = request;
	pthread_mutex_unlock(&lab.lock);
	sem_post(&lab.entered);
	return DRPC_PENDING;
}

static int big(struct drpc_request *request, const void *input, void *output)
{
	const struct drpc_call *call = drpc_request_call(request);
	char digits[24] = { 0 };
	uint8_t *body;
	size_t size;

	(void)input;
	(void)output;
	lab.runs++;
	memcpy(digits, call->body, call->body_size < 23 ? call->body_size : 23);
	size = strtoul(digits, NULL, 10);
	body = drpc_request_alloc(request, size);
	if (body == NULL)
		return -ENOMEM;
	memset(body, 'b', size);
	drpc_request_set_body(request, body, size);
	return 0;
}

#define METHOD(number, text, how, function)                                                        \
	{                                                                                          \
		.id = (number), .name = (text), .mode = (how), .handler = (function)               \
	}

static const struct drpc_method methods[LAB_METHODS] = {
	METHOD(LAB_ECHO, "echo", DRPC_METHOD_NOW, echo),
	{
		.id = LAB_NEST,
		.name = "nest",
		.input = &nest__nest__descriptor,
		.output = &nest__nest__descriptor,
		.handler = nest,
	},
	{
		.id = LAB_NEED,
		.name = "need",
		.output = &nest__need__descriptor,
		.handler = need,
	},
	METHOD(LAB_ERRNO, "errno", DRPC_METHOD_NOW, fail_errno),
	METHOD(LAB_SAID, "said", DRPC_METHOD_NOW, fail_said),
	METHOD(LAB_SAID_SUCCESS, "said-success", DRPC_METHOD_NOW, fail_said_success),
	METHOD(LAB_NONSENSE, "nonsense", DRPC_METHOD_NOW, nonsense),
	METHOD(LAB_PENDS, "pends", DRPC_METHOD_NOW, pends),
	METHOD(LAB_HUGE, "huge", DRPC_METHOD_NOW, huge),
	METHOD(LAB_HUNGRY, "hungry", DRPC_METHOD_NOW, hungry),
	METHOD(LAB_PIDFD, "pidfd", DRPC_METHOD_NOW, pidfd),
	METHOD(LAB_DATA, "data", DRPC_METHOD_NOW, data),
	METHOD(LAB_BLOCKING, "blocking", DRPC_METHOD_BLOCKING, blocking),
	METHOD(LAB_BLOCKING_ECHO, "blocking-echo", DRPC_METHOD_BLOCKING, echo),
	METHOD(LAB_LATER_AT_ONCE, "later-at-once", DRPC_METHOD_LATER, later_at_once),
	METHOD(LAB_LATER_INSIDE, "later-inside", DRPC_METHOD_LATER, later_inside),
	METHOD(LAB_LATER_BEFORE, "later-before", DRPC_METHOD_LATER, later_before),
	METHOD(LAB_LATER_AFTER, "later-after", DRPC_METHOD_LATER, later_after),
	METHOD(LAB_LATER_KEPT, "later-kept", DRPC_METHOD_LATER, later_kept),
	METHOD(LAB_BIG, "big", DRPC_METHOD_NOW, big),
	METHOD(LAB_AWAIT_CANCEL, "await-cancel", DRPC_METHOD_BLOCKING, await_cancel),
	METHOD(LAB_STOP, "stop", DRPC_METHOD_NOW, blocking),
};

static int start(void **ret_data)
{
	static char text[] = "started";

	lab.starts++;
	*ret_data = text;
	return 0;
}

static void stop(void *text)
{
	REQUIRE(strcmp(text, "started") == 0);
	lab.stops++;
}

const struct drpc_module lab_module = {
	.abi = DRPC_MODULE_ABI,
	.id = LAB_ID,
	.name = "lab",
	.methods = methods,
	.method_count = LAB_METHODS,
	.start = start,
	.stop = stop,
};

struct drpc_policy *lab_parse(const char *text)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = NULL;

	if (drpc_policy_parse("lab.policy", text, strlen(text), problems, &policy) < 0)
		fprintf(stderr, "%s\n", drpc_problems_text(problems, 0));
	REQUIRE(policy != NULL);
	drpc_problems_free(problems);
	return policy;
}

void lab_open(const char *policy, bool every_call)
{
	lab.runs = lab.starts = lab.stops = 0;
	lab.was_cancelled = false;
	lab.kept_count = 0;
	lab.answers_cancel = lab.listens_cancel = false;
	pthread_mutex_init(&lab.lock, NULL);
	sem_init(&lab.entered, 0, 0);
	sem_init(&lab.gate, 0, 0);
	sem_init(&lab.cancelled, 0, 0);
	seen_init(&lab.seen);
	lab.policy = policy != NULL ? lab_parse(policy) : NULL;
	REQUIRE(drpc_service_new(&lab.service) == 0);
	REQUIRE(drpc_service_register(lab.service, &lab_module, lab.policy, NULL) == 0);
	drpc_service_on_event(lab.service, seen_take, &lab.seen, every_call);
}

void lab_close(void)
{
	drpc_service_free(lab.service);
	drpc_policy_free(lab.policy);
	lab.service = NULL;
	lab.policy = NULL;
}

struct drpc_request *lab_take(unsigned index)
{
	struct drpc_request *request;

	pthread_mutex_lock(&lab.lock);
	request = index < lab.kept_count ? lab.kept[index] : NULL;
	if (request != NULL)
		lab.kept[index] = NULL;
	pthread_mutex_unlock(&lab.lock);
	return request;
}
