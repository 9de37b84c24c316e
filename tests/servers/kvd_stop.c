/* SPDX-License-Identifier: MIT
 *
 * kvd: its end. A signal ends it with status 0, and clients get whole replies or none.
 */
#include "servers/kvd_test.h"

static void refuses_connections(const struct program *kvd)
{
    CHECK_LT(weft_dial("tcp", kvd->address, weft_after(10 * WEFT_SECOND)), 0);
}

KVD_TEST(idle_connections_end)
{
    enum { COUNT = 20 };
    int signals[] = {SIGTERM, SIGINT}, fds[COUNT];
    for (int i = 0; i < 2; i++) {
        struct program kvd;
        kvd_start(&kvd, "--grace", "30", NULL);
        for (int n = 0; n < COUNT; n++) {
            fds[n] = program_dial(&kvd);
            if (n % 2 == 0)
                kvd_ask(fds[n], "PING", "+PONG~");
        }
        int64_t began = weft_now();
        CHECK_EQ(program_stop(&kvd, signals[i]), 0);
        CHECK_LT(weft_now() - began, 20 * WEFT_SECOND);
        CHECK(strstr(kvd.output, "\nstopped: ") != NULL);
        CHECK_EQ(kvd.output[kvd.size - 1], '\n');
        for (int n = 0; n < COUNT; n++)
            kvd_expect_end(fds[n]);
        refuses_connections(&kvd);
    }
}

static void stop_and_time(struct program *kvd, int64_t *took)
{
    int64_t began = weft_now();
    kvd_stop(kvd);
    *took = weft_now() - began;
}

struct stopping {
    struct program *kvd;
    int64_t took;
    weft_waitgroup done;
};

static void stop_meanwhile(void *arg)
{
    struct stopping *stopping = arg;
    stop_and_time(stopping->kvd, &stopping->took);
    weft_waitgroup_done(&stopping->done);
}

static void begin_to_stop(struct stopping *stopping)
{
    weft_waitgroup_add(&stopping->done, 1);
    CHECK_EQ(weft_go(stop_meanwhile, stopping), 0);
}

/* A command that has begun to come when the signal does is still answered. */
KVD_TEST(busy_connection_finishes)
{
    struct program kvd;
    struct stopping stopping = {.kvd = &kvd};
    kvd_start(&kvd, "--grace", "60", NULL);
    int fd = program_dial(&kvd);
    kvd_text(fd, "*1~$4~PING~*2~$4~ECHO~$5~he");
    kvd_expect(fd, "PING", "+PONG~");
    weft_sleep(50 * WEFT_MILLISECOND);
    begin_to_stop(&stopping);
    weft_sleep(200 * WEFT_MILLISECOND);
    kvd_text(fd, "llo~");
    kvd_expect(fd, "ECHO", "$5~hello~");
    kvd_expect_end(fd);
    weft_waitgroup_wait(&stopping.done);
    CHECK_LT(stopping.took, 50 * WEFT_SECOND);
    refuses_connections(&kvd);
}

/* One that never comes to its end is cut when the time of grace is over. */
KVD_TEST(busy_connection_is_cut)
{
    struct program kvd;
    int64_t took;
    kvd_start(&kvd, "--grace", "0.3", NULL);
    int fd = program_dial(&kvd);
    kvd_text(fd, "*1~$4~PING~*2~$4~ECHO~$5~he");
    kvd_expect(fd, "PING", "+PONG~");
    weft_sleep(50 * WEFT_MILLISECOND);
    stop_and_time(&kvd, &took);
    CHECK_GE(took, 250 * WEFT_MILLISECOND);
    CHECK_LT(took, 20 * WEFT_SECOND);
    kvd_expect_end(fd);
}

/* Nor does a client that does not read keep it from ending. */
KVD_TEST(deaf_connection_is_cut)
{
    static char value[500 * 1000];
    struct program kvd;
    struct bytes out = {0};
    int64_t took;
    kvd_start(&kvd, "--grace", "0.3", NULL);
    int fd = program_dial(&kvd);
    memset(value, 'v', sizeof value);
    bytes_add_text(&out, "*3~$3~SET~$1~a~");
    bytes_add_bulk(&out, value, sizeof value);
    for (int i = 0; i < 50; i++)
        bytes_add_command(&out, "GET a");
    kvd_send(fd, &out);
    kvd_expect(fd, "SET", "+OK~");
    weft_sleep(50 * WEFT_MILLISECOND);
    stop_and_time(&kvd, &took);
    CHECK_LT(took, 20 * WEFT_SECOND);
    program_hang_up(fd);
}

enum { CLIENTS = 16, PIPELINE = 50 };

static struct program loaded;
static uint32_t answered[CLIENTS];

/* Counts a key of its own up until the server ends. */
static void count_up(void *arg)
{
    char want[32], got[32];
    int index = test_index(arg), fd = program_dial(&loaded);
    struct bytes pipeline = {0};
    for (int i = 0; i < PIPELINE; i++) {
        snprintf(got, sizeof got, "INCR n:%d", index);
        bytes_add_command(&pipeline, got);
    }
    for (uint32_t n = 0;; n++) {
        if (n % PIPELINE == 0 && weft_write_all(fd, pipeline.data, pipeline.size) < 0)
            break;
        int size = snprintf(want, sizeof want, ":%u\r\n", n + 1);
        ssize_t read = weft_read_full(fd, got, (size_t)size);
        if (read <= 0) /* also by a reset: what was sent and will not be read */
            break;
        if (read != size || memcmp(got, want, (size_t)size) != 0)
            kvd_differs("INCR", want, (size_t)size, got, (size_t)read);
        __atomic_store_n(&answered[index], n + 1, __ATOMIC_RELAXED);
    }
    program_hang_up(fd);
    bytes_free(&pipeline);
}

static void stop_under_load(void *arg)
{
    struct stopping *stopping = arg;
    for (int i = 0; i < CLIENTS; i++)
        CHECK_SOON(__atomic_load_n(&answered[i], __ATOMIC_RELAXED) > 100);
    stop_meanwhile(stopping);
}

/* Replies come whole and in order up to the end, and it does not take the time of grace. */
TEST_PROCS(under_load)
{
    struct stopping stopping = {.kvd = &loaded};
    kvd_start(&loaded, "--grace", "60", NULL);
    weft_waitgroup_add(&stopping.done, 1);
    CHECK_EQ(weft_go(stop_under_load, &stopping), 0);
    test_each(CLIENTS, count_up);
    weft_waitgroup_wait(&stopping.done);
    CHECK_LT(stopping.took, 50 * WEFT_SECOND);
}

static void come_and_go(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = weft_dial("tcp", loaded.address, weft_after(10 * WEFT_SECOND));
        if (fd < 0)
            return;
        weft_write_all(fd, "PING\r\nPING", 10);
        program_hang_up(fd);
    }
}

/* Connections that come while it stops. */
TEST_PROCS(while_clients_come_and_go)
{
    struct stopping stopping = {.kvd = &loaded};
    kvd_start(&loaded, "--grace", "60", NULL);
    begin_to_stop(&stopping);
    test_each(CLIENTS, come_and_go);
    weft_waitgroup_wait(&stopping.done);
    CHECK_LT(stopping.took, 50 * WEFT_SECOND);
}

/* A signal that comes at once, when it has hardly begun to listen. */
TEST_PROCS(at_once)
{
    for (int i = 0; i < 5; i++) {
        struct program kvd;
        kvd_start(&kvd, NULL);
        kvd_stop(&kvd);
    }
}
