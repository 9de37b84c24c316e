/* SPDX-License-Identifier: MIT
 *
 * What httpd was told, and what it counts: one of each in the process.
 */
#ifndef HTTPD_H
#define HTTPD_H

#include <stdatomic.h>
#include <stdint.h>

#include "request.h"

/* Set once, before the first connection. Times in nanoseconds. */
struct settings {
    struct request_limits limits;
    int64_t head_time, body_time, idle_time, write_time;
    int files; /* the folder that /files/ shows, or -1 */
    int64_t started;
};

struct counts {
    atomic_long requests, connections, open;
};

extern struct settings settings;
extern struct counts counts;

#endif
