/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Daemon: from a configuration to a process that serves and can do nothing else, and back.
 * daemon_start() is the order of design section 7, one step a line.
 */
#ifndef DRPCD_DAEMON_H
#define DRPCD_DAEMON_H

#include <drpc/drpc.h>

#include "drpcd/config.h"
#include "drpcd/event_log.h"
#include "drpcd/keeper.h"
#include "util/log.h"

struct daemon {
	const struct config *config;
	struct drpc_problems *problems;
	struct log log;
	struct event_log events;
	struct drpc_policies *policies;
	struct drpc_service *service;
	struct drpc_server *server;
	struct keeper keeper;
	int signals;				/* a signalfd: the caller's */
	const struct drpc_policy_needs **needs; /* of each policy */
	struct drpc_sandbox_user user;
	struct drpc_sandbox_missing missing;
};

/* 0, or a negative errno with a problem added; daemon_deinit() either way. */
int daemon_init(struct daemon *daemon, const struct config *config, int signals,
	struct drpc_problems *problems);

/* Read and judge everything, start nothing. 0, or a negative errno with problems added. */
int daemon_load(struct daemon *daemon);

/*
 * Everything up to the first accept. After daemon_load(). 0, or a negative errno with problems
 * added: end the process.
 */
int daemon_start(struct daemon *daemon);

/* Serve on this thread, for some seconds: 0 when a signal came, -ETIMEDOUT to be called again. */
int daemon_serve(struct daemon *daemon);

/* Finish what is under way, remove the socket's file. Returns whether every thread has ended. */
bool daemon_stop(struct daemon *daemon);

void daemon_deinit(struct daemon *daemon);

#endif
