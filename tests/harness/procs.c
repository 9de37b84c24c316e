/* SPDX-License-Identifier: MIT
 *
 * Tests that run inside the runtime. A file of its own, so that tests of single parts need not link
 * the scheduler.
 */
#include "harness/test.h"

enum { STATUS = 42 };

static void (*main_body)(void);

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    main_body();
    return STATUS;
}

void test_in_runtime(int procs, void (*body)(void))
{
    main_body = body;
    weft_maxprocs(procs);
    CHECK_EQ(weft_run(main_goroutine, 0, NULL), STATUS);
}

void test_run_procs(const struct test *test)
{
    test_in_runtime(test->procs, test->body);
}

struct one {
    void (*fn)(void *index);
    void *index;
    weft_waitgroup *wg;
};

static void run_one(void *arg)
{
    struct one *one = arg;
    one->fn(one->index);
    weft_waitgroup_done(one->wg);
}

void test_each(int n, void (*fn)(void *index))
{
    weft_waitgroup wg = {0};
    for (int i = 0; i < n; i++) {
        struct one one = {fn, (void *)(intptr_t)i, &wg};
        weft_waitgroup_add(&wg, 1);
        CHECK_EQ(weft_go_copy(run_one, &one, sizeof one), 0);
    }
    weft_waitgroup_wait(&wg);
}
