/* SPDX-License-Identifier: MIT
 *
 * Broken rules are panics, and a program in which nothing can happen any more is a fatal error:
 * both name what is wrong, and exit with status 2.
 */
#include "harness/test.h"

#include <pthread.h>

#define PANICS(name, text, body)                                                                   \
    static void run_##name(void)                                                                   \
    {                                                                                              \
        body;                                                                                      \
    }                                                                                              \
    DEATH_TEST(name##_1, 2, "panic: \n" text)                                                      \
    {                                                                                              \
        test_in_runtime(1, run_##name);                                                            \
    }                                                                                              \
    DEATH_TEST(name##_8, 2, "panic: \n" text)                                                      \
    {                                                                                              \
        test_in_runtime(8, run_##name);                                                            \
    }

PANICS(blocking_end_alone, "weft_blocking_end", weft_blocking_end())
PANICS(blocking_end_twice, "weft_blocking_end", {
    weft_blocking_begin();
    weft_blocking_end();
    weft_blocking_end();
})
PANICS(unlock_os_thread_alone, "weft_unlock_os_thread", weft_unlock_os_thread())
PANICS(unlock_os_thread_twice, "weft_unlock_os_thread", {
    weft_lock_os_thread();
    weft_yield();
    weft_unlock_os_thread();
    weft_unlock_os_thread();
})
PANICS(unlock_of_unlocked, "mutex", weft_mutex_unlock(&(weft_mutex){0}))
PANICS(unlock_of_null, "weft_mutex_unlock", weft_mutex_unlock(NULL))
PANICS(negative_waitgroup, "waitgroup", weft_waitgroup_done(&(weft_waitgroup){0}))
PANICS(panic_says_its_message, "x is 42, not blue", weft_panic("x is %d, not %s", 42, "blue"))

static void panic_elsewhere(void *arg)
{
    weft_yield();
    weft_panic("from %s", (const char *)arg);
}

static void start_panic(void)
{
    static char where[] = "afar";
    weft_attr attr = WEFT_ATTR_INIT;
    attr.name = "worrier";
    CHECK_EQ(weft_go_with(&attr, panic_elsewhere, where), 0);
    weft_sleep(WEFT_FOREVER);
}

DEATH_TEST(panic_names_its_goroutine, 2, "panic: from afar\ngoroutine \nworrier")
{
    test_in_runtime(2, start_panic);
}

DEATH_TEST(panic_outside, 2, "panic: outside")
{
    weft_panic("outside");
}

static void *exit_in_thread(void *arg)
{
    (void)arg;
    weft_exit();
}

DEATH_TEST(exit_of_a_foreign_thread, 2, "panic: \nweft_exit")
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, exit_in_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- Nothing can happen any more ---- */

static weft_chan *never;

static void wait_for_nothing(void *arg)
{
    (void)arg;
    weft_chan_recv(never, NULL);
}

static void all_wait(void)
{
    never = weft_chan_new(0, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_go(wait_for_nothing, NULL), 0);
    weft_chan_recv(never, NULL);
}

static void main_is_gone(void)
{
    weft_exit();
}

static void pinned_waits(void)
{
    weft_lock_os_thread();
    all_wait();
}

static void sleeps_for_ever(void)
{
    weft_sleep(WEFT_FOREVER);
}

static void waits_after_a_while(void)
{
    for (int i = 0; i < 10; i++) {
        weft_sleep(5 * WEFT_MILLISECOND);
        weft_blocking_begin();
        usleep(2000);
        weft_blocking_end();
    }
    all_wait();
}

/* ThreadSanitizer has a thread of its own, which might do anything as far as weft can know. */
#define DEADLOCKS(name, text)                                                                      \
    DEATH_TEST(name##_deadlocks_1, 2, "all goroutines are asleep - deadlock!" text)                \
    {                                                                                              \
        if (TEST_TSAN)                                                                             \
            SKIP("ThreadSanitizer has a thread of its own");                                       \
        test_in_runtime(1, name);                                                                  \
    }                                                                                              \
    DEATH_TEST(name##_deadlocks_8, 2, "all goroutines are asleep - deadlock!" text)                \
    {                                                                                              \
        if (TEST_TSAN)                                                                             \
            SKIP("ThreadSanitizer has a thread of its own");                                       \
        test_in_runtime(8, name);                                                                  \
    }

DEADLOCKS(all_wait, "\ngoroutine 1 \nchan receive")
DEADLOCKS(main_is_gone, "")
DEADLOCKS(pinned_waits, "\nchan receive")
DEADLOCKS(sleeps_for_ever, "\nsleep")
DEADLOCKS(waits_after_a_while, "\nchan receive")
