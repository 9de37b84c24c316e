/* SPDX-License-Identifier: MIT
 *
 * fork while a run is on: see fork.c.
 */
#ifndef WI_CORE_FORK_H
#define WI_CORE_FORK_H

#include <stdbool.h>

/* In a child that was forked while a run was on. Written once, when that has one thread. */
extern bool wi_forked;

/* Ends the child with a message. */
_Noreturn void wi_fork_fatal(void);

/* Once a process. 0 or -ENOMEM. */
int wi_fork_init(void);

#endif
