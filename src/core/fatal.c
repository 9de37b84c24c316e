/* SPDX-License-Identifier: MIT
 *
 * Reports that end the process, with status 2 as in Go. They allocate nothing and go through one
 * write each, so that they work when little else does.
 */
#include <stdarg.h>
#include <stdio.h>

#include <weft/panic.h>

#include "core/sched.h"
#include "core/self.h"

enum { EXIT_FAILED = 2, LINE = 1024 };

static void print(const char *format, va_list arguments)
{
    char line[LINE];
    int size = vsnprintf(line, sizeof line, format, arguments);
    if (size >= LINE)
        size = LINE - 1;
    if (size > 0)
        wi_os_write(2, line, (size_t)size);
}

void wi_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
}

static const char *state_of(const struct wi_g *gp)
{
    switch (wi_load_relaxed(&gp->status)) {
    case WI_G_RUNNING:
        return "running";
    case WI_G_WAITING:
        return wi_wait_name(wi_load_relaxed(&gp->waiting_for));
    default:
        return "runnable";
    }
}

static void print_goroutine(struct wi_g *gp, void *arg)
{
    (void)arg;
    if (wi_load_relaxed(&gp->status) == WI_G_FREE)
        return;
    wi_print("\ngoroutine %llu [%s]%s%s:\n  entry %p(%p)", (unsigned long long)gp->id, state_of(gp),
             gp->name ? " " : "", gp->name ? gp->name : "", (void *)(uintptr_t)gp->fn, gp->arg);
    if (gp->parent)
        wi_print(", started by goroutine %llu\n", (unsigned long long)gp->parent);
    else
        wi_print("\n");
}

void wi_print_goroutines(void)
{
    wi_g_each(print_goroutine, NULL);
}

void wi_fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    wi_print("fatal error: ");
    print(format, arguments);
    wi_print("\n");
    va_end(arguments);
    wi_os_exit(EXIT_FAILED);
}

void wi_fatal_overflow(struct wi_g *gp)
{
    size_t size = wi_stack_window(gp->stack);
    wi_print("weft: goroutine %llu%s%s%s exceeds its %zu KiB stack (%zu KiB usable)\n"
             "fatal error: stack overflow\n",
             (unsigned long long)gp->id, gp->name ? " (" : "", gp->name ? gp->name : "",
             gp->name ? ")" : "", size / 1024, (size - WI_STACK_GUARD) / 1024);
    print_goroutine(gp, NULL);
    wi_os_exit(EXIT_FAILED);
}

void wi_fatal_deadlock(void)
{
    wi_print("fatal error: all goroutines are asleep - deadlock!\n");
    wi_print_goroutines();
    wi_os_exit(EXIT_FAILED);
}

bool wi_fault(void *address)
{
    struct wi_g *gp = wi_getg();
    if (!gp || !gp->stack || !wi_stack_guard_hit(gp->stack, address))
        return false;
    wi_fatal_overflow(gp);
}

void weft_panic(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    wi_print("panic: ");
    print(format, arguments);
    va_end(arguments);
    struct wi_g *gp = wi_getg();
    if (gp) {
        wi_print("\n");
        print_goroutine(gp, NULL);
    } else {
        wi_print("\n\non a foreign thread\n");
    }
    wi_os_exit(EXIT_FAILED);
}
