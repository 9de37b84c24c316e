/* SPDX-License-Identifier: MIT
 *
 * The runtime's own lock: held for a few dozen instructions, never across a park, never while user
 * code runs. (Longer only where one operation concerns many: waking all that wait, a select over
 * thousands of channels.) Any thread may take it. Zero is unlocked.
 *
 * Protocol. word: 0 free, 1 held, 2 held and somebody may sleep.
 *   lock:   1. CAS 0->1 (acquire). Else back off and try again, a few times, longer each time; then
 *           2. exchange 2; if the old value was 0 the lock is ours (marked 2, one wake too many at
 *              worst); else sleep on the futex while word is 2, for at most NAP, and repeat.
 *   unlock: 3. load word; 4. store 0 (release); 5. if step 3 read 2, wake one sleeper.
 * Steps 3 and 4 are not one atomic operation: a locked instruction costs as much as everything else
 * in an uncontended critical section (4-5 ns of about 10). So a waiter whose exchange falls between
 * them is not woken. It finds the lock at the end of its nap, or when its futex call sees that word
 * is no longer 2, which is at once, because step 4 has replaced the 2. Only a third thread that
 * takes the lock, and sleeps in step 2, in that instant can restore the 2; then the nap bounds the
 * delay.
 *
 * Rejected: an exchange in unlock, for its cost on every channel operation. Looking at a held lock
 * all the time: each look takes the cache line away from the holder, who is about to write to what
 * the lock guards, in the same line [four senders and four receivers on one channel, two Ps: 140 ns
 * an item; with a first look after 16 pauses 20 ns, after 4 pauses 35 ns].
 */
#ifndef WI_CORE_LOCK_H
#define WI_CORE_LOCK_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

struct wi_lock {
    uint32_t word; /* atomic */
};

void wi_lock_slow(struct wi_lock *lock);
void wi_lock_wake(struct wi_lock *lock);

static inline void wi_lock(struct wi_lock *lock)
{
    uint32_t expected = 0;
    if (wi_unlikely(!wi_cas_acquire(&lock->word, &expected, 1)))
        wi_lock_slow(lock);
}

static inline void wi_unlock(struct wi_lock *lock)
{
    uint32_t word = wi_load_relaxed(&lock->word);
    wi_store_release(&lock->word, 0);
    if (wi_unlikely(word == 2))
        wi_lock_wake(lock);
}

#endif
