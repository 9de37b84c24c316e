/* SPDX-License-Identifier: MIT
 *
 * A TCP echo server with a goroutine for each connection. Talk to it with nc 127.0.0.1 7777.
 *
 *     make examples && build/default/examples/echo_server [host:port]
 */
#include <stdio.h>
#include <string.h>
#include <weft.h>

static void echo(void *arg)
{
    char buffer[4096];
    int fd = *(int *)arg;
    for (ssize_t size; (size = weft_read(fd, buffer, sizeof buffer)) > 0;)
        weft_write_all(fd, buffer, (size_t)size);
    weft_close(fd);
}

static int serve(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7777";
    int listener = weft_listen("tcp", address, 0), fd = listener;
    while (fd >= 0 && (fd = weft_accept(listener, NULL, NULL)) >= 0)
        if (weft_go_copy(echo, &fd, sizeof fd) < 0)
            weft_close(fd);
    fprintf(stderr, "%s: %s\n", address, strerror(-fd));
    return 1;
}

int main(int argc, char **argv)
{
    return weft_run(serve, argc, argv);
}
