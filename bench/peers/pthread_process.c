/* SPDX-License-Identifier: MIT
 *
 * As bench/process.c: a process that starts one thread, which does nothing, and ends.
 */
#include <pthread.h>

#include "../bench.h"

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    pthread_t thread;

    bench_must(pthread_create(&thread, NULL, nothing, NULL), "pthread_create");
    pthread_join(thread, NULL);
    return 0;
}
