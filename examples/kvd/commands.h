/* SPDX-License-Identifier: MIT
 *
 * The commands: what each does to the store, and its reply. No I/O and nothing of weft.
 */
#ifndef KVD_COMMANDS_H
#define KVD_COMMANDS_H

#include "store.h"

/* What all clients share. Whoever runs commands holds a mutex. */
struct database {
    struct store store;
    size_t max_memory; /* of store.memory; with more, commands that need memory are refused */
    int64_t started;   /* by the store's clock */
    uint64_t commands, accepted;
    int64_t clients;
};

/* A client. Zero but for the id is a new one. */
struct client {
    int64_t id;
    char *name; /* NULL: none; to be freed */
    bool quit;  /* it has asked for an end: no more of its commands is run */
};

/* Runs a command of at least one argument, and adds the reply. */
void command_run(struct database *database, struct client *client, const struct arg *args,
                 int count, struct output *out);

#endif
