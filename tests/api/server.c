/* SPDX-License-Identifier: MIT
 *
 * Servers: who is accepted, what becomes of it, and how many at once.
 */
#include "api/server_test.h"

#include <pthread.h>

static int the_argument;

static void check_arguments(weft_conn *conn, int fd, void *arg)
{
    CHECK(conn != NULL);
    CHECK(is_open(fd));
    CHECK(arg == &the_argument);
    CHECK_NE(weft_id(), 0);
    CHECK_EQ(weft_write_all(fd, "z", 1), 1);
}

TEST_PROCS(calls_the_handler_and_closes)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == KIND_TCP6 && !have_ipv6())
            continue;
        weft_server server = {0};
        struct service service = {
            .server = &server, .handler = check_arguments, .arg = &the_argument};
        service_start(&service, kind);
        for (int i = 0; i < 3; i++) {
            char byte;
            int fd = endpoint_dial(&service.at);
            CHECK_EQ(weft_read(fd, &byte, 1), 1);
            expect_end(fd);
        }
        stop_and_join(&server, &service);
    }
}

static void exits(weft_conn *conn, int fd, void *arg)
{
    (void)conn, (void)fd, (void)arg;
    count_in();
    count_out();
    weft_exit();
}

TEST_PROCS(exit_in_a_handler_closes)
{
    weft_server server = {.limit = 1};
    struct service service = {.server = &server, .handler = exits};
    service_start(&service, KIND_TCP);
    for (int i = 0; i < 5; i++)
        expect_end(endpoint_dial(&service.at));
    CHECK_EQ(load(&began), 5);
    stop_and_join(&server, &service);
}

static void runs_beside(weft_conn *conn, int fd, void *arg)
{
    (void)conn, (void)fd;
    count_in();
    CHECK_SOON(load(&began) == *(int *)arg);
    count_out();
}

TEST_PROCS(each_has_a_goroutine)
{
    enum { COUNT = 20 };
    int count = COUNT, fds[COUNT];
    weft_server server = {0};
    struct service service = {.server = &server, .handler = runs_beside, .arg = &count};
    service_start(&service, KIND_UNIX);
    for (int i = 0; i < COUNT; i++)
        fds[i] = endpoint_dial(&service.at);
    for (int i = 0; i < COUNT; i++)
        expect_end(fds[i]);
    CHECK_EQ(load(&most), COUNT);
    stop_and_join(&server, &service);
}

TEST_PROCS(errors_end_it_and_leave_the_listener)
{
    int fds[2], pipes[2];
    weft_server server = {0};
    pair_unix(fds);
    CHECK_EQ(pipe(pipes), 0);
    for (int limit = 0; limit < 2; limit++) {
        server.limit = limit;
        CHECK_EQ(weft_serve(NULL, fds[0], echo, NULL), -EINVAL);
        CHECK_EQ(weft_serve(&server, fds[0], NULL, NULL), -EINVAL);
        CHECK_EQ(weft_serve(&server, -1, echo, NULL), -EBADF);
        CHECK_EQ(weft_serve(&server, 1000, echo, NULL), -EBADF);
        CHECK_EQ(weft_serve(&server, fds[0], echo, NULL), -EINVAL); /* does not listen */
        CHECK_EQ(weft_serve(&server, pipes[0], echo, NULL), -ENOTSOCK);
        CHECK(is_open(fds[0]) && is_open(pipes[0]));

        struct service service = {.server = &server, .handler = echo};
        service_start(&service, KIND_TCP);
        CHECK_EQ(weft_set_deadline(service.at.fd, weft_now(), WEFT_FOREVER), 0);
        CHECK_EQ(service_join(&service), -ETIMEDOUT);
        CHECK(is_open(service.at.fd));
        CHECK_EQ(weft_set_deadline(service.at.fd, WEFT_FOREVER, WEFT_FOREVER), 0);
        weft_waitgroup_add(&service.running, 1);
        CHECK_EQ(weft_go(service_run, &service), 0); /* it can go on */
        int fd = endpoint_dial(&service.at);
        call_echo(fd);
        stop_and_join(&server, &service);
        expect_end(fd);
    }
    pair_close(fds);
    CHECK_EQ(weft_close(pipes[0]), 0);
    CHECK_EQ(weft_close(pipes[1]), 0);
}

TEST_PROCS(a_listener_is_served_once)
{
    weft_server server = {0};
    struct service service = {.server = &server, .handler = echo};
    service_start(&service, KIND_TCP);
    CHECK_EQ(weft_serve(&server, service.at.fd, echo, NULL), -EBUSY);
    int fd = endpoint_dial(&service.at);
    call_echo(fd);
    stop_and_join(&server, &service);
    expect_end(fd);
}

TEST(no_runtime)
{
    weft_server server = {0};
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    for (int limit = 0; limit < 2; limit++) {
        server.limit = limit;
        CHECK_EQ(weft_serve(&server, at.fd, echo, NULL), -EPERM);
        CHECK(is_open(at.fd));
    }
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    endpoint_close(&at);
}

static weft_server left_server;
static struct endpoint left_at;
static pthread_t left_thread;

static void *serve_in_thread(void *arg)
{
    CHECK_EQ(weft_serve(&left_server, left_at.fd, echo, NULL), -ECANCELED);
    return arg;
}

static void leave_a_thread(void)
{
    CHECK_EQ(pthread_create(&left_thread, NULL, serve_in_thread, NULL), 0);
    CHECK_SOON(net_waiters() == 1);
}

TEST(end_of_run_under_a_thread)
{
    for (int limit = 0; limit < 2; limit++) {
        left_server = (weft_server){.limit = limit};
        left_at = endpoint_listen(KIND_TCP, 1);
        test_in_runtime(2, leave_a_thread);
        CHECK_EQ(pthread_join(left_thread, NULL), 0);
        CHECK_EQ(weft_server_stop(&left_server, WEFT_FOREVER), 0);
        endpoint_close(&left_at);
    }
}

/* ---- Limits ---- */

TEST_PROCS(at_the_limit_none_is_accepted)
{
    enum { LIMIT = 3, COUNT = 9 };
    weft_server server = {.limit = LIMIT};
    struct service service = {.server = &server, .handler = echo};
    int fds[COUNT];
    service_start(&service, KIND_TCP);
    for (int i = 0; i < COUNT; i++)
        fds[i] = endpoint_dial(&service.at);
    for (int i = 0; i < COUNT; i++) {
        int rest = COUNT - LIMIT - i > 0 ? COUNT - LIMIT - i : 0;
        CHECK_SOON(load(&began) == COUNT - rest);
        CHECK_EQ(queued(service.at.fd), rest);
        call_echo(fds[i]); /* they come in order */
        CHECK_EQ(weft_close(fds[i]), 0);
    }
    CHECK_EQ(load(&most), LIMIT);
    stop_and_join(&server, &service);
    CHECK_EQ(load(&ended), COUNT);
}

TEST_PROCS(a_listener_without_guests_holds_no_room)
{
    weft_server server = {.limit = 1};
    struct service services[2] = {{.server = &server, .handler = echo},
                                  {.server = &server, .handler = echo}};
    service_start(&services[0], KIND_TCP);
    service_start(&services[1], KIND_UNIX);
    for (int i = 0; i < 6; i++) {
        int fd = endpoint_dial(&services[i / 3 % 2].at);
        call_echo(fd);
        CHECK_EQ(weft_close(fd), 0);
    }
    CHECK_EQ(load(&most), 1);
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    CHECK_EQ(service_join(&services[0]), 0);
    CHECK_EQ(service_join(&services[1]), 0);
}

TEST_PROCS(the_limit_of_goroutines_is_waited_out)
{
    weft_server server = {0};
    struct service service = {.server = &server, .handler = echo};
    service_start(&service, KIND_TCP);
    int before = weft_set_max_goroutines(weft_num_goroutine());
    int fd = endpoint_dial(&service.at);
    CHECK_SOON(queued(service.at.fd) == 0);
    weft_sleep(20 * WEFT_MILLISECOND);
    CHECK_EQ(load(&began), 0);
    weft_set_max_goroutines(before);
    call_echo(fd);
    weft_set_max_goroutines(weft_num_goroutine());
    int second = endpoint_dial(&service.at);
    CHECK_SOON(queued(service.at.fd) == 0);
    stop_and_join(&server, &service); /* nor does it keep stop */
    weft_set_max_goroutines(before);
    expect_end(fd);
    expect_end(second);
    CHECK_EQ(load(&began), 1);
}
