/* SPDX-License-Identifier: MIT
 *
 * Lookups by c-ares, which asks name servers without blocking a thread.
 *
 * Every lookup is a session: a channel of c-ares's with sockets of its own, and a set that watches
 * them (os/watch.h), for which the goroutine waits as for any descriptor. c-ares opens and closes
 * the sockets as it likes; the netpoller never hears of them.
 *
 *   1. enter the gate: at most LIMIT sessions of goroutines at a time, so that a storm of lookups
 *      takes two or three times as many descriptors and no more.
 *   2. open the channel, ask.
 *   3. until there is an answer: wait for the set, for c-ares's own next timeout, or for the
 *      deadline; then let c-ares look at what is ready.
 *   4. destroy the channel, close the set, leave the gate.
 *
 * Whatever c-ares does may read files (/etc/resolv.conf, nsswitch.conf, hosts, services), and so is
 * a declared blocking region. Its callbacks run in there: they touch the session and no runtime.
 *
 * The end of a run discards goroutines in the middle of this, and the next lookup frees what they
 * left. So all sessions are in a list, with the number of their run. A goroutine touches its
 * session only
 *   - in the runtime, where the end of a run waits for it, or
 *   - in c-ares, with inside set; it may finish that call after the end, but gets no further.
 * Hence a session of a run that is over, with inside clear (release; pairs with the acquire in
 * is_left), is nobody's. Foreign threads outlive runs, and their sessions are theirs for good.
 *
 * Rejected: one channel for all, with a goroutine that drives it [the channel of its own costs 28
 * us, most of it for reading the configuration, beside 15 us for the hosts file and the way to a
 * name server and back]. It would be used by whoever is discarded or goes on when a run ends, need
 * somebody to drive it while only foreign threads wait, keep lookups whose deadline has passed
 * (c-ares can only cancel all), and send every question from one port, which makes answers easier
 * to forge. Hundreds of questions at once would also overflow the one socket's buffer.
 *
 * ares_getaddrinfo asks for both families at the same time and answers once it has both, sorted as
 * RFC 6724 says. So there is no first family to hold back by RFC 8305's resolution delay.
 */
#include "api/resolve.h"

#include <errno.h>

#if defined(WI_CARES)

#include <ares.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <weft/net.h>
#include <weft/time.h>

#include "api/gate.h"
#include "base/atomic.h"
#include "core/blocking.h"
#include "core/netpoll.h"
#include "core/park.h"
#include "core/sched.h"
#include "os/os.h"
#include "os/watch.h"

/* A program that is linked with libweft.a and without c-ares gets null pointers. */
#pragma weak ares_init_options
#pragma weak ares_destroy
#pragma weak ares_getaddrinfo
#pragma weak ares_freeaddrinfo
#pragma weak ares_process_fd
#pragma weak ares_timeout
#pragma weak ares_set_servers_ports_csv

enum { LIMIT = 64, BATCH = 8 };

#define FOREIGN UINT64_MAX

struct session {
    ares_channel channel;           /* or NULL */
    int set;                        /* of c-ares's sockets; negative: none */
    const struct wi_lookup *lookup; /* constant; the owner's, for as long as it asks */
    bool done;
    int result;              /* once it is done: the number of addresses, or -errno */
    struct wi_address *list; /* those */
    int64_t again;           /* when c-ares wants to be called, whatever happens */

    bool inside;                 /* atomic: the owner's thread is in c-ares */
    uint64_t run;                /* that the owner is of, or FOREIGN; guarded by sessions_lock */
    struct session *next, *prev; /* the same */
};

static struct wi_gate gate;
static struct wi_lock sessions_lock;
static struct session *sessions; /* guarded by sessions_lock */

static struct {
    const char *servers;
    int milliseconds;
    int tries;
} test; /* constant during lookups */

bool wi_resolve_ares_linked(void)
{
    return ares_init_options && ares_destroy && ares_getaddrinfo && ares_freeaddrinfo &&
           ares_process_fd && ares_timeout && ares_set_servers_ports_csv;
}

void wi_resolve_ares_servers(const char *servers, int milliseconds, int tries)
{
    test.servers = servers;
    test.milliseconds = milliseconds;
    test.tries = tries;
}

/* ---- Inside c-ares ---- */

static int error_of(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
    case ARES_ESERVICE:
        return -ENOENT;
    case ARES_ENODATA:
        return -ENODATA;
    case ARES_EBADNAME:
        return -EINVAL;
    case ARES_ETIMEOUT:
        return -ETIMEDOUT;
    case ARES_ENOMEM:
        return -ENOMEM;
    default:
        return -EREMOTEIO;
    }
}

static void finish(struct session *session, int result)
{
    session->done = true;
    session->result = result;
}

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct session *session = arg;
    int events = (readable ? POLLIN : 0) | (writable ? POLLOUT : 0);
    if (session->set < 0)
        session->set = wi_os_watch_open();
    int err = session->set < 0 ? session->set : wi_os_watch(session->set, fd, events);
    if (err)
        finish(session, err);
}

static int copy_list(struct session *session, const struct ares_addrinfo *info)
{
    int type = session->lookup->type;
    size_t size = 0;
    int count = 0;
    for (const struct ares_addrinfo_node *p = info->nodes; p; p = p->ai_next)
        size++;
    struct wi_address *copy = calloc(size ? size : 1, sizeof *copy);
    if (!copy)
        return -ENOMEM;
    for (const struct ares_addrinfo_node *p = info->nodes; p; p = p->ai_next)
        count += wi_address_copy(&copy[count], p->ai_addr, (socklen_t)p->ai_addrlen, type);
    if (count == 0) {
        free(copy);
        return -ENODATA;
    }
    session->list = copy;
    return count;
}

/* Also called when the channel is destroyed, with nothing to tell. */
static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct session *session = arg;
    (void)timeouts;
    if (!session->done)
        finish(session, status == ARES_SUCCESS ? copy_list(session, info) : error_of(status));
    if (info)
        ares_freeaddrinfo(info);
}

/* A millisecond more, so that c-ares's clock, which is coarser, agrees that it is time. */
static void note_timeout(struct session *session)
{
    struct timeval left;
    session->again = WEFT_FOREVER;
    if (ares_timeout(session->channel, NULL, &left))
        session->again = wi_os_now() + left.tv_sec * WEFT_SECOND + left.tv_usec * WEFT_MICROSECOND +
                         WEFT_MILLISECOND;
}

static void ask(struct session *session)
{
    const struct wi_lookup *lookup = session->lookup;
    struct ares_options options = {.sock_state_cb = on_socket, .sock_state_cb_data = session};
    struct ares_addrinfo_hints hints = {.ai_family = lookup->family, .ai_socktype = lookup->type};
    int mask = ARES_OPT_SOCK_STATE_CB;
    if (test.servers) {
        options.timeout = test.milliseconds;
        options.tries = test.tries;
        mask |= ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
    }
    ares_channel channel;
    int status = ares_init_options(&channel, &options, mask);
    if (status == ARES_SUCCESS) {
        session->channel = channel;
        if (test.servers)
            status = ares_set_servers_ports_csv(channel, test.servers);
    }
    if (status != ARES_SUCCESS) {
        finish(session, error_of(status));
        return;
    }
    ares_getaddrinfo(channel, lookup->host, lookup->service, &hints, on_answer, session);
    note_timeout(session);
}

static void look(struct session *session)
{
    struct wi_os_watched ready[BATCH];
    int count = session->set < 0 ? 0 : wi_os_watch_ready(session->set, ready, BATCH);
    for (int i = 0; i < count; i++)
        ares_process_fd(session->channel, ready[i].events & POLLIN ? ready[i].fd : ARES_SOCKET_BAD,
                        ready[i].events & POLLOUT ? ready[i].fd : ARES_SOCKET_BAD);
    ares_process_fd(session->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what is overdue */
    note_timeout(session);
}

static void hang_up(struct session *session)
{
    finish(session, session->result);
    ares_destroy(session->channel);
    session->channel = NULL;
}

/* In the runtime. Does not return if the run has ended meanwhile. */
static void in_ares(struct wi_g *gp, struct session *session, void (*fn)(struct session *session))
{
    wi_store_relaxed(&session->inside, true);
    wi_block_begin(gp);
    fn(session);
    wi_sanitize_release(session);
    wi_store_release(&session->inside, false);
    wi_block_end(gp);
}

/* ---- Sessions; all in the runtime ---- */

/* The lock is held. */
static void unlink_session(struct session *session)
{
    if (session->prev)
        session->prev->next = session->next;
    else
        sessions = session->next;
    if (session->next)
        session->next->prev = session->prev;
}

/* It stays in the list while c-ares is at it, since its owner may be discarded there. The addresses
 * that were found, or NULL. */
static struct wi_address *session_end(struct wi_g *gp, struct session *session)
{
    if (session->channel)
        in_ares(gp, session, hang_up);
    wi_lock(&sessions_lock);
    unlink_session(session);
    wi_unlock(&sessions_lock);
    if (session->set >= 0)
        wi_poll_close(gp, session->set);
    struct wi_address *list = session->list;
    free(session);
    return list;
}

static uint64_t run_of(const struct wi_g *gp)
{
    return gp->foreign ? FOREIGN : wi_load_relaxed(&wi_sched.run);
}

static bool is_left(struct session *session)
{
    return session->run != FOREIGN && session->run != wi_load_relaxed(&wi_sched.run) &&
           !wi_load_acquire(&session->inside);
}

/* One that an earlier run left, which is the caller's now; or NULL. */
static struct session *take_left(const struct wi_g *gp)
{
    wi_lock(&sessions_lock);
    struct session *session = sessions;
    while (session && !is_left(session))
        session = session->next;
    if (session)
        session->run = run_of(gp);
    wi_unlock(&sessions_lock);
    if (session)
        wi_sanitize_acquire(session);
    return session;
}

static struct session *session_new(struct wi_g *gp, const struct wi_lookup *lookup)
{
    struct session *session;
    while ((session = take_left(gp)))
        free(session_end(gp, session));
    session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->set = -1;
    session->lookup = lookup;
    session->run = run_of(gp);
    wi_lock(&sessions_lock);
    session->next = sessions;
    if (sessions)
        sessions->prev = session;
    sessions = session;
    wi_unlock(&sessions_lock);
    return session;
}

/* ---- A lookup ---- */

/* Step 3's wait; out of the runtime, so the session is not at hand. 0 if there is something to do
 * for c-ares. A foreign thread is sent away when a run ends, and comes back. */
static int wait_for(int set, int64_t again, int64_t deadline)
{
    int64_t until = again < deadline ? again : deadline;
    if (set < 0 && until == WEFT_FOREVER)
        return -EREMOTEIO;
    int result = set < 0 ? weft_sleep_until(until) : weft_wait(set, POLLIN, until);
    if (result >= 0 || result == -ECANCELED)
        return 0;
    return result == -ETIMEDOUT && again < deadline ? 0 : result;
}

static int converse(struct wi_g *gp, struct session *session, int64_t deadline)
{
    in_ares(gp, session, ask);
    while (!session->done) {
        int set = session->set;
        int64_t again = session->again;
        wi_leave(gp);
        int err = wait_for(set, again, deadline);
        wi_enter();
        if (err)
            return err;
        in_ares(gp, session, look);
    }
    return session->result;
}

static int in_session(struct wi_g *gp, const struct wi_lookup *lookup, int64_t deadline,
                      struct wi_address **list)
{
    struct session *session = session_new(gp, lookup);
    if (!session)
        return -ENOMEM;
    int result = converse(gp, session, deadline);
    *list = session_end(gp, session);
    return result;
}

int wi_resolve_ares(const struct wi_lookup *lookup, int64_t deadline, struct wi_address **list)
{
    struct wi_g *gp = wi_enter();
    int result = gp->foreign ? 0 : wi_gate_enter(gp, &gate, LIMIT, deadline);
    if (result == 0) {
        result = in_session(gp, lookup, deadline, list);
        if (!gp->foreign)
            wi_gate_leave(&gate);
    }
    wi_leave(gp);
    return result;
}

#else

bool wi_resolve_ares_linked(void)
{
    return false;
}

void wi_resolve_ares_servers(const char *servers, int milliseconds, int tries)
{
    (void)servers;
    (void)milliseconds;
    (void)tries;
}

int wi_resolve_ares(const struct wi_lookup *lookup, int64_t deadline, struct wi_address **list)
{
    (void)lookup;
    (void)deadline;
    (void)list;
    return -ENOSYS;
}

#endif
