/* SPDX-License-Identifier: MIT
 *
 * Glob patterns. See glob.h.
 */
#include "glob.h"

/* Whether c is in the class that begins after the '['. Moves *at behind the ']', or to the end of a
 * pattern that has none. */
static bool class_has(const char **at, const char *end, char c)
{
    const char *p = *at;
    bool inverted = p < end && *p == '^', found = false;
    for (p += inverted; p < end && *p != ']'; p++) {
        if (*p == '\\' && end - p >= 2) {
            p++;
            found |= *p == c;
        } else if (end - p >= 3 && p[1] == '-') {
            unsigned char low = (unsigned char)p[0], high = (unsigned char)p[2];
            if (low > high) {
                low = high;
                high = (unsigned char)p[0];
            }
            found |= (unsigned char)c >= low && (unsigned char)c <= high;
            p += 2;
        } else {
            found |= *p == c;
        }
    }
    *at = p < end ? p + 1 : p;
    return found != inverted;
}

/* Whether c matches what *at, which is no '*', begins with. Moves *at behind that. */
static bool matches_one(const char **at, const char *end, char c)
{
    char p = *(*at)++;
    if (p == '?')
        return true;
    if (p == '[')
        return class_has(at, end, c);
    if (p == '\\' && *at < end)
        p = *(*at)++;
    return p == c;
}

/* Where it fails, the last '*' takes one character more. Those before it need not: what they could
 * take the last one can. */
bool glob_match(const char *pattern, size_t pattern_size, const char *text, size_t size)
{
    const char *end = pattern + pattern_size, *text_end = text + size;
    const char *star = NULL, *taken = NULL; /* behind the last '*', and how far that reaches */
    while (text < text_end) {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            taken = text;
        } else if (pattern < end && matches_one(&pattern, end, *text)) {
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++taken;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}
