/* SPDX-License-Identifier: MIT
 *
 * One unlock too many, while another unlock hands over. The second one comes between the first
 * one's look at the state and its hand-over, which so happens every time.
 */
#include "harness/test.h"

#include "core/lock.h"
#include "core/park.h"

static void (*before_lock)(void);

static inline void lock_after_hook(struct wi_lock *lock)
{
    void (*hook)(void) = before_lock;
    before_lock = NULL;
    if (hook)
        hook();
    wi_lock(lock);
}

#define wi_lock(lock) lock_after_hook(lock)
#include "sync/rwmutex.c"

static weft_rwmutex rwmutex;

static void read_unlock(void)
{
    weft_rwmutex_rdunlock(&rwmutex);
}

static void write_unlock(void)
{
    weft_rwmutex_wrunlock(&rwmutex);
}

static void write_lock(void *arg)
{
    (void)arg;
    weft_rwmutex_wrlock(&rwmutex);
}

static void queue_writers(int count)
{
    for (int i = 0; i < count; i++)
        CHECK_EQ(weft_go(write_lock, NULL), 0);
    for (int i = 0; i < count; i++)
        weft_yield();
}

static void unlock_read_twice(int writers)
{
    weft_rwmutex_rdlock(&rwmutex);
    queue_writers(writers);
    before_lock = read_unlock;
    read_unlock();
}

static void unlock_write_twice(int writers)
{
    weft_rwmutex_wrlock(&rwmutex);
    queue_writers(writers);
    before_lock = write_unlock;
    write_unlock();
}

static void read_with_one_writer(void)
{
    unlock_read_twice(1);
}

static void read_with_two_writers(void)
{
    unlock_read_twice(2);
}

static void write_with_one_writer(void)
{
    unlock_write_twice(1);
}

DEATH_TEST(read_unlock_too_many, 2, "panic: \nweft_rwmutex_rdunlock")
{
    test_in_runtime(1, read_with_one_writer);
}

DEATH_TEST(read_unlock_lets_two_writers_in, 2, "panic: \nweft_rwmutex_rdunlock")
{
    test_in_runtime(1, read_with_two_writers);
}

DEATH_TEST(write_unlock_too_many, 2, "panic: \nweft_rwmutex_wrunlock")
{
    test_in_runtime(1, write_with_one_writer);
}
