/* SPDX-License-Identifier: MIT
 *
 * The hash table and its strings. See store.h.
 */
#include "store.h"
#include "siphash.h"

#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS_MIN = 1024,
    MOVES = 2,       /* non-empty buckets of the old table that a call moves, */
    MOVE_STEPS = 16, /* and empty ones that it passes over */
};

/* ---- The table ---- */

static bool new_table(struct table *table, size_t buckets)
{
    table->buckets = calloc(buckets, sizeof *table->buckets);
    table->mask = buckets - 1;
    return table->buckets != NULL;
}

bool store_init(struct store *store, int64_t (*clock)(void), const uint64_t secret[2])
{
    *store = (struct store){.clock = clock, .secret = {secret[0], secret[1]}};
    return new_table(&store->table, BUCKETS_MIN);
}

/* The first link of the chain in which the hash's entry is, if there is one. */
static struct entry **chain(struct store *store, uint32_t hash)
{
    if (store->old.buckets != NULL && (hash & store->old.mask) >= store->moved)
        return &store->old.buckets[hash & store->old.mask];
    return &store->table.buckets[hash & store->table.mask];
}

/* Moves some of what is left in the old table to the new one. */
static void move_some(struct store *store)
{
    int moves = MOVES, steps = MOVE_STEPS;
    while (moves > 0 && steps > 0 && store->moved <= store->old.mask) {
        struct entry *entry = store->old.buckets[store->moved], *next;
        moves -= entry != NULL;
        steps--;
        for (; entry != NULL; entry = next) {
            struct entry **bucket = &store->table.buckets[entry->hash & store->table.mask];
            next = entry->next;
            entry->next = *bucket;
            *bucket = entry;
        }
        store->old.buckets[store->moved++] = NULL;
    }
    if (store->moved > store->old.mask) {
        free(store->old.buckets);
        store->old = (struct table){0};
    }
}

/* Without memory for a larger table this one has to do. */
static void grow(struct store *store)
{
    struct table larger;
    if (store->table.mask >= UINT32_MAX || !new_table(&larger, 2 * (store->table.mask + 1)))
        return;
    store->old = store->table;
    store->table = larger;
    store->moved = 0;
}

/* ---- Entries ---- */

static size_t entry_memory(const struct entry *entry)
{
    size_t size = sizeof *entry + entry->key_size;
    return entry->is_list ? size + sizeof *entry->list + entry->list->memory
                          : size + entry->capacity;
}

static bool is_over(struct store *store, const struct entry *entry)
{
    return entry->expires != NEVER && entry->expires <= store->clock();
}

/* The link, which is NULL at the end of the chain, whether or not the entry's time is over. */
static struct entry **find_link(struct store *store, uint32_t hash, const char *key, size_t size)
{
    struct entry **link = chain(store, hash);
    for (struct entry *entry; (entry = *link) != NULL; link = &entry->next)
        if (entry->hash == hash && entry->key_size == size && memcmp(entry->bytes, key, size) == 0)
            break;
    return link;
}

struct entry **store_find(struct store *store, const char *key, size_t size)
{
    if (store->old.buckets != NULL)
        move_some(store);
    uint32_t hash = (uint32_t)siphash(store->secret, key, size);
    struct entry **link = find_link(store, hash, key, size);
    if (*link != NULL && is_over(store, *link)) {
        store_remove(store, link);
        store->expired++;
        return NULL;
    }
    return *link != NULL ? link : NULL;
}

/* A block for the key and so many bytes of a value. */
static struct entry *new_entry(const char *key, size_t size, size_t capacity)
{
    struct entry *entry = malloc(sizeof *entry + size + capacity);
    if (entry == NULL)
        return NULL;
    *entry = (struct entry){.expires = NEVER, .key_size = (uint32_t)size & INT32_MAX};
    entry->capacity = (uint32_t)capacity;
    memcpy(entry->bytes, key, size);
    return entry;
}

static void add_entry(struct store *store, struct entry **link, struct entry *entry)
{
    entry->next = *link;
    *link = entry;
    store->keys++;
    store->memory += entry_memory(entry);
}

static void set_string(struct entry *entry, const char *value, size_t size)
{
    memcpy(entry->bytes + entry->key_size, value, size);
    entry->size = (uint32_t)size;
}

struct entry **store_set(struct store *store, const char *key, size_t size, const char *value,
                         size_t value_size)
{
    if (store->old.buckets != NULL)
        move_some(store);
    else if (store->keys > store->table.mask)
        grow(store);
    uint32_t hash = (uint32_t)siphash(store->secret, key, size);
    struct entry **link = find_link(store, hash, key, size), *old = *link;
    if (old != NULL && !old->is_list && old->capacity >= value_size &&
        old->capacity / 2 <= value_size) {
        store_expire(store, link, NEVER);
        set_string(old, value, value_size);
        return link;
    }
    struct entry *entry = new_entry(key, size, value_size);
    if (entry == NULL)
        return NULL;
    entry->hash = hash;
    set_string(entry, value, value_size);
    if (old != NULL)
        store_remove(store, link);
    add_entry(store, link, entry);
    return link;
}

struct entry **store_add_list(struct store *store, const char *key, size_t size)
{
    struct list *list = calloc(1, sizeof *list);
    struct entry **link = list != NULL ? store_set(store, key, size, "", 0) : NULL;
    if (link == NULL) {
        free(list);
        return NULL;
    }
    (*link)->is_list = 1;
    (*link)->list = list;
    store->memory += sizeof *list;
    return link;
}

char *store_string(const struct entry *entry)
{
    return (char *)entry->bytes + entry->key_size;
}

char *store_resize(struct store *store, struct entry **link, size_t size)
{
    struct entry *entry = *link;
    if (size > entry->capacity) {
        size_t spare = size < 1024 * 1024 ? size : 1024 * 1024; /* for more of the same */
        size_t capacity = size + spare < STRING_MAX ? size + spare : STRING_MAX;
        entry = realloc(entry, sizeof *entry + entry->key_size + capacity);
        if (entry == NULL)
            return NULL;
        store->memory += capacity - entry->capacity;
        entry->capacity = (uint32_t)capacity;
        *link = entry;
    }
    entry->size = (uint32_t)size;
    return store_string(entry);
}

bool store_push(struct store *store, struct entry **link, enum list_end end, const char *data,
                size_t size)
{
    struct list *list = (*link)->list;
    store->memory -= list->memory;
    bool done = list_push(list, end, data, size);
    store->memory += list->memory;
    if (list->count == 0)
        store_remove(store, link);
    return done;
}

void store_pop(struct store *store, struct entry **link, enum list_end end, struct output *out)
{
    struct list *list = (*link)->list;
    store->memory -= list->memory;
    list_pop(list, end, out);
    store->memory += list->memory;
    if (list->count == 0)
        store_remove(store, link);
}

void store_expire(struct store *store, struct entry **link, int64_t when)
{
    store->expiring -= (*link)->expires != NEVER;
    store->expiring += when != NEVER;
    (*link)->expires = when;
}

void store_remove(struct store *store, struct entry **link)
{
    struct entry *entry = *link;
    *link = entry->next;
    store->keys--;
    store->expiring -= entry->expires != NEVER;
    store->memory -= entry_memory(entry);
    if (entry->is_list) {
        list_clear(entry->list);
        free(entry->list);
    }
    free(entry);
}

/* ---- All keys ---- */

static void empty_table(struct store *store, struct table *table)
{
    for (size_t i = 0; table->buckets != NULL && i <= table->mask; i++)
        while (table->buckets[i] != NULL)
            store_remove(store, &table->buckets[i]);
}

void store_free(struct store *store)
{
    empty_table(store, &store->old);
    empty_table(store, &store->table);
    free(store->old.buckets);
    free(store->table.buckets);
    store->old = store->table = (struct table){0};
}

/* Without memory for a small table the large one stays. */
void store_clear(struct store *store)
{
    struct table small;
    if (new_table(&small, BUCKETS_MIN)) {
        store_free(store);
        store->table = small;
    } else {
        empty_table(store, &store->old);
        empty_table(store, &store->table);
    }
}

static void each_in(struct store *store, const struct table *table,
                    void (*each)(const struct entry *entry, void *arg), void *arg)
{
    for (size_t i = 0; table->buckets != NULL && i <= table->mask; i++)
        for (const struct entry *entry = table->buckets[i]; entry != NULL; entry = entry->next)
            if (!is_over(store, entry))
                each(entry, arg);
}

void store_each(struct store *store, void (*each)(const struct entry *entry, void *arg), void *arg)
{
    each_in(store, &store->old, each, arg);
    each_in(store, &store->table, each, arg);
}

/* While the table grows nothing is swept, so that has to come to its end. */
void store_sweep(struct store *store, size_t buckets)
{
    for (; buckets > 0 && store->old.buckets != NULL; buckets--)
        move_some(store);
    for (; buckets > 0 && store->expiring > 0; buckets--) {
        struct entry **link = &store->table.buckets[store->swept++ & store->table.mask];
        while (*link != NULL) {
            if (is_over(store, *link)) {
                store_remove(store, link);
                store->expired++;
            } else {
                link = &(*link)->next;
            }
        }
    }
}
