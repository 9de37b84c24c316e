/* SPDX-License-Identifier: MIT
 *
 * Workers with a common rate limit, a token bucket: a channel holds tokens, as many as may be used
 * in a burst; a ticker adds one each period while there is room; an operation takes one, and waits
 * while there is none.
 *
 *     make examples && build/default/examples/rate_limit [operations]
 */
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum { WORKERS = 4, BURST = 10, PER_SECOND = 200 };

static const int64_t period = WEFT_SECOND / PER_SECOND;

struct bucket {
    weft_chan *tokens; /* elements of no size */
    weft_chan *stop;   /* closed at the end */
    weft_ticker *ticker;
    weft_waitgroup refilling;
};

static void refill(void *arg)
{
    struct bucket *bucket = arg;
    weft_case cases[] = {{.chan = weft_ticker_chan(bucket->ticker)}, {.chan = bucket->stop}};
    while (weft_select(cases, 2, WEFT_FOREVER) == 0)
        weft_chan_send_until(bucket->tokens, "", WEFT_NOWAIT); /* a full bucket stays full */
    weft_waitgroup_done(&bucket->refilling);
}

static void bucket_open(struct bucket *bucket)
{
    *bucket = (struct bucket){
        .tokens = weft_chan_new(0, BURST),
        .stop = weft_chan_new(0, 0),
        .ticker = weft_ticker_new(period),
    };
    expect(bucket->tokens && bucket->stop && bucket->ticker ? 0 : -ENOMEM, "bucket_open");
    for (int i = 0; i < BURST; i++)
        weft_chan_send(bucket->tokens, "");
    weft_waitgroup_add(&bucket->refilling, 1);
    expect(weft_go(refill, bucket), "weft_go");
}

static void bucket_close(struct bucket *bucket)
{
    weft_chan_close(bucket->stop);
    weft_waitgroup_wait(&bucket->refilling);
    weft_ticker_free(bucket->ticker);
    weft_chan_unref(bucket->stop);
    weft_chan_unref(bucket->tokens);
}

static struct bucket bucket;
static long operations;
static int64_t *taken_at; /* by operation */
static atomic_long next, by_worker[WORKERS];

static int worker(void *arg)
{
    long operation;
    while ((operation = atomic_fetch_add(&next, 1)) < operations) {
        weft_chan_recv(bucket.tokens, NULL);
        taken_at[operation] = weft_now(); /* and what is limited goes here */
        atomic_fetch_add((atomic_long *)arg, 1);
    }
    return 0;
}

static int earlier(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int main_goroutine(int argc, char **argv)
{
    operations = argument(argc, argv, 1, 100);
    taken_at = calloc((size_t)operations, sizeof *taken_at);
    expect(taken_at == NULL ? -ENOMEM : 0, "calloc");
    int64_t start = weft_now();
    bucket_open(&bucket);
    weft_group workers = {0};
    for (int i = 0; i < WORKERS; i++)
        expect(weft_group_go(&workers, worker, &by_worker[i]), "weft_group_go");
    weft_group_wait(&workers);
    bucket_close(&bucket);

    qsort(taken_at, (size_t)operations, sizeof *taken_at, earlier);
    long early = 0, burst = operations < BURST ? operations : BURST;
    for (long i = BURST; i < operations; i++) /* of these each needs a tick of its own */
        early += taken_at[i] - start < (i - BURST + 1) * period;
    for (int i = 0; i < WORKERS; i++)
        printf("  worker %d  %ld operations\n", i, atomic_load(&by_worker[i]));
    printf(
        "%ld operations in %.0f ms at %d a second, the first %ld within %.1f ms; %ld too early\n",
        operations, (double)(taken_at[operations - 1] - start) / 1e6, PER_SECOND, burst,
        (double)(taken_at[burst - 1] - start) / 1e6, early);
    check(early == 0, "never more than the burst and one a period");
    free(taken_at);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
