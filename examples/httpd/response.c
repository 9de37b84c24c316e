/* SPDX-License-Identifier: MIT
 *
 * A head is put together from pieces of text, which takes less than printing it.
 */
#include "response.h"

static const char *phrase(int status)
{
    switch (status) {
    case 200:
        return "200 OK";
    case 204:
        return "204 No Content";
    case 206:
        return "206 Partial Content";
    case 304:
        return "304 Not Modified";
    case 400:
        return "400 Bad Request";
    case 404:
        return "404 Not Found";
    case 405:
        return "405 Method Not Allowed";
    case 408:
        return "408 Request Timeout";
    case 413:
        return "413 Content Too Large";
    case 414:
        return "414 URI Too Long";
    case 416:
        return "416 Range Not Satisfiable";
    case 417:
        return "417 Expectation Failed";
    case 431:
        return "431 Request Header Fields Too Large";
    case 501:
        return "501 Not Implemented";
    case 503:
        return "503 Service Unavailable";
    case 505:
        return "505 HTTP Version Not Supported";
    default:
        return "500 Internal Server Error";
    }
}

void response_begin(struct exchange *exchange, int status)
{
    struct output *output = exchange->output;
    if (weft_conn_idle(exchange->conn, 0) < 0) /* the server is stopping */
        exchange->close = true;
    output_text(output, "HTTP/1.1 ");
    output_text(output, phrase(status));
    output_text(output, "\r\nDate: ");
    output_add(output, date_now(&output->date), DATE_SIZE);
    output_text(output, "\r\n");
    if (exchange->close)
        output_text(output, "Connection: close\r\n");
    else if (exchange->request->minor == 0)
        output_text(output, "Connection: keep-alive\r\n");
}

void response_field(struct exchange *exchange, const char *name, struct text value)
{
    output_text(exchange->output, name);
    output_text(exchange->output, ": ");
    output_add(exchange->output, value.at, value.size);
    output_text(exchange->output, "\r\n");
}

void response_length(struct exchange *exchange, uint64_t length)
{
    output_text(exchange->output, "Content-Length: ");
    output_number(exchange->output, length);
    output_text(exchange->output, "\r\n\r\n");
}

void response_end(struct exchange *exchange)
{
    output_text(exchange->output, "\r\n");
}

void response_send(struct exchange *exchange, int status, const char *type, struct text body)
{
    response_begin(exchange, status);
    response_field(exchange, "Content-Type", text_of(type));
    response_length(exchange, body.size);
    if (exchange->request->method != METHOD_HEAD)
        output_add(exchange->output, body.at, body.size);
}

void response_status(struct exchange *exchange, int status)
{
    response_send(exchange, status, "text/plain", text_of(phrase(status)));
}

void response_continue(struct output *output)
{
    output_text(output, "HTTP/1.1 100 Continue\r\n\r\n");
}
