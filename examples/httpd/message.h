/* SPDX-License-Identifier: MIT
 *
 * What a request's lines mean; between request.c, which has found where they are, and the parser.
 */
#ifndef HTTPD_MESSAGE_H
#define HTTPD_MESSAGE_H

#include "request.h"

/* Each: 0, or the status for what is wrong. line: without its CR LF; sets method, minor, target. */
int message_request_line(struct request *request, struct text line);

/* The head is whole, and its request line is good: sets everything else that a head says. */
int message_head(struct request *request);

/* Parses the next bytes of the body, which go to request_add_body. */
enum parser_result message_body(struct request *request, size_t size, size_t *used);

int request_add_body(struct request *request, const char *bytes, size_t size);

#endif
