/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Configuration: command line and file to one struct. Every key of the file is a flag and the other
 * way round: one table has both. A flag wins over the file.
 */
#ifndef DRPCD_CONFIG_H
#define DRPCD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <drpc/problems.h>
#include <drpc/sandbox.h>

#include "util/log.h"

#define CONFIG_DEFAULT_FILE "/etc/drpc/drpcd.conf"

struct config {
	char *socket;
	char *policy_dir;
	char *module_dir;
	char *user; /* NULL: stay who the process is */
	uint64_t socket_mode;
	uint64_t threads;
	uint64_t workers;
	uint64_t sandbox; /* enum drpc_sandbox_mode */
	uint64_t log;	  /* enum log_format */
	uint64_t log_calls;
	uint64_t max_sessions;
	uint64_t max_sessions_per_uid;
	uint64_t max_message_size;
	uint64_t max_bytes_per_uid;
	uint64_t message_timeout_ms;
	uint64_t send_timeout_ms;
	bool check_only;
};

enum config_outcome {
	CONFIG_READY = 0,
	CONFIG_HELPED, /* --help or --version was answered: exit 0 */
	CONFIG_WRONG,  /* problems say what: exit 2 */
};

/* Read the command line, and the file that it names or the default one if that is there. */
enum config_outcome config_read(
	struct config *config, int argc, char **argv, struct drpc_problems *problems);

void config_deinit(struct config *config);

#endif
