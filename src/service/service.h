/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Service: the registry. Receives modules with their policies; hands on, for a number from the
 * wire, the module and the policy that guards it. Changes only until it is sealed.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <stdatomic.h>

#include <drpc/service.h>

#include "access/peer.h"
#include "service/quota.h"

struct service_module {
	const struct drpc_module *module;
	struct drpc_policy *policy; /* NULL: nobody may call */
	void *data;		    /* of the module's start */
	bool is_started;
};

struct drpc_service {
	struct service_module *modules;
	size_t count;
	pthread_mutex_t lock; /* guards the beginning */
	bool is_sealed;	      /* in use: modules can no longer be added */
	unsigned servers;
	bool is_shared; /* used without a server too: modules stop with the service */
	struct peer_system system;
	struct quota quota;
	_Atomic size_t max_message_size; /* of a response */
	drpc_event_fn *on_event;
	void *event_data;
	bool reports_calls;
};

/*
 * Use the service: no more modules, and those that have a start are started. @limits: the server's;
 * NULL leaves those of a server before, or the defaults. 0, -ENOMEM, or what a module's start said.
 * Any thread, before its first peer.
 */
int service_begin(
	struct drpc_service *service, const struct quota_limits *limits, size_t max_message_size);

/* A server comes; the last one goes, and the modules are stopped: no call may be under way then. */
void service_enter(struct drpc_service *service);
void service_leave(struct drpc_service *service);

/* The limits of a service that runs without a server around it. */
extern const struct quota_limits service_default_limits;

/* Stop the modules that were started, each once. No call may be under way. */
void service_stop_modules(struct drpc_service *service);

/* Whether any method of any module blocks. */
bool service_has_blocking(const struct drpc_service *service);

/* The module of an id, or NULL. */
const struct service_module *service_find(const struct drpc_service *service, int32_t id);

/*
 * May this peer come in? A stranger, whom no rule of any module could allow anything, may not: not
 * one of its bytes is to be parsed. Reports the denial.
 */
bool service_admits(const struct drpc_service *service, const struct drpc_peer *peer);

void service_report(const struct drpc_service *service, const struct drpc_event *event);

#endif
