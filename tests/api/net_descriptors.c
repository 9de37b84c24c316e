/* SPDX-License-Identifier: MIT
 *
 * Accepting when there are no descriptors left: it neither fails nor spins, clients are not left
 * hanging, and it goes on when there are descriptors again.
 */
#include "api/net_test.h"

#include <sys/resource.h>
#include <time.h>

enum { FILL = 32 };

static struct rlimit before;
static int fillers[FILL], filler_count;

/* Leaves no descriptor. The limit is one that few more would reach. */
static void fill(void)
{
    int lowest = dup(0), fd;
    CHECK_GE(lowest, 0);
    CHECK_EQ(close(lowest), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = before;
    low.rlim_cur = (rlim_t)lowest + 8;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (filler_count = 0; (fd = dup(0)) >= 0; filler_count++) {
        CHECK_LT(filler_count, FILL);
        fillers[filler_count] = fd;
    }
    CHECK_EQ(errno, EMFILE);
}

static void free_some(int count)
{
    while (count-- > 0)
        CHECK_EQ(close(fillers[--filler_count]), 0);
}

static void free_all(void)
{
    free_some(filler_count);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static uint64_t refused(void)
{
    weft_stats stats;
    weft_read_stats(&stats);
    return stats.refused;
}

/* A client made before the descriptors ran out. */
static int client_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    return fd;
}

static void connect_to(int fd, const struct endpoint *at)
{
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    CHECK_EQ(getsockname(at->fd, (struct sockaddr *)&name, &size), 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&name, size), 0);
}

/* The first client may be refused, if that takes long; the second comes when there is a descriptor. */
TEST_PROCS(goes_on_when_there_are_descriptors)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 16);
    struct call call = {.fd = at.fd, .fn = call_accept};
    int clients[] = {client_socket(), client_socket()};
    call_start(&call, 1);
    fill();
    uint64_t refused_before = refused();
    connect_to(clients[0], &at);
    CHECK(!call_done(&call));
    free_some(1);
    connect_to(clients[1], &at);
    long fd = call_join(&call);
    CHECK_GE(fd, 0);
    CHECK_LE(refused() - refused_before, 1);
    free_all();
    CHECK_EQ(weft_close((int)fd), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_close(clients[i]), 0);
    endpoint_close(&at);
}

/* Who comes while there is none is refused, one after the other, and sees it. */
TEST_PROCS(refuses)
{
    enum { CLIENTS = 5 };
    struct endpoint at = endpoint_listen(KIND_TCP, 16);
    struct call call = {.fd = at.fd, .fn = call_accept};
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client_socket();
    call_start(&call, 1);
    fill();
    uint64_t refused_before = refused();
    for (int i = 0; i < CLIENTS; i++)
        connect_to(clients[i], &at);
    for (int i = 0; i < CLIENTS; i++) {
        char byte;
        CHECK_LE(weft_read(clients[i], &byte, 1), 0);
    }
    CHECK_SOON(refused() - refused_before == CLIENTS);
    CHECK(!call_done(&call));
    CHECK_EQ(weft_close(at.fd), 0);
    CHECK_EQ(call_join(&call), -ECANCELED);
    free_all();
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(weft_close(clients[i]), 0);
}

/* ---- It does not spin ---- */

static int64_t cpu_time(void)
{
    struct timespec used;
    CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return used.tv_sec * WEFT_SECOND + used.tv_nsec;
}

/* Connections that keep coming do not make it look more often either. */
TEST_PROCS(does_not_spin)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 16);
    struct call call = {.fd = at.fd, .fn = call_accept};
    int client = client_socket();
    call_start(&call, 1);
    fill();
    connect_to(client, &at);
    weft_sleep(20 * WEFT_MILLISECOND);
    int64_t start = cpu_time();
    weft_sleep(300 * WEFT_MILLISECOND);
    CHECK_LT(cpu_time() - start, 150 * WEFT_MILLISECOND);
    CHECK_EQ(weft_set_deadline(at.fd, weft_now(), WEFT_FOREVER), 0);
    CHECK_EQ(call_join(&call), -ETIMEDOUT);
    free_all();
    CHECK_EQ(weft_close(client), 0);
    endpoint_close(&at);
}

/* Nor without a run, where nothing is in reserve to refuse with; it does not take other descriptors
 * for that. */
TEST(without_a_run)
{
    struct endpoint at = endpoint_listen(KIND_TCP, 16);
    int client = client_socket();
    fill();
    connect_to(client, &at);
    CHECK_EQ(weft_set_deadline(at.fd, weft_after(300 * WEFT_MILLISECOND), WEFT_FOREVER), 0);
    int64_t start = cpu_time();
    CHECK_EQ(weft_accept(at.fd, NULL, NULL), -ETIMEDOUT);
    CHECK_LT(cpu_time() - start, 150 * WEFT_MILLISECOND);
    CHECK_GE(fcntl(0, F_GETFD), 0);
    free_all();
    CHECK_EQ(weft_close(client), 0);
    endpoint_close(&at);
}
