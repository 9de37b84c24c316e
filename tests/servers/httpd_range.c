/* SPDX-License-Identifier: MIT
 *
 * What of a file examples/httpd takes a request to want, and dates, without a process.
 */
#ifdef HTTPD_LLHTTP

#include "harness/test.h"

#include "httpd/date.c"
#include "httpd/range.c"

/* For range_select, which looks fields up. */
struct text request_field(const struct request *request, const char *name)
{
    for (int i = 0; i < request->field_count; i++)
        if (text_is_name(request->fields[i].name, name))
            return request->fields[i].value;
    return (struct text){NULL, 0};
}

#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
#define EARLIER  "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER    "Sun, 06 Nov 1994 08:49:38 GMT"

enum { MODIFIED_TIME = 784111777 };

/* Fields that a request may have; NULL: it does not. */
struct wish {
    const char *range, *if_range, *if_none_match, *if_modified_since;
};

static int select_of(uint64_t size, enum method method, const struct wish *wish,
                     struct range *range)
{
    static struct request request;
    const char *const names[] = {"Range", "If-Range", "If-None-Match", "If-Modified-Since"};
    const char *const values[] = {wish->range, wish->if_range, wish->if_none_match,
                                  wish->if_modified_since};
    struct file_state file = {size, MODIFIED_TIME, text_of("\"a,b\"")};
    request.method = method;
    request.field_count = 0;
    for (int i = 0; i < 4; i++)
        if (values[i] != NULL)
            request.fields[request.field_count++] =
                (struct request_field){text_of(names[i]), text_of(values[i])};
    return range_select(&request, &file, range);
}

static void check_range(const char *text, uint64_t file_size, int status, uint64_t first,
                        uint64_t size)
{
    struct range range;
    struct wish wish = {.range = text};
    int got = select_of(file_size, METHOD_GET, &wish, &range);
    if (got != status || (got != 416 && (range.first != first || range.size != size)))
        FAIL("%s of %llu: status %d, %llu bytes from %llu", text, (unsigned long long)file_size,
             got, (unsigned long long)range.size, (unsigned long long)range.first);
    CHECK_EQ(select_of(file_size, METHOD_HEAD, &wish, &range), 200);
}

TEST(ranges)
{
    static const uint64_t most = UINT64_MAX;
    check_range("bytes=0-0", 10, 206, 0, 1);
    check_range("bytes=0-9", 10, 206, 0, 10);
    check_range("bytes=0-10", 10, 206, 0, 10);
    check_range("bytes=9-", 10, 206, 9, 1);
    check_range("bytes=10-", 10, 416, 0, 0);
    check_range("bytes=-1", 10, 206, 9, 1);
    check_range("bytes=-10", 10, 206, 0, 10);
    check_range("bytes=-11", 10, 206, 0, 10);
    check_range("bytes=-0", 10, 416, 0, 0);
    check_range("bytes=0-", 0, 416, 0, 0);
    check_range("bytes=0-0", 0, 416, 0, 0);
    check_range("bytes=0-", most, 206, 0, most);
    check_range("bytes=1-18446744073709551614", most, 206, 1, most - 1);
    check_range("bytes=-18446744073709551614", most, 206, 1, most - 1);
    check_range("bytes=0-99999999999999999999", 10, 206, 0, 10);
    check_range("bytes=-99999999999999999999", 10, 206, 0, 10);
    check_range("bytes=99999999999999999999-", 10, 416, 0, 0);
    check_range("BYTES=0-0", 10, 206, 0, 1);
    static const char *const none[] = {"",           "bytes",      "bytes=",     "bytes=-",
                                       "bytes=1",    "bytes=2-1",  "bytes=1-2,", "bytes=0-0,2-2",
                                       "bytes=a-",   "bytes=1-a",  "bytes=--1",  "bytes=1--2",
                                       "bytes=1 -2", "bytes=1- 2", "bytes 1-2",  "bytes=+1-2",
                                       "lines=1-2",  "=1-2",       "bytes==1-2", "bytes =1-2"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        check_range(none[i], 10, 200, 0, 10);
}

static void check_wish(int status, const struct wish *wish)
{
    struct range range;
    int got = select_of(10, METHOD_GET, wish, &range);
    if (got != status)
        FAIL("status %d, not %d: range %s, if-range %s, if-none-match %s, if-modified-since %s",
             got, status, wish->range, wish->if_range, wish->if_none_match,
             wish->if_modified_since);
}

#define CHECK_WISH(status, ...) check_wish((status), &(struct wish){__VA_ARGS__})

TEST(conditions)
{
    CHECK_WISH(304, .if_none_match = "\"a,b\"");
    CHECK_WISH(304, .if_none_match = "W/\"a,b\"");
    CHECK_WISH(304, .if_none_match = "\"x\" , W/\"\", \"a,b\"");
    CHECK_WISH(304, .if_none_match = "*");
    CHECK_WISH(200, .if_none_match = "");
    CHECK_WISH(200, .if_none_match = "a,b");
    CHECK_WISH(200, .if_none_match = "\"a\", \"b\"");
    CHECK_WISH(200, .if_none_match = "\"a,b");
    CHECK_WISH(200, .if_none_match = "a,b\"");
    CHECK_WISH(200, .if_none_match = "\"x\"a,b\"");
    CHECK_WISH(200, .if_none_match = "\"x\"", .if_modified_since = LATER);
    CHECK_WISH(304, .if_none_match = "\"a,b\"", .if_modified_since = EARLIER);
    CHECK_WISH(304, .if_modified_since = MODIFIED);
    CHECK_WISH(304, .if_modified_since = LATER);
    CHECK_WISH(200, .if_modified_since = EARLIER);
    CHECK_WISH(200, .if_modified_since = "tomorrow");
    CHECK_WISH(206, .range = "bytes=0-0", .if_range = "\"a,b\"");
    CHECK_WISH(206, .range = "bytes=0-0", .if_range = MODIFIED);
    CHECK_WISH(200, .range = "bytes=0-0", .if_range = "W/\"a,b\"");
    CHECK_WISH(200, .range = "bytes=0-0", .if_range = "\"a,c\"");
    CHECK_WISH(200, .range = "bytes=0-0", .if_range = LATER);
    CHECK_WISH(200, .range = "bytes=0-0", .if_range = EARLIER);
    CHECK_WISH(200, .range = "bytes=99-", .if_range = "\"x\"");
    CHECK_WISH(304, .range = "bytes=99-", .if_none_match = "*");
}

TEST(dates)
{
    static const struct {
        const char *text;
        long long when;
    } dates[] = {{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
                 {MODIFIED, MODIFIED_TIME},
                 {"Tue, 29 Feb 2000 23:59:59 GMT", 951868799},
                 {"Tue, 19 Jan 2038 03:14:08 GMT", 2147483648},
                 {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799}};
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        char text[DATE_SIZE + 1];
        time_t when = -1;
        date_write(text, (time_t)dates[i].when);
        CHECK_STR(text, dates[i].text);
        CHECK(date_read(text_of(text), &when));
        CHECK_EQ(when, dates[i].when);
    }
    struct date_cache cache = {.made = 0};
    CHECK_EQ(strlen(date_now(&cache)), DATE_SIZE);
    CHECK_EQ(strlen(date_now(&cache)), DATE_SIZE);
}

TEST(no_dates)
{
    static const char *const texts[] = {
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMTx",
        "                             ",
        "%s%s%s%s%s%s%s%s%s%s%s%s%s%s%",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        time_t when = 7;
        CHECK(!date_read(text_of(texts[i]), &when));
        CHECK_EQ(when, 7);
    }
}

/* A file may bear a time that no date of HTTP can say; then it is some text of that size. */
TEST(dates_beyond_all_years)
{
    static const long long times[] = {INT64_MAX, INT64_MIN,    INT64_MAX / 2,
                                      -1,        253402300800, 67768036191676799};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[DATE_SIZE + 2] = "";
        text[DATE_SIZE + 1] = 'x';
        date_write(text, (time_t)times[i]);
        CHECK_EQ(strlen(text), DATE_SIZE);
        CHECK_EQ(text[DATE_SIZE + 1], 'x');
    }
}

#else

#include "harness/test.h"

TEST(ranges)
{
    SKIP("needs llhttp or http_parser");
}

#endif
