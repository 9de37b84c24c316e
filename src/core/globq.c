/* SPDX-License-Identifier: MIT
 *
 * The global run queue; see globq.h.
 */
#include "core/globq.h"

#include <string.h>

#include "core/sched.h"

enum { FIRST_SIZE = 1024 };

int wi_globq_init(struct wi_globq *queue)
{
    queue->size = FIRST_SIZE;
    queue->head = queue->tail = 0;
    return wi_array_init(&queue->array, WI_GOROUTINES_MAX);
}

/* Doubles the ring: what had wrapped round to its beginning now follows its end. */
static void grow(struct wi_globq *queue)
{
    if (queue->size == queue->array.capacity)
        wi_fatal("more than %zu goroutines queued", queue->size);
    size_t count = wi_globq_count(queue);
    size_t head = (size_t)(queue->head % queue->size);
    wi_sanitize_hide();
    if (head + count > queue->size)
        memcpy(queue->array.items + queue->size, queue->array.items,
               (head + count - queue->size) * sizeof *queue->array.items);
    wi_sanitize_show();
    queue->head = head;
    queue->tail = head + count;
    queue->size *= 2;
}

void wi_globq_push(struct wi_globq *queue, struct wi_g *const *items, size_t count)
{
    while (wi_globq_count(queue) + count > queue->size)
        grow(queue);
    size_t start = (size_t)(queue->tail % queue->size);
    size_t straight = queue->size - start < count ? queue->size - start : count;
    wi_sanitize_hide();
    memcpy(queue->array.items + start, items, straight * sizeof *items);
    memcpy(queue->array.items, items + straight, (count - straight) * sizeof *items);
    wi_sanitize_show();
    queue->tail += count;
}

size_t wi_globq_pop(struct wi_globq *queue, struct wi_g **items, size_t limit)
{
    size_t count = wi_globq_count(queue) < limit ? wi_globq_count(queue) : limit;
    size_t start = (size_t)(queue->head % queue->size);
    size_t straight = queue->size - start < count ? queue->size - start : count;
    wi_sanitize_hide();
    memcpy(items, queue->array.items + start, straight * sizeof *items);
    memcpy(items + straight, queue->array.items, (count - straight) * sizeof *items);
    wi_sanitize_show();
    queue->head += count;
    return count;
}
