/* SPDX-License-Identifier: MIT
 *
 * The contended half of the runtime's lock; the protocol stands in lock.h.
 */
#include "core/lock.h"

#include "arch/arch.h"
#include "os/os.h"

enum { BACKOFF_FIRST = 16, BACKOFF_LAST = 128 };
#define NAP INT64_C(100000)

void wi_lock_slow(struct wi_lock *lock)
{
    for (int backoff = BACKOFF_FIRST; backoff <= BACKOFF_LAST; backoff *= 2) {
        for (int i = 0; i < backoff; i++)
            wi_cpu_relax();
        uint32_t expected = 0;
        if (wi_load_relaxed(&lock->word) == 0 && wi_cas_acquire(&lock->word, &expected, 1))
            return;
    }
    while (wi_exchange_acquire(&lock->word, 2) != 0)
        wi_os_futex_wait(&lock->word, 2, wi_os_now() + NAP);
}

void wi_lock_wake(struct wi_lock *lock)
{
    wi_os_futex_wake(&lock->word, 1);
}
