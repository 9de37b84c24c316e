/* SPDX-License-Identifier: MIT
 *
 * Lists in chunks. See list.h.
 *
 * A list's first chunk begins small and grows to CHUNK bytes, further ones have them at once. The
 * elements lie between begin and end; pushes on the left fill a chunk downwards, so a new one has
 * all its room at the end that is pushed. Elements can only be walked from left to right. To pop on
 * the right, the last chunk is halved as long as it has more than a few elements: the walk to the
 * middle is then paid by the pops that follow, a few steps each.
 */
#include "list.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 8 * 1024, /* bytes, unless one element takes more */
    CHUNK_MIN = 128,
    WALK = 16, /* elements, on the way to a chunk's last */
};

struct chunk {
    struct chunk *next, *prev;
    uint32_t count;
    uint32_t begin, end, capacity; /* of bytes */
    char bytes[];
};

/* ---- Elements ---- */

/* The element behind this one. */
static const char *element_end(const char *element)
{
    size_t size = 0;
    const char *at = element + 1;
    for (; *at != '\r'; at++)
        size = size * 10 + (size_t)(*at - '0');
    return at + 2 + size + 2;
}

static const char *walk(const char *element, int64_t count)
{
    while (count-- > 0)
        element = element_end(element);
    return element;
}

static const char *element_at(const struct chunk *chunk, int64_t index)
{
    return walk(chunk->bytes + chunk->begin, index);
}

/* ---- Chunks ---- */

static struct chunk *new_chunk(size_t capacity, enum list_end end)
{
    struct chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk == NULL)
        return NULL;
    *chunk = (struct chunk){.capacity = (uint32_t)capacity};
    if (end == LIST_LEFT)
        chunk->begin = chunk->end = chunk->capacity;
    return chunk;
}

/* Links it before next, or as the last one. */
static void link_chunk(struct list *list, struct chunk *chunk, struct chunk *next)
{
    chunk->next = next;
    chunk->prev = next != NULL ? next->prev : list->last;
    *(chunk->prev != NULL ? &chunk->prev->next : &list->first) = chunk;
    *(next != NULL ? &next->prev : &list->last) = chunk;
    list->memory += sizeof *chunk + chunk->capacity;
}

static void free_chunk(struct list *list, struct chunk *chunk)
{
    *(chunk->prev != NULL ? &chunk->prev->next : &list->first) = chunk->next;
    *(chunk->next != NULL ? &chunk->next->prev : &list->last) = chunk->prev;
    list->memory -= sizeof *chunk + chunk->capacity;
    free(chunk);
}

/* Copies count elements, those from begin on, to where the other chunk's bytes have index at. */
static void copy_elements(struct chunk *to, uint32_t at, const struct chunk *from, uint32_t begin,
                          uint32_t count)
{
    uint32_t size = from->end - begin;
    memcpy(to->bytes + at, from->bytes + begin, size);
    to->begin = at;
    to->end = at + size;
    to->count = count;
}

static size_t room_at(const struct chunk *chunk, enum list_end end)
{
    return end == LIST_LEFT ? chunk->begin : chunk->capacity - chunk->end;
}

/* Puts a chunk of at least twice the size in the place of one, whose elements come to lie in its
 * middle, so that there is room for pushes on either side. */
static struct chunk *enlarge_chunk(struct list *list, struct chunk *old, size_t size)
{
    uint32_t used = old->end - old->begin;
    size_t capacity = CHUNK_MIN;
    while (capacity < 2 * (used + size))
        capacity *= 2;
    struct chunk *chunk = new_chunk(capacity, LIST_RIGHT);
    if (chunk == NULL)
        return NULL;
    copy_elements(chunk, (uint32_t)(capacity - used) / 2, old, old->begin, old->count);
    link_chunk(list, chunk, old);
    free_chunk(list, old);
    return chunk;
}

/* The chunk at that end with room for size bytes more there; NULL: no memory. */
static struct chunk *chunk_with_room(struct list *list, enum list_end end, size_t size)
{
    struct chunk *old = end == LIST_LEFT ? list->first : list->last;
    if (old != NULL && room_at(old, end) >= size)
        return old;
    if (old != NULL && 2 * (old->end - old->begin + size) <= CHUNK)
        return enlarge_chunk(list, old, size);
    size_t capacity = old != NULL ? CHUNK : CHUNK_MIN;
    struct chunk *chunk = new_chunk(capacity > size ? capacity : size, end);
    if (chunk != NULL)
        link_chunk(list, chunk, end == LIST_LEFT ? list->first : NULL);
    return chunk;
}

/* Moves the second half of the last chunk into one of its own. */
static bool halve_last(struct list *list)
{
    struct chunk *old = list->last;
    uint32_t kept = old->count / 2;
    uint32_t middle = (uint32_t)(element_at(old, kept) - old->bytes);
    struct chunk *chunk = new_chunk(old->end - middle, LIST_RIGHT);
    if (chunk == NULL)
        return false;
    copy_elements(chunk, 0, old, middle, old->count - kept);
    old->count = kept;
    old->end = middle;
    link_chunk(list, chunk, NULL);
    return true;
}

/* ---- Lists ---- */

bool list_push(struct list *list, enum list_end end, const char *data, size_t size)
{
    size_t encoded = bulk_size(size);
    struct chunk *chunk = chunk_with_room(list, end, encoded);
    if (chunk == NULL)
        return false;
    if (end == LIST_LEFT)
        chunk->begin -= (uint32_t)encoded;
    bulk_write(chunk->bytes + (end == LIST_LEFT ? chunk->begin : chunk->end), data, size);
    if (end == LIST_RIGHT)
        chunk->end += (uint32_t)encoded;
    chunk->count++;
    list->count++;
    return true;
}

static void add_span(struct output *out, const char *from, const char *to)
{
    char *room = reply_room(out, (size_t)(to - from));
    if (room != NULL)
        memcpy(room, from, (size_t)(to - from));
}

void list_pop(struct list *list, enum list_end end, struct output *out)
{
    while (end == LIST_RIGHT && list->last->count > WALK && halve_last(list))
        ;
    struct chunk *chunk = end == LIST_LEFT ? list->first : list->last;
    const char *from = element_at(chunk, end == LIST_LEFT ? 0 : chunk->count - 1);
    const char *to = end == LIST_LEFT ? element_end(from) : chunk->bytes + chunk->end;
    add_span(out, from, to);
    if (end == LIST_LEFT)
        chunk->begin = (uint32_t)(to - chunk->bytes);
    else
        chunk->end = (uint32_t)(from - chunk->bytes);
    list->count--;
    if (--chunk->count == 0)
        free_chunk(list, chunk);
}

void list_range(const struct list *list, int64_t at, int64_t count, struct output *out)
{
    const struct chunk *chunk;
    int64_t first; /* index of the chunk's first element */
    if (at < list->count / 2) {
        for (chunk = list->first, first = 0; at >= first + chunk->count; chunk = chunk->next)
            first += chunk->count;
    } else {
        chunk = list->last;
        for (first = list->count - chunk->count; at < first; first -= chunk->count)
            chunk = chunk->prev;
    }
    for (at -= first; count > 0; chunk = chunk->next, at = 0) {
        int64_t here = chunk->count - at < count ? chunk->count - at : count;
        const char *from = element_at(chunk, at);
        bool all = at + here == chunk->count;
        add_span(out, from, all ? chunk->bytes + chunk->end : walk(from, here));
        count -= here;
    }
}

void list_clear(struct list *list)
{
    while (list->first != NULL)
        free_chunk(list, list->first);
    list->count = 0;
}
