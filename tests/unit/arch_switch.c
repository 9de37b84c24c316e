/* SPDX-License-Identifier: MIT
 *
 * The context switch against hand-made flows of control, without the scheduler: this file has a
 * wi_goroutine_entry of its own, and takes nothing from libweft.a but the first frame.
 */
#include "harness/test.h"

#include <fenv.h>
#include <pthread.h>
#include <ucontext.h>
#include <unwind.h>

#include "arch/arch.h"
#include "arch/sanitize.h"

enum { STACK_SIZE = 128 * 1024 };

struct flow {
    struct wi_context context;
    struct wi_sanitize sanitize;
    struct wi_fp_control fp;
    void *low;
    size_t size;
};

static struct flow thread, goroutine;
static void (*goroutine_body)(void);
static uintptr_t *entry_frame;
static _Alignas(4096) char stack[STACK_SIZE];

static inline __attribute__((always_inline)) void go_to(struct flow *from, struct flow *to)
{
    wi_sanitize_leave(&from->sanitize, &to->sanitize, to->low, to->size, false);
    wi_switch(&from->context, &to->context);
    wi_sanitize_arrive(&from->sanitize);
}

static void nothing(void)
{
}

/* Calls the body again at each switch to the goroutine after it returned. */
_Noreturn void wi_goroutine_entry(void)
{
    wi_sanitize_arrive(&goroutine.sanitize);
    entry_frame = __builtin_frame_address(0);
    for (;;) {
        goroutine_body();
        go_to(&goroutine, &thread);
    }
}

static void adopt_thread(void)
{
    pthread_attr_t attr;
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
    CHECK_EQ(pthread_attr_getstack(&attr, &thread.low, &thread.size), 0);
    pthread_attr_destroy(&attr);
    wi_sanitize_adopt(&thread.sanitize);
}

static void begin(void (*body)(void))
{
    adopt_thread();
    goroutine_body = body;
    goroutine.low = stack;
    goroutine.size = sizeof stack;
    wi_sanitize_begin(&goroutine.sanitize);
    wi_context_init(&goroutine.context, stack + sizeof stack);
}

static void end(void)
{
    wi_sanitize_end(&goroutine.sanitize, goroutine.low, goroutine.size);
}

#if defined(__x86_64__)
#define R(name) "movq $-1, %%" #name "\n\t"
#define V(n)    "pcmpeqd %%xmm" #n ", %%xmm" #n "\n\t"
#define CORE_REGISTERS(r)                                                                          \
    r(rax) r(rbx) r(rcx) r(rdx) r(rsi) r(rdi) r(r8) r(r9) r(r10) r(r11) r(r12) r(r13) r(r14) r(r15)
#define VECTOR_REGISTERS(v)                                                                        \
    v(0) v(1) v(2) v(3) v(4) v(5) v(6) v(7) v(8) v(9) v(10) v(11) v(12) v(13) v(14) v(15)
#define OTHER_REGISTERS                                                                            \
    "fninit\n\tfldz\n\tfldz\n\tfldz\n\tfldz\n\tfldz\n\tfldz\n\tfldz\n\tfldz\n\tfninit\n\t"
#define CLOBBERS                                                                                   \
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",       \
        "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",     \
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)",     \
        "st(4)", "st(5)", "st(6)", "st(7)", "cc"
#elif defined(__aarch64__)
#define R(n) "mov x" #n ", #-1\n\t"
#define V(n) "movi v" #n ".16b, #255\n\t"
#define CORE_REGISTERS(r)                                                                          \
    r(0) r(1) r(2) r(3) r(4) r(5) r(6) r(7) r(8) r(9) r(10) r(11) r(12) r(13) r(14) r(15) r(16)    \
        r(17) r(19) r(20) r(21) r(22) r(23) r(24) r(25) r(26) r(27) r(28) r(30)
#define VECTOR_REGISTERS(v)                                                                        \
    v(0) v(1) v(2) v(3) v(4) v(5) v(6) v(7) v(8) v(9) v(10) v(11) v(12) v(13) v(14) v(15) v(16)    \
        v(17) v(18) v(19) v(20) v(21) v(22) v(23) v(24) v(25) v(26) v(27) v(28) v(29) v(30) v(31)
#define OTHER_REGISTERS ""
#define CLOBBERS                                                                                   \
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", \
        "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", \
        "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",    \
        "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", \
        "v26", "v27", "v28", "v29", "v30", "v31", "cc"
#endif

/* A goroutine that fills every register that a context does not hold, and switches back. In one
 * function: returning would restore some of them. */
static void trash_registers(void)
{
    for (;;) {
        __asm__ volatile(CORE_REGISTERS(R) VECTOR_REGISTERS(V) OTHER_REGISTERS : : : CLOBBERS);
        go_to(&goroutine, &thread);
    }
}

/* ---- What is live stays ---- */

enum { ROUNDS = 1000, LIVE = 32, LIVE_LONG = 7 };

static volatile uint64_t integers[LIVE];
static volatile double doubles[LIVE];
static volatile long double long_doubles[LIVE_LONG];

/* As many values as there are registers, all live over an inlined switch. They are computed, since
 * what was only loaded the compiler leaves in memory. */
static __attribute__((noinline)) void keep_integers(void)
{
    uint64_t live[LIVE];
#pragma GCC unroll 32
    for (int i = 0; i < LIVE; i++)
        live[i] = integers[i] * 3;
    go_to(&thread, &goroutine);
#pragma GCC unroll 32
    for (int i = 0; i < LIVE; i++)
        if (live[i] != integers[i] * 3)
            FAIL("integer %d is lost", i);
}

static __attribute__((noinline)) void keep_doubles(void)
{
    double live[LIVE];
#pragma GCC unroll 32
    for (int i = 0; i < LIVE; i++)
        live[i] = doubles[i] + 1;
    go_to(&thread, &goroutine);
#pragma GCC unroll 32
    for (int i = 0; i < LIVE; i++)
        if (!(live[i] - doubles[i] == 1))
            FAIL("double %d is lost", i);
}

static __attribute__((noinline)) void keep_long_doubles(void)
{
    long double live[LIVE_LONG];
#pragma GCC unroll 32
    for (int i = 0; i < LIVE_LONG; i++)
        live[i] = long_doubles[i] + 1;
    go_to(&thread, &goroutine);
#pragma GCC unroll 32
    for (int i = 0; i < LIVE_LONG; i++)
        if (!(live[i] - long_doubles[i] == 1))
            FAIL("long double %d is lost", i);
}

TEST(live_values_survive)
{
    for (int i = 0; i < LIVE; i++) {
        integers[i] = test_random();
        doubles[i] = i;
    }
    for (int i = 0; i < LIVE_LONG; i++)
        long_doubles[i] = i;
    begin(trash_registers);
    for (int round = 0; round < ROUNDS; round++) {
        keep_integers();
        keep_doubles();
        keep_long_doubles();
    }
    end();
}

/* A function that switches preserves what the ABI says a call preserves. Register variables stay
 * where they are told over a call that preserves them. */
static __attribute__((noinline)) void call_that_switches(void)
{
    go_to(&thread, &goroutine);
}

#if defined(__x86_64__)
#define EACH_CALLEE_SAVED(m) m(rbx, "r") m(r12, "r") m(r13, "r") m(r14, "r") m(r15, "r")
#elif defined(__aarch64__)
#define EACH_CALLEE_SAVED(m)                                                                       \
    m(x19, "r") m(x20, "r") m(x21, "r") m(x22, "r") m(x23, "r") m(x24, "r") m(x25, "r")            \
        m(x26, "r") m(x27, "r") m(x28, "r") m(d8, "w") m(d9, "w") m(d10, "w") m(d11, "w")          \
            m(d12, "w") m(d13, "w") m(d14, "w") m(d15, "w")
#endif

#define DECLARE(reg, constraint) register uint64_t reg __asm__(#reg) = (uint64_t)(uintptr_t) #reg;
#define PIN(reg, constraint)     __asm__ volatile("" : "+" constraint(reg));
#define VERIFY(reg, constraint)  CHECK_EQ(reg, (uint64_t)(uintptr_t) #reg);

TEST(callee_saved_registers_survive)
{
    begin(trash_registers);
    for (int round = 0; round < ROUNDS; round++) {
        EACH_CALLEE_SAVED(DECLARE)
        EACH_CALLEE_SAVED(PIN)
        call_that_switches();
        EACH_CALLEE_SAVED(PIN)
        EACH_CALLEE_SAVED(VERIFY)
    }
    end();
}

/* ---- The first frame ---- */

static void check_alignment(void)
{
    _Alignas(16) volatile char aligned[16] = {0};
    CHECK_EQ((uintptr_t)aligned % 16, 0);
    /* The frame's pair of saved frame pointer and return address. */
    CHECK_EQ((uintptr_t)__builtin_frame_address(0) % 16, 0);
}

static void check_stack_is_empty(void)
{
    char *frame = __builtin_frame_address(0);
    CHECK(frame > stack + sizeof stack - 2048 && frame < stack + sizeof stack);
}

TEST(stack_is_aligned)
{
    begin(check_alignment);
    go_to(&thread, &goroutine);
    end();
}

TEST(stack_is_used_from_its_end)
{
    begin(check_stack_is_empty);
    go_to(&thread, &goroutine);
    end();
}

/* ---- Unwinding ---- */

enum { DEPTH = 10, FRAMES_MAX = 100 };

struct trace {
    uintptr_t pcs[FRAMES_MAX];
    int frames;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
    struct trace *trace = arg;
    uintptr_t pc = _Unwind_GetIP(context);
    if (trace->frames == FRAMES_MAX)
        return _URC_NORMAL_STOP;
    if (pc) /* libgcc shows the end of the stack as a last frame at 0. */
        trace->pcs[trace->frames++] = pc;
    return _URC_NO_REASON;
}

/* An unwinder that runs off the end of the stack crashes, or takes some word there for a return
 * address and reports an error. */
static void check_unwinds(struct trace *trace)
{
    trace->frames = 0;
    CHECK_EQ(_Unwind_Backtrace(add_frame, trace), _URC_END_OF_STACK);
    CHECK_LT(trace->frames, FRAMES_MAX);
}

static bool in_first_frame(uintptr_t pc)
{
    uintptr_t start = (uintptr_t)wi_goroutine_start;
    return pc > start && pc < start + 32;
}

static __attribute__((noinline)) void unwind_from(int depth)
{
    if (depth > 0) {
        unwind_from(depth - 1);
        __asm__ volatile(""); /* No tail call. */
        return;
    }
    struct trace trace;
    check_unwinds(&trace);
    CHECK_GE(trace.frames, DEPTH + 2);
    CHECK(in_first_frame(trace.pcs[trace.frames - 1]));

    /* And after a switch there and back. */
    go_to(&goroutine, &thread);
    check_unwinds(&trace);
    CHECK(in_first_frame(trace.pcs[trace.frames - 1]));
}

static void unwind_from_depth(void)
{
    unwind_from(DEPTH);
}

TEST(unwinds_to_the_first_frame)
{
    begin(unwind_from_depth);
    go_to(&thread, &goroutine);
    go_to(&thread, &goroutine);
    end();
}

/* For profilers that follow frame pointers. A frame is {previous frame, return address}, which AArch64
 * may have signed in its upper bits. */
TEST(frame_pointers_end_at_the_first_frame)
{
    begin(nothing);
    go_to(&thread, &goroutine);
    CHECK_EQ(entry_frame[0], 0);
    CHECK(in_first_frame(entry_frame[1] & ((UINT64_C(1) << 48) - 1)));
    end();
}

#if defined(__x86_64__) && !TEST_ASAN && !TEST_TSAN
/* A profiler may sample at any instruction, those of the switch and of the first frame included:
 * the processor's trap flag makes it every instruction. */
enum { TRAP_FLAG = 0x100 };

static volatile sig_atomic_t stepping;
static volatile long steps, steps_in_first_frame;

static void step(int signal, siginfo_t *info, void *ucontext)
{
    (void)signal;
    (void)info;
    greg_t *registers = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
    struct trace trace;
    if (!stepping) {
        registers[REG_EFL] &= ~TRAP_FLAG;
        return;
    }
    registers[REG_EFL] |= TRAP_FLAG;
    check_unwinds(&trace);
    steps++;
    steps_in_first_frame += in_first_frame((uintptr_t)registers[REG_RIP]);
}

TEST(unwinds_at_every_instruction)
{
    static char signal_stack[64 * 1024];
    CHECK_EQ(sigaltstack(&(stack_t){.ss_sp = signal_stack, .ss_size = sizeof signal_stack}, NULL),
             0);
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);
    begin(nothing);
    stepping = 1;
    raise(SIGTRAP);
    go_to(&thread, &goroutine);
    go_to(&thread, &goroutine);
    stepping = 0;
    end();
    CHECK_GT(steps, 50);
    CHECK_GT(steps_in_first_frame, 0);
}
#endif

/* ---- Floating-point control ---- */

static void go_to_with_fp(struct flow *from, struct flow *to)
{
    wi_fp_control_read(&from->fp);
    wi_fp_control_switch(&from->fp, &to->fp);
    go_to(from, to);
}

static volatile double one = 1, three = 3;
static volatile long double long_one = 1, long_three = 3;

static void round_upward(void)
{
    fesetround(FE_UPWARD);
    double up = one / three;
    long double long_up = long_one / long_three;
    go_to_with_fp(&goroutine, &thread);
    CHECK_EQ(fegetround(), FE_UPWARD);
    CHECK(one / three == up && long_one / long_three == long_up);
    go_to_with_fp(&goroutine, &thread);
}

TEST(rounding_belongs_to_the_goroutine)
{
    double nearest = one / three;
    long double long_nearest = long_one / long_three;
    begin(round_upward);
    wi_fp_control_read(&goroutine.fp);
    for (int i = 0; i < 2; i++) {
        go_to_with_fp(&thread, &goroutine);
        CHECK_EQ(fegetround(), FE_TONEAREST);
        CHECK(one / three == nearest && long_one / long_three == long_nearest);
    }
    end();
}

/* Sticky exception flags differ all the time, and must not make every switch load the control
 * words, nor are they part of what is preserved. */
TEST(exceptions_are_not_control)
{
    struct wi_fp_control clear, raised;
    feclearexcept(FE_ALL_EXCEPT);
    wi_fp_control_read(&clear);
    feraiseexcept(FE_INEXACT | FE_DIVBYZERO);
    wi_fp_control_read(&raised);
    wi_fp_control_switch(&raised, &clear);
    CHECK_EQ(fetestexcept(FE_DIVBYZERO), FE_DIVBYZERO);
}

/* ---- Threads ---- */

/* Not pthread_self(), which compilers think is the same before and after a switch. */
static pid_t seen[2];

static void look_at_thread(void)
{
    for (int i = 0;; i++) {
        seen[i] = gettid();
        go_to(&goroutine, &thread);
    }
}

static void *resume(void *arg)
{
    (void)arg;
    adopt_thread();
    go_to(&thread, &goroutine);
    return NULL;
}

TEST(resumes_on_another_thread)
{
    pthread_t other;
    begin(look_at_thread);
    go_to(&thread, &goroutine);
    CHECK_EQ(pthread_create(&other, NULL, resume, NULL), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_EQ(seen[0], gettid());
    CHECK_NE(seen[1], gettid());
    end();
}
