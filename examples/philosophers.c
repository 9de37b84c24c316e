/* SPDX-License-Identifier: MIT
 *
 * Dining philosophers: five at a round table with a fork between any two, and each needs both of
 * theirs to eat. If all took the left one first, all could wait for the right one for ever. A
 * semaphore lets only four sit down, so that one of them always gets both.
 *
 *     make examples && build/default/examples/philosophers [meals]
 */
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum { SEATS = 5 };

static weft_mutex forks[SEATS];
static int users[SEATS]; /* of each fork: 0 or 1, under its mutex */
static weft_sem chairs;
static weft_waitgroup dinner;
static long meals, eaten[SEATS];
static atomic_int eating, most_eating, clashes;

static void eat(int left, int right)
{
    int now = atomic_fetch_add(&eating, 1) + 1;
    for (int most = atomic_load(&most_eating); now > most;) {
        if (atomic_compare_exchange_weak(&most_eating, &most, now))
            break;
    }
    if (++users[left] != 1 || ++users[right] != 1)
        atomic_fetch_add(&clashes, 1);
    weft_yield();
    users[left]--;
    users[right]--;
    atomic_fetch_sub(&eating, 1);
}

static void philosopher(void *arg)
{
    int left = *(int *)arg, right = (left + 1) % SEATS;
    for (long i = 0; i < meals; i++) {
        weft_sem_acquire(&chairs, 1);
        weft_mutex_lock(&forks[left]);
        weft_yield(); /* where all would be stuck if there were five chairs */
        weft_mutex_lock(&forks[right]);
        eat(left, right);
        eaten[left]++;
        weft_mutex_unlock(&forks[right]);
        weft_mutex_unlock(&forks[left]);
        weft_sem_release(&chairs, 1);
    }
    weft_waitgroup_done(&dinner);
}

static int main_goroutine(int argc, char **argv)
{
    meals = argument(argc, argv, 1, 10 * 1000);
    weft_sem_init(&chairs, SEATS - 1);
    weft_waitgroup_add(&dinner, SEATS);
    int64_t start = weft_now();
    for (int seat = 0; seat < SEATS; seat++)
        expect(weft_go_copy(philosopher, &seat, sizeof seat), "weft_go_copy");
    weft_waitgroup_wait(&dinner);
    double each = (double)(weft_now() - start) / (double)(meals * SEATS);
    printf("%d philosophers ate %ld meals each, %d at once at most; %.0f ns a meal\n", SEATS, meals,
           atomic_load(&most_eating), each);
    for (int seat = 0; seat < SEATS; seat++)
        check(eaten[seat] == meals, "philosopher %d ate %ld times", seat, eaten[seat]);
    check(atomic_load(&clashes) == 0, "no fork had two users");
    check(atomic_load(&most_eating) <= SEATS / 2, "five forks are enough for two at once");
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
