/* SPDX-License-Identifier: MIT
 *
 * Stacks of every size that can be asked for hold what was asked for.
 */
#include "harness/test.h"

/* ThreadSanitizer keeps 65 536 frames; the sanitizers' frames are larger than what is written here.
 */
enum { FRAME = 4096, MARGIN = 8192 };

static int done; /* atomic */

/* Uses so many bytes of stack below base, and parks at the bottom. */
static __attribute__((noinline)) int descend(const char *base, size_t bytes)
{
    char frame[FRAME];
    memset(frame, 0x11, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it, really */
    if ((size_t)(base - (char *)__builtin_frame_address(0)) + FRAME + MARGIN < bytes)
        CHECK_EQ(descend(base, bytes), 0x11);
    else
        weft_yield();
    __asm__ volatile("" : : "r"(frame) : "memory");
    return frame[FRAME / 2];
}

static void dive(void *arg)
{
    size_t bytes = *(size_t *)arg;
    CHECK_EQ(descend(__builtin_frame_address(0), bytes), 0x11);
    __atomic_add_fetch(&done, 1, __ATOMIC_RELEASE);
}

static void dive_in(size_t stack_size, size_t bytes)
{
    weft_attr attr = WEFT_ATTR_INIT;
    attr.stack_size = stack_size;
    done = 0;
    CHECK_EQ(weft_go_with(&attr, dive, &bytes), 0);
    CHECK_SOON(__atomic_load_n(&done, __ATOMIC_ACQUIRE) == 1);
}

TEST_PROCS(small_sizes)
{
    for (size_t size = WEFT_STACK_MIN; size < 64 << 10; size += 1000)
        dive_in(size, size);
}

TEST_PROCS(powers_of_two, .timeout = 120)
{
    for (size_t size = 64 << 10; size <= 64 << 20; size *= 2)
        dive_in(size, size);
}

TEST_PROCS(sizes_between, .timeout = 120)
{
    for (int i = 0; i < 100; i++) {
        size_t size = (64 << 10) + (size_t)test_random_below(4 << 20);
        dive_in(size, size);
    }
}

TEST_PROCS(the_default)
{
    dive_in(WEFT_STACK_DEFAULT, WEFT_STACK_DEFAULT - (32 << 10));
}

/* More than any smaller class of stacks could hold; as much as the machine has, within reason. */
TEST_PROCS(one_gibibyte, .timeout = 180)
{
    static const size_t large[] = {(size_t)256 << 20, (size_t)1 << 30};
    size_t free_memory = (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        size_t bytes = large[i];
        if (bytes > free_memory / 4 || TEST_TSAN)
            bytes = 100 << 20;
        dive_in(large[i], bytes);
    }
}

static void nothing(void *arg)
{
    (void)arg;
    weft_yield();
    __atomic_add_fetch(&done, 1, __ATOMIC_RELEASE);
}

/* Only touched pages take memory: a thousand of the largest ones. */
TEST_PROCS(large_stacks_are_cheap, .timeout = 180)
{
    weft_attr attr = WEFT_ATTR_INIT;
    attr.stack_size = WEFT_STACK_MAX;
    int n = TEST_ASAN || TEST_TSAN ? 16 : 1000;
    done = 0;
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go_with(&attr, nothing, NULL), 0);
    CHECK_SOON(__atomic_load_n(&done, __ATOMIC_ACQUIRE) == n);
}

/* A stack that went deep, and its memory given back, is as good as new. */
TEST_PROCS(deep_stacks_are_reused)
{
    for (int i = 0; i < 300; i++)
        dive_in(WEFT_STACK_DEFAULT, i % 3 ? 16 << 10 : 200 << 10);
}

static weft_chan *end;
static weft_waitgroup visitors;

static void visit(void *arg)
{
    (void)arg;
    weft_chan_recv(end, NULL);
    weft_waitgroup_done(&visitors);
}

static long resident_kib(void)
{
    long pages = -1;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The stacks of goroutines that have ended, once nothing has happened for a while. The sleeps are
 * long, for only then all slots are idle; sysmon sleeps in each of them. */
TEST_PROCS(idle_runtime_gives_stacks_back)
{
    enum { VISITORS = 5000, PAGE_KIB = 4, TRIES = 10 };
    if (TEST_ASAN || TEST_TSAN)
        SKIP("a sanitizer keeps memory");
    end = weft_chan_new(0, 0);
    for (int i = 0; i < VISITORS; i++) {
        weft_waitgroup_add(&visitors, 1);
        CHECK_EQ(weft_go(visit, NULL), 0);
    }
    weft_sleep(WEFT_SECOND / 10);
    weft_chan_close(end);
    weft_waitgroup_wait(&visitors);
    weft_chan_unref(end);
    long before = resident_kib(), after = before;
    for (int i = 0; i < TRIES && before - after < VISITORS * PAGE_KIB / 2; i++) {
        weft_sleep(3 * WEFT_SECOND / 2);
        after = resident_kib();
    }
    CHECK_GE(before - after, VISITORS * PAGE_KIB / 2);
}

static void check_size(void)
{
    size_t bytes = 900 << 10;
    done = 0;
    CHECK_EQ(weft_go(dive, &bytes), 0);
    CHECK_SOON(__atomic_load_n(&done, __ATOMIC_ACQUIRE) == 1);
}

TEST(default_size_from_the_environment)
{
    setenv("WEFT_STACK_SIZE", "1048576", 1);
    test_in_runtime(2, check_size);
}

TEST(default_size_with_a_suffix)
{
    setenv("WEFT_STACK_SIZE", "1M", 1);
    test_in_runtime(2, check_size);
}
