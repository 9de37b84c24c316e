/* SPDX-License-Identifier: MIT
 *
 * Lookups through c-ares, with a name server of the test's own.
 */
#include "api/dns_test.h"

enum { PATIENT = 5000 }; /* milliseconds: an answer that is sent is waited for */

/* With a dot at the end, so that the system's search list does not matter. */
static int resolve(const char *network, const char *name, weft_addr *addrs, int max,
                   int64_t deadline)
{
    char address[64];
    snprintf(address, sizeof address, "%s.test.:80", name);
    return weft_resolve(network, address, addrs, max, deadline);
}

static int count_of(const char *network, const char *name)
{
    return resolve(network, name, NULL, 0, weft_after(60 * WEFT_SECOND));
}

static void text_is(const weft_addr *addr, const char *expected)
{
    char text[128];
    CHECK_GT(weft_addr_text((const struct sockaddr *)&addr->addr, addr->size, text, sizeof text),
             0);
    CHECK_STR(text, expected);
}

/* ---- Answers ---- */

TEST_PROCS(answers)
{
    struct dns_server *server = dns_start(PATIENT, 3);
    weft_addr addrs[3];
    CHECK_EQ(resolve("tcp", "four", addrs, 3, WEFT_FOREVER), 1);
    text_is(&addrs[0], "127.0.0.1:80");
    CHECK_EQ(resolve("udp", "six", addrs, 3, WEFT_FOREVER), 1);
    text_is(&addrs[0], "[2001:db8::1]:80");
    CHECK_EQ(resolve("tcp", "alias", addrs, 3, WEFT_FOREVER), 2);
    CHECK_EQ(resolve("tcp", "both", addrs, 3, WEFT_FOREVER), 2);
    bool six_first = addrs[0].addr.ss_family == AF_INET6;
    text_is(&addrs[six_first ? 1 : 0], "127.0.0.1:80");
    text_is(&addrs[six_first ? 0 : 1], "[2001:db8::1]:80");
    CHECK_EQ(resolve("tcp4", "both", addrs, 3, WEFT_FOREVER), 1);
    text_is(&addrs[0], "127.0.0.1:80");
    CHECK_EQ(resolve("udp6", "both", addrs, 3, WEFT_FOREVER), 1);
    text_is(&addrs[0], "[2001:db8::1]:80");
    dns_stop(server);
}

TEST_PROCS(stores_what_there_is_room_for)
{
    struct dns_server *server = dns_start(PATIENT, 3);
    weft_addr addrs[21];
    memset(addrs, 0x5A, sizeof addrs);
    CHECK_EQ(resolve("tcp", "many", addrs, 2, WEFT_FOREVER), 20);
    CHECK_EQ(addrs[1].size, sizeof(struct sockaddr_in));
    CHECK_EQ(((unsigned char *)&addrs[2])[0], 0x5A);
    CHECK_EQ(resolve("tcp", "many", addrs, 21, WEFT_FOREVER), 20);
    CHECK_EQ(addrs[19].size, sizeof(struct sockaddr_in));
    CHECK_EQ(((unsigned char *)&addrs[20])[0], 0x5A);
    dns_stop(server);
}

TEST_PROCS(truncated_answers_come_over_tcp)
{
    struct dns_server *server = dns_start(PATIENT, 3);
    CHECK_EQ(count_of("tcp", "big"), 60);
    CHECK_GE(__atomic_load_n(&server->tcp_questions, __ATOMIC_RELAXED), 1);
    dns_stop(server);
}

TEST_PROCS(service_beside_a_host)
{
    struct dns_server *server = dns_start(PATIENT, 3);
    weft_addr addr;
    CHECK_EQ(weft_resolve("udp", "four.test.:domain", &addr, 1, WEFT_FOREVER), 1);
    text_is(&addr, "127.0.0.1:53");
    CHECK_EQ(weft_resolve("tcp", "four.test.:no-such-service", &addr, 1, WEFT_FOREVER), -ENOENT);
    dns_stop(server);
}

TEST_PROCS(asks_again)
{
    struct dns_server *server = dns_start(100, 5);
    CHECK_EQ(count_of("tcp", "late"), 2);
    CHECK_GE(dns_questions(server), 4);
    dns_stop(server);
}

/* ---- Errors ---- */

TEST_PROCS(errors)
{
    struct dns_server *server = dns_start(PATIENT, 2);
    CHECK_EQ(count_of("tcp", "nx"), -ENOENT);
    CHECK_EQ(count_of("tcp", "none"), -ENODATA);
    CHECK_EQ(count_of("tcp6", "four"), -ENODATA);
    CHECK_EQ(count_of("udp4", "six"), -ENODATA);
    CHECK_EQ(count_of("tcp", "fail"), -EREMOTEIO);
    CHECK_EQ(count_of("tcp", "refused"), -EREMOTEIO);
    CHECK_EQ(weft_dial("tcp", "nx.test.:80", WEFT_FOREVER), -ENOENT);
    CHECK_EQ(weft_listen("tcp", "none.test.:80", 1), -ENODATA);
    dns_stop(server);
}

TEST_PROCS(no_answer)
{
    struct dns_server *server = dns_start(50, 2);
    CHECK_EQ(count_of("tcp", "silent"), -ETIMEDOUT);
    CHECK_GE(dns_questions(server), 4);
    int result = count_of("tcp", "junk");
    CHECK(result == -ETIMEDOUT || result == -EREMOTEIO);
    dns_stop(server);
}

/* Nobody is there at all. */
TEST_PROCS(no_server)
{
    struct dns_server *server = dns_start(100, 2);
    char address[sizeof server->address];
    strcpy(address, server->address);
    dns_stop(server);
    wi_resolve_ares_servers(address, 100, 2);
    int result = count_of("tcp", "four");
    CHECK(result == -EREMOTEIO || result == -ETIMEDOUT);
    wi_resolve_ares_servers(NULL, 0, 0);
}

TEST_PROCS(deadlines)
{
    struct dns_server *server = dns_start(PATIENT, 3);
    int64_t deadline = weft_after(30 * WEFT_MILLISECOND);
    CHECK_EQ(resolve("tcp", "silent", NULL, 0, deadline), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_LT(weft_now(), deadline + 20 * WEFT_SECOND); /* not c-ares's own, 35 s */
    deadline = weft_after(30 * WEFT_MILLISECOND);
    CHECK_EQ(weft_dial("tcp", "silent.test.:80", deadline), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(resolve("tcp", "four", NULL, 0, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(resolve("tcp", "four", NULL, 0, weft_now() - 1), -ETIMEDOUT);
    CHECK_EQ(weft_dial("tcp", "four.test.:80", WEFT_NOWAIT), -EAGAIN);
    dns_stop(server);
}

/* ---- Dialling and listening by name ---- */

TEST_PROCS(dials_and_listens)
{
    struct dns_server *server = dns_start(PATIENT, 3);
    int listener = weft_listen("tcp", "four.test.:0", 4);
    CHECK_GE(listener, 0);
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    CHECK_EQ(name.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    /* In "many" and "both" there are addresses where nobody listens. */
    static const char *const names[] = {"four", "both", "many", "alias"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char address[64];
        snprintf(address, sizeof address, "%s.test.:%d", names[i], ntohs(name.sin_port));
        int fd = weft_dial("tcp", address, weft_after(30 * WEFT_SECOND));
        if (fd < 0)
            FAIL("dial %s: %d", address, fd);
        int accepted = weft_accept(listener, NULL, NULL);
        CHECK_GE(accepted, 0);
        CHECK_EQ(weft_close(accepted), 0);
        CHECK_EQ(weft_close(fd), 0);
    }
    CHECK_EQ(weft_close(listener), 0);
    dns_stop(server);
}

/* ---- Many at once ---- */

enum { MANY = 1000 };

static int most_fds; /* atomic */

static void look_up_one(void *index)
{
    static const char *const names[] = {"four", "six", "both", "nx", "none"};
    static const int counts[] = {1, 1, 2, -ENOENT, -ENODATA};
    int i = test_index(index) % 5;
    int count = count_of("tcp", names[i]);
    if (count != counts[i])
        FAIL("%s: %d", names[i], count);
    if (test_index(index) % 10 == 0) {
        int fds = test_count_fds();
        int most = __atomic_load_n(&most_fds, __ATOMIC_RELAXED);
        while (fds > most && !__atomic_compare_exchange_n(&most_fds, &most, fds, false,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    }
}

TEST_PROCS(many_at_once, .timeout = 120)
{
    struct dns_server *server = dns_start(PATIENT, 4);
    int before = test_count_fds();
    test_each(MANY, look_up_one);
    int most = __atomic_load_n(&most_fds, __ATOMIC_RELAXED);
    CHECK_LE(most, before + 64 * 4);
    CHECK_LE(weft_num_thread(), 64 + 8 + 8); /* one for each place, at the worst */
    CHECK_EQ(test_count_fds(), before);
    /* Each asks from ports of its own. */
    CHECK_GE(__atomic_load_n(&server->ports, __ATOMIC_RELAXED), MANY / 2);
    dns_stop(server);
}

static weft_waitgroup silent_ones;

static void look_up_silent(void *arg)
{
    int64_t *deadline = arg;
    CHECK_EQ(resolve("tcp", "silent", NULL, 0, *deadline), -ETIMEDOUT);
    weft_waitgroup_done(&silent_ones);
}

/* Those that are not answered take all the places there are; whoever waits for one has a deadline
 * too, or gets its turn. */
TEST_PROCS(places_are_given_back)
{
    enum { MORE = 100 };
    struct dns_server *server = dns_start(PATIENT, 3);
    int64_t deadline = weft_after(test_scale() * WEFT_SECOND);
    weft_waitgroup_add(&silent_ones, MORE);
    for (int i = 0; i < MORE; i++)
        CHECK_EQ(weft_go(look_up_silent, &deadline), 0);
    CHECK_SOON(dns_questions(server) >= 2 * 64); /* for both families */
    CHECK_EQ(resolve("tcp", "four", NULL, 0, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(count_of("tcp", "four"), 1);
    weft_waitgroup_wait(&silent_ones);
    dns_stop(server);
}

/* ---- Without a run, and across its end ---- */

TEST(foreign_thread)
{
    struct dns_server *server = dns_start(PATIENT, 2);
    CHECK_EQ(count_of("tcp", "both"), 2);
    CHECK_EQ(count_of("tcp", "nx"), -ENOENT);
    wi_resolve_ares_servers(server->address, 50, 2);
    CHECK_EQ(count_of("tcp", "silent"), -ETIMEDOUT);
    int64_t deadline = weft_after(20 * WEFT_MILLISECOND);
    CHECK_EQ(resolve("tcp", "silent", NULL, 0, deadline), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    dns_stop(server);
}

static void look_up_for_ever(void *arg)
{
    count_of(arg, "silent");
    FAIL("a lookup of a run that is over goes on");
}

static struct dns_server *outer;

static void end_in_the_middle(void)
{
    enum { LOOKUPS = 80 }; /* some wait for a place */
    int asked = dns_questions(outer);
    for (int i = 0; i < LOOKUPS; i++)
        CHECK_EQ(weft_go(look_up_for_ever, (void *)(uintptr_t) "tcp4"), 0);
    CHECK_SOON(dns_questions(outer) >= asked + 64);
}

static void look_up_anew(void)
{
    CHECK_EQ(count_of("tcp", "both"), 2);
    test_each(100, look_up_one);
}

/* What the first run left is freed by the next lookup, in whatever run. */
TEST(run_ends_in_the_middle)
{
    outer = dns_start(60000, 1);
    int before = test_count_fds();
    for (int i = 0; i < 3; i++) {
        test_in_runtime(i + 1, end_in_the_middle);
        CHECK_GT(test_count_fds(), before);
        if (i == 2)
            CHECK_EQ(count_of("tcp", "four"), 1); /* by a foreign thread */
        test_in_runtime(2, look_up_anew);
        CHECK_EQ(test_count_fds(), before);
    }
    dns_stop(outer);
}

static int foreign_result; /* atomic */

static void *foreign_slow(void *arg)
{
    int result = count_of("tcp4", arg);
    __atomic_store_n(&foreign_result, result, __ATOMIC_RELEASE);
    return NULL;
}

static void until_asked(void)
{
    CHECK_SOON(dns_questions(outer) > 0);
}

/* It waits in the netpoller of a run that ends. */
TEST(foreign_thread_outlives_a_run)
{
    pthread_t thread;
    outer = dns_start(300, 5);
    CHECK_EQ(pthread_create(&thread, NULL, foreign_slow, (void *)(uintptr_t) "late"), 0);
    test_in_runtime(2, until_asked);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(foreign_result, 1);
    dns_stop(outer);
}
