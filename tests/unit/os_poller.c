/* SPDX-License-Identifier: MIT
 *
 * Readiness of descriptors. Every test runs with epoll_pwait2 and, as on a kernel before 5.11,
 * without.
 */
#include "harness/test.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#define MILLISECOND INT64_C(1000000)

static int pwait2_error; /* what the kernel answers to epoll_pwait2, if not 0 */

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, ...);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    enum { EPOLL_PWAIT2 = 441 };
    if (number == EPOLL_PWAIT2 && pwait2_error != 0) {
        errno = pwait2_error;
        return -1;
    }
    return __real_syscall(number, a, b, c, d, e, f);
}

#define POLLER_TEST(name_)                                                                         \
    static void name_(void);                                                                       \
    TEST(name_##_pwait2)                                                                           \
    {                                                                                              \
        name_();                                                                                   \
    }                                                                                              \
    TEST(name_##_enosys)                                                                           \
    {                                                                                              \
        pwait2_error = ENOSYS;                                                                     \
        name_();                                                                                   \
    }                                                                                              \
    TEST(name_##_eperm)                                                                            \
    {                                                                                              \
        pwait2_error = EPERM;                                                                      \
        name_();                                                                                   \
    }                                                                                              \
    static void name_(void)

enum { CAPACITY = 8 };

static struct wi_os_poller poller;
static struct wi_os_event events[CAPACITY];
static bool woken;
static int tag_a, tag_b;

static void open_poller(void)
{
    CHECK_EQ(wi_os_poller_open(&poller), 0);
}

static void make_pair(int fds[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static int wait_until(int64_t deadline)
{
    memset(events, 0, sizeof events);
    return wi_os_poller_wait(&poller, events, CAPACITY, deadline, &woken);
}

/* Exactly one event, of that kind. */
static void expect(void *tag, bool readable, bool writable)
{
    CHECK_EQ(wait_until(INT64_MAX), 1);
    CHECK(!woken);
    CHECK(events[0].tag == tag);
    CHECK_EQ(events[0].readable, readable);
    CHECK_EQ(events[0].writable, writable);
}

static void expect_nothing(void)
{
    CHECK_EQ(wait_until(0), 0);
    CHECK(!woken);
}

POLLER_TEST(deadlines)
{
    open_poller();
    expect_nothing();
    for (int64_t wait = 1; wait < 8 * MILLISECOND; wait = wait * 3 + 1) {
        int64_t deadline = wi_os_now() + wait;
        CHECK_EQ(wait_until(deadline), 0);
        CHECK(!woken);
        CHECK_GE(wi_os_now(), deadline);
    }
    CHECK_EQ(wait_until(1), 0);
    CHECK_EQ(wait_until(-5), 0);
    CHECK_EQ(wait_until(INT64_MIN), 0);
    CHECK(!woken);
    wi_os_poller_close(&poller);
}

POLLER_TEST(directions)
{
    int fds[2];
    open_poller();
    make_pair(fds);
    CHECK_EQ(wi_os_poller_add(&poller, fds[0], &tag_a), 0);
    expect(&tag_a, false, true);
    expect_nothing();
    CHECK_EQ(write(fds[1], "x", 1), 1);
    expect(&tag_a, true, true);
    /* Edge-triggered: unread data alone says nothing again, more of it does. */
    expect_nothing();
    CHECK_EQ(write(fds[1], "y", 1), 1);
    expect(&tag_a, true, true);
    expect_nothing();
    close_pair(fds);
    wi_os_poller_close(&poller);
}

POLLER_TEST(a_full_descriptor_becomes_writable)
{
    static char chunk[65536];
    int fds[2];
    open_poller();
    make_pair(fds);
    while (write(fds[0], chunk, sizeof chunk) > 0)
        ;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(wi_os_poller_add(&poller, fds[0], &tag_a), 0);
    expect_nothing();
    while (read(fds[1], chunk, sizeof chunk) > 0)
        ;
    expect(&tag_a, false, true);
    close_pair(fds);
    wi_os_poller_close(&poller);
}

POLLER_TEST(ends)
{
    int fds[2], pipes[2];
    open_poller();
    make_pair(fds);
    CHECK_EQ(wi_os_poller_add(&poller, fds[0], &tag_a), 0);
    expect(&tag_a, false, true);
    /* Half closed: a read gives the end of the file, writing goes on. */
    CHECK_EQ(shutdown(fds[1], SHUT_WR), 0);
    expect(&tag_a, true, true);
    close(fds[1]);
    expect(&tag_a, true, true);
    close(fds[0]);
    /* The reader of a pipe is gone: a write must be tried, to fail. */
    CHECK_EQ(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_EQ(wi_os_poller_add(&poller, pipes[1], &tag_b), 0);
    expect(&tag_b, false, true);
    close(pipes[0]);
    expect(&tag_b, true, true);
    close(pipes[1]);
    wi_os_poller_close(&poller);
}

POLLER_TEST(several)
{
    int a[2], b[2];
    open_poller();
    make_pair(a);
    make_pair(b);
    CHECK_EQ(wi_os_poller_add(&poller, a[0], &tag_a), 0);
    CHECK_EQ(wi_os_poller_add(&poller, b[0], &tag_b), 0);
    CHECK_EQ(wait_until(INT64_MAX), 2);
    CHECK(events[0].tag != events[1].tag);
    expect_nothing();
    /* No more than there is room for, and the rest the next time. */
    CHECK_EQ(write(a[1], "x", 1), 1);
    CHECK_EQ(write(b[1], "x", 1), 1);
    CHECK_EQ(wi_os_poller_wait(&poller, events, 1, INT64_MAX, &woken), 1);
    CHECK_EQ(wi_os_poller_wait(&poller, events + 1, 1, INT64_MAX, &woken), 1);
    CHECK(events[0].tag != events[1].tag);
    close_pair(a);
    close_pair(b);
    wi_os_poller_close(&poller);
}

POLLER_TEST(removed)
{
    int fds[2];
    open_poller();
    make_pair(fds);
    CHECK_EQ(wi_os_poller_add(&poller, fds[0], &tag_a), 0);
    CHECK_EQ(wi_os_poller_add(&poller, fds[0], &tag_a), -EEXIST);
    CHECK_EQ(wi_os_poller_remove(&poller, fds[0]), 0);
    expect_nothing();
    CHECK_EQ(wi_os_poller_remove(&poller, fds[0]), -ENOENT);
    CHECK_EQ(wi_os_poller_add(&poller, fds[0], &tag_b), 0);
    expect(&tag_b, false, true);
    close_pair(fds);
    CHECK_EQ(wi_os_poller_remove(&poller, fds[0]), -EBADF);
    CHECK_EQ(wi_os_poller_add(&poller, fds[0], &tag_a), -EBADF);
    wi_os_poller_close(&poller);
}

POLLER_TEST(a_file_cannot_be_polled)
{
    open_poller();
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_EQ(wi_os_poller_add(&poller, fd, &tag_a), -EPERM);
    close(fd);
    wi_os_poller_close(&poller);
}

POLLER_TEST(wake_before)
{
    open_poller();
    wi_os_poller_wake(&poller);
    wi_os_poller_wake(&poller);
    /* One that does not wait leaves the wake to one that does. */
    expect_nothing();
    expect_nothing();
    CHECK_EQ(wait_until(INT64_MAX), 0);
    CHECK(woken);
    CHECK_EQ(wait_until(wi_os_now() + MILLISECOND), 0);
    CHECK(!woken);
    /* Past its deadline it still counts as one that waits. */
    wi_os_poller_wake(&poller);
    CHECK_EQ(wait_until(1), 0);
    CHECK(woken);
    wi_os_poller_close(&poller);
}

POLLER_TEST(wake_beside_an_event)
{
    int fds[2];
    open_poller();
    make_pair(fds);
    CHECK_EQ(wi_os_poller_add(&poller, fds[0], &tag_a), 0);
    wi_os_poller_wake(&poller);
    int count = 0;
    bool any_woken = false;
    while (count == 0 || !any_woken) {
        count += wait_until(INT64_MAX);
        any_woken |= woken;
    }
    CHECK_EQ(count, 1);
    expect_nothing();
    close_pair(fds);
    wi_os_poller_close(&poller);
}

enum { WAKES = 200 };

static uint32_t wakes_taken;

static void wake_often(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < WAKES; i++) {
        wi_os_poller_wake(&poller);
        while (__atomic_load_n(&wakes_taken, __ATOMIC_ACQUIRE) <= i)
            wi_os_yield();
    }
}

POLLER_TEST(wake_during)
{
    struct wi_os_thread thread;
    open_poller();
    CHECK_EQ(wi_os_thread_start(&thread, wake_often, NULL), 0);
    for (uint32_t taken = 0; taken < WAKES;) {
        CHECK_EQ(wait_until(INT64_MAX), 0);
        if (woken)
            __atomic_store_n(&wakes_taken, ++taken, __ATOMIC_RELEASE);
    }
    wi_os_thread_join(&thread);
    wi_os_poller_close(&poller);
}

static void nothing(int sig)
{
    (void)sig;
}

POLLER_TEST(a_signal_ends_the_wait)
{
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval interval = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
    struct itimerval never = {.it_value.tv_usec = 0};
    open_poller();
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &interval, NULL), 0);
    CHECK_EQ(wait_until(INT64_MAX), 0);
    CHECK(!woken);
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    wi_os_poller_close(&poller);
}

TEST(no_descriptors_left)
{
    struct wi_os_poller unopened = {.epoll_fd = -7, .wake_fd = -7};
    int highest = dup(STDIN_FILENO);
    struct rlimit limit = {.rlim_cur = (rlim_t)highest + 1, .rlim_max = (rlim_t)highest + 1};
    CHECK_GE(highest, 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(wi_os_poller_open(&unopened), -EMFILE);
    /* Room for one of the two. */
    close(highest);
    CHECK_EQ(wi_os_poller_open(&unopened), -EMFILE);
    CHECK_EQ(unopened.epoll_fd, -7);
    CHECK_EQ(dup(STDIN_FILENO), highest);
    close(highest);
}
