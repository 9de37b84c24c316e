/* SPDX-License-Identifier: MIT
 *
 * A bounded pool: a fixed number of workers, a group, take jobs from a bounded queue, a channel. To
 * submit waits while the queue is full, or says so at once. To finish closes the queue and waits
 * until the workers have drained it. Copy the pool into a program of your own; often enough a
 * goroutine a job does (parallel_map.c).
 *
 *     make examples && build/default/examples/worker_pool [jobs]
 */
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

struct job {
    void (*fn)(void *arg);
    void *arg;
};

struct pool {
    weft_group workers;
    weft_chan *queue;
};

static int work(void *arg)
{
    struct pool *pool = arg;
    struct job job;
    while (weft_chan_recv(pool->queue, &job) == 0)
        job.fn(job.arg);
    return 0;
}

/* Closes the queue and waits until every job has been done. */
static void pool_finish(struct pool *pool)
{
    weft_chan_close(pool->queue);
    weft_group_wait(&pool->workers);
    weft_chan_unref(pool->queue);
}

static int pool_start(struct pool *pool, int workers, size_t queue)
{
    int result = 0;
    *pool = (struct pool){.queue = weft_chan_new(sizeof(struct job), queue)};
    if (pool->queue == NULL)
        return -ENOMEM;
    for (int i = 0; i < workers && result == 0; i++)
        result = weft_group_go(&pool->workers, work, pool);
    if (result < 0)
        pool_finish(pool);
    return result;
}

/* Waits for room in the queue until the deadline. 0, -ETIMEDOUT, or -EAGAIN with WEFT_NOWAIT. */
static int pool_submit(struct pool *pool, void (*fn)(void *arg), void *arg, int64_t deadline)
{
    return weft_chan_send_until(pool->queue, &(struct job){fn, arg}, deadline);
}

/* ---- A program that uses it ---- */

enum { WORKERS = 4, QUEUE = 8 };

static atomic_int running, most_running;
static atomic_long done;

static void nap(void *arg)
{
    int now = atomic_fetch_add(&running, 1) + 1;
    for (int most = atomic_load(&most_running); now > most;) {
        if (atomic_compare_exchange_weak(&most_running, &most, now))
            break;
    }
    weft_sleep(WEFT_MILLISECOND); /* stands for a query, or for a request */
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add((atomic_long *)arg, 1);
}

static int main_goroutine(int argc, char **argv)
{
    long jobs = argument(argc, argv, 1, 1000), turned_away = 0;
    struct pool pool;
    expect(pool_start(&pool, WORKERS, QUEUE), "pool_start");
    int64_t start = weft_now();
    for (long i = 0; i < jobs; i++) {
        if (pool_submit(&pool, nap, &done, WEFT_NOWAIT) == 0)
            continue;
        turned_away++; /* a server might answer "busy"; here it waits */
        expect(pool_submit(&pool, nap, &done, WEFT_FOREVER), "pool_submit");
    }
    pool_finish(&pool);
    printf(
        "%ld jobs done in %.1f ms by %d workers, %d at once at most; the queue was full for %ld\n",
        atomic_load(&done), (double)(weft_now() - start) / 1e6, WORKERS, atomic_load(&most_running),
        turned_away);
    check(atomic_load(&done) == jobs, "each job was done once");
    check(atomic_load(&most_running) <= WORKERS, "not more at once than there are workers");
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
