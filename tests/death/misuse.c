/* SPDX-License-Identifier: MIT
 *
 * Broken rules are panics, and a program in which nothing can happen any more is a fatal error:
 * both name what is wrong, and exit with status 2.
 */
#include "harness/test.h"

#include <pthread.h>
#include <setjmp.h>

#include "death/panics.h"

static jmp_buf before_once;

static void jump(void *arg)
{
    (void)arg;
    longjmp(before_once, 1);
}

static void leave_once(void *arg)
{
    (void)arg;
    static weft_once once;
    if (setjmp(before_once) == 0)
        weft_once_do(&once, jump, NULL);
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
PANICS(rwmutex_too_many_readers, "weft_rwmutex_rdlock", {
    static weft_rwmutex rwmutex = {.state = UINT32_MAX - 3}; /* 2^30 - 1 readers */
    weft_rwmutex_rdlock(&rwmutex);
})
PANICS(once_left_by_longjmp, "longjmp", {
    weft_go(leave_once, NULL);
    weft_sleep(10 * WEFT_SECOND);
})
PANICS(negative_waitgroup, "waitgroup", weft_waitgroup_done(&(weft_waitgroup){0}))

static weft_mutex unlocked;
static weft_rwmutex free_rwmutex;
static weft_sem three; /* of which one is taken */

static void take_one_of_three(void)
{
    weft_sem_init(&three, 3);
    CHECK_EQ(weft_sem_acquire(&three, 1), 0);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

PANICS(rdlock_of_null, "weft_rwmutex_rdlock: the rwmutex is NULL", weft_rwmutex_rdlock(NULL))
PANICS(tryrdlock_of_null, "weft_rwmutex_tryrdlock: the rwmutex is NULL",
       weft_rwmutex_tryrdlock(NULL))
PANICS(rdunlock_of_null, "weft_rwmutex_rdunlock: the rwmutex is NULL", weft_rwmutex_rdunlock(NULL))
PANICS(wrlock_of_null, "weft_rwmutex_wrlock: the rwmutex is NULL", weft_rwmutex_wrlock(NULL))
PANICS(trywrlock_of_null, "weft_rwmutex_trywrlock: the rwmutex is NULL",
       weft_rwmutex_trywrlock(NULL))
PANICS(wrunlock_of_null, "weft_rwmutex_wrunlock: the rwmutex is NULL", weft_rwmutex_wrunlock(NULL))
PANICS(rdunlock_of_unlocked, "weft_rwmutex_rdunlock: rwmutex 0x\nis not locked for reading",
       weft_rwmutex_rdunlock(&free_rwmutex))
PANICS(wrunlock_of_unlocked, "weft_rwmutex_wrunlock: rwmutex 0x\nis not locked for writing",
       weft_rwmutex_wrunlock(&free_rwmutex))
PANICS(rdunlock_of_write_locked, "weft_rwmutex_rdunlock: rwmutex 0x\nis not locked for reading", {
    weft_rwmutex_wrlock(&free_rwmutex);
    weft_rwmutex_rdunlock(&free_rwmutex);
})
PANICS(wrunlock_of_read_locked, "weft_rwmutex_wrunlock: rwmutex 0x\nis not locked for writing", {
    weft_rwmutex_rdlock(&free_rwmutex);
    weft_rwmutex_wrunlock(&free_rwmutex);
})

PANICS(cond_wait_of_null, "weft_cond_wait: the cond is NULL", weft_cond_wait(NULL, &unlocked))
PANICS(cond_wait_without_mutex, "weft_cond_wait: the mutex is NULL",
       weft_cond_wait(&(weft_cond){0}, NULL))
PANICS(cond_wait_unlocked, "weft_cond_wait: mutex 0x\nis not locked",
       weft_cond_wait(&(weft_cond){0}, &unlocked))
PANICS(cond_wait_until_of_null, "weft_cond_wait_until: the cond is NULL",
       weft_cond_wait_until(NULL, &unlocked, WEFT_NOWAIT))
PANICS(cond_wait_until_without_mutex, "weft_cond_wait_until: the mutex is NULL",
       weft_cond_wait_until(&(weft_cond){0}, NULL, WEFT_NOWAIT))
PANICS(cond_wait_until_unlocked, "weft_cond_wait_until: mutex 0x\nis not locked",
       weft_cond_wait_until(&(weft_cond){0}, &unlocked, WEFT_NOWAIT))
PANICS(cond_signal_of_null, "weft_cond_signal: the cond is NULL", weft_cond_signal(NULL))
PANICS(cond_broadcast_of_null, "weft_cond_broadcast: the cond is NULL", weft_cond_broadcast(NULL))

PANICS(once_of_null, "weft_once_do: the once is NULL", weft_once_do(NULL, do_nothing, NULL))
PANICS(once_without_function, "weft_once_do: fn of once 0x\nis NULL",
       weft_once_do(&(weft_once){0}, NULL, NULL))

PANICS(sem_init_of_null, "weft_sem_init: the semaphore is NULL", weft_sem_init(NULL, 1))
PANICS(sem_of_negative_size, "weft_sem_init: semaphore 0x\nnegative size: -1",
       weft_sem_init(&(weft_sem){0}, -1))
PANICS(sem_release_of_null, "weft_sem_release: the semaphore is NULL", weft_sem_release(NULL, 0))
PANICS(sem_release_of_negative, "weft_sem_release: semaphore 0x\nnegative number of permits: -1",
       weft_sem_release(&three, -1))
PANICS(sem_release_of_none, "weft_sem_release: semaphore 0x\n1 permits, but 0 are taken",
       weft_sem_release(&(weft_sem){0}, 1))
PANICS(sem_release_of_too_many, "weft_sem_release: semaphore 0x\n2 permits, but 1 are taken", {
    take_one_of_three();
    weft_sem_release(&three, 2);
})
PANICS(sem_release_of_very_many, "weft_sem_release: semaphore 0x\nbut 1 are taken", {
    take_one_of_three();
    weft_sem_release(&three, INT64_MAX);
})

static void take_three(void *arg)
{
    (void)arg;
    weft_sem_acquire(&three, 3);
}

PANICS(sem_release_of_too_many_before_waiters,
       "weft_sem_release: semaphore 0x\n2 permits, but 1 are taken", {
           take_one_of_three();
           CHECK_EQ(weft_go(take_three, NULL), 0);
           CHECK_SOON(!weft_sem_tryacquire(&three, 0));
           weft_sem_release(&three, 2);
       })

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

static void recurse(void *once)
{
    weft_once_do(once, recurse, once);
}

static void once_in_itself(void)
{
    weft_once once = {0};
    weft_once_do(&once, recurse, &once);
}

static weft_rwmutex rwmutex;

static void write_it(void *arg)
{
    (void)arg;
    weft_rwmutex_wrlock(&rwmutex);
}

static void read_twice_around_a_writer(void)
{
    weft_rwmutex_rdlock(&rwmutex);
    CHECK_EQ(weft_go(write_it, NULL), 0);
    while (weft_rwmutex_tryrdlock(&rwmutex)) {
        weft_rwmutex_rdunlock(&rwmutex);
        weft_yield();
    }
    weft_rwmutex_rdlock(&rwmutex);
}

static void wait_unsignalled(void)
{
    weft_cond cond = {0};
    weft_mutex mutex = {0};
    weft_mutex_lock(&mutex);
    weft_cond_wait(&cond, &mutex);
}

static void acquire_twice(void)
{
    weft_sem sem;
    weft_sem_init(&sem, 1);
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
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
DEADLOCKS(once_in_itself, "\ngoroutine 1 \nonce")
DEADLOCKS(read_twice_around_a_writer, "\nrwmutex rdlock\nrwmutex wrlock")
DEADLOCKS(wait_unsignalled, "\ncond wait")
DEADLOCKS(acquire_twice, "\nsemaphore acquire")
