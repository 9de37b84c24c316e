/* SPDX-License-Identifier: MIT
 *
 * Commands on connections and on the server itself.
 */
#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION "1.0.0"

static void reply_text(struct output *out, const char *text)
{
    reply_bulk(out, text, strlen(text));
}

void command_ping(struct call *call)
{
    if (call->count == 2)
        reply_bulk(call->out, call->args[1].data, call->args[1].size);
    else
        reply_status(call->out, "PONG");
}

void command_echo(struct call *call)
{
    reply_bulk(call->out, call->args[1].data, call->args[1].size);
}

void command_quit(struct call *call)
{
    call->client->quit = true;
    reply_status(call->out, "OK");
}

void command_select(struct call *call)
{
    int64_t number;
    if (!call_number(call, 1, &number))
        return;
    if (number == 0)
        reply_status(call->out, "OK");
    else
        reply_error(call->out, "ERR DB index is out of range");
}

void command_shutdown(struct call *call)
{
    reply_error(call->out, "ERR not by command: send SIGTERM to process %d", (int)getpid());
}

/* redis-cli asks for their documentation, and does without. */
void command_command(struct call *call)
{
    reply_array(call->out, 0);
}

/* ---- Subcommands ---- */

struct subcommand {
    const char *name;
    int least, most; /* arguments, both names included */
    void (*run)(struct call *call);
};

/* Runs the one that args[1] names. The title is the command's name as help has it. */
static void run_subcommand(struct call *call, const char *title,
                           const struct subcommand *subcommands, int count)
{
    const struct arg *name = &call->args[1];
    const struct subcommand *found = NULL;
    for (int i = 0; i < count; i++)
        if (arg_is(name, subcommands[i].name))
            found = &subcommands[i];
    if (found == NULL)
        reply_error(call->out, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                    name->size < 128 ? (int)name->size : 128, name->data, title);
    else if (call->count < found->least || call->count > found->most)
        reply_error(call->out, "ERR wrong number of arguments for '%s|%s' command", call->name,
                    found->name);
    else
        found->run(call);
}

/* ---- CLIENT and HELLO ---- */

/* False, with the error as reply: it cannot be a name. */
static bool set_name(struct call *call, const struct arg *arg)
{
    for (uint32_t i = 0; i < arg->size; i++) {
        if (arg->data[i] < '!' || arg->data[i] > '~') {
            reply_error(call->out, "ERR Client names cannot contain spaces, newlines or special "
                                   "characters.");
            return false;
        }
    }
    char *name = arg->size > 0 ? strndup(arg->data, arg->size) : NULL;
    free(call->client->name);
    call->client->name = name;
    return true;
}

static void client_setname(struct call *call)
{
    if (set_name(call, &call->args[2]))
        reply_status(call->out, "OK");
}

/* What library the client uses is of no interest here. */
static void client_setinfo(struct call *call)
{
    reply_status(call->out, "OK");
}

static void client_getname(struct call *call)
{
    if (call->client->name != NULL)
        reply_text(call->out, call->client->name);
    else
        reply_nil(call->out);
}

static void client_id(struct call *call)
{
    reply_number(call->out, call->client->id);
}

void command_client(struct call *call)
{
    static const struct subcommand subcommands[] = {{"getname", 2, 2, client_getname},
                                                    {"id", 2, 2, client_id},
                                                    {"setinfo", 4, 4, client_setinfo},
                                                    {"setname", 3, 3, client_setname}};
    run_subcommand(call, "CLIENT", subcommands, sizeof subcommands / sizeof subcommands[0]);
}

static bool read_hello(struct call *call)
{
    int64_t version = 2;
    if (call->count > 1 && !number_read(call->args[1].data, call->args[1].size, &version)) {
        reply_error(call->out, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (version != 2) {
        reply_error(call->out, "NOPROTO unsupported protocol version");
        return false;
    }
    for (int i = 2; i < call->count; i += 2) {
        if (!arg_is(&call->args[i], "setname") || i + 1 == call->count) {
            reply_error(call->out, "ERR Syntax error in HELLO option '%.*s'",
                        call->args[i].size < 128 ? (int)call->args[i].size : 128,
                        call->args[i].data);
            return false;
        }
        if (!set_name(call, &call->args[i + 1]))
            return false;
    }
    return true;
}

/* In RESP2 a map is an array in which keys and values alternate. */
void command_hello(struct call *call)
{
    if (!read_hello(call))
        return;
    static const char *const texts[][2] = {
        {"server", "kvd"}, {"version", VERSION}, {"mode", "standalone"}, {"role", "master"}};
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    reply_array(call->out, 2 * (TEXTS + 3));
    for (int i = 0; i < TEXTS; i++) {
        reply_text(call->out, texts[i][0]);
        reply_text(call->out, texts[i][1]);
    }
    reply_text(call->out, "proto");
    reply_number(call->out, 2);
    reply_text(call->out, "id");
    reply_number(call->out, call->client->id);
    reply_text(call->out, "modules");
    reply_array(call->out, 0);
}

/* ---- CONFIG and INFO ---- */

/* What redis-benchmark and others ask for. Patterns are names here. */
static void config_get(struct call *call)
{
    char memory[NUMBER_SIZE + 1];
    *number_write(memory, (int64_t)call->database->max_memory) = '\0';
    const char *const settings[][2] = {
        {"save", ""}, {"appendonly", "no"}, {"databases", "1"}, {"maxmemory", memory}};
    enum { SETTINGS = sizeof settings / sizeof settings[0] };
    bool wanted[SETTINGS] = {false};
    int count = 0;
    for (int i = 0; i < SETTINGS; i++) {
        for (int j = 2; j < call->count; j++)
            wanted[i] |= arg_is(&call->args[j], settings[i][0]);
        count += wanted[i];
    }
    reply_array(call->out, 2 * count);
    for (int i = 0; i < SETTINGS; i++) {
        if (wanted[i]) {
            reply_text(call->out, settings[i][0]);
            reply_text(call->out, settings[i][1]);
        }
    }
}

static void config_set(struct call *call)
{
    reply_error(call->out, "ERR options are set when the server is started");
}

void command_config(struct call *call)
{
    static const struct subcommand subcommands[] = {{"get", 3, INT_MAX, config_get},
                                                    {"set", 4, INT_MAX, config_set}};
    run_subcommand(call, "CONFIG", subcommands, sizeof subcommands / sizeof subcommands[0]);
}

void command_info(struct call *call)
{
    char text[1024];
    const struct database *database = call->database;
    const struct store *store = call->store;
    snprintf(text, sizeof text,
             "# Server\r\nkvd_version:" VERSION "\r\nredis_mode:standalone\r\nprocess_id:%d\r\n"
             "uptime_in_seconds:%" PRId64 "\r\n\r\n"
             "# Clients\r\nconnected_clients:%" PRId64 "\r\n\r\n"
             "# Memory\r\nused_memory:%zu\r\nmaxmemory:%zu\r\n\r\n"
             "# Stats\r\ntotal_connections_received:%" PRIu64 "\r\n"
             "total_commands_processed:%" PRIu64 "\r\nexpired_keys:%" PRIu64 "\r\n\r\n"
             "# Keyspace\r\n",
             (int)getpid(), (store->clock() - database->started) / 1000, database->clients,
             store->memory, database->max_memory, database->accepted, database->commands,
             store->expired);
    size_t size = strlen(text);
    if (store->keys > 0)
        snprintf(text + size, sizeof text - size, "db0:keys=%zu,expires=%zu,avg_ttl=0\r\n",
                 store->keys, store->expiring);
    reply_text(call->out, text);
}
