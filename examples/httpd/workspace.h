/* SPDX-License-Identifier: MIT
 *
 * What it takes to work on requests. A connection has a workspace only while it has begun to send
 * one, until all that has come is answered; so there are few of them, and they stay in the caches.
 */
#ifndef HTTPD_WORKSPACE_H
#define HTTPD_WORKSPACE_H

#include "output.h"
#include "request.h"

enum {
    WORKSPACE_INPUT = 64 * 1024,                  /* what is read at once at most, bytes */
    WORKSPACE_HEAD_MAX = WORKSPACE_INPUT / 2 - 1, /* the largest head that can be allowed */
};

struct workspace {
    struct request request;
    struct output output;
    char input[WORKSPACE_INPUT]; /* only what is used of it takes memory */
};

/* For a connection from which these bytes have come. NULL: no memory is left. */
struct workspace *workspace_get(int fd, const char *bytes, size_t size);
void workspace_put(struct workspace *workspace);

#endif
