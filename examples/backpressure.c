/* SPDX-License-Identifier: MIT
 *
 * Backpressure: a producer that could be fast, and a consumer that needs 2 ms for each value.
 * Between them is a bounded channel. Once it is full the producer parks, and goes at the consumer's
 * pace; no backlog grows, and neither side knows of the other's speed.
 *
 *     make examples && build/default/examples/backpressure [values]
 */
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum { CAPACITY = 8 };

static const int64_t pace = 2 * WEFT_MILLISECOND;
static weft_chan *values;
static long count;
static int64_t *sent_at;
static atomic_long consumed; /* counted just after it was received */
static long most_ahead;      /* the producer's */

static void producer(void *arg)
{
    weft_waitgroup *ended = arg;
    for (long i = 0; i < count; i++) {
        weft_chan_send(values, &i);
        sent_at[i] = weft_now();
        long ahead = i + 1 - atomic_load(&consumed);
        most_ahead = ahead > most_ahead ? ahead : most_ahead;
    }
    weft_chan_close(values);
    weft_waitgroup_done(ended);
}

static double ms(int64_t duration)
{
    return (double)duration / 1e6;
}

static int main_goroutine(int argc, char **argv)
{
    count = argument(argc, argv, 1, 100);
    sent_at = calloc((size_t)count, sizeof *sent_at);
    values = weft_chan_new(sizeof(long), CAPACITY);
    expect(sent_at == NULL || values == NULL ? -ENOMEM : 0, "calloc");
    weft_waitgroup ended = {0};
    weft_waitgroup_add(&ended, 1);
    int64_t start = weft_now();
    expect(weft_go(producer, &ended), "weft_go");

    long value, expected = 0, early = 0;
    while (weft_chan_recv(values, &value) == 0) {
        atomic_fetch_add(&consumed, 1);
        check(value == expected++, "%ld came in its turn", value);
        weft_sleep(pace); /* stands for what the value costs */
    }
    int64_t end = weft_now();
    weft_waitgroup_wait(&ended);

    long at_once = 0;
    while (at_once < count && sent_at[at_once] - start < pace)
        at_once++;
    /* Value i had room once value i - CAPACITY had been taken, and they are taken 2 ms apart. */
    for (long i = CAPACITY; i < count; i++)
        early += sent_at[i] - start < (i - CAPACITY) * pace;
    printf("  sent within the first 2 ms  %4ld        room for %d, and one in hand\n"
           "  the others                  %4ld        in %.0f ms: one every %.2f ms\n"
           "  all consumed                %4ld        in %.0f ms\n"
           "  the producer was ahead by   %4ld        at most\n",
           at_once, CAPACITY, count - at_once, ms(sent_at[count - 1] - start),
           at_once < count ? ms(sent_at[count - 1] - start) / (double)(count - at_once) : 0,
           expected, ms(end - start), most_ahead);
    check(expected == count, "all values came");
    check(most_ahead <= CAPACITY + 1, "the backlog is bounded");
    check(early == 0, "the producer went at the consumer's pace, but for %ld", early);
    weft_chan_unref(values);
    free(sent_at);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
