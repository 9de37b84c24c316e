/* SPDX-License-Identifier: MIT
 *
 * Dialling several addresses at once. An address where nobody listens refuses at once; one whose
 * listener's backlog is full does not answer.
 */
#include "api/net_test.h"

#include <pthread.h>

#include "api/dial.h"

enum { FULL = 64 };

/* What was dialled, in order: the last byte of each address. */
static unsigned char dialled[64];
static int dialled_count;
static int last_fd = -1; /* atomic */

int __real_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    const struct sockaddr_in6 *v6 = (const void *)address;
    const struct sockaddr_in *v4 = (const void *)address;
    if (address->sa_family == AF_INET || address->sa_family == AF_INET6) {
        int i = __atomic_fetch_add(&dialled_count, 1, __ATOMIC_RELAXED);
        if (i < (int)sizeof dialled)
            dialled[i] = address->sa_family == AF_INET
                             ? (unsigned char)(ntohl(v4->sin_addr.s_addr) & 0xFF)
                             : v6->sin6_addr.s6_addr[15];
    }
    int result = __real_connect(fd, address, size);
    int error = errno;
    __atomic_store_n(&last_fd, fd, __ATOMIC_RELEASE);
    errno = error;
    return result;
}

static struct wi_address v4(int last_byte, int port)
{
    return (struct wi_address){.v4 = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(0x7F000000u | (unsigned)last_byte),
                                      .sin_port = htons((uint16_t)port)},
                               .size = sizeof(struct sockaddr_in),
                               .type = SOCK_STREAM};
}

/* Link-local without an interface: the kernel refuses it out of hand. */
static struct wi_address v6_invalid(int last_byte)
{
    return (struct wi_address){
        .v6 = {.sin6_family = AF_INET6,
               .sin6_addr.s6_addr = {0xFE, 0x80, [15] = (unsigned char)last_byte},
               .sin6_port = htons(1)},
        .size = sizeof(struct sockaddr_in6),
        .type = SOCK_STREAM};
}

/* On every loopback address. */
struct place {
    int listener;
    int port;
    int fds[FULL];
    int count;
};

static struct place listening(const char *host)
{
    char address[64];
    snprintf(address, sizeof address, "%s:0", host);
    struct place place = {.listener = weft_listen("tcp4", address, 1)};
    CHECK_GE(place.listener, 0);
    place.port = bound_port(place.listener);
    return place;
}

/* Nobody listens at its port any more, and nobody else will soon. */
static int refusing_port(void)
{
    struct place place = listening("127.0.0.1");
    CHECK_EQ(weft_close(place.listener), 0);
    return place.port;
}

static struct place stalling(void)
{
    struct place place = listening("0.0.0.0");
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", place.port);
    for (;; place.count++) {
        CHECK_LT(place.count, FULL);
        int fd = weft_dial("tcp4", address, weft_after(100 * WEFT_MILLISECOND));
        if (fd < 0) {
            CHECK_EQ(fd, -ETIMEDOUT);
            break;
        }
        place.fds[place.count] = fd;
    }
    dialled_count = 0;
    return place;
}

static void leave(struct place *place)
{
    for (int i = 0; i < place->count; i++)
        CHECK_EQ(weft_close(place->fds[i]), 0);
    CHECK_EQ(weft_close(place->listener), 0);
}

/* The race is won by the one that listens. How long it took. */
static int64_t won(const struct wi_address *list, int count, struct place *winner)
{
    int before = test_count_fds();
    int64_t start = weft_now();
    int fd = wi_dial_race(list, count, weft_after(60 * WEFT_SECOND));
    int64_t time = weft_now() - start;
    CHECK_GE(fd, 0);
    CHECK_EQ(test_count_fds(), before + 1);
    int accepted = weft_accept(winner->listener, NULL, NULL);
    CHECK_GE(accepted, 0);
    CHECK_EQ(weft_write(fd, "x", 1), 1);
    char byte = 0;
    CHECK_EQ(weft_read(accepted, &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_close(accepted), 0);
    CHECK_EQ(net_waiters(), 0);
    return time;
}

static void order(const char *families, const char *expected)
{
    struct wi_address list[16];
    int count = (int)strlen(families);
    int port = refusing_port();
    for (int i = 0; i < count; i++)
        list[i] = families[i] == '4' ? v4(i + 1, port) : v6_invalid(i + 1);
    dialled_count = 0;
    CHECK_LT(wi_dial_race(list, count, WEFT_FOREVER), 0);
    CHECK_EQ(dialled_count, count);
    char text[32] = "";
    for (int i = 0; i < count; i++)
        text[i] = (char)('0' + dialled[i]);
    CHECK_STR(text, expected);
}

TEST_PROCS(families_alternate)
{
    if (!have_ipv6())
        SKIP("no IPv6 on the loopback interface");
    order("44", "12");
    order("46", "12");
    order("64", "12");
    order("44466", "14253");
    order("66444", "13245");
    order("4666", "1234");
    order("6664", "1423");
    order("464646", "123456");
}

/* Those that refuse cost no time. */
TEST_PROCS(refused_then_good)
{
    enum { REFUSED = 40 };
    struct wi_address list[REFUSED + 1];
    struct place good = listening("127.0.0.1");
    int port = refusing_port();
    for (int i = 0; i < REFUSED; i++)
        list[i] = v4(1, port);
    list[REFUSED] = v4(1, good.port);
    CHECK_LT(won(list, REFUSED + 1, &good), REFUSED * 250 * WEFT_MILLISECOND / 2);
    leave(&good);
}

TEST_PROCS(stalled_then_good)
{
    struct place stalled = stalling();
    struct place good = listening("127.0.0.1");
    struct wi_address list[] = {v4(1, stalled.port), v4(2, stalled.port), v4(1, good.port),
                                v4(3, stalled.port)};
    CHECK_GE(won(list, 4, &good), 500 * WEFT_MILLISECOND);
    CHECK_EQ(dialled_count, 3);
    leave(&good);
    leave(&stalled);
}

/* The second is refused, and so the third is tried at once though the first is under way. */
TEST_PROCS(stalled_refused_good)
{
    struct place stalled = stalling();
    struct place good = listening("127.0.0.1");
    int port = refusing_port();
    struct wi_address list[44];
    list[0] = v4(1, stalled.port);
    for (int i = 1; i < 43; i++)
        list[i] = v4(1, port);
    list[43] = v4(1, good.port);
    int64_t time = won(list, 44, &good);
    CHECK_GE(time, 250 * WEFT_MILLISECOND);
    CHECK_LT(time, 40 * 250 * WEFT_MILLISECOND);
    leave(&good);
    leave(&stalled);
}

enum { BROKEN = 24 };

/* Breaks all attempts that are under way but the first. */
static void break_them(void *arg)
{
    weft_waitgroup *done = arg;
    for (int i = 0; i <= BROKEN; i++) {
        int fd;
        CHECK_SOON((fd = __atomic_exchange_n(&last_fd, -1, __ATOMIC_ACQUIRE)) >= 0);
        if (i > 0)
            CHECK_EQ(shutdown(fd, SHUT_RDWR), 0);
    }
    weft_waitgroup_done(done);
}

/* One that fails while another is under way brings on the next at once. */
TEST_PROCS(broken_then_good)
{
    struct place stalled = stalling();
    struct place good = listening("127.0.0.1");
    struct wi_address list[BROKEN + 2];
    weft_waitgroup broken = {0};
    for (int i = 0; i <= BROKEN; i++)
        list[i] = v4(1, stalled.port);
    list[BROKEN + 1] = v4(1, good.port);
    last_fd = -1;
    weft_waitgroup_add(&broken, 1);
    CHECK_EQ(weft_go(break_them, &broken), 0);
    CHECK_LT(won(list, BROKEN + 2, &good), BROKEN * 250 * WEFT_MILLISECOND / 2);
    weft_waitgroup_wait(&broken);
    leave(&good);
    leave(&stalled);
}

static void make_room(void *arg)
{
    struct place *place = arg;
    weft_sleep(400 * WEFT_MILLISECOND);
    for (int i = 0; i < place->count; i++) {
        int accepted = weft_accept(place->listener, NULL, NULL);
        CHECK_GE(accepted, 0);
        CHECK_EQ(weft_close(accepted), 0);
    }
}

/* The first answers after all, to a SYN that TCP repeats after a second, while the second is under
 * way. */
TEST_PROCS(first_wins_late)
{
    struct place first = stalling();
    struct place second = stalling();
    struct wi_address list[] = {v4(1, first.port), v4(1, second.port)};
    CHECK_EQ(weft_go(make_room, &first), 0);
    int before = test_count_fds();
    int fd = wi_dial_race(list, 2, weft_after(60 * WEFT_SECOND));
    CHECK_GE(fd, 0);
    CHECK_EQ(dialled_count, 2);
    CHECK_EQ(test_count_fds(), before + 1);
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    CHECK_EQ(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
    CHECK_EQ(ntohs(peer.sin_port), first.port);
    CHECK_EQ(weft_close(fd), 0);
    leave(&first);
    leave(&second);
}

TEST_PROCS(deadline)
{
    struct place stalled = stalling();
    int port = refusing_port();
    struct wi_address list[] = {v4(1, port), v4(1, stalled.port), v4(2, stalled.port)};
    int before = test_count_fds();
    int64_t deadline = weft_after(400 * WEFT_MILLISECOND);
    CHECK_EQ(wi_dial_race(list, 3, deadline), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(wi_dial_race(list + 1, 2, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(wi_dial_race(list + 1, 2, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(test_count_fds(), before);
    CHECK_EQ(net_waiters(), 0);
    leave(&stalled);
}

/* A thread goes on waiting when the run ends. */
static struct wi_address both[2];
static pthread_t racer;

static void *race_in_thread(void *arg)
{
    CHECK_EQ(wi_dial_race(both, 2, weft_after(600 * WEFT_MILLISECOND)), -ETIMEDOUT);
    return arg;
}

static void leave_a_thread(void)
{
    CHECK_EQ(pthread_create(&racer, NULL, race_in_thread, NULL), 0);
    CHECK_SOON(net_waiters() == 1);
}

TEST(end_of_run_under_a_thread)
{
    struct place stalled = stalling();
    for (int i = 0; i < 2; i++)
        both[i] = v4(i + 1, stalled.port);
    test_in_runtime(2, leave_a_thread);
    CHECK_EQ(pthread_join(racer, NULL), 0);
    CHECK_EQ(dialled_count, 2);
    leave(&stalled);
}

TEST_PROCS(first_error_counts)
{
    int port = refusing_port();
    int fd;
    struct wi_address invalid = v6_invalid(1);
    int error = wi_dial_begin(&invalid, &fd); /* -EINVAL, or without IPv6 -EAFNOSUPPORT */
    CHECK_LT(error, 0);
    CHECK_NE(error, -EINPROGRESS);
    CHECK_NE(error, -ECONNREFUSED);
    struct wi_address refused_first[] = {v4(1, port), invalid, invalid};
    CHECK_EQ(wi_dial_race(refused_first, 3, WEFT_FOREVER), -ECONNREFUSED);
    CHECK_EQ(wi_dial_race(refused_first, 3, WEFT_NOWAIT), -ECONNREFUSED);
    struct wi_address refused_last[] = {invalid, v4(1, port), v4(2, port)};
    CHECK_EQ(wi_dial_race(refused_last, 3, WEFT_FOREVER), error);
}

/* However many addresses there are, few attempts are under way. */
TEST_PROCS(bounded)
{
    enum { STALLED = 12 };
    struct place stalled = stalling();
    struct wi_address list[STALLED];
    for (int i = 0; i < STALLED; i++)
        list[i] = v4(i + 1, stalled.port);
    CHECK_EQ(wi_dial_race(list, STALLED, weft_after(2600 * WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_LE(dialled_count, 8);
    CHECK_GT(dialled_count, 1);
    leave(&stalled);
}

TEST_PROCS(datagrams)
{
    struct wi_address list[] = {v4(1, 9), v4(2, 9)};
    list[0].type = list[1].type = SOCK_DGRAM;
    int fd = wi_dial_race(list, 2, WEFT_NOWAIT);
    CHECK_GE(fd, 0);
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    CHECK_EQ(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
    CHECK_EQ(peer.sin_addr.s_addr, list[0].v4.sin_addr.s_addr);
    CHECK_EQ(weft_close(fd), 0);
}

/* ---- Foreign threads, and the end of a run ---- */

TEST(foreign_thread)
{
    struct place stalled = stalling();
    struct place good = listening("127.0.0.1");
    struct wi_address list[] = {v4(1, stalled.port), v4(1, good.port)};
    CHECK_GE(won(list, 2, &good), 250 * WEFT_MILLISECOND);
    CHECK_EQ(wi_dial_race(list, 1, weft_after(20 * WEFT_MILLISECOND)), -ETIMEDOUT);
    leave(&good);
    leave(&stalled);
}

static struct place stalled_for_ever;

static void dial_for_ever(void *arg)
{
    (void)arg;
    struct wi_address list[] = {v4(1, stalled_for_ever.port), v4(2, stalled_for_ever.port)};
    wi_dial_race(list, 2, WEFT_FOREVER);
    FAIL("a dial of a run that is over goes on");
}

static void end_in_the_middle(void)
{
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_go(dial_for_ever, NULL), 0);
    CHECK_SOON(net_waiters() == 10);
}

static void dial_anew(void)
{
    struct place good = listening("127.0.0.1");
    struct wi_address list[] = {v4(1, stalled_for_ever.port), v4(1, good.port)};
    won(list, 2, &good);
    leave(&good);
}

/* The sockets of those who dialled are lost, as everything that a run's goroutines owned. */
TEST(run_ends_in_the_middle, .leaks = TEST_LEAKS_FDS)
{
    stalled_for_ever = stalling();
    test_in_runtime(2, end_in_the_middle);
    test_in_runtime(2, dial_anew);
}

/* ---- Localhost, which has two addresses ---- */

static void localhost_reaches(const char *host)
{
    char address[64];
    snprintf(address, sizeof address, "%s:0", host);
    int listener = weft_listen("tcp", address, 1);
    CHECK_GE(listener, 0);
    for (int i = 0; i < 2; i++) {
        snprintf(address, sizeof address, "%s:%d", i ? "" : "localhost", bound_port(listener));
        int fd = weft_dial("tcp", address, weft_after(30 * WEFT_SECOND));
        if (fd < 0)
            FAIL("dial %s, where %s listens: %d", address, host, fd);
        CHECK_EQ(weft_close(fd), 0);
    }
    CHECK_EQ(weft_close(listener), 0);
}

TEST_PROCS(localhost)
{
    localhost_reaches("127.0.0.1");
    localhost_reaches("localhost");
    if (have_ipv6())
        localhost_reaches("[::1]");
    char address[64];
    snprintf(address, sizeof address, "localhost:%d", refusing_port());
    CHECK_EQ(weft_dial("tcp", address, WEFT_FOREVER), -ECONNREFUSED);
}
