/* SPDX-License-Identifier: MIT
 *
 * Tour, step 6: four goroutines that need a second of CPU each, at maxprocs 1, 2 and 4. maxprocs
 * says how many run at once; the CPUs say how many of those the machine can carry.
 *
 *     make examples && build/default/examples/burners [milliseconds]
 */
#include <stdatomic.h>
#include <time.h>

#include <weft.h>

#include "tour.h"

enum { BURNERS = 4, SLICES = 25 };

static double clock_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Work that neither the compiler nor the processor can shorten. */
static void burn(uint64_t rounds)
{
    uint64_t x = rounds | 1;
    for (uint64_t i = 0; i < rounds; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    volatile uint64_t sink = x;
    (void)sink;
}

static uint64_t rounds_each;
static atomic_int slices_burnt;
static weft_waitgroup all;

static void burner(void *arg)
{
    (void)arg;
    for (int i = 0; i < SLICES; i++) {
        burn(rounds_each / SLICES);
        int burnt = atomic_fetch_add(&slices_burnt, 1) + 1;
        progress("  at maxprocs %d: %d %%", weft_maxprocs(0), 100 * burnt / (BURNERS * SLICES));
    }
    weft_waitgroup_done(&all);
}

/* Rounds that take so many seconds of CPU, by the fastest of a few tries. */
static uint64_t calibrate(double seconds)
{
    const uint64_t trial = 10 * 1000 * 1000;
    double fastest = 1e9;
    for (int i = 0; i < 5; i++) {
        double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
        burn(trial);
        double time = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
        fastest = time < fastest ? time : fastest;
    }
    return (uint64_t)((double)trial * seconds / fastest);
}

/* Seconds of CPU that the whole machine has used, from the first line of /proc/stat. */
static double machine_seconds(void)
{
    double user, nice, system, idle, iowait, irq, softirq, steal, busy = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &iowait,
               &irq, &softirq, &steal) == 8)
        busy = user + nice + system + irq + softirq + steal;
    fclose(file);
    return busy / (double)sysconf(_SC_CLK_TCK);
}

struct result {
    double wall, others; /* seconds; CPUs that other processes kept busy meanwhile */
};

static struct result run_at(int maxprocs)
{
    weft_maxprocs(maxprocs);
    atomic_store(&slices_burnt, 0);
    double machine = machine_seconds();
    double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    double start = clock_seconds(CLOCK_MONOTONIC);
    weft_waitgroup_add(&all, BURNERS);
    for (int i = 0; i < BURNERS; i++)
        expect(weft_go(burner, NULL), "weft_go");
    weft_waitgroup_wait(&all);
    double wall = clock_seconds(CLOCK_MONOTONIC) - start;
    cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    double others = (machine_seconds() - machine - cpu) / wall;
    progress("%s", "");
    printf("  %8d %8.2f s %8.2f s %10.2f %12.2f\n", maxprocs, wall, cpu, cpu / wall,
           others > 0 ? others : 0);
    check(cpu / wall < maxprocs + 0.5, "no more than %d burn at once", maxprocs);
    return (struct result){wall, others};
}

static int main_goroutine(int argc, char **argv)
{
    double seconds = (double)argument(argc, argv, 1, 1000) / 1000;
    int cpus = weft_num_cpu();
    rounds_each = calibrate(seconds);
    printf("Four goroutines, each with work for %.2f s of CPU; CPUs here: %d.\n\n"
           "  %8s %10s %10s %10s %12s\n",
           seconds, cpus, "maxprocs", "wall time", "CPU time", "CPUs used", "by others");
    struct result one = run_at(1), two = run_at(2), four = run_at(4);
    printf("\n");
    if (cpus < 4)
        printf("  On four CPUs the last line would read %.2f s; %d cannot show it.\n", seconds,
               cpus);
    if (one.others > 0.1 || two.others > 0.1 || four.others > 0.1)
        printf("  Other programs used the CPUs too: the wall times are longer for it.\n");
    check(cpus < 2 || two.others > 0.1 || two.wall < 0.9 * one.wall,
          "two at once end sooner than one at a time");
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
