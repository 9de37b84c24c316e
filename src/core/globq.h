/* SPDX-License-Identifier: MIT
 *
 * The global run queue: a FIFO of pointers, so that moving a batch between it and a P's ring
 * touches none of the goroutines [a linked list costs a cache miss each way, 50 ns for each of a
 * million]. A ring that doubles in place, in an array reserved for all the goroutines there can be
 * (array.h). Guarded by sched.lock.
 */
#ifndef WI_CORE_GLOBQ_H
#define WI_CORE_GLOBQ_H

#include <stddef.h>
#include <stdint.h>

#include "core/array.h"

struct wi_globq {
    struct wi_array array;
    size_t size;   /* of the ring, a power of two; the array's first size items */
    uint64_t head; /* both count up; the ring's index is modulo size */
    uint64_t tail;
};

int wi_globq_init(struct wi_globq *queue);

static inline size_t wi_globq_count(const struct wi_globq *queue)
{
    return (size_t)(queue->tail - queue->head);
}

void wi_globq_push(struct wi_globq *queue, struct wi_g *const *items, size_t count);

/* Takes the oldest, at most limit; how many. */
size_t wi_globq_pop(struct wi_globq *queue, struct wi_g **items, size_t limit);

#endif
