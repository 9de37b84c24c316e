/* SPDX-License-Identifier: MIT
 *
 * A list of strings that grows and shrinks at both ends: linked chunks of some KiB whose elements
 * are stored as they are sent, "$3\r\nabc\r\n", one after the other. A range of the list is so a
 * few spans of bytes that are copied into the reply as they are, and whole chunks are skipped on
 * the way to an index. (Redis has chunks of packed elements too, its quicklist, but builds the
 * reply anew each time.)
 */
#ifndef KVD_LIST_H
#define KVD_LIST_H

#include "resp.h"

struct chunk;

/* Zero is an empty list. */
struct list {
    struct chunk *first, *last;
    int64_t count;
    size_t memory; /* bytes that the chunks take */
};

enum list_end { LIST_LEFT, LIST_RIGHT };

/* False: no memory. */
bool list_push(struct list *list, enum list_end end, const char *data, size_t size);

/* Moves the element at that end into the reply. The list must not be empty. */
void list_pop(struct list *list, enum list_end end, struct output *out);

/* Adds count elements from index at to the reply, which there must be. */
void list_range(const struct list *list, int64_t at, int64_t count, struct output *out);

/* Frees the elements. */
void list_clear(struct list *list);

#endif
