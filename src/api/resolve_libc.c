/* SPDX-License-Identifier: MIT
 *
 * Lookups by the C library, which blocks: in its hosts file, in DNS, in whatever the system's
 * administrator has put behind getaddrinfo.
 *
 * A goroutine passes a gate, so that lookups hold no more than LIMIT threads, and starts a helper
 * that makes the call in a declared blocking region. The two share a struct job:
 *
 *   1. the caller: enters the gate, makes the job, starts the helper, waits for done.
 *   2. the helper: makes the call, stores the result in the job, and CASes state from PENDING to
 *      FINISHED. Then it leaves the gate, and, last, is done: the caller frees the job.
 *   3. the caller, when its time is up: CASes state from PENDING to ABANDONED, and goes; the helper
 *      finds it so in 2, and frees the job. If the helper was faster, done is on its way, and the
 *      caller waits for that.
 *
 * So a caller whose time is up leaves at once, and its call goes on and keeps its place in the
 * gate: the bound is on threads, whoever waits for them. A foreign thread brings a thread of its
 * own. It makes the call itself, without a gate, and its deadline cannot end it.
 *
 * The end of a run discards callers, and helpers, which are still in their calls then; a call
 * finishes on its thread, frees what nobody will ask for, and the thread ends. The jobs of callers
 * that were discarded, at most LIMIT of them, are lost memory, as all that a discarded goroutine
 * owned (weft_run).
 *
 * Rejected: the call on the caller's goroutine, where nothing could end the wait.
 */
#include "api/resolve.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <weft/sync.h>

#include "api/gate.h"
#include "base/atomic.h"
#include "core/blocking.h"
#include "core/park.h"
#include "core/spawn.h"
#include "os/name.h"

enum { LIMIT = 4 };

static struct wi_gate gate;

enum { PENDING, FINISHED, ABANDONED };

struct job {
    uint32_t state; /* atomic */
    weft_waitgroup done;
    struct wi_lookup lookup; /* constant; its strings follow the struct */
    int result;              /* and list: the helper's until done, then the caller's */
    struct wi_address *list;
    char strings[];
};

/* ---- The call ---- */

static int copy_list(const struct addrinfo *info, int type, struct wi_address **list)
{
    size_t size = 0;
    int count = 0;
    for (const struct addrinfo *p = info; p; p = p->ai_next)
        size++;
    struct wi_address *copy = calloc(size ? size : 1, sizeof *copy);
    if (!copy)
        return -ENOMEM;
    for (const struct addrinfo *p = info; p; p = p->ai_next)
        count += wi_address_copy(&copy[count], p->ai_addr, p->ai_addrlen, type);
    if (count == 0) {
        free(copy);
        return -ENODATA;
    }
    *list = copy;
    return count;
}

static int call(const struct wi_lookup *lookup, struct wi_address **list)
{
    struct addrinfo *info;
    int result = wi_os_resolve(lookup->host, lookup->service, lookup->family, lookup->type, &info);
    if (result)
        return result;
    result = copy_list(info, lookup->type, list);
    freeaddrinfo(info);
    return result;
}

/* ---- Jobs ---- */

static const char *keep(char **room, const char *string)
{
    if (!string)
        return NULL;
    size_t size = strlen(string) + 1;
    char *copy = *room;
    memcpy(copy, string, size);
    *room += size;
    return copy;
}

static struct job *job_new(const struct wi_lookup *lookup)
{
    size_t size = sizeof(struct job);
    size += lookup->host ? strlen(lookup->host) + 1 : 0;
    size += lookup->service ? strlen(lookup->service) + 1 : 0;
    struct job *job = calloc(1, size);
    if (!job)
        return NULL;
    char *room = job->strings;
    job->lookup = *lookup;
    job->lookup.host = keep(&room, lookup->host);
    job->lookup.service = keep(&room, lookup->service);
    weft_waitgroup_add(&job->done, 1);
    return job;
}

static void job_free(struct job *job)
{
    free(job->list);
    free(job);
}

/* True for one of the two. */
static bool leave_pending(struct job *job, uint32_t state)
{
    uint32_t pending = PENDING;
    wi_sanitize_release(job);
    if (wi_cas_acq_rel(&job->state, &pending, state))
        return true;
    wi_sanitize_acquire(job);
    return false;
}

/* Step 2. Nobody else knows an abandoned job; so it is freed before the run's end could keep that
 * from happening. */
static void help(void *arg)
{
    struct job *job = arg;
    struct wi_g *gp = wi_enter();
    wi_block_begin(gp);
    job->result = call(&job->lookup, &job->list);
    bool wanted = leave_pending(job, FINISHED);
    if (!wanted)
        job_free(job);
    wi_block_end(gp);
    wi_gate_leave(&gate);
    wi_leave(gp);
    if (wanted)
        weft_waitgroup_done(&job->done);
}

/* Past the gate: a job whose helper has been started, or NULL. The limit on goroutines is the
 * program's own. */
static struct job *start(struct wi_g *gp, const struct wi_lookup *lookup)
{
    struct job *job = job_new(lookup);
    struct wi_spawn request = {.fn = help,
                               .arg = job,
                               .name = "resolver",
                               .stack_class = WI_STACK_CLASS_DEFAULT,
                               .unlimited = true};
    if (job && wi_spawn_with(gp, &request) == 0)
        return job;
    wi_gate_leave(&gate);
    free(job);
    return NULL;
}

/* Steps 1 and 3. */
static int finish(struct job *job, int64_t deadline, struct wi_address **list)
{
    if (weft_waitgroup_wait_until(&job->done, deadline) != 0) {
        if (leave_pending(job, ABANDONED))
            return -ETIMEDOUT;
        weft_waitgroup_wait(&job->done);
    }
    int result = job->result;
    if (result > 0) {
        *list = job->list;
        job->list = NULL;
    }
    job_free(job);
    return result;
}

int wi_resolve_libc(const struct wi_lookup *lookup, int64_t deadline, struct wi_address **list)
{
    struct wi_g *gp = wi_enter();
    if (gp->foreign)
        return call(lookup, list);
    struct job *job = NULL;
    int result = wi_gate_enter(gp, &gate, LIMIT, deadline);
    if (result == 0) {
        job = start(gp, lookup);
        result = job ? 0 : -ENOMEM;
    }
    wi_leave(gp);
    return job ? finish(job, deadline, list) : result;
}
