/* SPDX-License-Identifier: MIT
 *
 * Commands on lists.
 */
#include "command.h"

static void push(struct call *call, enum list_end end)
{
    struct entry **link;
    if (!call_find(call, 1, true, &link))
        return;
    if (link == NULL)
        link = store_add_list(call->store, call->args[1].data, call->args[1].size);
    int64_t count = 0;
    for (int i = 2; i < call->count && link != NULL; i++) {
        if (store_push(call->store, link, end, call->args[i].data, call->args[i].size))
            count = (*link)->list->count;
        else
            link = NULL; /* which may be no more: the list was empty */
    }
    if (link != NULL)
        reply_number(call->out, count);
    else
        reply_no_memory(call);
}

/* With a count, up to so many elements in an array. */
static void pop(struct call *call, enum list_end end)
{
    struct entry **link;
    int64_t most = -1;
    if (call->count == 3 &&
        (!number_read(call->args[2].data, call->args[2].size, &most) || most < 0)) {
        reply_error(call->out, "ERR value is out of range, must be positive");
        return;
    }
    if (!call_find(call, 1, true, &link))
        return;
    if (link == NULL) {
        if (most >= 0)
            reply_array(call->out, -1);
        else
            reply_nil(call->out);
        return;
    }
    int64_t count = (*link)->list->count;
    if (most >= 0) {
        count = most < count ? most : count;
        reply_array(call->out, count);
    } else {
        count = 1;
    }
    for (; count > 0; count--)
        store_pop(call->store, link, end, call->out);
}

void command_lpush(struct call *call)
{
    push(call, LIST_LEFT);
}

void command_rpush(struct call *call)
{
    push(call, LIST_RIGHT);
}

void command_lpop(struct call *call)
{
    pop(call, LIST_LEFT);
}

void command_rpop(struct call *call)
{
    pop(call, LIST_RIGHT);
}

void command_llen(struct call *call)
{
    struct entry **link;
    if (call_find(call, 1, true, &link))
        reply_number(call->out, link != NULL ? (*link)->list->count : 0);
}

/* Indexes below 0 count from the end. */
void command_lrange(struct call *call)
{
    int64_t first, last;
    struct entry **link;
    if (!call_number(call, 2, &first) || !call_number(call, 3, &last) ||
        !call_find(call, 1, true, &link))
        return;
    int64_t count = link != NULL ? (*link)->list->count : 0;
    first = first < 0 ? first + count : first;
    first = first < 0 ? 0 : first;
    last = last < 0 ? last + count : last;
    last = last < count ? last : count - 1;
    if (first > last) {
        reply_array(call->out, 0);
        return;
    }
    reply_array(call->out, last - first + 1);
    list_range((*link)->list, first, last - first + 1, call->out);
}

void command_lindex(struct call *call)
{
    int64_t index;
    struct entry **link;
    if (!call_find(call, 1, true, &link))
        return;
    if (link == NULL) {
        reply_nil(call->out);
        return;
    }
    if (!call_number(call, 2, &index))
        return;
    int64_t count = (*link)->list->count;
    index = index < 0 ? index + count : index;
    if (index >= 0 && index < count)
        list_range((*link)->list, index, 1, call->out);
    else
        reply_nil(call->out);
}
