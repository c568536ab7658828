/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Write gate: holds one thread up in the middle of write(2), by the linker's --wrap, so that a test
 * can see what becomes of the others meanwhile.
 */
#ifndef SERVER_WRITE_GATE_H
#define SERVER_WRITE_GATE_H

#include <stdbool.h>

/* The calling thread's next write() waits. */
void write_gate_close(void);

/* Wait until it does. */
void write_gate_wait(void);

/* Let it go on; or, if its descriptor is no longer to be trusted, let it do nothing. */
void write_gate_open(bool drop);

#endif
