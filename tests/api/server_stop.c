/* SPDX-License-Identifier: MIT
 *
 * Stopping a server: who comes to an end, who is cut, and what comes in between.
 */
#include "api/server_test.h"

#include <pthread.h>

TEST_PROCS(idle_ones_end)
{
    enum { COUNT = 50 };
    int fds[COUNT], handled[COUNT];
    weft_server server = {0};
    struct service service = {.server = &server, .handler = echo, .arg = handled};
    service_start(&service, KIND_TCP);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = endpoint_dial(&service.at);
        call_echo(fds[i]);
    }
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    CHECK_EQ(load(&ended), COUNT);
    CHECK(!is_open(service.at.fd));
    for (int i = 0; i < COUNT; i++)
        CHECK(!is_open(handled[i]));
    CHECK_EQ(service_join(&service), 0);
    check_refused(&service.at);
    for (int i = 0; i < COUNT; i++)
        expect_end(fds[i]);
    CHECK_EQ(net_waiters(), 0);
}

TEST_PROCS(busy_ones_come_to_an_end)
{
    weft_server server = {0};
    weft_chan *go_on = weft_chan_new(0, 0);
    struct service service = {.server = &server, .handler = work, .arg = go_on};
    service_start(&service, KIND_TCP);
    int fd = endpoint_dial(&service.at);
    CHECK_EQ(weft_write_all(fd, "y", 1), 1);
    CHECK_SOON(load(&began) == 1);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    stop_start(&stopping);
    CHECK_EQ(service_join(&service), 0); /* it accepts no more while it lasts */
    CHECK(!is_open(service.at.fd));
    check_refused(&service.at);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK(!stop_done(&stopping));
    CHECK_EQ(weft_chan_close(go_on), 0);
    CHECK_EQ(stop_join(&stopping), 0);
    CHECK_EQ(load(&ended), 1);
    char byte;
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'y');
    expect_end(fd);
    weft_chan_unref(go_on);
}

TEST_PROCS(stuck_ones_are_cut)
{
    weft_server server = {0};
    struct service reading = {.server = &server, .handler = stubborn};
    struct service writing = {.server = &server, .handler = flood};
    struct service idle = {.server = &server, .handler = echo};
    service_start(&reading, KIND_TCP);
    service_start(&writing, KIND_UNIX);
    service_start(&idle, KIND_TCP);
    int fds[] = {endpoint_dial(&reading.at), endpoint_dial(&reading.at), endpoint_dial(&writing.at),
                 endpoint_dial(&idle.at)};
    call_echo(fds[0]);
    call_echo(fds[1]);
    call_echo(fds[3]);
    CHECK_SOON(load(&began) == 4);
    int64_t start = weft_now(), deadline = weft_after(50 * WEFT_MILLISECOND);
    int cut = weft_server_stop(&server, deadline);
    CHECK(cut == 3 || (cut == 4 && start + 20 * WEFT_MILLISECOND < weft_now()));
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(load(&ended), 4);
    CHECK_EQ(service_join(&reading), 0);
    CHECK_EQ(service_join(&writing), 0);
    CHECK_EQ(service_join(&idle), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_close(fds[i]), 0);
}

/* Is slow to leave when it was cut. */
static void slow(weft_conn *conn, int fd, void *arg)
{
    stubborn(conn, fd, arg);
    CHECK_EQ(weft_chan_recv(arg, NULL), -EPIPE);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

TEST_PROCS(those_that_were_cut_are_waited_for)
{
    weft_server server = {0};
    weft_chan *go_on = weft_chan_new(0, 0);
    struct service service = {.server = &server, .handler = slow, .arg = go_on};
    service_start(&service, KIND_TCP);
    int fd = endpoint_dial(&service.at);
    call_echo(fd);
    struct stopping stopping = {.server = &server, .deadline = WEFT_NOWAIT};
    stop_start(&stopping);
    CHECK_SOON(load(&ended) == 1); /* it was cut */
    CHECK_EQ(service_join(&service), 0);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK(!stop_done(&stopping));
    CHECK_EQ(weft_chan_close(go_on), 0);
    CHECK_EQ(stop_join(&stopping), 1);
    CHECK_EQ(load(&ended), 2);
    expect_end(fd);
    weft_chan_unref(go_on);
}

/* Entered connections are ended as those of weft_serve are, whoever waits for them. */
TEST_PROCS(entered_ones_end)
{
    weft_server server = {0};
    weft_conn idle = {0}, busy = {0};
    int first[2], second[2];
    pair_tcp(first);
    pair_unix(second);
    CHECK_EQ(weft_server_add(&server, &idle, first[0]), 0);
    CHECK_EQ(weft_server_add(&server, &busy, second[0]), 0);
    CHECK_EQ(weft_conn_idle(&idle, 1), 0);
    struct call read_idle = {.fd = first[0], .fn = call_read};
    struct call read_busy = {.fd = second[0], .fn = call_read};
    call_start(&read_idle, 1);
    call_start(&read_busy, 2);
    struct stopping stopping = {.server = &server, .deadline = weft_after(WEFT_SECOND / 10)};
    stop_start(&stopping);
    CHECK_EQ(call_join(&read_idle), 0);
    CHECK_EQ(weft_write_all(first[0], "x", 1), 1); /* only reading has ended */
    weft_server_remove(&idle);
    CHECK_EQ(call_join(&read_busy), 0);
    CHECK_EQ(weft_write_all(second[0], "x", 1), -EPIPE);
    CHECK(!stop_done(&stopping));
    weft_server_remove(&busy);
    CHECK_EQ(stop_join(&stopping), 1);
    pair_close(first);
    pair_close(second);
}

/* One that becomes idle while the server is stopping. */
TEST_PROCS(idle_after_the_stop_began)
{
    weft_server server = {0};
    weft_conn conn = {0};
    int fds[2];
    char byte;
    pair_tcp(fds);
    CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
    CHECK_EQ(weft_conn_idle(&conn, 0), 0);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    stop_start(&stopping);
    CHECK_SOON(weft_conn_idle(&conn, 0) == -ECANCELED);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(WEFT_MILLISECOND), WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), -ETIMEDOUT); /* busy ones may read */
    CHECK_EQ(weft_conn_idle(&conn, 1), -ECANCELED);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 0);
    CHECK(!stop_done(&stopping));
    weft_server_remove(&conn);
    CHECK_EQ(stop_join(&stopping), 0);
    pair_close(fds);
}

TEST_PROCS(a_second_stop)
{
    weft_server server = {0};
    weft_conn conn = {0};
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    stop_start(&stopping);
    CHECK_SOON(weft_conn_idle(&conn, 0) == -ECANCELED);
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(weft_server_stop(&server, WEFT_NOWAIT), -ECANCELED);
    CHECK_EQ(weft_write_all(fds[0], "x", 1), 1); /* that did not cut it */
    weft_server_remove(&conn);
    CHECK_EQ(stop_join(&stopping), 0);
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    pair_close(fds);
}

TEST_PROCS(used_anew)
{
    enum { LIVES = 5 };
    weft_server server = {.limit = 2};
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0); /* nobody was there: no trace */
    for (int i = 0; i < LIVES; i++) {
        struct service service = {.server = &server, .handler = i % 2 ? echo : stubborn};
        service_start(&service, KIND_TCP);
        int fd = endpoint_dial(&service.at);
        call_echo(fd);
        CHECK_EQ(weft_server_stop(&server, i % 2 ? WEFT_FOREVER : WEFT_NOWAIT), i % 2 ? 0 : 1);
        CHECK_EQ(service_join(&service), 0);
        expect_end(fd);
    }
    CHECK_EQ(load(&began), LIVES);
}

TEST_PROCS(serve_while_it_is_stopping)
{
    for (int limit = 0; limit < 2; limit++) {
        weft_server server = {.limit = limit};
        weft_conn conn = {0};
        int fds[2];
        pair_unix(fds);
        CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
        struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
        stop_start(&stopping);
        CHECK_SOON(weft_conn_idle(&conn, 0) == -ECANCELED);
        struct endpoint at = endpoint_listen(KIND_TCP, 4);
        CHECK_EQ(weft_serve(&server, at.fd, echo, NULL), 0);
        CHECK(!is_open(at.fd));
        weft_server_remove(&conn);
        CHECK_EQ(stop_join(&stopping), 0);
        pair_close(fds);
    }
}

TEST_PROCS(two_servers_and_several_listeners)
{
    weft_server servers[2] = {{0}};
    struct service services[4];
    int fds[4];
    for (int i = 0; i < 4; i++) {
        services[i] = (struct service){.server = &servers[i / 3], .handler = echo};
        service_start(&services[i], i % 2 ? KIND_UNIX : KIND_TCP);
    }
    for (int i = 0; i < 4; i++) {
        fds[i] = endpoint_dial(&services[i].at);
        call_echo(fds[i]);
    }
    CHECK_EQ(weft_server_stop(&servers[0], WEFT_FOREVER), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(service_join(&services[i]), 0);
        CHECK(!is_open(services[i].at.fd));
        expect_end(fds[i]);
    }
    call_echo(fds[3]);
    CHECK_EQ(weft_server_stop(&servers[1], WEFT_FOREVER), 0);
    CHECK_EQ(service_join(&services[3]), 0);
    expect_end(fds[3]);
}

static void *stop_in_thread(void *arg)
{
    stop_run(arg);
    return NULL;
}

TEST_PROCS(stopped_by_a_thread)
{
    weft_server server = {0};
    struct service service = {.server = &server, .handler = echo};
    service_start(&service, KIND_TCP);
    int fd = endpoint_dial(&service.at);
    call_echo(fd);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    weft_waitgroup_add(&stopping.running, 1);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, stop_in_thread, &stopping), 0);
    CHECK_EQ(stop_join(&stopping), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(service_join(&service), 0);
    expect_end(fd);
}
