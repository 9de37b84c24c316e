/* SPDX-License-Identifier: MIT
 *
 * The netpoller: readiness of descriptors turned into runnable goroutines.
 */
#ifndef WI_CORE_NETPOLL_H
#define WI_CORE_NETPOLL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/g.h"

/* For weft_run. init: 0 or -errno. fini wakes whoever waits from a foreign thread with -ECANCELED,
 * and leaves the descriptors open for a later run; it is called when no goroutine can run any more,
 * while parked ones still have their stacks. Without locks. */
int wi_netpoll_init(void);
void wi_netpoll_fini(void);

/* Goroutines, and foreign threads, that wait for a descriptor now; a deadline on one counts through
 * its timer. */
uint32_t wi_netpoll_waiters(void);

/* Appends to *list the goroutines that became runnable, waiting for the first until deadline (0: do
 * not wait). Called on g0 without locks; when it waits, the M holds no P. */
void wi_netpoll(int64_t deadline, struct wi_glist *list);

/* Ends the current or the next waiting wi_netpoll early. */
void wi_netpoll_break(void);

/* ---- For src/api/net.c; in the runtime ---- */

/* Bits, so that one wait can be for both. */
enum wi_direction { WI_READ = 1, WI_WRITE = 2 };

struct wi_poll_desc;

/* Begins an operation on fd: makes it non-blocking the first time and keeps it from being closed
 * until wi_poll_end. *desc, or -EBADF, -ECANCELED (being closed), -ENOMEM. */
int wi_poll_begin(struct wi_g *gp, int fd, struct wi_poll_desc **desc);
void wi_poll_end(struct wi_g *gp, struct wi_poll_desc *desc);

/* Before the operation is tried: *seen is what wi_poll_wait needs to tell readiness that came
 * afterwards. 0, or -ECANCELED, -ETIMEDOUT once the deadline of one of the directions has passed.
 */
int wi_poll_prepare(struct wi_poll_desc *desc, unsigned directions, uint32_t *seen);

/* After it failed with EAGAIN: parks until it is worth trying again in any of the directions, which
 * may be for nothing. 0, -ECANCELED, -ETIMEDOUT, -EAGAIN (a deadline is WEFT_NOWAIT), -EPERM
 * (cannot be polled). deadline bounds this wait besides the descriptor's own (WEFT_FOREVER: it does
 * not). */
int wi_poll_wait(struct wi_g *gp, struct wi_poll_desc *desc, unsigned directions, uint32_t seen,
                 int64_t deadline);

/* 0, or -EPERM if waiting for it cannot work. */
int wi_poll_can_wait(struct wi_poll_desc *desc);

/* Whether send(2) works on it: true until the first says otherwise. */
bool wi_poll_is_socket(struct wi_poll_desc *desc);
void wi_poll_is_not_socket(struct wi_poll_desc *desc);

int wi_poll_set_deadline(struct wi_g *gp, int fd, int64_t read_deadline, int64_t write_deadline);

/* Wakes all waiters, waits until every operation has ended, closes. 0, -EBADF, -ECANCELED (being
 * closed already), or what close(2) says. */
int wi_poll_close(struct wi_g *gp, int fd);

#endif
