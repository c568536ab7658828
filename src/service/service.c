/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Service: see service.h. */
#include "service/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct quota_limits service_default_limits = {
	.max_sessions = 16384,
	.max_sessions_per_uid = 1024,
	.max_bytes_per_uid = UINT64_C(256) * 1024 * 1024,
};

int drpc_service_new(struct drpc_service **ret_service)
{
	struct drpc_service *service = calloc(1, sizeof(*service));
	int r;

	if (service == NULL)
		return -ENOMEM;
	r = peer_system_read(&service->system);
	if (r < 0) {
		free(service);
		return r;
	}
	service->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	quota_init(&service->quota, &service_default_limits);
	service->max_message_size = DRPC_MESSAGE_MAX_BYTES;
	*ret_service = service;
	return 0;
}

void drpc_service_free(struct drpc_service *service)
{
	if (service == NULL)
		return;
	service_stop_modules(service);
	quota_deinit(&service->quota);
	pthread_mutex_destroy(&service->lock);
	free(service->modules);
	free(service);
}

/* A line for a person, where somebody wants one. */
#define ADD_PROBLEM(problems, ...)                                                                 \
	do {                                                                                       \
		if ((problems) != NULL)                                                            \
			drpc_problems_add((problems), NULL, 0, __VA_ARGS__);                       \
	} while (0)

static int check_method(
	const struct drpc_module *module, size_t index, struct drpc_problems *problems)
{
	const struct drpc_method *method = &module->methods[index];

	if (method->name == NULL || method->name[0] == '\0' || method->handler == NULL ||
		method->mode > DRPC_METHOD_LATER) {
		ADD_PROBLEM(problems,
			"module %s: method %d lacks a name, a handler or a valid mode; "
			"mend the module's table",
			module->name, method->id);
		return -EINVAL;
	}
	for (size_t i = 0; i < index; i++) {
		const struct drpc_method *other = &module->methods[i];

		if (other->id == method->id || strcmp(other->name, method->name) == 0) {
			ADD_PROBLEM(problems,
				"module %s: methods %s and %s have the same id or name; "
				"mend the module's table",
				module->name, other->name, method->name);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_module(const struct drpc_module *module, struct drpc_problems *problems)
{
	if (module->abi != DRPC_MODULE_ABI) {
		ADD_PROBLEM(problems, "a module has ABI version %u, this drpc has %d; rebuild it",
			module->abi, DRPC_MODULE_ABI);
		return -EINVAL;
	}
	if (module->name == NULL || module->name[0] == '\0' ||
		(module->methods == NULL && module->method_count != 0)) {
		ADD_PROBLEM(problems,
			"module %d has no name or no methods; mend the module's table", module->id);
		return -EINVAL;
	}
	for (size_t i = 0; i < module->method_count; i++) {
		int r = check_method(module, i, problems);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_unique(const struct drpc_service *service, const struct drpc_module *module,
	struct drpc_problems *problems)
{
	for (size_t i = 0; i < service->count; i++) {
		const struct drpc_module *other = service->modules[i].module;

		if (other->id == module->id || strcmp(other->name, module->name) == 0) {
			ADD_PROBLEM(problems,
				"module %s (id %d) has the name or the id of module %s (id %d), "
				"which is registered already; give one of them another",
				module->name, module->id, other->name, other->id);
			return -EEXIST;
		}
	}
	return 0;
}

static int add_module(
	struct drpc_service *service, const struct drpc_module *module, struct drpc_policy *policy)
{
	struct service_module *grown;

	grown = reallocarray(service->modules, service->count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	grown[service->count] = (struct service_module){ .module = module, .policy = policy };
	service->modules = grown;
	service->count++;
	return 0;
}

int drpc_service_register(struct drpc_service *service, const struct drpc_module *module,
	struct drpc_policy *policy, struct drpc_problems *problems)
{
	int r;

	if (service->is_sealed)
		return -EBUSY;
	r = check_module(module, problems);
	if (r < 0)
		return r;
	r = check_unique(service, module, problems);
	if (r < 0)
		return r;
	if (policy != NULL) {
		r = drpc_policy_bind(policy, module, problems);
		if (r < 0)
			return r;
	}
	return add_module(service, module, policy);
}

const struct service_module *service_find(const struct drpc_service *service, int32_t id)
{
	for (size_t i = 0; i < service->count; i++) {
		if (service->modules[i].module->id == id)
			return &service->modules[i];
	}
	return NULL;
}

const struct drpc_module *drpc_service_get(const struct drpc_service *service, int32_t id)
{
	const struct service_module *found = service_find(service, id);

	return found != NULL ? found->module : NULL;
}

const struct drpc_method *drpc_module_method(const struct drpc_module *module, int32_t id)
{
	for (size_t i = 0; i < module->method_count; i++) {
		if (module->methods[i].id == id)
			return &module->methods[i];
	}
	return NULL;
}

void drpc_service_on_event(
	struct drpc_service *service, drpc_event_fn *function, void *data, bool every_call)
{
	service->on_event = function;
	service->event_data = data;
	service->reports_calls = every_call;
}

void service_report(const struct drpc_service *service, const struct drpc_event *event)
{
	if (service->on_event != NULL)
		service->on_event(service->event_data, event);
}

static int start_modules(struct drpc_service *service)
{
	for (size_t i = 0; i < service->count; i++) {
		struct service_module *m = &service->modules[i];
		int r = 0;

		if (m->is_started)
			continue;
		if (m->module->start != NULL)
			r = m->module->start(&m->data);
		if (r < 0)
			return r;
		m->is_started = true;
	}
	return 0;
}

int service_begin(
	struct drpc_service *service, const struct quota_limits *limits, size_t max_message_size)
{
	int r;

	pthread_mutex_lock(&service->lock);
	if (!service->is_sealed) {
		service->is_sealed = true;
		quota_set_modules(&service->quota, service->count);
	}
	if (limits != NULL) {
		quota_set_limits(&service->quota, limits);
		atomic_store(&service->max_message_size, max_message_size);
	} else {
		service->is_shared = true;
	}
	r = start_modules(service);
	pthread_mutex_unlock(&service->lock);
	return r;
}

void service_enter(struct drpc_service *service)
{
	pthread_mutex_lock(&service->lock);
	service->servers++;
	pthread_mutex_unlock(&service->lock);
}

void service_leave(struct drpc_service *service)
{
	pthread_mutex_lock(&service->lock);
	if (--service->servers == 0 && !service->is_shared)
		service_stop_modules(service);
	pthread_mutex_unlock(&service->lock);
}

void service_stop_modules(struct drpc_service *service)
{
	for (size_t i = service->count; i-- > 0;) {
		struct service_module *m = &service->modules[i];

		if (m->is_started && m->module->stop != NULL)
			m->module->stop(m->data);
		m->is_started = false;
	}
}

bool service_has_blocking(const struct drpc_service *service)
{
	for (size_t i = 0; i < service->count; i++) {
		const struct drpc_module *module = service->modules[i].module;

		for (size_t k = 0; k < module->method_count; k++) {
			if (module->methods[k].mode == DRPC_METHOD_BLOCKING)
				return true;
		}
	}
	return false;
}

bool service_admits(const struct drpc_service *service, const struct drpc_peer *peer)
{
	for (size_t i = 0; i < service->count; i++) {
		if (drpc_policy_could_allow(service->modules[i].policy, peer))
			return true;
	}
	service_report(service,
		&(struct drpc_event){
			.kind = DRPC_EVENT_DENY,
			.peer = peer,
			.status = DRPC_STATUS_PERMISSION_DENIED,
			.reason = "stranger: no rule of any module could allow this caller",
		});
	return false;
}
