/* SPDX-License-Identifier: MIT
 *
 * Commands on keys of any type, and on their time to live.
 */
#include "command.h"
#include "glob.h"

#include <string.h>

static struct entry **find(struct call *call, int index)
{
    return store_find(call->store, call->args[index].data, call->args[index].size);
}

void command_del(struct call *call)
{
    int64_t count = 0;
    for (int i = 1; i < call->count; i++) {
        struct entry **link = find(call, i);
        if (link != NULL) {
            store_remove(call->store, link);
            count++;
        }
    }
    reply_number(call->out, count);
}

void command_exists(struct call *call)
{
    int64_t count = 0;
    for (int i = 1; i < call->count; i++)
        count += find(call, i) != NULL;
    reply_number(call->out, count);
}

void command_type(struct call *call)
{
    struct entry **link = find(call, 1);
    reply_status(call->out, link == NULL ? "none" : (*link)->is_list ? "list" : "string");
}

void command_dbsize(struct call *call)
{
    reply_number(call->out, (int64_t)call->store->keys);
}

void command_flushall(struct call *call)
{
    bool knows =
        call->count == 1 || arg_is(&call->args[1], "async") || arg_is(&call->args[1], "sync");
    if (call->count > 2 || !knows) {
        reply_syntax_error(call);
        return;
    }
    store_clear(call->store);
    reply_status(call->out, "OK");
}

/* ---- KEYS ---- */

enum { PATTERN_MAX = 256 };

struct matching {
    const struct arg *pattern;
    int64_t count;
    struct output *out;
};

static void add_if_matching(const struct entry *entry, void *arg)
{
    struct matching *matching = arg;
    const struct arg *pattern = matching->pattern;
    if (!glob_match(pattern->data, pattern->size, entry->bytes, entry->key_size))
        return;
    matching->count++;
    reply_bulk(matching->out, entry->bytes, entry->key_size);
}

/* The reply begins with the number of keys, which is known at the end. Everybody waits meanwhile,
 * for as long as the pattern's size times that of all keys: so it must be short. */
void command_keys(struct call *call)
{
    if (call->args[1].size > PATTERN_MAX) {
        reply_error(call->out, "ERR pattern of more than %d bytes", PATTERN_MAX);
        return;
    }
    struct output keys = {.limit = call->out->limit};
    struct matching matching = {.pattern = &call->args[1], .out = &keys};
    store_each(call->store, add_if_matching, &matching);
    reply_array(call->out, matching.count);
    char *room = keys.size > 0 ? reply_room(call->out, keys.size) : NULL;
    if (room != NULL)
        memcpy(room, keys.data, keys.size);
    call->out->failed |= keys.failed;
    output_free(&keys);
}

/* ---- Time to live ---- */

bool call_time(struct call *call, int64_t amount, int64_t unit, int64_t *when)
{
    bool fits = !__builtin_mul_overflow(amount, unit, when) &&
                !__builtin_add_overflow(*when, call->store->clock(), when) && *when != NEVER;
    if (!fits)
        reply_error(call->out, "ERR invalid expire time in '%s' command", call->name);
    return fits;
}

static void expire(struct call *call, int64_t unit)
{
    int64_t amount, when;
    if (call->count > 3) {
        reply_error(call->out, "ERR Unsupported option %.*s",
                    call->args[3].size < 128 ? (int)call->args[3].size : 128, call->args[3].data);
        return;
    }
    if (!call_number(call, 2, &amount) || !call_time(call, amount, unit, &when))
        return;
    struct entry **link = find(call, 1);
    if (link != NULL && amount <= 0)
        store_remove(call->store, link);
    else if (link != NULL)
        store_expire(call->store, link, when);
    reply_number(call->out, link != NULL);
}

void command_expire(struct call *call)
{
    expire(call, 1000);
}

void command_pexpire(struct call *call)
{
    expire(call, 1);
}

void command_persist(struct call *call)
{
    struct entry **link = find(call, 1);
    bool expires = link != NULL && (*link)->expires != NEVER;
    if (expires)
        store_expire(call->store, link, NEVER);
    reply_number(call->out, expires);
}

/* The rest in units of so many milliseconds, rounded; -1: it does not expire; -2: no such key. */
static void ttl(struct call *call, int64_t unit)
{
    struct entry **link = find(call, 1);
    if (link == NULL || (*link)->expires == NEVER) {
        reply_number(call->out, link == NULL ? -2 : -1);
        return;
    }
    int64_t rest = (*link)->expires - call->store->clock();
    reply_number(call->out, rest < 0 ? 0 : (rest + unit / 2) / unit);
}

void command_ttl(struct call *call)
{
    ttl(call, 1000);
}

void command_pttl(struct call *call)
{
    ttl(call, 1);
}
