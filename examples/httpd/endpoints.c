/* SPDX-License-Identifier: MIT
 *
 * A handler runs in its connection's goroutine, and may do what it likes there, waiting included.
 */
#include "endpoints.h"

#include <poll.h>
#include <stdio.h>

#include <weft.h>

#include "httpd.h"

enum { SLEEP_MAX = 10 * 1000 }; /* milliseconds */

void answer_hello(struct exchange *exchange, struct text argument)
{
    (void)argument;
    response_send(exchange, 200, "text/plain", text_of("Hello, World!\n"));
}

void answer_json(struct exchange *exchange, struct text argument)
{
    (void)argument;
    response_send(exchange, 200, "application/json", text_of("{\"message\":\"Hello, World!\"}"));
}

void answer_stats(struct exchange *exchange, struct text argument)
{
    char body[256];
    double uptime = (double)(weft_now() - settings.started) / (double)WEFT_SECOND;
    (void)argument;
    snprintf(body, sizeof body,
             "{\"requests\":%ld,\"connections\":%ld,\"goroutines\":%d,\"threads\":%d,"
             "\"uptime\":%.3f}\n",
             atomic_load(&counts.requests), atomic_load(&counts.open), weft_num_goroutine(),
             weft_num_thread(), uptime);
    response_send(exchange, 200, "application/json", text_of(body));
}

void answer_echo(struct exchange *exchange, struct text argument)
{
    struct text type = request_field(exchange->request, "content-type");
    struct text body = exchange->request->body;
    (void)argument;
    response_begin(exchange, 200);
    response_field(exchange, "Content-Type",
                   type.size > 0 ? type : text_of("application/octet-stream"));
    response_length(exchange, body.size);
    output_add(exchange->output, body.at, body.size);
}

/* Waits, but not on when the connection has ended in both directions. One that has only said all
 * that it wants (POLLRDHUP alone) still gets its answer; nothing tells of its end then, so it is
 * looked at now and then. */
static void sleep_until(int fd, int64_t end)
{
    weft_set_read_deadline(fd, WEFT_FOREVER); /* it would bound weft_wait too */
    int events = weft_wait(fd, POLLRDHUP, end);
    while (events == POLLRDHUP && weft_now() < end) {
        int64_t next = weft_after(WEFT_SECOND / 10);
        weft_sleep_until(next < end ? next : end);
        events = weft_wait(fd, POLLRDHUP, WEFT_NOWAIT);
    }
}

/* A handler may wait as long as it likes; that is what its goroutine is for. What is ready for the
 * client goes out before. */
void answer_sleep(struct exchange *exchange, struct text argument)
{
    uint64_t milliseconds;
    if (!text_number(argument, &milliseconds) || milliseconds > SLEEP_MAX) {
        response_status(exchange, 400);
        return;
    }
    int64_t end = weft_after((int64_t)milliseconds * WEFT_MILLISECOND);
    output_flush(exchange->output);
    sleep_until(exchange->output->fd, end);
    response_send(exchange, 200, "text/plain", text_of("Good morning.\n"));
}
