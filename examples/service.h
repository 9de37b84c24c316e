/* SPDX-License-Identifier: MIT
 *
 * What the servers among the examples share: limits as options of the command line, a listener
 * whose address is printed, and an end by signal. It is no part of weft.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <signal.h>
#include <stdint.h>

#include "tour.h"

/* --name VALUE. A number, which may have a fraction where the unit is more than 1 (seconds, say), or
 * a text. What value or text points to is the default. */
struct service_option {
    const char *name, *meaning;
    int64_t *value, unit, least, most; /* value = number * unit; least and most in units */
    const char **text;                 /* not NULL: a text */
};

static inline _Noreturn void service_usage(const char *program,
                                           const struct service_option *options, int count)
{
    fprintf(stderr, "usage: %s [--option value ...] [host:port]\n", program);
    for (int i = 0; i < count; i++) {
        const struct service_option *option = &options[i];
        if (option->text != NULL)
            fprintf(stderr, "  --%-16s %s\n", option->name, option->meaning);
        else
            fprintf(stderr, "  --%-16s %s (%g)\n", option->name, option->meaning,
                    (double)*option->value / (double)option->unit);
    }
    exit(2);
}

/* Takes the text as the option's value. */
static inline void service_set(const char *program, const struct service_option *option,
                               const char *text)
{
    if (option->text != NULL) {
        *option->text = text;
        return;
    }
    char *end;
    double number = strtod(text, &end);
    bool holds = end != text && *end == '\0' && number >= (double)option->least &&
                 number <= (double)option->most;
    if (!holds || (option->unit == 1 && (double)(int64_t)number != number)) {
        fprintf(stderr, "%s: --%s: '%s' is not a number from %lld to %lld\n", program, option->name,
                text, (long long)option->least, (long long)option->most);
        exit(2);
    }
    *option->value = (int64_t)(number * (double)option->unit);
}

/* Sets what the arguments say. The address: the one argument that is no option, or otherwise. */
static inline const char *service_arguments(int argc, char **argv,
                                            const struct service_option *options, int count,
                                            const char *otherwise)
{
    const char *address = NULL;
    for (int at = 1; at < argc; at++) {
        const struct service_option *option = NULL;
        for (int i = 0; i < count && option == NULL; i++)
            if (strncmp(argv[at], "--", 2) == 0 && strcmp(argv[at] + 2, options[i].name) == 0)
                option = &options[i];
        if (option != NULL && at + 1 < argc)
            service_set(argv[0], option, argv[++at]);
        else if (option == NULL && argv[at][0] != '-' && address == NULL)
            address = argv[at];
        else
            service_usage(argv[0], options, count);
    }
    return address != NULL ? address : otherwise;
}

/* As many connections as are wanted and there are descriptors for, so many for each and some for
 * everything else. Says so if that is fewer. */
static inline int32_t service_connections(int64_t wanted, int64_t files_each)
{
    enum { SPARE_FILES = 32 };
    int64_t possible = (raise_file_limit() - SPARE_FILES) / files_each;
    possible = possible > 0 ? possible : 1;
    if (wanted > possible)
        fprintf(stderr, "descriptors (ulimit -n) for %lld connections only\n", (long long)possible);
    return (int32_t)(wanted < possible ? wanted : possible);
}

/* Before a connection is closed whose client may still be sending: to close while there is something
 * to read resets it, and the client might lose what it was told last. Ends our output, and reads for
 * so long, and no more than so many bytes. */
static inline void service_linger(int fd, int64_t time, ssize_t most)
{
    char buffer[2048];
    ssize_t size = 1;
    weft_shutdown(fd, SHUT_WR);
    weft_set_read_deadline(fd, weft_after(time));
    for (ssize_t left = most; left > 0 && size > 0; left -= size)
        size = weft_read(fd, buffer, sizeof buffer);
}

/* A listener there, whose address is printed. */
static inline int service_listen(const char *address)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    char text[128];
    int listener = expect(weft_listen("tcp", address, 0), address);
    getsockname(listener, (struct sockaddr *)&bound, &size);
    expect(weft_addr_text((struct sockaddr *)&bound, size, text, sizeof text), "weft_addr_text");
    printf("listening on %s\n", text);
    fflush(stdout);
    return listener;
}

struct service {
    weft_server *server;
    int listener;
    void (*handler)(weft_conn *conn, int fd, void *arg);
    void *arg;
    weft_waitgroup serving;
};

static inline void service_serve(void *arg)
{
    struct service *service = arg;
    expect(weft_serve(service->server, service->listener, service->handler, service->arg),
           "weft_serve");
    weft_waitgroup_done(&service->serving);
}

/* Listens at the address, prints "listening on" and where that is, and serves as weft_serve does
 * until SIGINT or SIGTERM comes; the connections then have grace to end. The number that was cut. */
static inline int service_run(weft_server *server, const char *address,
                              void (*handler)(weft_conn *conn, int fd, void *arg), void *arg,
                              int64_t grace)
{
    struct service service = {.server = server, .handler = handler, .arg = arg};
    weft_chan *signals = weft_signal_chan(SIGINT, SIGTERM);
    expect(signals == NULL ? -ENOMEM : 0, "weft_signal_chan");
    service.listener = service_listen(address); /* whoever reads that may send a signal */
    weft_waitgroup_add(&service.serving, 1);
    expect(weft_go(service_serve, &service), "weft_go");
    weft_chan_recv(signals, NULL);
    weft_signal_stop(signals); /* the next one ends the program at once */
    int cut = 0;
    do /* again, if that came before it had begun to serve */
        cut += weft_server_stop(server, weft_after(grace));
    while (weft_waitgroup_wait_until(&service.serving, weft_after(WEFT_MILLISECOND)) < 0);
    return cut;
}

#endif
