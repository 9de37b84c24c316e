/* SPDX-License-Identifier: MIT
 *
 * What the files with commands share: the call of one, and the functions that carry them out, each
 * in the file that is named here.
 */
#ifndef KVD_COMMAND_H
#define KVD_COMMAND_H

#include "commands.h"

/* A command under way: its name is args[0], and the number of arguments is one that it allows. */
struct call {
    struct database *database;
    struct store *store; /* the database's */
    struct client *client;
    const char *name; /* in lower case */
    const struct arg *args;
    int count;
    struct output *out;
};

/* ---- commands.c ---- */

/* Whether the argument is this word, in letters of any case. Those of word are lower case. */
bool arg_is(const struct arg *arg, const char *word);

/* These reply with the error when they return false. */
bool call_number(struct call *call, int index, int64_t *number);
bool call_find(struct call *call, int index, bool is_list, struct entry ***link); /* or NULL */

void reply_no_memory(struct call *call);
void reply_wrong_count(struct call *call);
void reply_syntax_error(struct call *call);

/* ---- command_strings.c ---- */

void command_append(struct call *call);
void command_decr(struct call *call);
void command_decrby(struct call *call);
void command_get(struct call *call);
void command_getset(struct call *call);
void command_incr(struct call *call);
void command_incrby(struct call *call);
void command_mget(struct call *call);
void command_mset(struct call *call);
void command_set(struct call *call);
void command_strlen(struct call *call);

/* ---- command_lists.c ---- */

void command_lindex(struct call *call);
void command_llen(struct call *call);
void command_lpop(struct call *call);
void command_lpush(struct call *call);
void command_lrange(struct call *call);
void command_rpop(struct call *call);
void command_rpush(struct call *call);

/* ---- command_keys.c ---- */

/* The time that amount units of so many milliseconds from now is. False, with the error as reply:
 * it is out of range. */
bool call_time(struct call *call, int64_t amount, int64_t unit, int64_t *when);

void command_dbsize(struct call *call);
void command_del(struct call *call);
void command_exists(struct call *call);
void command_expire(struct call *call);
void command_flushall(struct call *call);
void command_keys(struct call *call);
void command_persist(struct call *call);
void command_pexpire(struct call *call);
void command_pttl(struct call *call);
void command_ttl(struct call *call);
void command_type(struct call *call);

/* ---- command_server.c ---- */

void command_client(struct call *call);
void command_command(struct call *call);
void command_config(struct call *call);
void command_echo(struct call *call);
void command_hello(struct call *call);
void command_info(struct call *call);
void command_ping(struct call *call);
void command_quit(struct call *call);
void command_select(struct call *call);
void command_shutdown(struct call *call);

#endif
