/* SPDX-License-Identifier: MIT
 *
 * What is malformed is as if it were not there; so says the RFC, and it is then all of the file.
 */
#include "range.h"

#include "date.h"

/* A validator in a list: tags in quotes, which cannot contain one, some with W/ before them. Commas
 * may be in tags. */
static bool lists_tag(struct text list, struct text tag)
{
    if (text_is(text_trim(list), "*"))
        return true;
    for (size_t at = 0; at + tag.size <= list.size; at++) {
        if (list.at[at] != '"')
            continue;
        if (memcmp(list.at + at, tag.at, tag.size) == 0)
            return true;
        const char *end = memchr(list.at + at + 1, '"', list.size - at - 1);
        if (end == NULL)
            return false;
        at = (size_t)(end - list.at);
    }
    return false;
}

static bool is_known_to_client(const struct request *request, const struct file_state *file)
{
    struct text tags = request_field(request, "if-none-match");
    struct text since = request_field(request, "if-modified-since");
    time_t when;
    if (tags.at != NULL)
        return lists_tag(tags, file->tag);
    return since.at != NULL && date_read(since, &when) && file->modified <= when;
}

/* Whether a client that has a part of the file has it of the file as it is now. */
static bool is_same_file(const struct request *request, const struct file_state *file)
{
    struct text validator = request_field(request, "if-range");
    time_t when;
    if (validator.at == NULL)
        return true;
    if (date_read(validator, &when))
        return when == file->modified;
    return validator.size == file->tag.size &&
           memcmp(validator.at, file->tag.at, file->tag.size) == 0;
}

/* "first-last", "first-" or "-size of the end": 206 or 416; or 200 for what is not one of them. */
static int read_range(struct text text, uint64_t size, struct range *range)
{
    struct text last_text, first_text = text_split(text, '-', &last_text);
    uint64_t first, last = UINT64_MAX;
    bool is_range = text.size > 0 && memchr(text.at, '-', text.size) != NULL;
    if (!is_range || (last_text.size > 0 && !text_number(last_text, &last)))
        return 200;
    if (first_text.size == 0) {
        if (last_text.size == 0)
            return 200;
        first = last < size ? size - last : 0;
        if (last == 0)
            return 416;
        last = UINT64_MAX;
    } else if (!text_number(first_text, &first) || last < first) {
        return 200;
    }
    if (first >= size)
        return 416;
    range->first = first;
    range->size = last < size ? last - first + 1 : size - first;
    return 206;
}

int range_select(const struct request *request, const struct file_state *file, struct range *range)
{
    struct text rest, text = request_field(request, "range");
    *range = (struct range){0, 0};
    if (is_known_to_client(request, file))
        return 304;
    int status = 200;
    if (text.at != NULL && request->method == METHOD_GET && is_same_file(request, file)) {
        struct text unit = text_split(text, '=', &rest);
        if (text_is_name(unit, "bytes"))
            status = read_range(rest, file->size, range);
    }
    if (status == 200)
        range->size = file->size;
    return status;
}
