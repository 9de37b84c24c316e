/* SPDX-License-Identifier: MIT
 *
 * A run: from weft_run's call to its return.
 *
 * The calling thread does not run goroutines; it becomes sysmon. So the main goroutine's end never
 * waits for whatever the first thread happens to be stuck in, and there is one thread less.
 *
 * The end of a run: 1. the main goroutine returns, sysmon stops; 2. the number of Ps is set to 0,
 * which takes every P away from its M, in user code too (p.c, seize.c), so that no goroutine is
 * scheduled any more; 3. Ms end, those in user code are left to themselves (m.c); 4. goroutines
 * that are left are taken apart. Slabs, stacks and Ps stay for the next run.
 */
#include <errno.h>
#include <stdlib.h>

#include <weft/go.h>

#include "core/fork.h"
#include "core/netpoll.h"
#include "core/procs.h"
#include "core/sched.h"
#include "core/self.h"
#include "core/spawn.h"

/* The main goroutine's stack is as large as a main thread's usually is. */
#define MAIN_STACK ((size_t)8 << 20)

uint32_t wi_run_taken;

struct main_call {
    int (*fn)(int argc, char **argv);
    int argc;
    char **argv;
    int status;
};

static void call_main(void *arg)
{
    struct main_call *call = arg;
    call->status = call->fn(call->argc, call->argv);
    wi_sanitize_release(&wi_sched); /* weft_run may return before this goroutine has ended */
    wi_sysmon_end();
}

/* What stays as it is for all runs. */
static int initialise_process(void)
{
    static bool done; /* guarded by there being one weft_run at a time */
    int error;
    if (done)
        return 0;
    if ((error = wi_os_fence_init()) != 0 || (error = wi_fork_init()) != 0 ||
        (error = wi_stack_init()) != 0 || (error = wi_g_init()) != 0 ||
        (error = wi_globq_init(&wi_sched.queue)) != 0 || (error = wi_p_make_first()) != 0)
        return error;
    wi_os_fault_init(wi_fault);
    done = true;
    return 0;
}

/* While it is open, goroutines can be started and the number of Ps be changed. */
static void open_run(bool open)
{
    wi_lock(&wi_sched.lock);
    wi_store_release(&wi_sched.running, open);
    wi_unlock(&wi_sched.lock);
}

/* The main goroutine's stack is had beforehand: without it only the caller can be told. */
static int reserve_main_stack(uint8_t class)
{
    struct wi_stack *stack = wi_stack_get_slow(NULL, class);
    if (!stack)
        return -ENOMEM;
    wi_stack_put(NULL, stack);
    return 0;
}

static int start(struct main_call *call)
{
    struct wi_spawn request = {.fn = call_main,
                               .arg = call,
                               .name = "main",
                               .stack_class = wi_stack_class_for(MAIN_STACK)};
    int error = reserve_main_stack(request.stack_class);
    if (error || (error = wi_netpoll_init()) != 0)
        return error;
    wi_fp_control_read(&wi_sched.fp);
    wi_store_seq_cst(&wi_sched.last_poll, wi_os_now());
    wi_store_relaxed(&wi_sched.thread_failed, false);
    wi_store_relaxed(&wi_sched.starved_since, 0);
    wi_sysmon_begin();
    open_run(true);
    error = wi_p_resize((uint32_t)wi_procs_wanted());
    if (!error)
        error = wi_spawn_with(NULL, &request);
    wi_lock(&wi_sched.lock);
    /* Without one that failed, a foreign thread that starts goroutines too may be about to make it. */
    if (!error && wi_sched.m_count == 0 && wi_load_relaxed(&wi_sched.thread_failed)) {
        wi_store_relaxed(&wi_sched.thread_failed, false);
        error = -EAGAIN;
    }
    wi_unlock(&wi_sched.lock);
    return error;
}

static void discard(struct wi_g *gp, void *arg)
{
    (void)arg;
    uint32_t status = wi_load_acquire(&gp->status);
    if (status != WI_G_RUNNABLE && status != WI_G_WAITING)
        return;
    if (gp->stack)
        wi_sanitize_release_for(&gp->sanitize, &wi_sched);
    wi_goroutine_free(NULL, gp);
}

/* From step 2 on nothing enters a run queue (submit.c), and after wi_m_end_all nothing but foreign
 * threads could ready a goroutine. */
static void finish(void)
{
    open_run(false);
    wi_p_resize(0);
    wi_m_end_all();
    wi_sysmon_finish();
    wi_fetch_add_seq_cst(&wi_sched.run, 1); /* timers that were set in it are forgotten */
    wi_netpoll_fini();
    wi_lock(&wi_sched.lock);
    wi_sched.queue.head = wi_sched.queue.tail;
    wi_store_relaxed(&wi_sched.queue_size, 0);
    wi_unlock(&wi_sched.lock);
    wi_g_each(discard, NULL);
    wi_store_relaxed(&wi_sched.discarded, wi_sched.discarded + (uint64_t)wi_goroutine_count());
}

int weft_run(int (*main_fn)(int argc, char **argv), int argc, char **argv)
{
    if (!main_fn)
        return -EINVAL;
    if (wi_load_relaxed(&wi_forked))
        wi_fork_fatal();
    uint32_t expected = 0;
    if (wi_getm() || !wi_cas_acq_rel(&wi_run_taken, &expected, 1))
        return -EBUSY;

    struct main_call call = {.fn = main_fn, .argc = argc, .argv = argv};
    int error = initialise_process();
    if (!error) {
        error = start(&call);
        wi_sanitize_hide();
        if (!error)
            wi_sysmon();
        finish();
        wi_sanitize_show();
        wi_sanitize_acquire(
            &wi_sched); /* pairs with the releases in wi_goroutine_exit and discard */
    }
    wi_store_release(&wi_run_taken, 0);
    return error ? error : call.status;
}
