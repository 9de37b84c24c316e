/* SPDX-License-Identifier: MIT
 *
 * Memory faults: weft's handler comes first, then what was there before it, then death.
 *
 * Most tests say what was there before, so that they mean the same under sanitizers, which install
 * handlers of their own.
 */
#include "harness/test.h"
#include "os/os.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* ---- Ways to fault ---- */

/* Never mapped; volatile, or the compiler complains. */
static volatile uintptr_t nowhere = 0x128;

static void touch_nowhere(void)
{
    *(volatile char *)nowhere = 1;
}

/* A page of a file behind the file's end raises SIGBUS. */
static void touch_behind_file(void)
{
    int fd = memfd_create("empty", MFD_CLOEXEC);
    CHECK_GE(fd, 0);
    volatile char *page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(page != MAP_FAILED);
    page[0] = 1;
}

/* A page that faults until it is repaired. */
static char *broken;

static void make_broken(void)
{
    broken = mmap(NULL, wi_os_page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(broken != MAP_FAILED);
}

static bool repair(void *address)
{
    errno = 77;
    return address == broken && mprotect(broken, wi_os_page_size(), PROT_READ | PROT_WRITE) == 0;
}

/* ---- Handlers ---- */

static void say(const char *text)
{
    wi_os_write(STDERR_FILENO, text, strlen(text));
}

static bool end_here(void *address)
{
    say((uintptr_t)address == nowhere ? "fault at the address\n" : "fault elsewhere\n");
    wi_os_exit(2);
}

static int declined;

static bool decline(void *address)
{
    (void)address;
    declined++;
    say("declined\n");
    return false;
}

/* Sets what is there before weft. */
static void install_previous(int sig, const struct sigaction *action)
{
    struct rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
    CHECK_EQ(setrlimit(RLIMIT_CORE, &no_core), 0);
    CHECK_EQ(sigaction(sig, action, NULL), 0);
}

static void install_default(int sig)
{
    install_previous(sig, &(struct sigaction){.sa_handler = SIG_DFL});
}

static void plain_handler(int sig)
{
    say(sig == SIGSEGV ? "plain handler\n" : "wrong signal\n");
    wi_os_exit(5);
}

/* ---- Weft's handler ---- */

DEATH_TEST(gets_the_address, 2, "fault at the address")
{
    wi_os_fault_init(end_here);
    touch_nowhere();
}

DEATH_TEST(gets_bus_errors, 2, "fault elsewhere")
{
    wi_os_fault_init(end_here);
    touch_behind_file();
}

TEST(may_repair)
{
    make_broken();
    wi_os_fault_init(repair);
    errno = 4;
    *(volatile char *)broken = 1;
    CHECK_EQ(errno, 4);
    CHECK_EQ(broken[0], 1);
}

DEATH_TEST(second_init_changes_nothing, 2, "fault at the address")
{
    wi_os_fault_init(end_here);
    wi_os_fault_init(decline);
    touch_nowhere();
}

/* ---- Nothing there before ---- */

SIGNAL_TEST(default_kills, SIGSEGV, "declined")
{
    install_default(SIGSEGV);
    wi_os_fault_init(decline);
    touch_nowhere();
}

SIGNAL_TEST(default_kills_on_bus_error, SIGBUS, "declined")
{
    install_default(SIGBUS);
    wi_os_fault_init(decline);
    touch_behind_file();
}

SIGNAL_TEST(sent_signal_kills, SIGSEGV, "")
{
    install_default(SIGSEGV);
    wi_os_fault_init(end_here);
    raise(SIGSEGV);
}

SIGNAL_TEST(a_fault_cannot_be_ignored, SIGSEGV, "declined")
{
    install_previous(SIGSEGV, &(struct sigaction){.sa_handler = SIG_IGN});
    wi_os_fault_init(decline);
    touch_nowhere();
}

TEST(a_sent_signal_can_be_ignored)
{
    install_previous(SIGSEGV, &(struct sigaction){.sa_handler = SIG_IGN});
    wi_os_fault_init(decline);
    CHECK_EQ(raise(SIGSEGV), 0);
    CHECK_EQ(declined, 0);
}

/* ---- A handler there before ---- */

DEATH_TEST(plain_handler_before, 5, "declined\nplain handler")
{
    install_previous(SIGSEGV, &(struct sigaction){.sa_handler = plain_handler});
    wi_os_fault_init(decline);
    touch_nowhere();
}

DEATH_TEST(plain_handler_gets_sent_signals, 5, "plain handler")
{
    install_previous(SIGSEGV, &(struct sigaction){.sa_handler = plain_handler});
    wi_os_fault_init(end_here);
    raise(SIGSEGV);
}

DEATH_TEST(init_twice_does_not_loop, 5, "declined\nplain handler")
{
    install_previous(SIGSEGV, &(struct sigaction){.sa_handler = plain_handler});
    wi_os_fault_init(decline);
    wi_os_fault_init(decline);
    touch_nowhere();
}

static void info_handler(int sig, siginfo_t *info, void *context)
{
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    bool right = sig == SIGSEGV && info->si_signo == SIGSEGV && context != NULL &&
                 (uintptr_t)info->si_addr == nowhere && sigismember(&blocked, SIGUSR1) == 1;
    say(right ? "as if called by the kernel\n" : "wrong arguments\n");
    wi_os_exit(5);
}

DEATH_TEST(info_handler_before, 5, "as if called by the kernel")
{
    struct sigaction action = {.sa_sigaction = info_handler, .sa_flags = SA_SIGINFO};
    sigaddset(&action.sa_mask, SIGUSR1);
    install_previous(SIGSEGV, &action);
    wi_os_fault_init(decline);
    touch_nowhere();
}

static void repairing_handler(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    if (!repair(info->si_addr))
        wi_os_exit(6);
}

/* A garbage collector's write barrier, say, goes on working. */
TEST(repairing_handler_before)
{
    struct sigaction action = {.sa_sigaction = repairing_handler, .sa_flags = SA_SIGINFO};
    sigset_t blocked;
    sigaddset(&action.sa_mask, SIGUSR1);
    install_previous(SIGSEGV, &action);
    wi_os_fault_init(decline);
    for (int times = 1; times <= 3; times++) {
        make_broken();
        errno = 4;
        *(volatile char *)broken = 1;
        CHECK_EQ(errno, 4);
        CHECK_EQ(declined, times);
    }
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    CHECK_EQ(sigismember(&blocked, SIGUSR1), 0);
}

static void returning_handler(int sig)
{
    (void)sig;
    say("returns\n");
}

/* It counts on being called once and killed the next time. */
SIGNAL_TEST(one_shot_handler_before, SIGSEGV, "declined\nreturns\ndeclined\n")
{
    struct sigaction action = {.sa_handler = returning_handler, .sa_flags = (int)SA_RESETHAND};
    install_previous(SIGSEGV, &action);
    wi_os_fault_init(decline);
    touch_nowhere();
}

#if TEST_ASAN
DEATH_TEST(sanitizer_reports, 1, "AddressSanitizer: SEGV")
{
    wi_os_fault_init(decline);
    touch_nowhere();
}
#endif

/* ---- Alternate stacks ---- */

static stack_t current_altstack(void)
{
    stack_t stack;
    CHECK_EQ(sigaltstack(NULL, &stack), 0);
    return stack;
}

/* Takes away what a sanitizer gave the thread; to be set again afterwards. */
static stack_t take_altstack(void)
{
    stack_t stack = current_altstack();
    CHECK_EQ(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL), 0);
    return stack;
}

TEST(altstack)
{
    stack_t original = take_altstack();
    void *memory = wi_os_altstack_new();
    CHECK(memory != NULL);
    stack_t stack = current_altstack();
    CHECK_EQ(stack.ss_flags & SS_DISABLE, 0);
    CHECK_GE(stack.ss_size, 64 * 1024);
    memset(stack.ss_sp, 1, stack.ss_size);
    CHECK(wi_os_altstack_new() == NULL);
    CHECK(current_altstack().ss_sp == stack.ss_sp);
    wi_os_altstack_free(memory);
    CHECK_NE(current_altstack().ss_flags & SS_DISABLE, 0);
    CHECK_EQ(wi_os_resident_pages(memory, 1), -ENOMEM);
    wi_os_altstack_free(NULL);
    CHECK_EQ(sigaltstack(&original, NULL), 0);
}

/* The program has set one of its own since: it keeps it. */
TEST(altstack_replaced)
{
    static char theirs[256 * 1024];
    stack_t original = take_altstack();
    void *memory = wi_os_altstack_new();
    CHECK(memory != NULL);
    CHECK_EQ(sigaltstack(&(stack_t){.ss_sp = theirs, .ss_size = sizeof theirs}, NULL), 0);
    wi_os_altstack_free(memory);
    CHECK(current_altstack().ss_sp == theirs);
    CHECK_EQ(sigaltstack(&original, NULL), 0);
}

static bool report_overflow(void *address)
{
    void *low;
    size_t size;
    wi_os_thread_stack(&low, &size);
    /* The thread library's guard lies below what it calls the stack, or is its lowest part. */
    size_t offset = (size_t)((char *)address - (char *)low + 65536);
    say(offset < 131072 ? "stack overflow\n" : "fault elsewhere\n");
    wi_os_exit(2);
}

static volatile bool go_deeper = true;

static int deeper(int level)
{
    volatile char frame[512];
    frame[0] = (char)level;
    return go_deeper ? deeper(level + 1) + frame[0] : 0;
}

static void overflow(void *arg)
{
    (void)arg;
    (void)wi_os_altstack_new();
    deeper(0);
}

DEATH_TEST(overflow_is_reported_on_the_altstack, 2, "stack overflow")
{
    struct wi_os_thread thread;
    wi_os_fault_init(report_overflow);
    CHECK_EQ(wi_os_thread_start(&thread, overflow, NULL), 0);
    wi_os_thread_join(&thread);
}
