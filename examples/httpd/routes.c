/* SPDX-License-Identifier: MIT
 *
 * One table; what is not in it is 404, and 405 if it is there for other methods.
 */
#include "routes.h"

#include "endpoints.h"
#include "files.h"

enum {
    GET = 1 << METHOD_GET | 1 << METHOD_HEAD,
    POST = 1 << METHOD_POST,
    OPTIONS = 1 << METHOD_OPTIONS
};

/* A path that ends in a slash, except "/" alone, is the beginning of others; what follows is the
 * argument. */
static const struct route {
    const char *path;
    unsigned methods;
    void (*answer)(struct exchange *exchange, struct text argument);
} routes[] = {
    {"/", GET, answer_hello},     {"/json", GET, answer_json},    {"/stats", GET, answer_stats},
    {"/echo", POST, answer_echo}, {"/sleep/", GET, answer_sleep}, {"/files/", GET, answer_file},
};

enum { ROUTES = sizeof routes / sizeof routes[0] };

static const struct route *find(struct text target, struct text *argument)
{
    struct text rest, path = text_split(text_split(target, '?', &rest), '#', &rest);
    for (int i = 0; i < ROUTES; i++) {
        size_t size = strlen(routes[i].path);
        bool begins = text_begins(path, routes[i].path);
        if (begins && (path.size == size || (size > 1 && routes[i].path[size - 1] == '/'))) {
            *argument = text_from(path, size);
            return &routes[i];
        }
    }
    return NULL;
}

/* An answer without a body that names the methods. */
static void answer_methods(struct exchange *exchange, int status, unsigned methods)
{
    bool get = methods & GET, post = methods & POST;
    response_begin(exchange, status);
    response_field(exchange, "Allow",
                   text_of(get && post ? "GET, HEAD, POST, OPTIONS"
                           : get       ? "GET, HEAD, OPTIONS"
                                       : "POST, OPTIONS"));
    if (status == 204)
        response_end(exchange);
    else
        response_length(exchange, 0);
}

/* Whether the answer is that there is no such thing, or not by that method. */
static bool refuse(struct exchange *exchange, const struct route *route)
{
    const struct request *request = exchange->request;
    if (route == NULL && !text_is(request->target, "*"))
        response_status(exchange, 404);
    else if (route != NULL && !((route->methods | OPTIONS) >> request->method & 1))
        answer_methods(exchange, 405, route->methods);
    else
        return false;
    return true;
}

bool routes_refuse(struct exchange *exchange)
{
    struct text argument;
    return refuse(exchange, find(exchange->request->target, &argument));
}

/* The target "*" comes with OPTIONS only, and means the server. */
void routes_answer(struct exchange *exchange)
{
    struct text argument;
    const struct route *route = find(exchange->request->target, &argument);
    if (refuse(exchange, route))
        return;
    if (exchange->request->method == METHOD_OPTIONS)
        answer_methods(exchange, 204, route != NULL ? route->methods : GET | POST);
    else
        route->answer(exchange, argument);
}
