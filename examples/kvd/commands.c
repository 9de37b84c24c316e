/* SPDX-License-Identifier: MIT
 *
 * The table of commands, and what they share.
 */
#include "command.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

enum { MANY = INT32_MAX };

/* Sorted by name. No name has more than 8 characters: it is compared as a number. */
static const struct command {
    char name[9];
    bool grows;      /* needs memory of the store: refused when that is full */
    int least, most; /* arguments, the name included */
    void (*run)(struct call *call);
} commands[] = {
    {"append", true, 3, 3, command_append},
    {"client", false, 2, MANY, command_client},
    {"command", false, 1, MANY, command_command},
    {"config", false, 2, MANY, command_config},
    {"dbsize", false, 1, 1, command_dbsize},
    {"decr", true, 2, 2, command_decr},
    {"decrby", true, 3, 3, command_decrby},
    {"del", false, 2, MANY, command_del},
    {"echo", false, 2, 2, command_echo},
    {"exists", false, 2, MANY, command_exists},
    {"expire", false, 3, MANY, command_expire},
    {"flushall", false, 1, MANY, command_flushall},
    {"flushdb", false, 1, MANY, command_flushall},
    {"get", false, 2, 2, command_get},
    {"getset", true, 3, 3, command_getset},
    {"hello", false, 1, MANY, command_hello},
    {"incr", true, 2, 2, command_incr},
    {"incrby", true, 3, 3, command_incrby},
    {"info", false, 1, MANY, command_info},
    {"keys", false, 2, 2, command_keys},
    {"lindex", false, 3, 3, command_lindex},
    {"llen", false, 2, 2, command_llen},
    {"lpop", false, 2, 3, command_lpop},
    {"lpush", true, 3, MANY, command_lpush},
    {"lrange", false, 4, 4, command_lrange},
    {"mget", false, 2, MANY, command_mget},
    {"mset", true, 3, MANY, command_mset},
    {"persist", false, 2, 2, command_persist},
    {"pexpire", false, 3, MANY, command_pexpire},
    {"ping", false, 1, 2, command_ping},
    {"pttl", false, 2, 2, command_pttl},
    {"quit", false, 1, MANY, command_quit},
    {"rpop", false, 2, 3, command_rpop},
    {"rpush", true, 3, MANY, command_rpush},
    {"select", false, 2, 2, command_select},
    {"set", true, 3, MANY, command_set},
    {"shutdown", false, 1, MANY, command_shutdown},
    {"strlen", false, 2, 2, command_strlen},
    {"ttl", false, 2, 2, command_ttl},
    {"type", false, 2, 2, command_type},
};

/* ---- Finding one ---- */

/* Setting that bit makes upper case lower case, and makes letters of nothing else. */
static uint64_t name_of(const struct arg *arg)
{
    uint64_t name = 0;
    for (uint32_t i = 0; i < arg->size; i++)
        name = name << 8 | (uint8_t)(arg->data[i] | 0x20);
    return name << 8 * (8 - arg->size);
}

static const struct command *find_command(const struct arg *arg)
{
    if (arg->size < 1 || arg->size > 8)
        return NULL;
    uint64_t wanted = name_of(arg), name;
    int first = 0, end = sizeof commands / sizeof commands[0];
    while (first < end) {
        int middle = (first + end) / 2;
        memcpy(&name, commands[middle].name, sizeof name);
        name = be64toh(name);
        if (name == wanted)
            return &commands[middle];
        if (name < wanted)
            first = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

static void reply_unknown(const struct arg *args, int count, struct output *out)
{
    char text[160] = "";
    int size = 0;
    for (int i = 1; i < count && size < 128; i++) {
        int most = 128 - size, length = args[i].size < (uint32_t)most ? (int)args[i].size : most;
        size += snprintf(text + size, sizeof text - (size_t)size, "'%.*s' ", length, args[i].data);
    }
    reply_error(out, "ERR unknown command '%.*s', with args beginning with: %s",
                args[0].size < 128 ? (int)args[0].size : 128, args[0].data, text);
}

void command_run(struct database *database, struct client *client, const struct arg *args,
                 int count, struct output *out)
{
    const struct command *command = find_command(&args[0]);
    if (command == NULL) {
        reply_unknown(args, count, out);
        return;
    }
    struct call call = {
        .database = database,
        .store = &database->store,
        .client = client,
        .name = command->name,
        .args = args,
        .count = count,
        .out = out,
    };
    database->commands++;
    if (count < command->least || count > command->most)
        reply_wrong_count(&call);
    else if (command->grows && database->store.memory >= database->max_memory)
        reply_no_memory(&call);
    else
        command->run(&call);
}

/* ---- What they share ---- */

bool arg_is(const struct arg *arg, const char *word)
{
    size_t size = strlen(word), at = 0;
    if (arg->size != size)
        return false;
    while (at < size && (arg->data[at] | 0x20) == word[at])
        at++;
    return at == size;
}

bool call_number(struct call *call, int index, int64_t *number)
{
    bool is_number = number_read(call->args[index].data, call->args[index].size, number);
    if (!is_number)
        reply_error(call->out, "ERR value is not an integer or out of range");
    return is_number;
}

bool call_find(struct call *call, int index, bool is_list, struct entry ***link)
{
    *link = store_find(call->store, call->args[index].data, call->args[index].size);
    bool fits = *link == NULL || (**link)->is_list == is_list;
    if (!fits)
        reply_error(call->out, "WRONGTYPE Operation against a key holding the wrong kind of value");
    return fits;
}

void reply_no_memory(struct call *call)
{
    reply_error(call->out, "OOM command not allowed when used memory > 'maxmemory'.");
}

void reply_wrong_count(struct call *call)
{
    reply_error(call->out, "ERR wrong number of arguments for '%s' command", call->name);
}

void reply_syntax_error(struct call *call)
{
    reply_error(call->out, "ERR syntax error");
}
