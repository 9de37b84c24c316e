/* SPDX-License-Identifier: MIT
 *
 * Catching signals to the process, for whoever takes them later.
 *
 * Each signal has a state. Unwanted: it is not caught. Wanted: the handler stands. Caught: it has
 * come, and was not taken.
 *   catch:   1. state = WANTED; 2. sigaction installs the handler.
 *   handler: 3. CAS WANTED -> CAUGHT, and to_take is called. CAUGHT: nothing, one to take is there.
 *            4. UNWANTED: the signal is raised again, on this thread.
 *   take:    5. CAS CAUGHT -> WANTED. True if that succeeds.
 *   release: 6. sigaction brings back the previous action; 7. exchange with UNWANTED. True: CAUGHT
 *            was found.
 *
 * The kernel may have decided for the handler long before it comes to step 3. If it gets there
 * before 7, whoever releases takes the signal; afterwards 4 gives it to the action that stands by
 * then, since 6 came before 7: the previous one, or ours if somebody wants the signal again. So
 * each signal has an effect. What 4 raises has lost its siginfo.
 *
 * A program that keeps our handler as the previous one of its own and brings it back too late would
 * make 4 repeat itself; it is therefore left out while the handler stands.
 */
#include "os/process.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

enum { UNWANTED, WANTED, CAUGHT };

static uint32_t states[WI_OS_SIGNALS + 1];           /* atomic */
static struct sigaction previous[WI_OS_SIGNALS + 1]; /* of those that are not unwanted */
static void (*to_take)(void);                        /* atomic; constant once set */

static void on_signal(int signo);

static bool is_ours(int signo)
{
    struct sigaction action;
    return sigaction(signo, NULL, &action) == 0 && action.sa_handler == on_signal;
}

static void on_signal(int signo)
{
    int saved = errno;
    uint32_t state = WANTED;
    if (wi_cas_seq_cst(&states[signo], &state, CAUGHT)) {
        void (*call)(void) = wi_load_acquire(&to_take);
        call();
    } else if (state == UNWANTED && !is_ours(signo)) {
        raise(signo);
    }
    errno = saved;
}

bool wi_os_signal_can_catch(int signo)
{
    switch (signo) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGURG:
        return false;
    default: /* between the two kinds are the thread library's */
        return (signo >= 1 && signo <= SIGSYS) || (signo >= SIGRTMIN && signo <= SIGRTMAX);
    }
}

/* Not SA_NODEFER: a signal interrupts its own handler on no thread. */
void wi_os_signal_catch(int signo, void (*call)(void))
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    wi_store_release(&to_take, call);
    wi_store_seq_cst(&states[signo], WANTED);
    sigaction(signo, &action, &previous[signo]);
}

bool wi_os_signal_take(int signo)
{
    uint32_t state = CAUGHT;
    return wi_cas_seq_cst(&states[signo], &state, WANTED);
}

bool wi_os_signal_release(int signo)
{
    sigaction(signo, &previous[signo], NULL);
    return wi_exchange_seq_cst(&states[signo], UNWANTED) == CAUGHT;
}
