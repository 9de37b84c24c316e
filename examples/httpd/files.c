/* SPDX-License-Identifier: MIT
 *
 * A small file is read into the output, behind the head; a large one is sent by the kernel.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <weft.h>

#include "date.h"
#include "disk.h"
#include "httpd.h"
#include "range.h"

enum { SMALL = 24 * 1024, PATH_SIZE = 1024, TAG_SIZE = 40 };

int files_open_folder(const char *path)
{
    return weft_open(path, O_PATH | O_DIRECTORY, 0);
}

/* ---- The path ---- */

/* Without its %XX. False: malformed, too long, or not a path at all. */
static bool decode(struct text text, char path[PATH_SIZE])
{
    size_t size = 0;
    for (size_t i = 0; i < text.size && size < PATH_SIZE - 1; i++) {
        char byte = text.at[i];
        if (byte == '%') {
            int high = text.size - i < 3 ? -1 : text_hex_digit(text.at[i + 1]);
            int low = high < 0 ? -1 : text_hex_digit(text.at[i + 2]);
            if (low < 0)
                return false;
            byte = (char)(high << 4 | low);
            i += 2;
        }
        if (byte == '\0')
            return false;
        path[size++] = byte;
    }
    path[size] = '\0';
    return size > 0 && size < PATH_SIZE - 1;
}

static const char *media_type(const char *path)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {"html", "text/html; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"txt", "text/plain; charset=utf-8"},
        {"css", "text/css"},
        {"js", "text/javascript"},
        {"mjs", "text/javascript"},
        {"json", "application/json"},
        {"xml", "application/xml"},
        {"csv", "text/csv"},
        {"md", "text/markdown"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"svg", "image/svg+xml"},
        {"webp", "image/webp"},
        {"ico", "image/vnd.microsoft.icon"},
        {"woff2", "font/woff2"},
        {"pdf", "application/pdf"},
        {"wasm", "application/wasm"},
        {"mp3", "audio/mpeg"},
        {"mp4", "video/mp4"},
        {"webm", "video/webm"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
    };
    const char *name = strrchr(path, '/'), *dot = strrchr(name != NULL ? name : path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcasecmp(dot + 1, types[i].suffix) == 0)
            return types[i].type;
    return "application/octet-stream";
}

/* ---- Answering ---- */

/* A tag that is another one once the file has been written to. */
static struct text make_tag(char tag[TAG_SIZE], const struct stat *status)
{
    char *at = tag + TAG_SIZE;
    uint64_t time =
        (uint64_t)status->st_mtim.tv_sec * 1000000000 + (uint64_t)status->st_mtim.tv_nsec;
    uint64_t size = (uint64_t)status->st_size;
    *--at = '"';
    do
        *--at = "0123456789abcdef"[size % 16];
    while ((size /= 16) > 0);
    *--at = '-';
    do
        *--at = "0123456789abcdef"[time % 16];
    while ((time /= 16) > 0);
    *--at = '"';
    return (struct text){at, (size_t)(tag + TAG_SIZE - at)};
}

static void say_range(struct exchange *exchange, int status, const struct range *range,
                      uint64_t size)
{
    char text[80];
    if (status == 206)
        snprintf(text, sizeof text, "bytes %ju-%ju/%ju", (uintmax_t)range->first,
                 (uintmax_t)(range->first + range->size - 1), (uintmax_t)size);
    else
        snprintf(text, sizeof text, "bytes */%ju", (uintmax_t)size);
    response_field(exchange, "Content-Range", text_of(text));
}

/* Everything but the body, of which that range follows. */
static void answer_head(struct exchange *exchange, const char *path, const struct stat *status,
                        struct range *range)
{
    char tag[TAG_SIZE], modified[DATE_SIZE + 1];
    struct file_state file = {(uint64_t)status->st_size, status->st_mtim.tv_sec,
                              make_tag(tag, status)};
    int result = range_select(exchange->request, &file, range);
    date_write(modified, file.modified);
    response_begin(exchange, result);
    response_field(exchange, "ETag", file.tag);
    response_field(exchange, "Last-Modified", text_of(modified));
    if (result == 304) {
        response_end(exchange);
        return;
    }
    response_field(exchange, "Accept-Ranges", text_of("bytes"));
    if (result == 200 || result == 206)
        response_field(exchange, "Content-Type", text_of(media_type(path)));
    if (result != 200)
        say_range(exchange, result, range, file.size);
    response_length(exchange, range->size);
}

/* A file that has become shorter meanwhile: the response cannot be ended, only cut. */
static void send_small(struct output *output, int file, const struct range *range)
{
    char *space = output_space(output, range->size);
    ssize_t size = disk_read(file, space, range->size, (off_t)range->first);
    if (size != (ssize_t)range->size && output->error == 0)
        output->error = -EIO;
}

static void answer_open_file(struct exchange *exchange, const char *path, int file,
                             const struct stat *status)
{
    struct range range;
    answer_head(exchange, path, status, &range);
    if (exchange->request->method == METHOD_HEAD)
        range.size = 0;
    if (range.size > SMALL) {
        output_file(exchange->output, file, (off_t)range.first, range.size);
        weft_close(file);
        return;
    }
    if (range.size > 0)
        send_small(exchange->output, file, &range);
    close(file); /* of which weft knows nothing */
}

void answer_file(struct exchange *exchange, struct text text)
{
    char path[PATH_SIZE];
    struct stat status;
    int file = -ENOENT;
    if (settings.files >= 0 && decode(text, path))
        file = disk_open(settings.files, path, &status);
    if (file >= 0)
        answer_open_file(exchange, path, file, &status);
    else if (file == -EMFILE || file == -ENFILE || file == -ENOMEM || file == -EAGAIN)
        response_status(exchange, 503);
    else
        response_status(exchange, 404);
}
