/* SPDX-License-Identifier: MIT
 *
 * Keys and what they stand for, a string or a list: a hash table of chains that grows step by step.
 * Not for several threads at once, and nothing of weft: who calls holds a mutex, and brings the
 * clock.
 *
 * An entry is one block of memory: its key's bytes, then, if it is a string, the value's. A change
 * of the value may so move the entry. Where it is linked stays: functions that find or change one
 * deal in links, which are valid until the next call that finds, adds or removes.
 *
 * Growth: with more keys than buckets a table of twice the size begins, and each call that adds or
 * finds moves a few buckets of the old one, so that no call takes long (the idea is that of Redis's
 * dict). A bucket is in one table only: what has index i in the old one is there if i has not yet
 * been moved, and otherwise in the new one.
 *
 * The hash has a secret key (siphash.h), so nobody can choose keys that end in one chain.
 *
 * A key whose time is over does not exist for those who look for it; it is removed when it is
 * looked for, or by store_sweep.
 */
#ifndef KVD_STORE_H
#define KVD_STORE_H

#include <limits.h>

#include "list.h"

enum { STRING_MAX = 512 * 1024 * 1024 };

struct entry {
    struct entry *next; /* in its chain */
    int64_t expires;    /* by the store's clock; NEVER: it does not */
    uint32_t hash;      /* its lower half */
    uint32_t key_size : 31, is_list : 1;
    union {
        struct {
            uint32_t size, capacity; /* of the string: after the key's bytes */
        };
        struct list *list;
    };
    char bytes[];
};

#define NEVER INT64_MAX

struct table {
    struct entry **buckets; /* a power of two; NULL: none */
    size_t mask;            /* their number - 1 */
};

struct store {
    int64_t (*clock)(void); /* milliseconds; read only for keys that expire */
    uint64_t secret[2];
    struct table table, old; /* old: while it is emptied */
    size_t moved;            /* buckets of old that are empty and stay so */
    size_t keys, expiring;   /* those that are over included, until they are removed */
    size_t memory;           /* bytes of entries and lists */
    size_t swept;            /* where the next sweep begins */
    uint64_t expired;        /* keys removed since their time was over */
};

/* secret: random, and the same for the life of the store. False: no memory. */
bool store_init(struct store *store, int64_t (*clock)(void), const uint64_t secret[2]);

/* The link to the key's entry, or NULL. */
struct entry **store_find(struct store *store, const char *key, size_t size);

/* Makes the key a string, whatever it was, that does not expire. Its link; NULL: no memory, and all
 * is as before. */
struct entry **store_set(struct store *store, const char *key, size_t size, const char *value,
                         size_t value_size);

/* Makes the key, which must not exist, an empty list. Its link; NULL: no memory. */
struct entry **store_add_list(struct store *store, const char *key, size_t size);

/* The string's bytes, and where to write more: makes it that long, with what was there kept and the
 * rest undefined. NULL: no memory, and all is as before. */
char *store_string(const struct entry *entry);
char *store_resize(struct store *store, struct entry **link, size_t size);

/* list_push and list_pop with the memory counted; a list that becomes empty ceases to exist. */
bool store_push(struct store *store, struct entry **link, enum list_end end, const char *data,
                size_t size);
void store_pop(struct store *store, struct entry **link, enum list_end end, struct output *out);

void store_expire(struct store *store, struct entry **link, int64_t when);

void store_remove(struct store *store, struct entry **link);

/* Removes all keys; and the tables too, after which it must be initialised again. */
void store_clear(struct store *store);
void store_free(struct store *store);

/* Calls each for all keys that exist, in no order. Each must not change the store. */
void store_each(struct store *store, void (*each)(const struct entry *entry, void *arg), void *arg);

/* Looks through so many buckets, in turn, for keys whose time is over, and removes them. */
void store_sweep(struct store *store, size_t buckets);

#endif
