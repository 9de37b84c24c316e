/* SPDX-License-Identifier: MIT
 *
 * A parallel map: a function is applied to each of many items, a goroutine an item, so many of them
 * at once (weft_group_limit). The first error ends it: items that have not begun are left out. Copy
 * parallel_map() into a program of your own.
 *
 *     make examples && build/default/examples/parallel_map [items]
 */
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum { LIMIT = 4 };

/* Calls fn on each of n items of that size, in limit goroutines at most. The first error of a call,
 * or 0 if there was none and fn was called for all. */
static int parallel_map(void *items, size_t n, size_t size, int (*fn)(void *item), int limit)
{
    weft_group group;
    weft_group_init(&group, NULL);
    weft_group_limit(&group, limit);
    int started = 0;
    for (size_t i = 0; i < n && started == 0; i++) {
        if (weft_ctx_err(weft_group_ctx(&group)) < 0)
            break;                                                     /* a call has failed */
        started = weft_group_go(&group, fn, (char *)items + i * size); /* waits at the limit */
    }
    int result = weft_group_wait(&group);
    return result < 0 ? result : started;
}

struct item {
    unsigned long start;
    int steps; /* the result */
};

static atomic_int running, most_running, calls;

/* The steps from start to 1, where an even number is halved, and an odd one n becomes 3 n + 1. */
static int steps_to_1(unsigned long start)
{
    int steps = 0;
    for (unsigned long n = start; n != 1; steps++)
        n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
}

static int collatz(void *arg)
{
    struct item *item = arg;
    int now = atomic_fetch_add(&running, 1) + 1;
    for (int most = atomic_load(&most_running); now > most;) {
        if (atomic_compare_exchange_weak(&most_running, &most, now))
            break;
    }
    atomic_fetch_add(&calls, 1);
    weft_yield(); /* as an item that waits for something would */
    int result = item->start == 0 ? -EDOM : 0;
    if (result == 0)
        item->steps = steps_to_1(item->start);
    atomic_fetch_sub(&running, 1);
    return result;
}

static int main_goroutine(int argc, char **argv)
{
    long n = argument(argc, argv, 1, 10 * 1000);
    struct item *items = calloc((size_t)n, sizeof *items);
    expect(items == NULL ? -ENOMEM : 0, "calloc");
    for (long i = 0; i < n; i++)
        items[i].start = (unsigned long)i + 1;

    int result = parallel_map(items, (size_t)n, sizeof *items, collatz, LIMIT);
    long wrong = 0;
    for (long i = 0; i < n; i++)
        wrong += items[i].steps != steps_to_1(items[i].start);
    printf("%ld items: result %d, %ld wrong; %d goroutines at once at most\n", n, result, wrong,
           atomic_load(&most_running));
    check(result == 0 && wrong == 0, "the map gives what a loop gives");
    check(atomic_load(&most_running) <= LIMIT, "not more than %d at once", LIMIT);

    items[n / 2].start = 0; /* which is an error */
    atomic_store(&calls, 0);
    result = parallel_map(items, (size_t)n, sizeof *items, collatz, LIMIT);
    printf("one of them fails: '%s', after %d calls\n", strerror(-result), atomic_load(&calls));
    check(result == -EDOM, "the map's result is the item's error");
    check(atomic_load(&calls) > n / 2, "what came before it was called");
    free(items);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
