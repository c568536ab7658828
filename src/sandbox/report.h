/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Report: the last words of a process that made a forbidden system call. Receives SIGSYS; hands on
 * one line on descriptor 2, and a process that died of SIGSYS.
 */
#ifndef SANDBOX_REPORT_H
#define SANDBOX_REPORT_H

/*
 * Handle SIGSYS. A thread that blocks SIGSYS dies all the same, without a report. Returns 0 or a
 * negative errno.
 */
int report_install(void);

#endif
