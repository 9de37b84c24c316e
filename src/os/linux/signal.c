/* SPDX-License-Identifier: MIT
 *
 * Memory faults, and the stacks on which they are reported.
 *
 * The handler stands in front of whatever the program or a sanitizer had installed before: a fault
 * that is not weft's goes on to it as if weft were not there.
 */
#include "os/os.h"
#include "base/atomic.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* A traceback needs room, and sanitizers use about half of it. */
#define ALTSTACK_MIN ((size_t)64 * 1024)

static wi_os_fault_handler fault_handler; /* atomic; constant once set */

/* What was installed before, written before our handler is. */
static struct sigaction previous_segv;
static struct sigaction previous_bus;

/* Whether the signal was sent, by kill or sigqueue, and not raised by an instruction. */
static bool was_sent(const siginfo_t *info)
{
    return info->si_code <= 0;
}

/* Ends the process the way it would have ended without us. */
static void fall_to_default(int sig, const siginfo_t *info)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(sig, &action, NULL);
    /* A faulting instruction is repeated when the handler returns and now kills; a signal that was
     * sent has to be sent again, and arrives when the handler returns. */
    if (was_sent(info))
        raise(sig);
}

/* Hands the signal on as the kernel would have. */
static void call_previous(int sig, siginfo_t *info, void *context)
{
    struct sigaction *previous = sig == SIGSEGV ? &previous_segv : &previous_bus;
    struct sigaction action = *previous;
    if (action.sa_handler == SIG_IGN && was_sent(info))
        return;
    /* The kernel does not let a fault be ignored either. */
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {
        fall_to_default(sig, info);
        return;
    }
    if ((action.sa_flags & SA_RESETHAND) != 0)
        *previous = (struct sigaction){.sa_handler = SIG_DFL};
    /* Our own return restores the mask. */
    pthread_sigmask(SIG_BLOCK, &action.sa_mask, NULL);
    if ((action.sa_flags & SA_SIGINFO) != 0)
        action.sa_sigaction(sig, info, context);
    else
        action.sa_handler(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    wi_os_fault_handler handler = wi_load_acquire(&fault_handler);
    /* Of a signal that was sent si_addr holds something else. */
    if (was_sent(info) || !handler(info->si_addr))
        call_previous(sig, info, context);
    errno = saved;
}

void wi_os_fault_init(wi_os_fault_handler handler)
{
    wi_os_fault_handler none = NULL;
    /* Not twice: our own handler would be its own predecessor. */
    if (!wi_cas_acq_rel(&fault_handler, &none, handler))
        return;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    /* In two steps, since the first fault may come before sigaction has returned. */
    sigaction(SIGSEGV, NULL, &previous_segv);
    sigaction(SIGBUS, NULL, &previous_bus);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* The same at every call, so that freeing needs no header. */
static size_t altstack_size(void)
{
    size_t size = ALTSTACK_MIN;
#ifdef _SC_SIGSTKSZ /* glibc 2.34; grows with the processor's register state */
    long wanted = sysconf(_SC_SIGSTKSZ);
    if (wanted > 0 && (size_t)wanted > size)
        size = (size_t)wanted;
#endif
    size_t page = wi_os_page_size();
    return (size + page - 1) & ~(page - 1);
}

void *wi_os_altstack_new(void)
{
    stack_t current;
    if (sigaltstack(NULL, &current) != 0 || (current.ss_flags & SS_DISABLE) == 0)
        return NULL;
    size_t page = wi_os_page_size();
    size_t size = altstack_size();
    char *memory = mmap(NULL, page + size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    /* Only the rung that costs no mapping: nothing depends on this guard. */
    if (wi_os_guard_works(WI_OS_GUARD_MADVISE))
        wi_os_guard_install(WI_OS_GUARD_MADVISE, memory, page);
    stack_t stack = {.ss_sp = memory + page, .ss_size = size};
    if (sigaltstack(&stack, NULL) != 0) {
        munmap(memory, page + size);
        return NULL;
    }
    return memory;
}

void wi_os_altstack_free(void *memory)
{
    if (memory == NULL)
        return;
    size_t page = wi_os_page_size();
    stack_t current;
    /* Unless the program has put another in its place. */
    if (sigaltstack(NULL, &current) == 0 && current.ss_sp == (char *)memory + page) {
        stack_t none = {.ss_flags = SS_DISABLE};
        sigaltstack(&none, NULL);
    }
    munmap(memory, page + altstack_size());
}
