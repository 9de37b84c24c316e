/* SPDX-License-Identifier: MIT
 *
 * weft_listen_group: several sockets at one address, all of which get something to do, and what
 * happens if they cannot all be there.
 */
#include "api/net_test.h"

enum { GROUP = 4 };

static struct sockaddr_storage name_of(int fd, socklen_t *size)
{
    struct sockaddr_storage name = {0};
    *size = sizeof name;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&name, size), 0);
    return name;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_close(fds[i]), 0);
}

/* ---- One address ---- */

static void share(const char *network, const char *address, int family)
{
    int fds[GROUP], option;
    int result = weft_listen_group(network, address, 0, fds, GROUP);
    if (result != 0)
        FAIL("listen %s %s: %d", network, address, result);
    socklen_t size, other_size;
    struct sockaddr_storage name = name_of(fds[0], &size);
    CHECK_EQ(name.ss_family, family);
    CHECK_NE(bound_port(fds[0]), 0);
    for (int i = 0; i < GROUP; i++) {
        struct sockaddr_storage other = name_of(fds[i], &other_size);
        CHECK_EQ(other_size, size);
        CHECK(memcmp(&other, &name, size) == 0);
        socklen_t option_size = sizeof option;
        CHECK_EQ(getsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &option, &option_size), 0);
        CHECK_NE(option, 0);
        CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
    }
    close_all(fds, GROUP);
}

TEST_PROCS(addresses)
{
    share("tcp", "127.0.0.1:0", AF_INET);
    share("tcp4", ":0", AF_INET);
    share("udp", "127.0.0.1:0", AF_INET);
    share("udp4", ":0", AF_INET);
}

TEST_PROCS(addresses_v6)
{
    if (!have_ipv6())
        SKIP("no IPv6 on the loopback interface");
    share("tcp", ":0", AF_INET6);
    share("tcp6", "[::1]:0", AF_INET6);
    share("udp", ":0", AF_INET6);
    share("udp6", "[::1]:0", AF_INET6);
}

TEST_PROCS(port_that_was_asked_for)
{
    char address[64];
    int first[1], more[2];
    CHECK_EQ(weft_listen_group("tcp", "127.0.0.1:0", 0, first, 1), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", bound_port(first[0]));
    CHECK_EQ(weft_listen_group("tcp", address, 0, more, 2), 0); /* another group may join */
    CHECK_EQ(weft_listen("tcp", address, 0), -EADDRINUSE);      /* nobody else */
    close_all(first, 1);
    close_all(more, 2);
}

/* Ports that the kernel chooses are different ones, also those that it could share. */
TEST_PROCS(groups_do_not_meet)
{
    enum { GROUPS = 400, PORTS = 65536 };
    static const char *const networks[] = {"tcp", "udp"};
    static int fds[GROUPS];
    static unsigned char taken[PORTS];
    for (size_t i = 0; i < 2; i++) {
        memset(taken, 0, sizeof taken);
        for (int j = 0; j < GROUPS; j++) {
            CHECK_EQ(weft_listen_group(networks[i], "127.0.0.1:0", 0, &fds[j], 1), 0);
            CHECK(!taken[bound_port(fds[j])]);
            taken[bound_port(fds[j])] = 1;
        }
        close_all(fds, GROUPS);
    }
}

/* ---- All get connections ---- */

static int fds[GROUP];
static int accepted[GROUP]; /* atomic */
static weft_waitgroup running;
static bool numbers_are_reused; /* a closed listener's may be a client's by now */

/* Until its listener is closed, during the call or before. */
static void accept_all(void *index)
{
    int i = test_index(index), fd;
    while ((fd = weft_accept(fds[i], NULL, NULL)) >= 0) {
        __atomic_add_fetch(&accepted[i], 1, __ATOMIC_RELAXED);
        CHECK_EQ(weft_close(fd), 0);
    }
    CHECK(fd == -ECANCELED || fd == -EBADF || (fd == -EINVAL && numbers_are_reused));
    weft_waitgroup_done(&running);
}

static void start_acceptors(struct endpoint *at)
{
    CHECK_EQ(weft_listen_group("tcp", "127.0.0.1:0", 0, fds, GROUP), 0);
    *at = (struct endpoint){.network = "tcp"};
    snprintf(at->address, sizeof at->address, "127.0.0.1:%d", bound_port(fds[0]));
    memset(accepted, 0, sizeof accepted);
    weft_waitgroup_add(&running, GROUP);
    for (int i = 0; i < GROUP; i++)
        CHECK_EQ(weft_go(accept_all, (void *)(intptr_t)i), 0);
}

static int sum_accepted(void)
{
    int sum = 0;
    for (int i = 0; i < GROUP; i++)
        sum += __atomic_load_n(&accepted[i], __ATOMIC_RELAXED);
    return sum;
}

/* Which one gets a connection is the kernel's hash of the addresses: that 200 all miss one of four
 * does not happen. */
TEST_PROCS(all_accept)
{
    enum { CONNECTIONS = 200 };
    struct endpoint at;
    start_acceptors(&at);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK_EQ(weft_close(endpoint_dial(&at)), 0);
    CHECK_SOON(sum_accepted() == CONNECTIONS);
    close_all(fds, GROUP);
    weft_waitgroup_wait(&running);
    for (int i = 0; i < GROUP; i++)
        CHECK_GT(accepted[i], 0);
    CHECK_EQ(weft_dial(at.network, at.address, WEFT_FOREVER), -ECONNREFUSED);
    CHECK_EQ(net_waiters(), 0);
}

/* The others go on when one is closed. */
TEST_PROCS(close_in_the_middle)
{
    enum { CONNECTIONS = 60 };
    struct endpoint at;
    numbers_are_reused = true;
    start_acceptors(&at);
    for (int i = 0; i < GROUP; i++) {
        for (int j = 0; j < CONNECTIONS; j++)
            CHECK_EQ(weft_close(endpoint_dial(&at)), 0);
        CHECK_SOON(sum_accepted() == (i + 1) * CONNECTIONS);
        CHECK_EQ(weft_close(fds[i]), 0);
    }
    weft_waitgroup_wait(&running);
    CHECK_EQ(weft_dial(at.network, at.address, WEFT_FOREVER), -ECONNREFUSED);
}

/* Datagrams of one sender go to one socket, those of many to all. */
static void receive_all(void *index)
{
    int i = test_index(index);
    char byte;
    ssize_t count;
    while ((count = weft_read(fds[i], &byte, 1)) == 1)
        __atomic_add_fetch(&accepted[i], 1, __ATOMIC_RELAXED);
    CHECK(count == -ECANCELED || count == -EBADF);
    weft_waitgroup_done(&running);
}

TEST_PROCS(all_receive)
{
    enum { SENDERS = 100 };
    socklen_t size;
    CHECK_EQ(weft_listen_group("udp", "127.0.0.1:0", 0, fds, GROUP), 0);
    struct sockaddr_storage name = name_of(fds[0], &size);
    memset(accepted, 0, sizeof accepted);
    weft_waitgroup_add(&running, GROUP);
    for (int i = 0; i < GROUP; i++)
        CHECK_EQ(weft_go(receive_all, (void *)(intptr_t)i), 0);
    for (int i = 0; i < SENDERS; i++) {
        int fd = weft_listen("udp", "127.0.0.1:0", 0);
        CHECK_GE(fd, 0);
        CHECK_EQ(weft_sendto(fd, "x", 1, 0, (struct sockaddr *)&name, size), 1);
        CHECK_EQ(weft_close(fd), 0);
    }
    CHECK_SOON(sum_accepted() == SENDERS);
    close_all(fds, GROUP);
    weft_waitgroup_wait(&running);
    for (int i = 0; i < GROUP; i++)
        CHECK_GT(accepted[i], 0);
}

/* ---- Errors ---- */

TEST_PROCS(bad_input)
{
    int group[2] = {-7, -7};
    CHECK_EQ(weft_listen_group("tcp", "127.0.0.1:0", 0, group, 0), -EINVAL);
    CHECK_EQ(weft_listen_group("tcp", "127.0.0.1:0", 0, group, -1), -EINVAL);
    CHECK_EQ(weft_listen_group("tcp", "127.0.0.1:0", 0, NULL, 2), -EINVAL);
    CHECK_EQ(weft_listen_group("unix", "@weft-test-group", 0, group, 2), -EINVAL);
    CHECK_EQ(weft_listen_group("unixgram", "@weft-test-group", 0, group, 2), -EINVAL);
    CHECK_EQ(weft_listen_group("unixpacket", "@weft-test-group", 0, group, 2), -EINVAL);
    CHECK_EQ(weft_listen_group("tcp", "127.0.0.1", 0, group, 2), -EINVAL);
    CHECK_EQ(weft_listen_group("ip", "127.0.0.1:0", 0, group, 2), -EINVAL);
    CHECK_EQ(weft_listen_group(NULL, "127.0.0.1:0", 0, group, 2), -EINVAL);
    CHECK_EQ(weft_listen_group("tcp", NULL, 0, group, 2), -EINVAL);
    CHECK_EQ(group[0], -7);
    int before = test_count_fds();
    int alone = weft_listen("tcp", "127.0.0.1:0", 0);
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", bound_port(alone));
    CHECK_EQ(weft_listen_group("tcp", address, 0, group, 2), -EADDRINUSE);
    CHECK_EQ(weft_listen_group("tcp", "192.0.2.1:0", 0, group, 2), -EADDRNOTAVAIL);
    CHECK_EQ(weft_close(alone), 0);
    CHECK_EQ(test_count_fds(), before);
}
