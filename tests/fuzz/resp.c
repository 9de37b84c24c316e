/* SPDX-License-Identifier: MIT
 *
 * The bytes that kvd reads: they are parsed, and the commands run against a store, three times: in
 * as few parts as possible, byte by byte, and in parts whose sizes the input itself chooses. All
 * three must give the same replies and come to the same end.
 */
#include "fuzz.h"
#include "servers/kvd_parts.h"

enum {
    REQUEST_MAX = 4096, /* bytes of a command: a limit that is often met */
    REPLIES_MAX = 60 * 1000,
    MEMORY_MAX = 6 * 1024,
    COMMANDS_MAX = 2000,
    BYTES_MAX = 2048, /* that come one by one */
};

/* Time goes by with every command. */
static int64_t now;

static int64_t clock_of_commands(void)
{
    return now;
}

struct run {
    struct database database;
    struct client client;
    struct input in;
    struct output out;
    int commands;
    bool refused;
};

static void start(struct run *run)
{
    static const uint64_t secret[2] = {1, 2};
    *run = (struct run){.client.id = 1, .in.limit = REQUEST_MAX, .out.limit = REPLIES_MAX};
    run->database.max_memory = MEMORY_MAX;
    run->database.clients = 1;
    now = 0;
    fuzz_must(store_init(&run->database.store, clock_of_commands, secret), "memory for a store");
}

/* Runs the command that the input has. It has one reply, and the structures stay sound. */
static void run_command(struct run *run, int count)
{
    size_t before = run->out.size, bytes = 0;
    fuzz_must(count == run->in.count, "the count is that of the arguments");
    for (int i = 0; i < count; i++) {
        const struct arg *arg = &run->in.args[i];
        fuzz_must(arg->data >= run->in.data && arg->data + arg->size <= run->in.data + run->in.end,
                  "an argument lies in the input");
        bytes += arg->size;
    }
    fuzz_must(bytes <= REQUEST_MAX, "a command is no longer than allowed");
    command_run(&run->database, &run->client, run->in.args, count, &run->out);
    run->commands++;
    now += 100 * 1000 * 1000;
    if (!run->out.failed)
        fuzz_must(reply_end(run->out.data + before, run->out.data + run->out.size) ==
                      run->out.data + run->out.size,
                  "a command has one reply");
    fuzz_must(run->out.size <= REPLIES_MAX, "the replies are no longer than allowed");
    if (run->commands % 16 == 0)
        store_sweep(&run->database.store, 64);
    if (run->commands % 64 == 0)
        check_store(&run->database.store);
}

/* Runs what is complete; false: nothing more is wanted. */
static bool run_all(struct run *run)
{
    int count = 0;
    while (!run->client.quit && !run->out.failed && run->commands < COMMANDS_MAX &&
           (count = input_next(&run->in)) > 0)
        run_command(run, count);
    run->refused = count < 0;
    fuzz_must(!run->refused || strncmp(run->in.error, "Protocol error: ", 16) == 0,
              "what is refused is refused with a reason");
    fuzz_must(run->in.capacity <= 4 * BUFFER, "the buffer is bounded");
    return count == 0 && !run->client.quit && !run->out.failed && run->commands < COMMANDS_MAX;
}

/* Feeds it in parts: of any size, of one byte while there are not too many, or of sizes that the
 * bytes give. */
static void feed(struct run *run, const uint8_t *data, size_t size, int how)
{
    for (size_t at = 0; at < size;) {
        size_t room, part = size - at;
        char *place = input_room(&run->in, &room);
        fuzz_must(place != NULL && room > 0, "there is room");
        if (how > 0 && part > 1)
            part = how == 1 && at < BYTES_MAX
                       ? 1
                       : 1 + (data[at] ^ data[size - 1]) % (part < 60 ? part : 60);
        part = part < room ? part : room;
        memcpy(place, data + at, part);
        input_add(&run->in, part);
        at += part;
        if (!run_all(run))
            return;
    }
    fuzz_must(size == 0 || run->in.first <= run->in.end, "no more is taken than was there");
}

/* FLUSHALL leaves nothing, whatever was there. */
static void finish(struct run *run)
{
    struct arg flush = {.data = "FLUSHALL", .size = 8};
    check_store(&run->database.store);
    output_free(&run->out);
    run->out.failed = false;
    command_run(&run->database, &run->client, &flush, 1, &run->out);
    fuzz_must(run->out.size == 5 && memcmp(run->out.data, "+OK\r\n", 5) == 0, "FLUSHALL works");
    fuzz_must(run->database.store.memory == 0, "after FLUSHALL no memory is counted");
    fuzz_must(run->database.store.keys == 0, "after FLUSHALL there is no key");
    fuzz_must(run->database.store.expiring == 0, "nor one that expires");
    store_free(&run->database.store);
    input_free(&run->in);
    output_free(&run->out);
    free(run->client.name);
}

static void fuzz(const uint8_t *data, size_t size)
{
    struct run whole, other;
    start(&whole);
    feed(&whole, data, size, 0);
    for (int how = 1; how <= 2; how++) {
        start(&other);
        feed(&other, data, size, how);
        fuzz_must(other.commands == whole.commands, "parts give the same commands");
        fuzz_must(other.out.size == whole.out.size &&
                      (whole.out.size == 0 ||
                       memcmp(other.out.data, whole.out.data, whole.out.size) == 0),
                  "parts give the same replies");
        fuzz_must(other.refused == whole.refused && other.client.quit == whole.client.quit &&
                      strcmp(other.in.error, whole.in.error) == 0,
                  "parts come to the same end");
        fuzz_must(whole.refused || other.out.failed || whole.client.quit ||
                      whole.commands == COMMANDS_MAX ||
                      input_pending(&other.in) == input_pending(&whole.in),
                  "parts leave the same rest");
        finish(&other);
    }
    finish(&whole);
}
