/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Registering: which modules and policies a service takes, and what it says of the others. */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "service/service.h"

static int handler(struct drpc_request *request, const void *input, void *output)
{
	(void)request;
	(void)input;
	(void)output;
	return 0;
}

static const struct drpc_method two_methods[] = {
	{ .id = 0, .name = "first", .handler = handler },
	{ .id = -5, .name = "second", .handler = handler },
};

static const struct drpc_module good = {
	.abi = DRPC_MODULE_ABI,
	.id = 40,
	.name = "good",
	.methods = two_methods,
	.method_count = 2,
};

static struct drpc_service *service;
static struct drpc_problems *problems;

static int set_up(void **state)
{
	(void)state;
	problems = drpc_problems_new();
	return drpc_service_new(&service);
}

static int tear_down(void **state)
{
	(void)state;
	drpc_service_free(service);
	drpc_problems_free(problems);
	return 0;
}

static void test_drpc_service_register_takes_modules_of_any_id(void **state)
{
	struct drpc_module modules[] = { good, good, good, good };

	(void)state;
	modules[1].id = INT32_MIN;
	modules[1].name = "lowest";
	modules[2].id = INT32_MAX;
	modules[2].name = "highest";
	modules[3].id = 0;
	modules[3].name = "zero";
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(drpc_service_register(service, &modules[i], NULL, problems), 0);
	for (size_t i = 0; i < 4; i++)
		assert_ptr_equal(drpc_service_get(service, modules[i].id), &modules[i]);
	assert_null(drpc_service_get(service, 41));
	assert_int_equal(drpc_problems_count(problems), 0);
}

static void test_drpc_service_register_takes_a_module_without_methods(void **state)
{
	struct drpc_module none = good;

	(void)state;
	none.methods = NULL;
	none.method_count = 0;
	assert_int_equal(drpc_service_register(service, &none, NULL, NULL), 0);
	assert_null(drpc_module_method(&none, 0));
}

static void test_drpc_module_method_finds_by_id(void **state)
{
	(void)state;
	assert_ptr_equal(drpc_module_method(&good, 0), &two_methods[0]);
	assert_ptr_equal(drpc_module_method(&good, -5), &two_methods[1]);
	assert_null(drpc_module_method(&good, 1));
}

static void test_drpc_service_register_refuses_a_known_id_or_name(void **state)
{
	struct drpc_module same_id = good, same_name = good;

	(void)state;
	same_id.name = "other";
	same_name.id = 41;
	assert_int_equal(drpc_service_register(service, &good, NULL, problems), 0);
	assert_int_equal(drpc_service_register(service, &good, NULL, problems), -EEXIST);
	assert_int_equal(drpc_service_register(service, &same_id, NULL, problems), -EEXIST);
	assert_int_equal(drpc_service_register(service, &same_name, NULL, problems), -EEXIST);
	assert_int_equal(drpc_service_register(service, &same_name, NULL, NULL), -EEXIST);
	assert_int_equal(drpc_problems_count(problems), 3);
	assert_non_null(strstr(drpc_problems_text(problems, 1), "other (id 40)"));
	assert_non_null(strstr(drpc_problems_text(problems, 1), "good (id 40)"));
	assert_ptr_equal(drpc_service_get(service, 40), &good);
	assert_null(drpc_service_get(service, 41));
}

static void refuse_module(const struct drpc_module *module)
{
	size_t before = drpc_problems_count(problems);

	assert_int_equal(drpc_service_register(service, module, NULL, problems), -EINVAL);
	assert_int_equal(drpc_service_register(service, module, NULL, NULL), -EINVAL);
	assert_int_equal(drpc_problems_count(problems), before + 1);
	assert_null(drpc_service_get(service, module->id));
}

static void test_drpc_service_register_refuses_a_malformed_module(void **state)
{
	struct drpc_module m;

	(void)state;
	m = good;
	m.abi = DRPC_MODULE_ABI + 1;
	refuse_module(&m);
	m.abi = 0;
	refuse_module(&m);
	m = good;
	m.name = NULL;
	refuse_module(&m);
	m.name = "";
	refuse_module(&m);
	m = good;
	m.methods = NULL;
	refuse_module(&m);
}

static void refuse_methods(const struct drpc_method *first, const struct drpc_method *second)
{
	const struct drpc_method methods[] = { *first, *second };
	struct drpc_module m = good;

	m.methods = methods;
	refuse_module(&m);
}

static void test_drpc_service_register_refuses_malformed_methods(void **state)
{
	const struct drpc_method *first = &two_methods[0];
	struct drpc_method second;

	(void)state;
	second = two_methods[1];
	second.handler = NULL;
	refuse_methods(first, &second);
	refuse_methods(&second, first);
	second = two_methods[1];
	second.name = NULL;
	refuse_methods(first, &second);
	refuse_methods(&second, first);
	second.name = "";
	refuse_methods(first, &second);
	second.name = "first";
	refuse_methods(first, &second);
	second = two_methods[1];
	second.id = first->id;
	refuse_methods(first, &second);
	second = two_methods[1];
	second.mode = (enum drpc_method_mode)(DRPC_METHOD_LATER + 1);
	refuse_methods(first, &second);
	second.mode = (enum drpc_method_mode) - 1;
	refuse_methods(first, &second);
}

static void refuse_policy(const char *text, const char *words)
{
	struct drpc_policy *policy = lab_parse(text);
	size_t before = drpc_problems_count(problems);

	assert_int_equal(drpc_service_register(service, &good, policy, problems), -EINVAL);
	assert_int_equal(drpc_problems_count(problems), before + 1);
	assert_non_null(strstr(drpc_problems_text(problems, before), words));
	assert_null(drpc_service_get(service, good.id));
	drpc_policy_free(policy);
}

static void test_drpc_service_register_refuses_the_policy_of_another(void **state)
{
	(void)state;
	refuse_policy("[module]\nname = bad\nid = 40\n", "lab.policy:2: ");
	refuse_policy("[module]\nname = good\nid = 4\n", "lab.policy:3: ");
	refuse_policy("[module]\nname = good\nid = 40\n[allow a]\ncallers = *\nmethods = third\n",
		"lab.policy:6: ");
}

static void test_drpc_service_register_can_be_tried_again(void **state)
{
	struct drpc_policy *wrong = lab_parse("[module]\nname = bad\nid = 40\n");
	struct drpc_policy *right = lab_parse("[module]\nname = good\nid = 40\n");

	(void)state;
	assert_int_equal(drpc_service_register(service, &good, wrong, NULL), -EINVAL);
	assert_int_equal(drpc_service_register(service, &good, right, NULL), 0);
	assert_ptr_equal(drpc_service_get(service, 40), &good);
	drpc_service_free(service);
	service = NULL;
	drpc_policy_free(wrong);
	drpc_policy_free(right);
}

static void test_drpc_service_register_is_over_once_the_service_is_used(void **state)
{
	struct drpc_peer *peer;
	uint8_t *bytes;
	size_t size;

	(void)state;
	assert_int_equal(drpc_peer_new(1000, 1000, NULL, 0, &peer), 0);
	assert_int_equal(
		drpc_service_process(service, peer, (const uint8_t *)"", 0, &bytes, &size), 0);
	free(bytes);
	assert_int_equal(drpc_service_register(service, &good, NULL, problems), -EBUSY);
	assert_null(drpc_service_get(service, good.id));
	drpc_peer_free(peer);
}

static void test_drpc_service_free_takes_null(void **state)
{
	(void)state;
	drpc_service_free(NULL);
}

static int started, stopped;

static int start_module(void **ret_data)
{
	started++;
	*ret_data = &started;
	return 0;
}

static int fail_to_start(void **ret_data)
{
	(void)ret_data;
	return -ENODEV;
}

static void stop_module(void *module_data)
{
	assert_ptr_equal(module_data, &started);
	stopped++;
}

static void register_module(const struct drpc_module *module)
{
	assert_int_equal(drpc_service_register(service, module, NULL, NULL), 0);
}

static int begin(void)
{
	return service_begin(service, &service_default_limits, DRPC_MESSAGE_MAX_BYTES);
}

static void test_service_begin_starts_and_stops_each_module_once(void **state)
{
	struct drpc_module first = good, second = good;

	(void)state;
	started = stopped = 0;
	first.start = start_module;
	first.stop = stop_module;
	second.id = 41;
	second.name = "second";
	register_module(&first);
	register_module(&second);
	assert_int_equal(begin(), 0);
	assert_int_equal(begin(), 0);
	assert_int_equal(started, 1);
	service_stop_modules(service);
	service_stop_modules(service);
	assert_int_equal(stopped, 1);
}

static void test_service_begin_stops_only_what_it_started(void **state)
{
	struct drpc_module first = good, second = good;

	(void)state;
	started = stopped = 0;
	first.start = start_module;
	second.start = fail_to_start;
	first.stop = second.stop = stop_module;
	second.id = 41;
	second.name = "second";
	register_module(&first);
	register_module(&second);
	assert_int_equal(begin(), -ENODEV);
	assert_int_equal(begin(), -ENODEV);
	assert_int_equal(started, 1);
	service_stop_modules(service);
	assert_int_equal(stopped, 1);
}

int register_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_drpc_service_register_takes_modules_of_any_id),
		TEST(test_drpc_service_register_takes_a_module_without_methods),
		TEST(test_drpc_module_method_finds_by_id),
		TEST(test_drpc_service_register_refuses_a_known_id_or_name),
		TEST(test_drpc_service_register_refuses_a_malformed_module),
		TEST(test_drpc_service_register_refuses_malformed_methods),
		TEST(test_drpc_service_register_refuses_the_policy_of_another),
		TEST(test_drpc_service_register_can_be_tried_again),
		TEST(test_drpc_service_register_is_over_once_the_service_is_used),
		TEST(test_drpc_service_free_takes_null),
		TEST(test_service_begin_starts_and_stops_each_module_once),
		TEST(test_service_begin_stops_only_what_it_started),
	};

	return cmocka_run_group_tests_name("register", tests, NULL, NULL);
}
