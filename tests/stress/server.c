/* SPDX-License-Identifier: MIT
 *
 * Clients come and go in all ways while servers are stopped, by goroutines and by threads, several
 * at a time, and begin again. A server's memory is freed after each of its lives.
 */
#include "api/net_test.h"
#include "stress/stress.h"

enum { SERVERS = 2, LISTENERS = 3, CLIENTS = 16, LIVES = 400 };

/* One life of a server. Two of its listeners are served, the connections of the third entered. */
struct life {
    weft_server server;
    struct endpoint at[LISTENERS];
    weft_waitgroup running; /* all goroutines that use the server, but handlers and stops */
    int inside;             /* atomic: handlers, and connections that are entered */
};

/* Where the servers are now. */
static struct {
    weft_mutex mutex;
    struct endpoint at[SERVERS][LISTENERS];
} places;

static int lives_left, served; /* atomic */
static weft_waitgroup clients;

static int64_t soon(void)
{
    return weft_after((int64_t)test_random_below(3 * WEFT_MILLISECOND));
}

/* ---- The servers' side ---- */

/* Echoes until the client or the server has had enough; now and then it does not say that it is
 * idle, or sleeps, and may have to be cut. */
static void talk(struct life *life, weft_conn *conn, int fd)
{
    char buffer[512];
    __atomic_add_fetch(&life->inside, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&served, 1, __ATOMIC_SEQ_CST);
    for (ssize_t count = 1; count > 0;) {
        bool idle = !by_chance(4);
        if (idle && weft_conn_idle(conn, 1) != 0)
            break;
        count = weft_read(fd, buffer, sizeof buffer);
        if (idle)
            weft_conn_idle(conn, 0);
        if (count > 0)
            count = weft_write_all(fd, buffer, (size_t)count);
        if (by_chance(50))
            weft_sleep_until(soon());
    }
    __atomic_sub_fetch(&life->inside, 1, __ATOMIC_SEQ_CST);
}

static void handle(weft_conn *conn, int fd, void *arg)
{
    talk(arg, conn, fd);
    if (by_chance(8))
        weft_exit();
}

/* For goroutines: what they use. */
struct use {
    struct life *life;
    int fd;
};

static void serve(void *arg)
{
    const struct use *use = arg;
    CHECK_EQ(weft_serve(&use->life->server, use->fd, handle, use->life), 0);
    weft_waitgroup_done(&use->life->running);
}

static void enter(void *arg)
{
    const struct use *use = arg;
    struct life *life = use->life;
    weft_conn conn = {0};
    int result = weft_server_add(&life->server, &conn, use->fd);
    if (result == 0) {
        talk(life, &conn, use->fd);
        weft_server_remove(&conn);
    } else {
        CHECK_EQ(result, -ECANCELED);
    }
    CHECK_EQ(weft_close(use->fd), 0);
    weft_waitgroup_done(&life->running);
}

static void start(struct life *life, void (*fn)(void *arg), int fd)
{
    struct use use = {life, fd};
    weft_waitgroup_add(&life->running, 1);
    CHECK_EQ(weft_go_copy(fn, &use, sizeof use), 0);
}

static void accept_and_enter(void *arg)
{
    const struct use *use = arg;
    int fd;
    while ((fd = weft_accept(use->fd, NULL, NULL)) >= 0)
        start(use->life, enter, fd);
    CHECK_EQ(fd, -ETIMEDOUT);
    CHECK_EQ(weft_close(use->fd), 0);
    weft_waitgroup_done(&use->life->running);
}

/* ---- Stopping ---- */

static int64_t deadline(void)
{
    return by_chance(8) ? WEFT_NOWAIT : soon();
}

struct stop {
    weft_server *server;
    weft_waitgroup *running;
};

static void run_stop(void *arg)
{
    const struct stop *stop = arg;
    CHECK_GE(weft_server_stop(stop->server, deadline()), -ECANCELED);
    weft_waitgroup_done(stop->running);
}

/* By several at once, now and then. */
static void stop(struct life *life)
{
    weft_waitgroup running = {0};
    struct stop other = {&life->server, &running};
    for (uint64_t more = test_random_below(3); more > 0; more--) {
        weft_waitgroup_add(&running, 1);
        start_with_copy(by_chance(4), run_stop, &other, sizeof other);
    }
    CHECK_GE(weft_server_stop(&life->server, deadline()), -ECANCELED);
    weft_waitgroup_wait(&running);
}

static struct life *begin(int server)
{
    struct life *life = malloc(sizeof *life);
    *life = (struct life){.server.limit = by_chance(2) ? 1 + (int)test_random_below(CLIENTS) : 0};
    for (int i = 0; i < LISTENERS; i++)
        life->at[i] = endpoint_listen(i == 0 ? KIND_TCP : KIND_ABSTRACT, 8);
    weft_mutex_lock(&places.mutex);
    memcpy(places.at[server], life->at, sizeof life->at);
    weft_mutex_unlock(&places.mutex);
    start(life, serve, life->at[0].fd);
    start(life, serve, life->at[1].fd);
    start(life, accept_and_enter, life->at[2].fd);
    return life;
}

/* The acceptor closes its listener itself: nobody else knows that it is not about to use it. */
static void end_accepting(struct life *life)
{
    CHECK_EQ(weft_set_deadline(life->at[2].fd, weft_now(), WEFT_FOREVER), 0);
}

/* Those that come after a stop know nothing of it; so it is repeated until all have ended. */
static void end(struct life *life)
{
    bool later = by_chance(2);
    if (!later)
        end_accepting(life);
    do {
        stop(life);
        if (later)
            end_accepting(life);
        later = false;
    } while (weft_waitgroup_wait_until(&life->running, weft_after(WEFT_MILLISECOND)) != 0);
    CHECK_EQ(__atomic_load_n(&life->inside, __ATOMIC_SEQ_CST), 0);
    free(life);
}

static void run_server(void *index)
{
    while (__atomic_sub_fetch(&lives_left, 1, __ATOMIC_RELAXED) >= 0) {
        struct life *life = begin(test_index(index));
        weft_sleep((int64_t)test_random_below(15 * WEFT_MILLISECOND));
        end(life);
    }
}

/* ---- Clients: whatever happens to them is right, if only it comes to an end ---- */

static void leave(int fd)
{
    if (by_chance(4))
        weft_shutdown(fd, SHUT_WR);
    struct linger reset = {.l_onoff = 1};
    if (by_chance(4))
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    CHECK_EQ(weft_close(fd), 0);
}

static void visit(void)
{
    char bytes[256] = "";
    weft_mutex_lock(&places.mutex);
    struct endpoint at = places.at[test_random_below(SERVERS)][test_random_below(LISTENERS)];
    weft_mutex_unlock(&places.mutex);
    int fd = at.network ? weft_dial(at.network, at.address, weft_after(20 * WEFT_MILLISECOND)) : -1;
    if (fd < 0) {
        weft_sleep_until(soon());
        return;
    }
    CHECK_EQ(weft_set_deadline(fd, weft_after(50 * WEFT_MILLISECOND), WEFT_FOREVER), 0);
    for (uint64_t i = test_random_below(20); i > 0; i--) {
        if (weft_write_all(fd, bytes, 1 + test_random_below(sizeof bytes)) < 0)
            break;
        if (!by_chance(8) && weft_read(fd, bytes, sizeof bytes) <= 0)
            break;
    }
    leave(fd);
}

static void client(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&lives_left, __ATOMIC_RELAXED) >= 0)
        visit();
    weft_waitgroup_done(&clients);
}

TEST_PROCS(come_and_go)
{
    int lives = share(LIVES);
    __atomic_store_n(&lives_left, lives, __ATOMIC_RELAXED);
    weft_waitgroup_add(&clients, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(weft_go(client, NULL), 0);
    test_each(SERVERS, run_server);
    weft_waitgroup_wait(&clients);
    CHECK_GT(__atomic_load_n(&served, __ATOMIC_SEQ_CST), lives);
    CHECK_EQ(net_waiters(), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
}
