/* SPDX-License-Identifier: MIT
 *
 * Those that nobody uses are kept in a few slots, which are exchanged as a whole, so that there is
 * no lock; when the slots are full they go back to malloc.
 */
#include "workspace.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "httpd.h"

enum { SPARE = 16 };

static _Atomic(struct workspace *) spare[SPARE]; /* each NULL or a workspace that nobody uses */

static struct workspace *take(void)
{
    for (int i = 0; i < SPARE; i++) {
        struct workspace *found = NULL;
        if (atomic_load_explicit(&spare[i], memory_order_relaxed) != NULL)
            found = atomic_exchange(&spare[i], NULL);
        if (found != NULL)
            return found;
    }
    struct workspace *made = malloc(sizeof *made);
    if (made != NULL)
        made->output.date.made = 0;
    return made;
}

struct workspace *workspace_get(int fd, const char *bytes, size_t size)
{
    struct workspace *workspace = take();
    if (workspace == NULL)
        return NULL;
    size_t room;
    request_init(&workspace->request, &settings.limits, workspace->input, WORKSPACE_INPUT);
    memcpy(request_room(&workspace->request, &room), bytes, size);
    request_filled(&workspace->request, size);
    output_init(&workspace->output, fd);
    return workspace;
}

void workspace_put(struct workspace *workspace)
{
    request_end(&workspace->request);
    for (int i = 0; i < SPARE; i++) {
        struct workspace *none = NULL;
        if (atomic_compare_exchange_strong(&spare[i], &none, workspace))
            return;
    }
    free(workspace);
}
