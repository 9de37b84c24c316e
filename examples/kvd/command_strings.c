/* SPDX-License-Identifier: MIT
 *
 * Commands on strings.
 */
#include "command.h"

#include <string.h>

/* Makes the key at this index a string: its link; NULL: there is no memory, and that is the
 * reply. */
static struct entry **set(struct call *call, int index, const char *value, size_t size)
{
    const struct arg *key = &call->args[index];
    struct entry **link = store_set(call->store, key->data, key->size, value, size);
    if (link == NULL)
        reply_no_memory(call);
    return link;
}

static void reply_string(struct output *out, struct entry **link)
{
    if (link != NULL)
        reply_bulk(out, store_string(*link), (*link)->size);
    else
        reply_nil(out);
}

void command_get(struct call *call)
{
    struct entry **link;
    if (call_find(call, 1, false, &link))
        reply_string(call->out, link);
}

void command_getset(struct call *call)
{
    struct entry **link;
    if (!call_find(call, 1, false, &link))
        return;
    size_t before = call->out->size;
    const struct arg *key = &call->args[1], *value = &call->args[2];
    reply_string(call->out, link);
    if (store_set(call->store, key->data, key->size, value->data, value->size) == NULL) {
        call->out->size = before;
        reply_no_memory(call);
    }
}

void command_strlen(struct call *call)
{
    struct entry **link;
    if (call_find(call, 1, false, &link))
        reply_number(call->out, link != NULL ? (*link)->size : 0);
}

/* What comes after key and value in a SET. */
struct set_options {
    bool only_new, only_old;
    int64_t expires;
};

static bool read_set_options(struct call *call, struct set_options *options)
{
    *options = (struct set_options){.expires = NEVER};
    for (int i = 3; i < call->count; i++) {
        const struct arg *arg = &call->args[i];
        int64_t unit = arg_is(arg, "ex") ? 1000 : arg_is(arg, "px") ? 1 : 0, amount;
        if (arg_is(arg, "nx") && !options->only_old) {
            options->only_new = true;
        } else if (arg_is(arg, "xx") && !options->only_new) {
            options->only_old = true;
        } else if (unit > 0 && i + 1 < call->count && options->expires == NEVER) {
            if (!call_number(call, ++i, &amount) ||
                !call_time(call, amount > 0 ? amount : INT64_MAX, unit, &options->expires))
                return false;
        } else {
            reply_syntax_error(call);
            return false;
        }
    }
    return true;
}

void command_set(struct call *call)
{
    struct set_options options = {.expires = NEVER};
    if (call->count > 3 && !read_set_options(call, &options))
        return;
    if (options.only_new || options.only_old) {
        bool exists = store_find(call->store, call->args[1].data, call->args[1].size) != NULL;
        if (exists ? options.only_new : options.only_old) {
            reply_nil(call->out);
            return;
        }
    }
    struct entry **link = set(call, 1, call->args[2].data, call->args[2].size);
    if (link == NULL)
        return;
    if (options.expires != NEVER)
        store_expire(call->store, link, options.expires);
    reply_status(call->out, "OK");
}

void command_mget(struct call *call)
{
    reply_array(call->out, call->count - 1);
    for (int i = 1; i < call->count; i++) {
        struct entry **link = store_find(call->store, call->args[i].data, call->args[i].size);
        reply_string(call->out, link != NULL && !(*link)->is_list ? link : NULL);
    }
}

/* Without memory it ends in the middle; Redis would end altogether. */
void command_mset(struct call *call)
{
    if (call->count % 2 == 0) {
        reply_wrong_count(call);
        return;
    }
    for (int i = 1; i < call->count; i += 2)
        if (set(call, i, call->args[i + 1].data, call->args[i + 1].size) == NULL)
            return;
    reply_status(call->out, "OK");
}

void command_append(struct call *call)
{
    const struct arg *more = &call->args[2];
    struct entry **link;
    if (!call_find(call, 1, false, &link))
        return;
    if (link == NULL) {
        if (set(call, 1, more->data, more->size) != NULL)
            reply_number(call->out, more->size);
        return;
    }
    size_t size = (*link)->size;
    if (size + more->size > STRING_MAX) {
        reply_error(call->out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return;
    }
    char *string = store_resize(call->store, link, size + more->size);
    if (string == NULL) {
        reply_no_memory(call);
        return;
    }
    memcpy(string + size, more->data, more->size);
    reply_number(call->out, (int64_t)(size + more->size));
}

/* ---- Numbers ---- */

/* A number is stored as its digits, which are changed in place. */
static void add(struct call *call, int64_t increment)
{
    int64_t number = 0;
    struct entry **link;
    char text[NUMBER_SIZE], *string;
    if (!call_find(call, 1, false, &link))
        return;
    if (link != NULL && !number_read(store_string(*link), (*link)->size, &number)) {
        reply_error(call->out, "ERR value is not an integer or out of range");
        return;
    }
    if (__builtin_add_overflow(number, increment, &number)) {
        reply_error(call->out, "ERR increment or decrement would overflow");
        return;
    }
    size_t size = (size_t)(number_write(text, number) - text);
    if (link == NULL) {
        if (set(call, 1, text, size) != NULL)
            reply_number(call->out, number);
    } else if ((string = store_resize(call->store, link, size)) != NULL) {
        memcpy(string, text, size);
        reply_number(call->out, number);
    } else {
        reply_no_memory(call);
    }
}

void command_incr(struct call *call)
{
    add(call, 1);
}

void command_decr(struct call *call)
{
    add(call, -1);
}

void command_incrby(struct call *call)
{
    int64_t increment;
    if (call_number(call, 2, &increment))
        add(call, increment);
}

void command_decrby(struct call *call)
{
    int64_t decrement;
    if (!call_number(call, 2, &decrement))
        return;
    if (decrement == INT64_MIN)
        reply_error(call->out, "ERR decrement would overflow");
    else
        add(call, -decrement);
}
