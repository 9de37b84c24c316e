/* SPDX-License-Identifier: MIT
 *
 * Connections that are opened and dropped in every state, 150 000 of them in the default build.
 * Afterwards nothing is left: no descriptor, no goroutine, no waiter, no memory.
 *
 * Each dialler has a listener of its own, on an address of 127/8 or an abstract one, and so both
 * ends of its connections. What a connection goes through is drawn. Where a call waits while its
 * descriptor is closed, it is known to have begun (weft closes only when it has ended then); one
 * that began later might meet the next connection with that number.
 */
#include "api/net_test.h"
#include "stress/stress.h"

#include <netinet/tcp.h>
#include <sys/ioctl.h>

enum { DIALLERS = 64, CONNECTIONS = 50000, ROUNDS = 10, WARM_UP = 2, GROWTH_MAX = 512 /* KiB */ };

static int64_t soon(void)
{
    return weft_after((int64_t)test_random_below(WEFT_MILLISECOND));
}

/* The two ends of a connection; a state closes both. */
struct ends {
    const struct endpoint *at;
    int client, server;
};

/* What a call may say once the peer has gone. */
static bool is_gone(ssize_t result)
{
    return result == 0 || result == -ECONNRESET || result == -EPIPE;
}

static void set(int fd, int level, int option, int value)
{
    CHECK_EQ(setsockopt(fd, level, option, &value, sizeof value), 0);
}

/* A reset instead of an orderly end, most times: a TCP connection's end leaves a record in the
 * kernel for a minute. */
static void reset_on_close(int fd)
{
    struct linger linger = {.l_onoff = 1};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
}

static void drop(int fd)
{
    if (!by_chance(4))
        reset_on_close(fd);
    CHECK_EQ(weft_close(fd), 0);
}

static void accept_one(struct ends *ends)
{
    ends->server = weft_accept(ends->at->fd, NULL, NULL);
    CHECK_GE(ends->server, 0);
}

static void put(int fd)
{
    static const char zeros[3000];
    size_t size = 1 + test_random_below(sizeof zeros);
    CHECK_EQ(weft_write_all(fd, zeros, size), (ssize_t)size);
}

/* Until it has ended; what came before does not matter. */
static void read_to_end(int fd)
{
    char buffer[1024];
    ssize_t count;
    while ((count = weft_read(fd, buffer, sizeof buffer)) > 0) {
    }
    CHECK(is_gone(count));
}

/* ---- States without a call that waits ---- */

static void closed_at_once(struct ends *ends)
{
    drop(ends->client);
    accept_one(ends);
    CHECK_EQ(weft_close(ends->server), 0);
}

static void closed_before_accept(struct ends *ends)
{
    if (by_chance(2))
        put(ends->client);
    drop(ends->client);
    accept_one(ends);
    read_to_end(ends->server);
    CHECK_EQ(weft_close(ends->server), 0);
}

static void reset(struct ends *ends)
{
    accept_one(ends);
    if (by_chance(2))
        put(ends->server);
    reset_on_close(ends->client);
    CHECK_EQ(weft_close(ends->client), 0);
    read_to_end(ends->server);
    CHECK_EQ(weft_close(ends->server), 0);
}

static void half_closed(struct ends *ends)
{
    char byte;
    accept_one(ends);
    CHECK_EQ(weft_shutdown(ends->client, SHUT_WR), 0);
    CHECK_EQ(weft_read(ends->server, &byte, 1), 0);
    if (by_chance(2)) {
        CHECK_EQ(weft_write_all(ends->server, "x", 1), 1);
        CHECK_EQ(weft_read(ends->client, &byte, 1), 1);
    }
    bool client_first = by_chance(2);
    drop(client_first ? ends->client : ends->server);
    CHECK_EQ(weft_close(client_first ? ends->server : ends->client), 0);
}

static void data_unread(struct ends *ends)
{
    accept_one(ends);
    put(ends->client);
    if (by_chance(2))
        put(ends->server);
    CHECK_EQ(weft_close(ends->server), 0);
    read_to_end(ends->client);
    CHECK_EQ(weft_close(ends->client), 0);
}

static void never_read(struct ends *ends)
{
    accept_one(ends);
    put(ends->client);
    drop(ends->client);
    if (by_chance(2))
        weft_yield();
    CHECK_EQ(weft_close(ends->server), 0);
}

static void deadline_passed(struct ends *ends)
{
    char byte;
    accept_one(ends);
    CHECK_EQ(weft_set_deadline(ends->server, soon(), WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(ends->server, &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(ends->client, weft_after(WEFT_SECOND * 900), soon()), 0);
    drop(ends->client); /* with a deadline to come */
    CHECK_EQ(weft_close(ends->server), 0);
}

/* ---- States with a call that waits ---- */

struct waiting {
    int fd;
    ssize_t result;
    weft_waitgroup running;
};

static void waiting_start(struct waiting *waiting, void (*fn)(void *arg), int fd)
{
    *waiting = (struct waiting){.fd = fd};
    weft_waitgroup_add(&waiting->running, 1);
    CHECK_EQ(weft_go(fn, waiting), 0);
}

static ssize_t waiting_join(struct waiting *waiting)
{
    weft_waitgroup_wait(&waiting->running);
    return waiting->result;
}

static void run_reader(void *arg)
{
    char bytes[2];
    struct waiting *waiting = arg;
    waiting->result = weft_read_full(waiting->fd, bytes, sizeof bytes);
    weft_waitgroup_done(&waiting->running);
}

/* The first of two bytes has been taken: it waits for the second. */
static void await_reader(int fd)
{
    for (int left = 1; left != 0; weft_yield())
        CHECK_EQ(ioctl(fd, FIONREAD, &left), 0);
}

static void parked_reader(struct ends *ends)
{
    struct waiting reader;
    accept_one(ends);
    waiting_start(&reader, run_reader, ends->server);
    CHECK_EQ(weft_write_all(ends->client, "x", 1), 1);
    await_reader(ends->server);
    if (by_chance(2)) {
        CHECK_EQ(weft_close(ends->server), 0);
        CHECK_EQ(waiting_join(&reader), -ECANCELED);
        drop(ends->client);
    } else {
        drop(ends->client);
        ssize_t result = waiting_join(&reader);
        CHECK(result == 1 || result == -ECONNRESET);
        CHECK_EQ(weft_close(ends->server), 0);
    }
}

static void run_writer(void *arg)
{
    static const char zeros[1 << 20];
    struct waiting *waiting = arg;
    waiting->result = weft_write_all(waiting->fd, zeros, sizeof zeros);
    weft_waitgroup_done(&waiting->running);
}

/* The buffers hold less than it writes. */
static void start_writer(struct ends *ends, struct waiting *writer)
{
    char byte;
    accept_one(ends);
    set(ends->server, SOL_SOCKET, SO_SNDBUF, 8192);
    set(ends->client, SOL_SOCKET, SO_RCVBUF, 8192);
    waiting_start(writer, run_writer, ends->server);
    CHECK_EQ(weft_read(ends->client, &byte, 1), 1); /* it has begun */
}

static void parked_writer(struct ends *ends)
{
    struct waiting writer;
    start_writer(ends, &writer);
    reset_on_close(ends->server); /* rather than what is still to be sent */
    CHECK_EQ(weft_close(ends->server), 0);
    CHECK_EQ(waiting_join(&writer), -ECANCELED);
    drop(ends->client);
}

static void gone_during_write(struct ends *ends)
{
    struct waiting writer;
    start_writer(ends, &writer);
    drop(ends->client);
    ssize_t result = waiting_join(&writer);
    CHECK(result == -ECONNRESET || result == -EPIPE);
    CHECK_EQ(weft_close(ends->server), 0);
}

static void run_when(void *arg)
{
    struct waiting *waiting = arg;
    waiting->result = weft_when_result();
    weft_waitgroup_done(&waiting->running);
}

static void when(struct waiting *waiting, int fd, int64_t deadline)
{
    *waiting = (struct waiting){.fd = fd};
    weft_waitgroup_add(&waiting->running, 1);
    CHECK_EQ(weft_go_when(fd, POLLIN, deadline, run_when, waiting), 0);
}

static void pending_when(struct ends *ends)
{
    struct waiting waiting;
    accept_one(ends);
    when(&waiting, ends->server, by_chance(2) ? WEFT_FOREVER : weft_after(900 * WEFT_SECOND));
    if (by_chance(2))
        weft_yield();
    CHECK_EQ(weft_close(ends->server), 0);
    ssize_t result = waiting_join(&waiting);
    CHECK_EQ(result, -ECANCELED);
    drop(ends->client);
}

static void when_the_client_goes(struct ends *ends)
{
    struct waiting waiting;
    accept_one(ends);
    when(&waiting, ends->server, by_chance(2) ? WEFT_FOREVER : weft_after(900 * WEFT_SECOND));
    drop(ends->client);
    CHECK_EQ(waiting_join(&waiting), 0);
    read_to_end(ends->server);
    CHECK_EQ(weft_close(ends->server), 0);
}

static void when_time_is_up(struct ends *ends)
{
    struct waiting waiting;
    accept_one(ends);
    when(&waiting, ends->server, soon());
    CHECK_EQ(waiting_join(&waiting), -ETIMEDOUT);
    drop(ends->client);
    CHECK_EQ(weft_close(ends->server), 0);
}

static void (*const states[])(struct ends *ends) = {
    closed_at_once, closed_before_accept, reset,           half_closed,   data_unread,
    never_read,     deadline_passed,      parked_reader,   parked_writer, gone_during_write,
    pending_when,   when_the_client_goes, when_time_is_up,
};

enum { STATES = sizeof states / sizeof states[0] };

/* ---- Diallers ---- */

static int tickets;      /* atomic: connections to be made in this round */
static int seen[STATES]; /* atomic */

static struct endpoint listen_at(int index)
{
    if (index % 4 == 3)
        return endpoint_listen(KIND_ABSTRACT, 8);
    struct endpoint at = {.network = "tcp"};
    snprintf(at.address, sizeof at.address, "127.17.%d.1:0", index);
    at.fd = weft_listen(at.network, at.address, 8);
    CHECK_GE(at.fd, 0);
    snprintf(at.address, sizeof at.address, "127.17.%d.1:%d", index, bound_port(at.fd));
    return at;
}

static void dialler(void *index)
{
    struct endpoint at = listen_at(test_index(index));
    while (__atomic_sub_fetch(&tickets, 1, __ATOMIC_RELAXED) >= 0) {
        struct ends ends = {.at = &at, .client = endpoint_dial(&at)};
        int state = (int)test_random_below(STATES);
        states[state](&ends);
        __atomic_add_fetch(&seen[state], 1, __ATOMIC_RELAXED);
    }
    endpoint_close(&at);
}

/* ---- What must not grow ---- */

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static long resident(void)
{
    long kib = -1;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status))
        sscanf(line, "VmRSS: %ld", &kib);
    fclose(status);
    return kib;
}

static void round_of(int connections)
{
    __atomic_store_n(&tickets, connections, __ATOMIC_RELAXED);
    test_each(DIALLERS, dialler);
    CHECK_SOON(weft_num_goroutine() == 1); /* the last are on their way out */
    CHECK_EQ(net_waiters(), 0);
}

static void park_a_while(void *index)
{
    (void)index;
    weft_sleep(100 * WEFT_MILLISECOND);
}

/* What is made for good, as much as is ever needed at once: by the parking stacks and goroutines'
 * records (which come by 2 MiB), and by the first rounds descriptors' records, and what malloc
 * keeps for each thread. */
static void warm_up(int connections)
{
    test_each(test_many(24 * DIALLERS), park_a_while);
    for (int i = 0; i < WARM_UP; i++)
        round_of(connections);
}

TEST_PROCS(nothing_is_left, .timeout = 120)
{
    int connections = share(CONNECTIONS) / ROUNDS, descriptors = open_descriptors();
    warm_up(connections);
    long before = resident();
    for (int i = WARM_UP; i < ROUNDS; i++) {
        round_of(connections);
        CHECK_EQ(open_descriptors(), descriptors);
    }
    for (int i = 0; i < STATES; i++)
        CHECK_GT(__atomic_load_n(&seen[i], __ATOMIC_RELAXED), 0);
    weft_stats stats;
    weft_read_stats(&stats);
    CHECK_EQ(stats.timers, 0);
    if (!TEST_ASAN && !TEST_TSAN)
        CHECK_LE(resident() - before, GROWTH_MAX);
}
