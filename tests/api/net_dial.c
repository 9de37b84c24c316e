/* SPDX-License-Identifier: MIT
 *
 * Addresses, and what can go wrong between listen and dial.
 */
#include "api/net_test.h"

#include <pthread.h>

static void malformed(const char *network, const char *address)
{
    int fd = weft_listen(network, address, 1);
    if (fd != -EINVAL)
        FAIL("listen %s %s: %d", network, address ? address : "NULL", fd);
    fd = weft_dial(network, address, weft_after(WEFT_SECOND));
    if (fd != -EINVAL)
        FAIL("dial %s %s: %d", network, address ? address : "NULL", fd);
    int count = weft_resolve(network, address, NULL, 0, WEFT_FOREVER);
    if (count != -EINVAL)
        FAIL("resolve %s %s: %d", network, address ? address : "NULL", count);
}

TEST_PROCS(malformed_addresses)
{
    static const char *const tcp[] = {
        "",
        ":",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:1 ",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999999999999",
        "127.0.0:1",
        "127.0.0.256:1",
        "127.0.0.1.2:1",
        " 127.0.0.1:1",
        "::1:1",
        "::1",
        "[::1]",
        "[::1]:",
        "[::1]1",
        "[::1:1",
        "::1]:1",
        "[]:1",
        "[:1",
        "[127.0.0.1]:1",
        "[::g]:1",
        "[::1%]:1",
        "[::1%nonesuch]:1",
        "[::1%0]:1",
        "[::1]:1:2",
        "local host:1",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111111:1"};
    for (size_t i = 0; i < sizeof tcp / sizeof tcp[0]; i++) {
        malformed("tcp", tcp[i]);
        malformed("tcp4", tcp[i]);
        malformed("tcp6", tcp[i]);
    }
    malformed("tcp4", "[::1]:1");
    malformed("tcp6", "127.0.0.1:1");
    char path[200];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    malformed("unix", "");
    malformed("unix", "@");
    malformed("unix", path);
    path[108] = '\0';
    malformed("unix", path); /* no room for its NUL */
    static const char *const networks[] = {"", "tcp ", "TCP", "tcp5", "udp5", "unixgrams", "unix:"};
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
        malformed(networks[i], "127.0.0.1:1");
    malformed(NULL, "127.0.0.1:1");
    malformed("tcp", NULL);
    malformed("unix", NULL);
}

/* Listens at one address, dials another with the listener's port. */
static void reaches(const char *network, const char *listen_host, const char *dial_network,
                    const char *dial_host)
{
    char address[128];
    snprintf(address, sizeof address, "%s:0", listen_host);
    int listener = weft_listen(network, address, 0);
    if (listener < 0)
        FAIL("listen %s %s: %d", network, address, listener);
    snprintf(address, sizeof address, "%s:%d", dial_host, bound_port(listener));
    int fd = weft_dial(dial_network, address, weft_after(30 * WEFT_SECOND));
    if (fd < 0)
        FAIL("dial %s %s: %d", dial_network, address, fd);
    int accepted = weft_accept(listener, NULL, NULL);
    CHECK_GE(accepted, 0);
    CHECK_EQ(weft_close(accepted), 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_close(listener), 0);
}

TEST_PROCS(addresses)
{
    reaches("tcp", "127.0.0.1", "tcp", "127.0.0.1");
    reaches("tcp4", "127.0.0.1", "tcp4", "127.0.0.1");
    reaches("tcp", "127.77.1.2", "tcp", "127.77.1.2");
    reaches("tcp", "localhost", "tcp", "localhost");
    reaches("tcp4", "0.0.0.0", "tcp", "127.0.0.1");
    reaches("tcp4", "", "tcp4", "");
    reaches("tcp", "", "tcp", "");
    reaches("tcp", "", "tcp4", "127.1.1.1");
    char path[109];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    path[0] = '@';
    int listener = weft_listen("unix", path, 1); /* the longest name there can be */
    CHECK_GE(listener, 0);
    int fd = weft_dial("unix", path, WEFT_FOREVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_close(listener), 0);
}

TEST_PROCS(addresses_v6)
{
    if (!have_ipv6())
        SKIP("no IPv6 on the loopback interface");
    reaches("tcp", "[::1]", "tcp", "[::1]");
    reaches("tcp6", "[::1]", "tcp6", "[::1%lo]");
    reaches("tcp6", "", "tcp6", "");
    reaches("tcp6", "localhost", "tcp6", "localhost");
    reaches("tcp", "", "tcp6", "[::1]"); /* both families */
    reaches("tcp", "[::]", "tcp4", "127.0.0.1");
    int listener = weft_listen("tcp6", ":0", 0); /* only one */
    CHECK_GE(listener, 0);
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", bound_port(listener));
    CHECK_EQ(weft_dial("tcp", address, WEFT_FOREVER), -ECONNREFUSED);
    CHECK_EQ(weft_close(listener), 0);
}

TEST_PROCS(listen_errors)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    CHECK_EQ(weft_listen(at.network, at.address, 1), -EADDRINUSE);
    endpoint_close(&at);
    int again = weft_listen(at.network, at.address, 1); /* SO_REUSEADDR */
    CHECK_GE(again, 0);
    CHECK_EQ(weft_close(again), 0);
    at = endpoint_listen(KIND_UNIX, 1);
    CHECK_EQ(weft_listen(at.network, at.address, 1), -EADDRINUSE);
    CHECK_EQ(weft_close(at.fd), 0);
    CHECK_EQ(weft_listen(at.network, at.address, 1), -EADDRINUSE); /* the file is still there */
    CHECK_EQ(unlink(at.address), 0);
    CHECK_EQ(weft_listen("unix", "/nonexistent/socket", 1), -ENOENT);
    CHECK_EQ(weft_listen("tcp", "192.0.2.1:0", 1), -EADDRNOTAVAIL); /* for documentation only */
}

TEST_PROCS(refused)
{
    for (int i = 0; i < 50; i++) {
        struct endpoint at = endpoint_listen(KIND_TCP, 1);
        endpoint_close(&at);
        CHECK_EQ(weft_dial(at.network, at.address, WEFT_FOREVER), -ECONNREFUSED);
    }
    CHECK_EQ(weft_dial("tcp", "127.0.0.1:0", WEFT_FOREVER), -ECONNREFUSED);
    CHECK_EQ(weft_dial("unix", "@weft-nobody-listens-here", WEFT_FOREVER), -ECONNREFUSED);
    CHECK_EQ(weft_dial("unix", "/nonexistent/socket", WEFT_FOREVER), -ENOENT);
    CHECK_EQ(weft_dial("unix", "/dev/null", WEFT_FOREVER), -ECONNREFUSED);
}

/* ---- Listeners that do not accept ---- */

/* Dials until the kernel queues no more. */
static int fill_backlog(const struct endpoint *at, int *fds, int capacity)
{
    int count = 0;
    for (; count < capacity; count++) {
        fds[count] = weft_dial(at->network, at->address, weft_after(100 * WEFT_MILLISECOND));
        if (fds[count] < 0)
            break;
    }
    CHECK_LT(count, capacity);
    CHECK_EQ(fds[count], -ETIMEDOUT);
    return count;
}

static void dial_deadline(int kind)
{
    enum { MANY = 64 };
    int fds[MANY];
    struct endpoint at = endpoint_listen(kind, 1);
    int count = fill_backlog(&at, fds, MANY);
    int64_t deadline = weft_after(30 * WEFT_MILLISECOND);
    CHECK_EQ(weft_dial(at.network, at.address, deadline), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(weft_dial(at.network, at.address, weft_now() - 1), -ETIMEDOUT);
    CHECK_EQ(weft_dial(at.network, at.address, WEFT_NOWAIT), -EAGAIN);
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_close(fds[i]), 0);
    endpoint_close(&at);
    CHECK_EQ(net_waiters(), 0);
}

TEST_PROCS(deadline_unix)
{
    dial_deadline(KIND_ABSTRACT);
}

TEST_PROCS(deadline_tcp)
{
    dial_deadline(KIND_TCP);
}

/* A thread goes on waiting when the run ends. */
static struct endpoint stalled;
static pthread_t dialler;

static void *dial_in_thread(void *arg)
{
    int64_t deadline = weft_after(300 * WEFT_MILLISECOND);
    CHECK_EQ(weft_dial(stalled.network, stalled.address, deadline), -ETIMEDOUT);
    return arg;
}

static void leave_a_thread(void)
{
    CHECK_EQ(pthread_create(&dialler, NULL, dial_in_thread, NULL), 0);
    CHECK_SOON(net_waiters() == 1);
}

TEST(end_of_run_under_a_thread)
{
    enum { MANY = 64 };
    int fds[MANY];
    stalled = endpoint_listen(KIND_TCP, 1);
    int count = fill_backlog(&stalled, fds, MANY);
    test_in_runtime(2, leave_a_thread);
    CHECK_EQ(pthread_join(dialler, NULL), 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_close(fds[i]), 0);
    endpoint_close(&stalled);
}

static long call_dial(struct call *call)
{
    const struct endpoint *at = (const struct endpoint *)(intptr_t)call->deadline;
    return endpoint_dial(at);
}

/* A dial that met a full backlog gets through once there is room. */
TEST_PROCS(room_in_the_backlog)
{
    enum { MANY = 64 };
    int fds[MANY];
    struct endpoint at = endpoint_listen(KIND_UNIX, 1);
    int count = fill_backlog(&at, fds, MANY);
    struct call call = {.fn = call_dial, .deadline = (intptr_t)&at};
    call_go(&call);
    weft_sleep(5 * WEFT_MILLISECOND);
    for (int i = 0; i <= count; i++) {
        int fd = weft_accept(at.fd, NULL, NULL);
        CHECK_GE(fd, 0);
        CHECK_EQ(weft_close(fd), 0);
    }
    CHECK_EQ(weft_close((int)call_join(&call)), 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_close(fds[i]), 0);
    endpoint_close(&at);
}

TEST_PROCS(nowait_connects_at_once)
{
    struct endpoint at = endpoint_listen(KIND_ABSTRACT, 1);
    int fd = weft_dial(at.network, at.address, WEFT_NOWAIT);
    CHECK_GE(fd, 0);
    CHECK_EQ(weft_close(fd), 0);
    endpoint_close(&at);
}
