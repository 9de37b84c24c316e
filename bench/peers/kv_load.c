/* SPDX-License-Identifier: MIT
 *
 * kv_load kv|kvpipe CONTENDER P SERVER [ARGUMENT...]: starts a server that speaks RESP, has
 * redis-benchmark load it over loopback with 50 connections, and reports what each of its tests
 * cost. kv: one request of a connection under way at a time. kvpipe: 16. With P 1 the server has
 * one CPU and redis-benchmark another; with more both may use all of them.
 *
 * For each, after a warm-up: ns a request by the clock, ns of the server's processor time a
 * request, and the latency as redis-benchmark reports it, which with 16 is that of a batch.
 */
#include "server.h"

enum { WARM_UP = 20000 };
static const double measured = 1.5; /* seconds, by the warm-up's speed */

/* What -t does. The ranges are given as commands, since -t fills the list before each, which lpush
 * has just done, and the server's processor time would be that of both. */
static const struct test {
    const char *row;
    const char *words[5];
} tests[] = {
    {"ping", {"-t", "ping_mbulk"}},
    {"set", {"-t", "set"}},
    {"get", {"-t", "get"}},
    {"incr", {"-t", "incr"}},
    {"lpush", {"-t", "lpush"}},
    {"lrange100", {"lrange", "mylist", "0", "99"}},
    {"lrange600", {"lrange", "mylist", "0", "599"}},
    {"mset", {"-t", "mset"}},
};

struct result {
    double rps, p50, p99; /* ms */
};

static const char *scenario, *contender;
static bool pinned;

/* One run of redis-benchmark. */
static struct result run(const struct test *test, int requests)
{
    char port[16];
    char number[16];
    const char *argv[20] = {
        "redis-benchmark", "-p", port, "-c", "50", "-P", "1", "-n", number, "--csv"};
    int count = 10;
    struct result result;

    snprintf(port, sizeof(port), "%d", server.port);
    snprintf(number, sizeof(number), "%d", requests);
    if (!strcmp(scenario, "kvpipe"))
        argv[6] = "16";
    for (int i = 0; i < 5 && test->words[i]; i++)
        argv[count++] = test->words[i];
    char *output = server_run_load(argv, pinned);
    char *line = strchr(output, '\n'); /* past the names of the columns */
    /* "test","rps","avg_latency_ms","min_…","p50_…","p95_…","p99_…","max_…" */
    if (!line || sscanf(line, "\n\"%*[^\"]\",\"%lf\",\"%*f\",\"%*f\",\"%lf\",\"%*f\",\"%lf\"",
                        &result.rps, &result.p50, &result.p99) != 3) {
        fprintf(stderr, "redis-benchmark said: %.200s\n", output);
        exit(1);
    }
    return result;
}

static void report(const struct test *test, const char *what, double value, const char *unit)
{
    char row[32];
    snprintf(row, sizeof(row), "%s-%s%s", scenario, test->row, what);
    bench_report(row, contender, value, unit);
}

static void load(const struct test *test)
{
    int requests = (int)(run(test, WARM_UP).rps * measured);
    int64_t cpu = server_cpu();
    struct result result = run(test, requests);
    cpu = server_cpu() - cpu;
    report(test, "", 1e9 / result.rps, "ns");
    report(test, "-cpu", (double)cpu / requests, "ns");
    report(test, "-p50", result.p50 * 1e3, "us");
    report(test, "-p99", result.p99 * 1e3, "us");
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: kv_load kv|kvpipe CONTENDER P SERVER [ARGUMENT...]\n");
        return 2;
    }
    scenario = argv[1];
    contender = argv[2];
    pinned = atoi(argv[3]) == 1;
    server_offer_port();
    server_start(argv + 4, pinned);
    server_await();
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        load(&tests[i]);
    server_stop();
    return 0;
}
