/* SPDX-License-Identifier: MIT
 *
 * The harness tests itself. Tests that must fail are registered only when the program is run by
 * itself with HARNESS_BAD in the environment; what it prints then is compared.
 */
#include "harness/test.h"

#include <fcntl.h>
#include <pthread.h>

TEST(passes)
{
    CHECK(true);
    CHECK_EQ(1 + 1, 2);
    CHECK_LT(-1, 0);
    CHECK_STR("a", "a");
}

DEATH_TEST(dies, 3, "last words")
{
    fprintf(stderr, "some last words\n");
    _exit(3);
}

SIGNAL_TEST(aborts, SIGABRT, "")
{
    abort();
}

TEST(leaks_on_purpose, .leaks = TEST_LEAKS_FDS | TEST_LEAKS_MEMORY)
{
    CHECK_GE(open("/dev/null", O_RDONLY), 0);
    void *volatile lost = malloc(1 << 20);
    lost = NULL;
    (void)lost;
}

static void bad_check(void)
{
    CHECK_EQ(2 + 2, 5);
}

static void bad_skip(void)
{
    SKIP("no %s here", "moon");
}

static void bad_fd(void)
{
    CHECK_GE(open("/dev/null", O_RDONLY), 0);
}

static void *nap(void *arg)
{
    sleep(1000);
    return arg;
}

static void bad_thread(void)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, nap, NULL), 0);
}

static void bad_memory(void)
{
    void *volatile lost = malloc(1 << 20);
    lost = NULL;
    (void)lost;
}

static void bad_hang(void)
{
    for (;;)
        pause();
}

static void bad_crash(void)
{
    raise(SIGKILL);
}

static void bad_random(void)
{
    printf("random %llu\n", (unsigned long long)test_random());
    FAIL("on purpose");
}

static void good(void)
{
}

__attribute__((constructor)) static void register_bad(void)
{
    static struct test bad[] = {
        {.name = "bad_check", .body = bad_check},
        {.name = "bad_skip", .body = bad_skip},
        {.name = "bad_fd", .body = bad_fd},
        {.name = "bad_thread", .body = bad_thread},
        {.name = "bad_memory", .body = bad_memory},
        {.name = "bad_hang", .body = bad_hang, .options = {.timeout = 1}},
        {.name = "bad_crash", .body = bad_crash},
        {.name = "bad_survivor", .body = good, .dies = true, .exit_status = 2},
        {.name = "bad_output", .body = good, .output = "words"},
        {.name = "bad_random", .body = bad_random},
    };
    if (!getenv("HARNESS_BAD"))
        return;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bad[i].run = test_run_plain;
        test_register(&bad[i]);
    }
}

/* What this program prints, run with these arguments. */
static char *run_bad(const char *arguments, int expected_status)
{
    static char output[16384];
    char command[4300], self[4096] = "";
    CHECK_GT(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    snprintf(command, sizeof command,
             "HARNESS_BAD=1 WEFT_TEST_TIMEOUT_SCALE=1 ASAN_OPTIONS=exitcode=99 '%s' %s 2>&1", self,
             arguments);
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int status = pclose(pipe);
    CHECK_EQ(status, expected_status << 8);
    return output;
}

#define CHECK_PRINTED(output, text)                                                                \
    do {                                                                                           \
        if (!strstr(output, text))                                                                 \
            FAIL("no \"%s\" in: %s", text, output);                                                \
    } while (0)

TEST(failures_are_seen)
{
    char *output = run_bad("bad_check", 1);
    CHECK_PRINTED(output, "FAIL ");
    CHECK_PRINTED(output, "2 + 2 == 5: 4 and 5");
    CHECK_PRINTED(output, "0 passed, 1 failed, 0 skipped");
    CHECK_PRINTED(run_bad("bad_crash", 1), "signal 9, expected 0");
    CHECK_PRINTED(run_bad("bad_survivor", 1), "should have ended the process");
    CHECK_PRINTED(run_bad("bad_output", 1), "did not print \"words\"");
    CHECK_PRINTED(run_bad("bad_hang", 1), "timed out");
}

TEST(skips_have_reasons)
{
    char *output = run_bad("bad_skip", 0);
    CHECK_PRINTED(output, "no moon here");
    CHECK_PRINTED(output, "0 passed, 0 failed, 1 skipped");
}

TEST(leaks_are_seen)
{
    CHECK_PRINTED(run_bad("bad_fd", 1), "(/dev/null) is left open");
    CHECK_PRINTED(run_bad("bad_thread", 1), "threads before the test");
#if TEST_ASAN
    CHECK_PRINTED(run_bad("bad_memory", 1), "LeakSanitizer");
#elif !TEST_TSAN
    CHECK_PRINTED(run_bad("bad_memory", 1), "bytes allocated before the test");
#endif
}

TEST(a_seed_replays)
{
    char first[16384], *line;
    setenv("WEFT_TEST_SEED", "12345", 1);
    strcpy(first, run_bad("bad_random", 1));
    line = strstr(first, "| random ");
    CHECK(line != NULL);
    line[strcspn(line, "\n")] = '\0';
    CHECK_PRINTED(run_bad("bad_random", 1), line);
    setenv("WEFT_TEST_SEED", "54321", 1);
    CHECK(!strstr(run_bad("bad_random", 1), line));
}

TEST(names_select)
{
    CHECK_PRINTED(run_bad("--filter bad_mem --list", 0), "bad_memory\n");
    CHECK(!strstr(run_bad("--list bad_fd", 0), "bad_memory"));
}
