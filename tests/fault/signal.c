/* SPDX-License-Identifier: MIT
 *
 * No memory for a channel of signals: nothing has changed.
 */
#include "harness/test.h"

static int mallocs_left = -1; /* allocations to let through before they fail; negative: all */
static uint64_t failing;      /* the goroutine to which that happens */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    if (failing != 0 && weft_id() == failing && mallocs_left >= 0 && mallocs_left-- == 0)
        return NULL;
    return __real_malloc(size);
}

TEST_PROCS(no_memory)
{
    struct sigaction action;
    failing = weft_id();
    for (int i = 0; i < 2; i++) {
        mallocs_left = i;
        CHECK(weft_signal_chan(SIGUSR1) == NULL);
        CHECK_EQ(mallocs_left, -1);
        CHECK_EQ(sigaction(SIGUSR1, NULL, &action), 0);
        CHECK(action.sa_handler == SIG_DFL);
    }
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    CHECK(chan != NULL);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(weft_chan_recv(chan, NULL), 0);
    CHECK_EQ(weft_signal_stop(chan), 0);
}
