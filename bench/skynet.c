/* SPDX-License-Identifier: MIT
 *
 * Skynet (A. Temerev, github.com/atemerev/skynet): a goroutine starts ten, each of which starts
 * ten, down to 1 000 000, which send their numbers up over unbuffered channels, to be added on the
 * way. ms for all, the first time and, the median of three, later.
 */
#include <weft.h>

#include "bench.h"

enum { LEAVES = 1000000, CHILDREN = 10, ROUNDS = 3 };

struct node {
    weft_chan *result;
    int64_t number;
    int64_t leaves;
};

static void skynet(void *arg)
{
    const struct node *node = arg;
    int64_t sum = node->number;
    if (node->leaves > 1) {
        weft_chan *results = weft_chan_new(sizeof(int64_t), 0);
        int64_t share = node->leaves / CHILDREN;
        for (int i = 0; i < CHILDREN; i++) {
            struct node child = {results, node->number + i * share, share};
            bench_must(weft_go_copy(skynet, &child, sizeof child), "weft_go_copy");
        }
        sum = 0;
        for (int i = 0; i < CHILDREN; i++) {
            int64_t part;
            weft_chan_recv(results, &part);
            sum += part;
        }
        weft_chan_unref(results);
    }
    weft_chan_send(node->result, &sum);
}

static int64_t measure(void)
{
    int64_t sum;
    int64_t start = bench_now();
    weft_chan *result = weft_chan_new(sizeof(int64_t), 0);
    struct node root = {result, 0, LEAVES};
    bench_must(weft_go_copy(skynet, &root, sizeof root), "weft_go_copy");
    weft_chan_recv(result, &sum);
    weft_chan_unref(result);
    bench_must(sum == (int64_t)LEAVES * (LEAVES - 1) / 2 ? 0 : EIO, "the sum");
    return bench_now() - start;
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    int64_t warm[ROUNDS];
    bench_report("skynet-cold", "weft", (double)measure() / 1e6, "ms");
    for (int i = 0; i < ROUNDS; i++)
        warm[i] = measure();
    qsort(warm, ROUNDS, sizeof(warm[0]), bench_compare);
    bench_report("skynet-warm", "weft", (double)warm[ROUNDS / 2] / 1e6, "ms");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
