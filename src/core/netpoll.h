/* SPDX-License-Identifier: MIT
 *
 * The netpoller: readiness of descriptors turned into runnable goroutines.
 */
#ifndef WI_CORE_NETPOLL_H
#define WI_CORE_NETPOLL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/g.h"
#include "os/socket.h"

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

/* Begins an operation on fd: makes it non-blocking the first time, keeps it from being closed until
 * wi_poll_end, and waits for its turn in the direction (0: it needs none). 0 and *desc, or -EBADF,
 * -ECANCELED (being closed), -ENOMEM; -ETIMEDOUT, -EAGAIN (the deadline, before its turn came). */
int wi_poll_begin(struct wi_g *gp, int fd, unsigned direction, struct wi_poll_desc **desc);
void wi_poll_end(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction);

/* Tells of a descriptor that the caller has just made, non-blocking, and nobody else knows. Not
 * needed, but the first operation on it then costs no system calls. What is still known of its
 * number was closed behind weft's back, and is forgotten. */
void wi_poll_adopt(struct wi_g *gp, int fd, enum wi_fd_kind kind);

/* Before the operation is tried: *seen is what wi_poll_wait needs to tell readiness that came
 * afterwards. 0, or -ECANCELED, -ETIMEDOUT once the deadline of one of the directions has passed.
 */
int wi_poll_prepare(struct wi_poll_desc *desc, unsigned directions, uint32_t *seen);

/* The same without a look at anything else. */
uint32_t wi_poll_seen(struct wi_poll_desc *desc);

/* After it failed with EAGAIN: parks until it is worth trying again in any of the directions, which
 * may be for nothing. 0, -ECANCELED, -ETIMEDOUT, -EAGAIN (a deadline is WEFT_NOWAIT), -EPERM
 * (cannot be polled). deadline bounds this wait besides the descriptor's own (WEFT_FOREVER: it does
 * not). */
int wi_poll_wait(struct wi_g *gp, struct wi_poll_desc *desc, unsigned directions, uint32_t seen,
                 int64_t deadline);

/* For a change that the kernel does not report: calls that wait in these directions try again. */
void wi_poll_wake(struct wi_g *gp, struct wi_poll_desc *desc, unsigned directions);

/* 0, or -EPERM if waiting for it cannot work. */
int wi_poll_can_wait(struct wi_poll_desc *desc);

/* What kind of file it is; constant between begin and end. */
enum wi_fd_kind wi_poll_kind(const struct wi_poll_desc *desc);
bool wi_poll_is_socket(const struct wi_poll_desc *desc);

/* Whether an earlier read emptied the connection, and no event has come since. */
bool wi_poll_is_drained(const struct wi_poll_desc *desc, uint32_t seen);

/* Whether therefore a read need not be tried; and how much one gave of what it asked for. By who has
 * the turn for reading, between prepare and wait; not for a read that leaves what it reads. */
bool wi_poll_skips_read(const struct wi_poll_desc *desc, uint32_t seen);
void wi_poll_has_read(struct wi_poll_desc *desc, uint32_t seen, size_t wanted, ssize_t count);

/* Of the given directions. 0, or as wi_poll_begin. */
int wi_poll_set_deadline(struct wi_g *gp, int fd, unsigned directions, int64_t read_deadline,
                         int64_t write_deadline);

/* Wakes all waiters, waits until every operation has ended, closes. 0, -EBADF, -ECANCELED (being
 * closed already), or what close(2) says. */
int wi_poll_close(struct wi_g *gp, int fd);

/* Whether a run is on. */
bool wi_poll_active(void);

/* A goroutine that is to start when a descriptor is ready: memory of malloc that weft frees. */
struct wi_poll_when;

/* For events of poll(2), which are of these directions. NULL: out of memory. The caller stays in the
 * runtime, where it cannot be discarded, until the record is handed over. */
struct wi_poll_when *wi_poll_when_new(void (*fn)(void *arg), void *arg, unsigned directions,
                                      int events, int64_t deadline);

/* Starts it as soon as an event comes that was not yet seen, the deadline has passed, or the
 * descriptor is closed. 0; 1: there were others, look again; -ECANCELED, -EPERM. The record is the
 * runtime's if 0. */
int wi_poll_when_add(struct wi_g *gp, struct wi_poll_desc *desc, struct wi_poll_when *when,
                     uint32_t seen);

/* Starts it now, with that result. */
void wi_poll_when_start_now(struct wi_poll_when *when, int result);

/* The result with which gp was started; -EINVAL if it was not started like that. */
int wi_poll_when_result(const struct wi_g *gp);

/* Has one connection that waits at the listener accepted and closed although no descriptor is left,
 * with one that is kept for that. */
void wi_netpoll_refuse(int listener);

/* Connections refused so far. */
uint64_t wi_netpoll_refused(void);

#endif
