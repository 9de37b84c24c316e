/* SPDX-License-Identifier: MIT
 *
 * An HTTP/1.1 server: a few endpoints and the files of a folder. It bounds what a client may send,
 * hold and how long it may take, and comes to an orderly end on SIGINT or SIGTERM.
 *
 *     make examples && build/default/examples/httpd [--option value ...] [host:port]
 *     curl http://127.0.0.1:8080/
 *
 * connection.c is where to begin reading: there is the life of a connection. request.h makes
 * requests of its bytes, routes.c says who answers them, response.h and output.h are what the
 * answers are made with, endpoints.c and files.c are the answers.
 *
 * Memory: an idle connection has a record of some 50 bytes; one whose request has begun, a goroutine,
 * a workspace (workspace.h) and what has come of a body. So what clients can make it hold is at most
 * --max-connections times --max-body, and some 100 KiB for each of them.
 */
#include "httpd.h"

#include "connection.h"
#include "files.h"
#include "../service.h"
#include "workspace.h"

struct settings settings = {
    .head_time = 10 * WEFT_SECOND,
    .body_time = 30 * WEFT_SECOND,
    .idle_time = 60 * WEFT_SECOND,
    .write_time = 30 * WEFT_SECOND,
    .files = -1,
};

struct counts counts;

static weft_server server;
static int64_t max_connections = 10000, max_head = 16 * 1024, max_body = 1024 * 1024;
static int64_t grace = 10 * WEFT_SECOND;
static const char *folder;

enum { DAY = 24 * 60 * 60, GIB = 1024 * 1024 * 1024 };

static const struct service_option options[] = {
    {.name = "files", .meaning = "folder that /files/ shows", .text = &folder},
    {"max-connections", "more wait to be accepted", &max_connections, 1, 1, 1000 * 1000, NULL},
    {"max-head", "bytes of request line and fields", &max_head, 1, 64, WORKSPACE_HEAD_MAX, NULL},
    {"max-body", "bytes of a request's body", &max_body, 1, 0, GIB, NULL},
    {"head-time", "seconds for a head", &settings.head_time, WEFT_SECOND, 0, DAY, NULL},
    {"body-time", "seconds for a body", &settings.body_time, WEFT_SECOND, 0, DAY, NULL},
    {"idle", "seconds between requests", &settings.idle_time, WEFT_SECOND, 0, DAY, NULL},
    {"write-time", "seconds without progress", &settings.write_time, WEFT_SECOND, 0, DAY, NULL},
    {"grace", "seconds to finish on a signal", &grace, WEFT_SECOND, 0, DAY, NULL},
};

static int main_goroutine(int argc, char **argv)
{
    const int count = sizeof options / sizeof options[0];
    const char *address = service_arguments(argc, argv, options, count, "127.0.0.1:8080");
    raise_file_limit();
    if (folder != NULL)
        settings.files = expect(files_open_folder(folder), folder);
    settings.limits = (struct request_limits){(size_t)max_head, (size_t)max_body};
    settings.started = weft_now();
    server.limit = (int32_t)max_connections;
    int cut = service_run(&server, address, connection_handle, NULL, grace);
    connection_wait_for_last();
    printf("stopped: %ld requests on %ld connections, %d cut\n", atomic_load(&counts.requests),
           atomic_load(&counts.connections), cut);
    return 0;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
