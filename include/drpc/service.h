/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Service: modules with their policies, and the life of one call: decoded, judged, found, run,
 * answered.
 *
 * Register modules first; once a server, a session or drpc_service_process() uses the service, it
 * no longer changes. It must outlive whatever uses it.
 */
#ifndef DRPC_SERVICE_H
#define DRPC_SERVICE_H

#include <drpc/event.h>
#include <drpc/module.h>
#include <drpc/policy.h>
#include <drpc/problems.h>

#ifdef __cplusplus
extern "C" {
#endif

struct drpc_service;

/**
 * drpc_service_new - a service without modules
 * @ret_service: the caller frees it with drpc_service_free(); untouched on failure
 *
 * Returns 0, -ENOMEM, or what reading /proc/sys/kernel/overflowuid gave (the system).
 */
int drpc_service_new(struct drpc_service **ret_service);

/** drpc_service_free - stops modules that were started; NULL is fine. No call may be under way. */
void drpc_service_free(struct drpc_service *service);

/**
 * drpc_service_register - add a module and the policy that guards it
 * @module:   stays the caller's, and must outlive the service
 * @policy:   likewise; its method names are looked up in @module. NULL: every call is denied
 * @problems: gets a line for whatever is wrong; may be NULL
 *
 * Returns 0, or
 *   -EINVAL  the module's table is not well-formed, or the policy is not this module's (the caller)
 *   -EEXIST  a module of that id or name is registered already                        (the caller)
 *   -EBUSY   the service is in use already                                            (the caller)
 *   -ENOMEM
 */
int drpc_service_register(struct drpc_service *service, const struct drpc_module *module,
	struct drpc_policy *policy, struct drpc_problems *problems);

/** drpc_service_get - the module of an id, or NULL */
const struct drpc_module *drpc_service_get(const struct drpc_service *service, int32_t id);

/**
 * drpc_service_on_event - be told of denials, limits, failures and, if asked, of every call
 * @function: NULL for none; see event.h. Before the service is used
 */
void drpc_service_on_event(
	struct drpc_service *service, drpc_event_fn *function, void *data, bool every_call);

/**
 * drpc_service_process - one marshalled Call in, one marshalled Response out
 * @peer: whose call it is
 * @ret_bytes: the caller frees it with free(); untouched on failure
 *
 * Waits for the handler, whatever its method's mode. Every refusal is a Response. The first call of
 * all starts the modules. Returns 0, -ENOMEM, -EUSERS: max-sessions or max-sessions-per-uid,
 * -EMSGSIZE: the response is above DRPC_MESSAGE_MAX_BYTES, or what a module's start said. Any
 * thread.
 */
int drpc_service_process(struct drpc_service *service, const struct drpc_peer *peer,
	const uint8_t *bytes, size_t size, uint8_t **ret_bytes, size_t *ret_size);

/**
 * drpc_module_load - load a module's shared object
 * @directory, @library: trusted as a policy file must be; @library has no slash
 * @ret_handle: for dlclose(), after the service is freed; untouched on failure
 * @ret_module: lives as long as the handle
 *
 * Returns 0, or -EINVAL: @problems says what is wrong (not trusted, not loadable, no symbol
 * drpc_module, another ABI version), or -ENOMEM. Runs the constructors of the shared object.
 */
int drpc_module_load(const char *directory, const char *library, struct drpc_problems *problems,
	void **ret_handle, const struct drpc_module **ret_module);

#ifdef __cplusplus
}
#endif

#endif
