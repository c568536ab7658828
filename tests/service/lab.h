/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Lab: a module with a method for each thing that can happen to a call, and a service with it.
 * Receives a policy; hands on a service, and remembers what its handlers were asked to do.
 */
#ifndef SERVICE_LAB_H
#define SERVICE_LAB_H

#include <semaphore.h>
#include <stdatomic.h>

#include <drpc/service.h>

#include "seen.h"

#define LAB_ID 7

enum lab_method {
	LAB_ECHO,	   /* the body back */
	LAB_NEST,	   /* Nest{word} -> Nest{word + "!"} */
	LAB_NEED,	   /* leaves out what its output type requires */
	LAB_ERRNO,	   /* sets a body, then fails with -EIO */
	LAB_SAID,	   /* fails with BUSY and words */
	LAB_SAID_SUCCESS,  /* asks to fail with SUCCESS */
	LAB_NONSENSE,	   /* returns 42 */
	LAB_PENDS,	   /* returns DRPC_PENDING, and may not */
	LAB_HUGE,	   /* a body above what a message may have */
	LAB_HUNGRY,	   /* takes all the memory that it gets */
	LAB_PIDFD,	   /* succeeds when there is a pidfd, or the kernel has none */
	LAB_DATA,	   /* the string that start gave; FAILURE without */
	LAB_BLOCKING,	   /* waits for lab_gate, then as LAB_ECHO */
	LAB_BLOCKING_ECHO, /* LAB_ECHO on a worker */
	LAB_LATER_AT_ONCE, /* returns 0 at once, though it may answer later */
	LAB_LATER_INSIDE,  /* answers in the handler */
	LAB_LATER_BEFORE,  /* another thread answers before the handler returns */
	LAB_LATER_AFTER,   /* another thread answers, most often after the handler returned */
	LAB_LATER_KEPT,	   /* waits in lab.kept for the test to answer */
	LAB_BIG,	   /* as many bytes as the body says, in a text */
	LAB_AWAIT_CANCEL,  /* on a worker: ends when it is cancelled */
	LAB_STOP,	   /* waits for lab_gate on the loop, which must not be done */
	LAB_METHODS,
};

extern const struct drpc_module lab_module;

/* What allows everybody everything; rule "all" is in line 4. */
extern const char lab_open_policy[];

#define LAB_KEPT_MAX 128

struct lab {
	struct drpc_service *service;
	struct drpc_policy *policy;
	struct seen seen;

	_Atomic unsigned runs; /* of handlers */
	_Atomic unsigned starts;
	_Atomic unsigned stops;
	sem_t entered;		    /* posted by LAB_BLOCKING, LAB_STOP and LAB_LATER_KEPT */
	sem_t gate;		    /* waited for by LAB_BLOCKING and LAB_STOP */
	_Atomic bool was_cancelled; /* LAB_BLOCKING saw it at the gate */

	pthread_mutex_t lock;			 /* guards what follows */
	struct drpc_request *kept[LAB_KEPT_MAX]; /* of LAB_LATER_KEPT, in order; NULL: taken */
	unsigned kept_count;
	sem_t cancelled;     /* posted by the cancel function of LAB_LATER_KEPT */
	bool answers_cancel; /* which then answers -ECANCELED */
	bool listens_cancel; /* whether there is a cancel function */
};

/* There is one, because handlers have no other way to it. */
extern struct lab lab;

/* A service with the module under a policy's text (NULL: none); events are seen in lab.seen. */
void lab_open(const char *policy, bool every_call);
void lab_close(void);

struct drpc_policy *lab_parse(const char *text);

/* Take kept request number @index, from 0, to answer it; the call must have been entered. */
struct drpc_request *lab_take(unsigned index);

/* Wait for a semaphore; false: not in time. */
bool lab_wait(sem_t *semaphore);

#endif
