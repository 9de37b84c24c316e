/* SPDX-License-Identifier: MIT
 *
 * Writing is done often, reading seldom; so the latter is checked by the former.
 */
#include "date.h"

#include <stdio.h>

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static char *two_digits(char *at, int number)
{
    *at++ = (char)('0' + number / 10 % 10);
    *at++ = (char)('0' + number % 10);
    return at;
}

/* Not by strftime, which would use the locale's names. */
void date_write(char text[DATE_SIZE + 1], time_t when)
{
    struct tm tm = {.tm_mday = 1}; /* if that is too far away for gmtime_r */
    gmtime_r(&when, &tm);
    memcpy(text, "ddd, 00 mmm 0000 00:00:00 GMT", DATE_SIZE + 1);
    memcpy(text, days[tm.tm_wday], 3);
    two_digits(text + 5, tm.tm_mday);
    memcpy(text + 8, months[tm.tm_mon], 3);
    two_digits(two_digits(text + 12, (tm.tm_year + 1900) / 100), tm.tm_year % 100);
    two_digits(text + 17, tm.tm_hour);
    two_digits(text + 20, tm.tm_min);
    two_digits(text + 23, tm.tm_sec);
}

/* Taken apart, and right if writing it gives the same text. */
bool date_read(struct text text, time_t *when)
{
    char copy[DATE_SIZE + 1], again[DATE_SIZE + 1], month[4];
    struct tm tm = {.tm_isdst = 0};
    if (text.size != DATE_SIZE)
        return false;
    memcpy(copy, text.at, DATE_SIZE);
    copy[DATE_SIZE] = '\0';
    if (sscanf(copy, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
        return false;
    while (tm.tm_mon < 11 && strcmp(months[tm.tm_mon], month) != 0)
        tm.tm_mon++;
    tm.tm_year -= 1900;
    time_t time = timegm(&tm);
    date_write(again, time);
    if (memcmp(copy, again, DATE_SIZE) != 0)
        return false;
    *when = time;
    return true;
}

const char *date_now(struct date_cache *cache)
{
    time_t now = time(NULL);
    if (now != cache->made) {
        date_write(cache->text, now);
        cache->made = now;
    }
    return cache->text;
}
