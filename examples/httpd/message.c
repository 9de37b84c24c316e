/* SPDX-License-Identifier: MIT
 *
 * Request lines are read here, where the two parsers differ: in the methods they know, and in what
 * they think of targets and versions. Fields are found by the parser; those that say how the
 * message is framed, and what becomes of the connection, are understood as RFC 9110 and RFC 9112
 * say. Where those let a server choose between an error and a guess, it is the error.
 */
#include "message.h"

/* ---- Characters ---- */

static bool is_token_char(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool is_token(struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_token_char(text.at[i]))
            return false;
    return text.size > 0;
}

/* A host with or without a port, or nothing; not its grammar in full, but what it is made of. */
static bool is_host(struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_token_char(text.at[i]) &&
            (text.at[i] == '\0' || strchr("[]:()=,;", text.at[i]) == NULL))
            return false;
    return true;
}

/* ---- The request line ---- */

static const char *const method_names[METHODS] = {
    [METHOD_GET] = "GET",        [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",        [METHOD_DELETE] = "DELETE", [METHOD_PATCH] = "PATCH",
    [METHOD_OPTIONS] = "OPTIONS"};

static int read_method(struct request *request, struct text name)
{
    for (enum method method = 0; method < METHODS; method++)
        if (text_is(name, method_names[method])) {
            request->method = method;
            return 0;
        }
    return is_token(name) ? 501 : 400;
}

static int read_version(struct request *request, struct text version)
{
    if (version.size != 8 || !text_begins(version, "HTTP/") || version.at[6] != '.')
        return 400;
    char major = version.at[5], minor = version.at[7];
    if (major < '0' || major > '9' || minor < '0' || minor > '9')
        return 400;
    request->minor = minor - '0';
    return major == '1' && request->minor <= 1 ? 0 : 505;
}

/* A path, *, or a whole URL, of which only the path matters here. Printable ASCII. */
static int read_target(struct request *request, struct text target)
{
    for (size_t i = 0; i < target.size; i++)
        if (target.at[i] <= ' ' || target.at[i] > '~')
            return 400;
    if (target.size > 7 && strncasecmp(target.at, "http://", 7) == 0) {
        struct text path, rest = text_from(target, 7);
        size_t host = 0;
        while (host < rest.size && strchr("/?#", rest.at[host]) == NULL)
            host++;
        if (host == 0 || !is_host((struct text){rest.at, host}))
            return 400;
        path = text_from(rest, host);
        target = path.size > 0 && path.at[0] == '/' ? path : text_of("/");
    }
    request->target = target;
    bool is_asterisk = request->method == METHOD_OPTIONS && text_is(target, "*");
    return text_begins(target, "/") || is_asterisk ? 0 : 400;
}

/* That it is malformed goes first, then the method, the version, the target. */
int message_request_line(struct request *request, struct text line)
{
    struct text rest, method = text_split(line, ' ', &rest);
    struct text version, target = text_split(rest, ' ', &version);
    int unknown = read_method(request, method), status = read_version(request, version);
    if (unknown == 400 || status == 400)
        return 400;
    if (unknown != 0 || status != 0)
        return unknown != 0 ? unknown : status;
    return read_target(request, target);
}

/* ---- Callbacks of the parser ---- */

/* Fields after a chunked body (trailers) are not wanted. */
static int on_name(PARSER_RAW *raw, const char *at, size_t size)
{
    struct request *request = raw->data;
    struct text name = {at, size};
    if (size > 0 && !is_token(name))
        return -1;
    if (request->in_body)
        return 0;
    if (request->field_count == REQUEST_FIELDS_MAX) {
        request->status = 431;
        return -1;
    }
    request->fields[request->field_count++] = (struct request_field){name, {at + size, 0}};
    return 0;
}

static int on_value(PARSER_RAW *raw, const char *at, size_t size)
{
    struct request *request = raw->data;
    if (!request->in_body)
        request->fields[request->field_count - 1].value = text_trim((struct text){at, size});
    return 0;
}

static int on_body(PARSER_RAW *raw, const char *at, size_t size)
{
    return request_add_body(raw->data, at, size);
}

/* A chunk that cannot fit is refused before its data comes. */
static int on_chunk(PARSER_RAW *raw)
{
    struct request *request = raw->data;
    if (raw->content_length <= request->limits.body - request->body.size)
        return 0;
    request->status = 413;
    return -1;
}

static const PARSER_SETTINGS callbacks = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = parser_head_done,
    .on_chunk_header = on_chunk,
    .on_body = on_body,
    .on_message_complete = parser_message_done,
};

/* ---- What fields say ---- */

/* Found in all fields together. */
struct findings {
    int hosts, lengths, encodings;
    bool chunked, other_coding, close, keep_alive, other_expectation;
};

/* Transfer codings are applied in this order, and chunked must be the last. */
static int read_encoding(struct findings *findings, struct text list)
{
    do {
        struct text coding = text_trim(text_split(list, ',', &list));
        if (coding.size == 0 || findings->chunked)
            return 400;
        if (text_is_name(coding, "chunked"))
            findings->chunked = true;
        else
            findings->other_coding = true;
    } while (list.size > 0);
    return 0;
}

static void read_connection(struct findings *findings, struct text list)
{
    while (list.size > 0) {
        struct text option = text_trim(text_split(list, ',', &list));
        findings->close |= text_is_name(option, "close");
        findings->keep_alive |= text_is_name(option, "keep-alive");
    }
}

static int read_length(struct request *request, struct findings *findings, struct text value)
{
    uint64_t length;
    if (findings->lengths++ > 0 || !text_number(value, &length))
        return 400;
    request->length = length < SIZE_MAX ? (size_t)length : SIZE_MAX;
    return 0;
}

static int read_field(struct request *request, struct findings *findings,
                      const struct request_field *field)
{
    if (text_is_name(field->name, "host"))
        return findings->hosts++ == 0 && is_host(field->value) ? 0 : 400;
    if (text_is_name(field->name, "content-length"))
        return read_length(request, findings, field->value);
    if (text_is_name(field->name, "transfer-encoding")) {
        findings->encodings++;
        return read_encoding(findings, field->value);
    }
    if (text_is_name(field->name, "connection"))
        read_connection(findings, field->value);
    if (text_is_name(field->name, "expect") && request->minor > 0) {
        request->expects_continue = text_is_name(field->value, "100-continue");
        findings->other_expectation |= !request->expects_continue;
    }
    return 0;
}

/* What the fields say together. */
static int conclude(struct request *request, const struct findings *findings)
{
    if (request->minor > 0 && findings->hosts == 0)
        return 400;
    if (findings->encodings > 0 &&
        (findings->lengths > 0 || request->minor == 0 || !findings->chunked))
        return 400;
    if (findings->other_coding)
        return 501;
    if (request->length > request->limits.body)
        return 413;
    if (findings->other_expectation)
        return 417;
    request->chunked = findings->chunked;
    request->keep_alive = !findings->close && (request->minor > 0 || findings->keep_alive);
    return 0;
}

/* The parser has read these fields too. If it finds a body where this finds none, or none where
 * this finds one, nobody knows where the next request begins. */
int message_head(struct request *request)
{
    struct findings findings = {.hosts = 0};
    size_t used;
    request->in_body = request->expects_continue = false;
    request->length = 0;
    request->status = 400;
    parser_init(&request->parser, &callbacks, request);
    enum parser_result result =
        parser_feed(&request->parser, &callbacks, request->input + request->start,
                    request->head_end - request->start, &used);
    if (result == PARSER_BAD)
        return request->status;
    for (int i = 0; i < request->field_count; i++) {
        int status = read_field(request, &findings, &request->fields[i]);
        if (status != 0)
            return status;
    }
    int status = conclude(request, &findings);
    if (status == 0 && (request->chunked || request->length > 0) != (result == PARSER_MORE))
        return 400;
    request->in_body = true;
    return status;
}

enum parser_result message_body(struct request *request, size_t size, size_t *used)
{
    return parser_feed(&request->parser, &callbacks, request->input + request->line, size, used);
}

struct text request_field(const struct request *request, const char *name)
{
    for (int i = 0; i < request->field_count; i++)
        if (text_is_name(request->fields[i].name, name))
            return request->fields[i].value;
    return (struct text){NULL, 0};
}
