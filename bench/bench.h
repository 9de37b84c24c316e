/* SPDX-License-Identifier: MIT
 *
 * What every benchmark program shares: the clock, the kernel's view of the process, and the line
 * that reports a figure. Programs measure themselves; bench/run starts them, again and again, and
 * makes the table.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Nanoseconds on the monotonic clock. */
static inline int64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The one line bench/run reads: which row, who, how much, of what. */
static inline void bench_report(const char *row, const char *contender, double value,
                                const char *unit)
{
    printf("%s %s %.3f %s\n", row, contender, value, unit);
    fflush(stdout);
}

/* Ends the program if a call that should not fail did: a figure after that would mean nothing. */
static inline void bench_must(int result, const char *what)
{
    if (result) {
        fprintf(stderr, "%s failed: %s\n", what, strerror(abs(result)));
        exit(1);
    }
}

/* malloc that does not fail, with every page touched, so that it adds nothing to later figures. */
static inline void *bench_alloc(size_t size)
{
    void *memory = malloc(size);
    bench_must(memory ? 0 : ENOMEM, "malloc");
    memset(memory, 1, size);
    return memory;
}

/* Bytes of physical memory that the kernel charges to a process, given its status file: pages and
 * page tables. */
static inline double bench_memory_of(const char *status)
{
    FILE *file = fopen(status, "r");
    char line[256];
    double sum = 0;

    bench_must(file ? 0 : errno, status);
    while (fgets(line, sizeof(line), file))
        if (!strncmp(line, "VmRSS:", 6) || !strncmp(line, "VmPTE:", 6))
            sum += strtod(line + 6, NULL) * 1024;
    fclose(file);
    return sum;
}

/* The same of this process. */
static inline double bench_memory(void)
{
    return bench_memory_of("/proc/self/status");
}

/* Nanoseconds of processor time that this process has used. */
static inline int64_t bench_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* Threads know no maxprocs; the nearest thing is to let the process use only that many CPUs. The
 * number is the first argument, 1 without one. */
static inline void bench_limit_cpus(int argc, char **argv)
{
    int wanted = argc > 1 ? atoi(argv[1]) : 1;
    cpu_set_t all;
    cpu_set_t some;

    CPU_ZERO(&some);
    sched_getaffinity(0, sizeof(all), &all);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&some) < wanted; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &some);
    bench_must(sched_setaffinity(0, sizeof(some), &some), "sched_setaffinity");
}

static inline int bench_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

#endif
