/* SPDX-License-Identifier: MIT
 *
 * One face for two HTTP parsers. llhttp is preferred, which is maintained (it is Node's), and
 * strict; http_parser, which it has replaced, is what some distributions have instead. Their
 * interfaces are much the same. http_parser lets pass what must not pass in the framing of chunked
 * bodies, the stuff that request smuggling is made of; framing.h checks that.
 */
#ifndef HTTPD_PARSER_H
#define HTTPD_PARSER_H

#include <stddef.h>

enum parser_result { PARSER_MORE, PARSER_DONE, PARSER_BAD };

/* The callbacks are the library's: on_header_field, on_header_value, on_body,
 * on_headers_complete = parser_head_done, on_message_complete = parser_message_done. */
#if HTTPD_LLHTTP

#include <llhttp.h>

#define PARSER_RAW      llhttp_t
#define PARSER_SETTINGS llhttp_settings_t

struct parser {
    llhttp_t raw;
};

static inline void parser_init(struct parser *parser, const llhttp_settings_t *settings, void *data)
{
    llhttp_init(&parser->raw, HTTP_REQUEST, settings);
    parser->raw.data = data;
}

static inline int parser_message_done(llhttp_t *raw)
{
    (void)raw;
    return HPE_PAUSED;
}

/* used: all, or with PARSER_DONE what belongs to the message. */
static inline enum parser_result parser_feed(struct parser *parser,
                                             const llhttp_settings_t *settings, const char *bytes,
                                             size_t size, size_t *used)
{
    (void)settings;
    *used = size;
    enum llhttp_errno error = llhttp_execute(&parser->raw, bytes, size);
    if (error == HPE_PAUSED)
        *used = (size_t)(llhttp_get_error_pos(&parser->raw) - bytes);
    return error == HPE_OK ? PARSER_MORE : error == HPE_PAUSED ? PARSER_DONE : PARSER_BAD;
}

#else

#include <http_parser.h>

#include "framing.h"

#define PARSER_RAW      http_parser
#define PARSER_SETTINGS http_parser_settings

struct parser {
    http_parser raw;
    struct framing framing;
};

static inline void parser_init(struct parser *parser, const http_parser_settings *settings,
                               void *data)
{
    (void)settings;
    http_parser_init(&parser->raw, HTTP_REQUEST);
    parser->raw.data = data;
    parser->framing = (struct framing){.state = FRAMING_HEAD};
}

static inline int parser_message_done(http_parser *raw)
{
    http_parser_pause(raw, 1);
    return 0;
}

/* Up to where framing has found a fault, if anywhere, bytes are parsed as usual. */
static inline enum parser_result parser_feed(struct parser *parser,
                                             const http_parser_settings *settings,
                                             const char *bytes, size_t size, size_t *used)
{
    size_t good = framing_check(&parser->framing, bytes, size);
    *used = http_parser_execute(&parser->raw, settings, bytes, good);
    if (HTTP_PARSER_ERRNO(&parser->raw) == HPE_PAUSED)
        return PARSER_DONE;
    if (HTTP_PARSER_ERRNO(&parser->raw) != HPE_OK || good < size)
        return PARSER_BAD;
    if (parser->raw.flags & F_CHUNKED && parser->framing.state == FRAMING_HEAD)
        parser->framing.state = FRAMING_SIZE; /* the head was parsed in one piece */
    return PARSER_MORE;
}

#endif

/* A request to go over to another protocol is not followed. */
static inline int parser_head_done(PARSER_RAW *raw)
{
    raw->upgrade = 0;
    return 0;
}

#endif
