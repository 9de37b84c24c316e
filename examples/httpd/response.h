/* SPDX-License-Identifier: MIT
 *
 * A request on its way to being answered, and the answer's head. The length is always said.
 */
#ifndef HTTPD_RESPONSE_H
#define HTTPD_RESPONSE_H

#include <weft.h>

#include "output.h"
#include "request.h"

struct exchange {
    const struct request *request;
    struct output *output;
    weft_conn *conn;
    bool close; /* this response is the connection's last; known once it has begun */
};

/* A whole response, or its head if HEAD was asked for. */
void response_send(struct exchange *exchange, int status, const char *type, struct text body);

/* A response that says no more than what the status means. */
void response_status(struct exchange *exchange, int status);

/* In pieces: the status, some fields, the length of the body; the caller then adds the body, unless
 * HEAD was asked for. end: no body and no length, for 204 and 304. */
void response_begin(struct exchange *exchange, int status);
void response_field(struct exchange *exchange, const char *name, struct text value);
void response_length(struct exchange *exchange, uint64_t length);
void response_end(struct exchange *exchange);

/* For a client that waits for it before it sends the body. */
void response_continue(struct output *output);

#endif
