/* SPDX-License-Identifier: MIT
 *
 * Lookups through c-ares, and races of dials, when there is no memory or no descriptor left.
 */
#include "api/dns_test.h"

#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { CALLOC, EPOLL_CREATE, EPOLL_ADD, KINDS };

static int fail_at[KINDS]; /* atomic: the call that fails, counted down; 0: none */

static bool fails(int kind)
{
    return __atomic_load_n(&fail_at[kind], __ATOMIC_RELAXED) > 0 &&
           __atomic_sub_fetch(&fail_at[kind], 1, __ATOMIC_RELAXED) == 0;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(CALLOC) ? NULL : __real_calloc(count, size);
}

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);

int __wrap_epoll_create1(int flags)
{
    if (fails(EPOLL_CREATE)) {
        errno = EMFILE;
        return -1;
    }
    return __real_epoll_create1(flags);
}

int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fails(EPOLL_ADD)) {
        errno = ENOSPC;
        return -1;
    }
    return __real_epoll_ctl(epoll_fd, operation, fd, event);
}

static int look_up(void)
{
    return weft_resolve("tcp", "both.test.:80", NULL, 0, weft_after(60 * WEFT_SECOND));
}

/* The first, the second, ... call of the kind fails, until none is left that could. */
static void each_fails(int kind, int error, int least)
{
    int failures = 0;
    for (;;) {
        CHECK_LT(failures, 20);
        __atomic_store_n(&fail_at[kind], failures + 1, __ATOMIC_RELAXED);
        int result = look_up();
        int left = __atomic_exchange_n(&fail_at[kind], 0, __ATOMIC_RELAXED);
        if (left > 0) {
            CHECK_EQ(result, 2);
            break;
        }
        CHECK_EQ(result, error);
        failures++;
    }
    CHECK_GE(failures, least);
    for (int i = 0; i < 100; i++) /* no place was lost */
        CHECK_EQ(look_up(), 2);
}

TEST_PROCS(no_memory)
{
    struct dns_server *server = dns_start(5000, 2);
    each_fails(CALLOC, -ENOMEM, 2);
    dns_stop(server);
}

TEST_PROCS(no_epoll)
{
    struct dns_server *server = dns_start(5000, 2);
    each_fails(EPOLL_CREATE, -EMFILE, 1);
    dns_stop(server);
}

TEST_PROCS(epoll_takes_no_more)
{
    struct dns_server *server = dns_start(5000, 2);
    each_fails(EPOLL_ADD, -ENOSPC, 2); /* c-ares's socket, and its set in the netpoller */
    dns_stop(server);
}

/* However few there are, a lookup ends, and takes none with it. */
TEST_PROCS(no_descriptors)
{
    struct dns_server *server = dns_start(100, 2);
    struct rlimit limit, none;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int first = dup(0);
    CHECK_GE(first, 0);
    close(first);
    CHECK_EQ(look_up(), 2);
    int result = 0;
    for (int i = 0; result != 2; i++) {
        CHECK_LT(i, 20);
        none = (struct rlimit){.rlim_cur = (rlim_t)(first + i), .rlim_max = limit.rlim_max};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        result = look_up();
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        CHECK_NE(result, 0);
        if (i == 0)
            CHECK_LT(result, 0);
    }
    CHECK_EQ(dup(0), first);
    close(first);
    dns_stop(server);
}

/* ---- A thread that is in c-ares when the run ends ---- */

struct ares_channeldata;
struct ares_addrinfo_hints;
typedef void ask_fn(struct ares_channeldata *channel, const char *host, const char *service,
                    const struct ares_addrinfo_hints *hints, void *callback, void *arg);
#pragma weak __real_ares_getaddrinfo
ask_fn __real_ares_getaddrinfo;
ask_fn __wrap_ares_getaddrinfo;

typedef void destroy_fn(struct ares_channeldata *channel);
#pragma weak __real_ares_destroy
destroy_fn __real_ares_destroy;
destroy_fn __wrap_ares_destroy;

enum { AT_THE_BEGINNING, AT_THE_END, PLACES };

static int to_block[PLACES], blocked; /* atomic: calls that are to block, and that do */
static sem_t semaphore;

static void block(int place)
{
    if (__atomic_load_n(&to_block[place], __ATOMIC_RELAXED) > 0 &&
        __atomic_fetch_sub(&to_block[place], 1, __ATOMIC_RELAXED) > 0) {
        __atomic_add_fetch(&blocked, 1, __ATOMIC_RELAXED);
        while (sem_wait(&semaphore) != 0) {
        }
        __atomic_sub_fetch(&blocked, 1, __ATOMIC_RELAXED);
    }
}

/* As if the hosts file were on a disk that does not answer. */
void __wrap_ares_getaddrinfo(struct ares_channeldata *channel, const char *host,
                             const char *service, const struct ares_addrinfo_hints *hints,
                             void *callback, void *arg)
{
    block(AT_THE_BEGINNING);
    __real_ares_getaddrinfo(channel, host, service, hints, callback, arg);
}

void __wrap_ares_destroy(struct ares_channeldata *channel)
{
    block(AT_THE_END);
    __real_ares_destroy(channel);
}

static void look_up_for_ever(void *arg)
{
    (void)arg;
    look_up();
    FAIL("a lookup of a run that is over goes on");
}

enum { BLOCKED = 3 };

static int place;

static void end_in_the_middle(void)
{
    __atomic_store_n(&to_block[place], BLOCKED, __ATOMIC_RELAXED);
    for (int i = 0; i < BLOCKED; i++)
        CHECK_EQ(weft_go(look_up_for_ever, NULL), 0);
    CHECK_SOON(__atomic_load_n(&blocked, __ATOMIC_RELAXED) == BLOCKED);
}

static void look_up_anew(void)
{
    for (int i = 0; i < 10; i++)
        CHECK_EQ(look_up(), 2);
}

static void stay(int where)
{
    struct dns_server *server = dns_start(5000, 2);
    CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
    int before = test_count_fds();
    place = where;
    test_in_runtime(2, end_in_the_middle);
    test_in_runtime(2, look_up_anew);
    for (int i = 0; i < BLOCKED; i++)
        CHECK_EQ(sem_post(&semaphore), 0);
    CHECK_SOON(__atomic_load_n(&blocked, __ATOMIC_RELAXED) == 0);
    if (where == AT_THE_BEGINNING)
        CHECK_SOON(test_count_fds() >= before + 2 * BLOCKED); /* a socket and a set each */
    for (int i = 0; i < 1000 && test_count_fds() != before; i++)
        test_in_runtime(2, look_up_anew); /* they may not be out of c-ares at once */
    CHECK_EQ(test_count_fds(), before);
    dns_stop(server);
}

/* What it uses is left alone until it is out, and freed then: sockets that it still opens, too. */
TEST(thread_stays_in_the_library)
{
    stay(AT_THE_BEGINNING);
}

TEST(thread_stays_in_the_end_of_a_lookup)
{
    stay(AT_THE_END);
}
