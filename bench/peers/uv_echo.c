/* SPDX-License-Identifier: MIT
 *
 * As bench/echo.c on libuv: its default loop, one buffer for all connections, and uv_try_write, so
 * that a request allocates nothing unless its reply has to wait.
 */
#include <netinet/in.h>
#include <uv.h>

#include "../bench.h"

enum { BUFFER = 512 };

struct reply {
    uv_write_t request;
    char data[BUFFER];
};

static char shared[BUFFER];

static void on_close(uv_handle_t *handle)
{
    free(handle);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(shared, BUFFER);
}

static void write_later(uv_stream_t *stream, const char *data, size_t size)
{
    struct reply *reply = malloc(sizeof(*reply));
    bench_must(reply ? 0 : ENOMEM, "malloc");
    memcpy(reply->data, data, size);
    uv_buf_t buffer = uv_buf_init(reply->data, (unsigned)size);
    bench_must(uv_write(&reply->request, stream, &buffer, 1, on_written), "uv_write");
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    if (count < 0) {
        uv_close((uv_handle_t *)stream, on_close);
        return;
    }
    uv_buf_t reply = uv_buf_init(buffer->base, (unsigned)count);
    int written = uv_try_write(stream, &reply, 1);
    if (written < 0)
        written = 0;
    if (written < count)
        write_later(stream, buffer->base + written, (size_t)(count - written));
}

static void on_connection(uv_stream_t *listener, int status)
{
    bench_must(status, "listen");
    uv_tcp_t *conn = malloc(sizeof(*conn));
    bench_must(conn ? 0 : ENOMEM, "malloc");
    bench_must(uv_tcp_init(listener->loop, conn), "uv_tcp_init");
    bench_must(uv_accept(listener, (uv_stream_t *)conn), "uv_accept");
    uv_tcp_nodelay(conn, 1);
    bench_must(uv_read_start((uv_stream_t *)conn, on_alloc, on_read), "uv_read_start");
}

int main(void)
{
    uv_tcp_t listener;
    struct sockaddr_in at;
    int size = sizeof(at);

    bench_must(uv_ip4_addr("127.0.0.1", 0, &at), "uv_ip4_addr");
    bench_must(uv_tcp_init(uv_default_loop(), &listener), "uv_tcp_init");
    bench_must(uv_tcp_bind(&listener, (struct sockaddr *)&at, 0), "uv_tcp_bind");
    bench_must(uv_listen((uv_stream_t *)&listener, SOMAXCONN, on_connection), "uv_listen");
    bench_must(uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &size), "uv_tcp_getsockname");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
