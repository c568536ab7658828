/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The whole public API. */
#ifndef DRPC_DRPC_H
#define DRPC_DRPC_H

#include <drpc/client.h>
#include <drpc/event.h>
#include <drpc/message.h>
#include <drpc/module.h>
#include <drpc/peer.h>
#include <drpc/policy.h>
#include <drpc/problems.h>
#include <drpc/sandbox.h>
#include <drpc/server.h>
#include <drpc/service.h>
#include <drpc/session.h>
#include <drpc/status.h>

#endif
