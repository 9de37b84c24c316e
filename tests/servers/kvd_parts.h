/* SPDX-License-Identifier: MIT
 *
 * What must hold of kvd's replies and structures at any time. Where it does not the process is
 * aborted, in the harness as under libFuzzer. The parts whose insides are looked at are taken in,
 * and the build links the others (KVD_PARTS).
 */
#ifndef KVD_PARTS_H
#define KVD_PARTS_H

#include <stdio.h>
#include <stdlib.h>

#include "kvd/command.h"
#include "kvd/list.c"
#include "kvd/resp.c"
#include "kvd/siphash.h"

static inline void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* ---- Replies ---- */

/* A number up to CRLF; *at is then behind it. */
static inline int64_t reply_header(const char **at, const char *end)
{
    int64_t number = 0;
    const char *line = *at;
    while (*at < end && **at != '\r')
        ++*at;
    must(end - *at >= 2 && (*at)[1] == '\n', "a header ends with CRLF");
    must(number_read(line, (size_t)(*at - line), &number), "a header holds a number");
    *at += 2;
    return number;
}

/* The end of the one reply that begins there, which must be well-formed and complete. */
static inline const char *reply_end(const char *at, const char *end)
{
    must(at < end, "a reply is there");
    char kind = *at++;
    if (kind == '+' || kind == '-') {
        while (at < end && *at != '\r' && *at != '\n')
            at++;
        must(end - at >= 2 && at[0] == '\r' && at[1] == '\n', "a line ends with CRLF");
        return at + 2;
    }
    must(kind == ':' || kind == '$' || kind == '*', "a reply is of a kind that there is");
    int64_t number = reply_header(&at, end);
    must(kind == ':' || number >= -1, "a length is at least -1");
    if (kind == '*')
        for (; number > 0; number--)
            at = reply_end(at, end);
    if (kind != '$' || number < 0)
        return at;
    must(end - at >= number + 2, "a bulk string is complete");
    must(at[number] == '\r' && at[number + 1] == '\n', "a bulk string ends with CRLF");
    return at + number + 2;
}

/* ---- Lists and the store ---- */

static inline void check_chunk(const struct chunk *chunk)
{
    must(chunk->count > 0, "no chunk is empty");
    must(chunk->begin < chunk->end && chunk->end <= chunk->capacity, "a chunk's bytes are in it");
    const char *at = chunk->bytes + chunk->begin, *end = chunk->bytes + chunk->end;
    for (uint32_t i = 0; i < chunk->count; i++) {
        must(at < end && *at == '$', "an element is a bulk string");
        at = reply_end(at, end);
    }
    must(at == end, "a chunk has as many elements as it says");
}

static inline void check_list(const struct list *list)
{
    int64_t count = 0;
    size_t memory = 0;
    const struct chunk *before = NULL;
    for (const struct chunk *chunk = list->first; chunk != NULL; chunk = chunk->next) {
        must(chunk->prev == before, "chunks are linked in both directions");
        check_chunk(chunk);
        count += chunk->count;
        memory += sizeof *chunk + chunk->capacity;
        before = chunk;
    }
    must(list->last == before, "the last chunk is the last one");
    must(list->count == count, "a list is as long as its chunks");
    must(list->memory == memory, "a list's memory is that of its chunks");
}

struct totals {
    size_t keys, expiring, memory;
};

static inline void check_entry(const struct entry *entry, struct totals *totals)
{
    totals->keys++;
    totals->expiring += entry->expires != NEVER;
    totals->memory += sizeof *entry + entry->key_size;
    if (entry->is_list) {
        must(entry->list->count > 0, "no list is empty");
        check_list(entry->list);
        totals->memory += sizeof *entry->list + entry->list->memory;
    } else {
        must(entry->size <= entry->capacity, "a string is no longer than its room");
        totals->memory += entry->capacity;
    }
}

/* A bucket holds what belongs there, each key once. */
static inline void check_bucket(const struct store *store, const struct table *table, size_t bucket,
                                struct totals *totals)
{
    for (const struct entry *entry = table->buckets[bucket]; entry != NULL; entry = entry->next) {
        uint32_t hash = (uint32_t)siphash(store->secret, entry->bytes, entry->key_size);
        must(entry->hash == hash, "an entry has its key's hash");
        must((hash & table->mask) == bucket, "an entry is in its bucket");
        must(table != &store->table || store->old.buckets == NULL ||
                 (hash & store->old.mask) < store->moved,
             "what has not been moved is in the old table");
        for (const struct entry *other = entry->next; other != NULL; other = other->next)
            must(other->key_size != entry->key_size ||
                     memcmp(other->bytes, entry->bytes, entry->key_size) != 0,
                 "a key is there once");
        check_entry(entry, totals);
    }
}

static inline void check_store(const struct store *store)
{
    struct totals totals = {0};
    for (size_t i = 0; store->old.buckets != NULL && i <= store->old.mask; i++) {
        must(i >= store->moved || store->old.buckets[i] == NULL, "what was moved has gone");
        check_bucket(store, &store->old, i, &totals);
    }
    for (size_t i = 0; i <= store->table.mask; i++)
        check_bucket(store, &store->table, i, &totals);
    must(store->keys == totals.keys, "the keys are as many as were counted");
    must(store->expiring == totals.expiring, "as many of them expire as were counted");
    must(store->memory == totals.memory, "the memory is that of the entries");
}

#endif
