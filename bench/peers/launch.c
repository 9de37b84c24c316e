/* SPDX-License-Identifier: MIT
 *
 * launch CONTENDER PROGRAM [ARGUMENT...]: starts the program and waits for its end, over and over:
 * median us. The same clock and the same way to start for every contender.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "../bench.h"

extern char **environ;

enum { ROUNDS = 100 };

int main(int argc, char **argv)
{
    int64_t took[ROUNDS];

    if (argc < 3) {
        fprintf(stderr, "usage: launch CONTENDER PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    for (int i = 0; i < ROUNDS; i++) {
        pid_t child;
        int status;
        int64_t start = bench_now();
        bench_must(posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ), argv[2]);
        waitpid(child, &status, 0);
        took[i] = bench_now() - start;
        if (status) {
            fprintf(stderr, "%s ended with wait status %d\n", argv[2], status);
            return 1;
        }
    }
    qsort(took, ROUNDS, sizeof(took[0]), bench_compare);
    bench_report("process", argv[1], (double)took[ROUNDS / 2] / 1e3, "us");
    return 0;
}
