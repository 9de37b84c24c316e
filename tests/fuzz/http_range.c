/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: what examples/httpd takes a request to want of a file, by its fields Range, If-Range,
 * If-None-Match and If-Modified-Since, which are the lines of the input; and dates. A range is never
 * outside of the file, whose size the input's first octet chooses.
 */
#ifdef HTTPD_LLHTTP

#include "fuzz/fuzz.h"

#include "httpd/date.c"
#include "httpd/range.c"

static struct text fields[4];

struct text request_field(const struct request *request, const char *name)
{
    static const char *const names[] = {"range", "if-range", "if-none-match", "if-modified-since"};
    (void)request;
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return fields[i];
    fuzz_must(0, "only these fields are asked for");
    return fields[0];
}

static void check(int status, uint64_t size, const struct range *range)
{
    switch (status) {
    case 200:
        fuzz_must(range->first == 0 && range->size == size, "200 is all of it");
        break;
    case 206:
        fuzz_must(range->size > 0 && range->first < size && range->size <= size - range->first,
                  "206 is a part of it");
        fuzz_must(fields[0].at != NULL, "206 was asked for");
        break;
    case 304:
        fuzz_must(fields[2].at != NULL || fields[3].at != NULL, "304 was asked for");
        fuzz_must(range->size == 0, "304 is nothing");
        break;
    default:
        fuzz_must(status == 416 && fields[0].at != NULL, "416 was asked for");
        fuzz_must(range->size == 0, "416 is nothing");
    }
}

/* A date that is one is written as it was read. */
static void check_date(struct text text)
{
    char again[DATE_SIZE + 1];
    time_t when;
    if (text.at == NULL || !date_read(text, &when))
        return;
    date_write(again, when);
    fuzz_must(text_is(text, again), "a date is the same text again");
}

static void fuzz(const uint8_t *data, size_t size)
{
    static const uint64_t sizes[] = {0, 1, 10, 1000, UINT64_MAX, INT64_MAX, 1u << 31, 4096};
    static struct request request;
    if (size == 0)
        return;
    struct file_state file = {sizes[data[0] % 8], 784111777, text_of("\"1a-2b\"")};
    struct text rest = {(const char *)data + 1, size - 1};
    request.method = data[0] & 8 ? METHOD_HEAD : METHOD_GET;
    for (int i = 0; i < 4; i++) {
        fields[i] = text_trim(text_split(rest, '\n', &rest));
        if (fields[i].size == 0)
            fields[i].at = NULL;
        check_date(fields[i]);
    }
    struct range range;
    int status = range_select(&request, &file, &range);
    check(status, file.size, &range);
    fuzz_must(request.method == METHOD_GET || status == 200 || status == 304,
              "ranges are for GET alone");
}

#else

#define FUZZ_NEEDS "llhttp or http_parser"
#include "fuzz/fuzz.h"

#endif
