/* SPDX-License-Identifier: MIT
 *
 * What of a file a request wants: conditions (RFC 9110, section 13) and ranges (section 14).
 */
#ifndef HTTPD_RANGE_H
#define HTTPD_RANGE_H

#include <time.h>

#include "request.h"

/* The file as it is. */
struct file_state {
    uint64_t size;
    time_t modified;
    struct text tag; /* with its quotes */
};

struct range {
    uint64_t first, size;
};

/* The status: 200, all of it; 206, that range; 304, nothing, as the client has it; 416, the range
 * has nothing of it. range is set with each of these, if only to nothing. */
int range_select(const struct request *request, const struct file_state *file, struct range *range);

#endif
