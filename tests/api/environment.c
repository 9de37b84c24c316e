/* SPDX-License-Identifier: MIT
 *
 * Environment variables: malformed ones are named on standard error and ignored.
 */
#include "harness/test.h"

static void expect_default(void)
{
    CHECK_EQ(weft_maxprocs(0), weft_num_cpu());
}

static void expect_three(void)
{
    CHECK_EQ(weft_maxprocs(0), 3);
}

static void nothing(void *arg)
{
    __atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
}

static void expect_work(void)
{
    int ran = 0;
    CHECK_EQ(weft_go(nothing, &ran), 0);
    CHECK_SOON(__atomic_load_n(&ran, __ATOMIC_ACQUIRE));
}

/* Not a death: these only have to print something on the way, and do not return from the body. */
static _Noreturn void run_with(const char *name, const char *value, void (*body)(void))
{
    unsetenv("WEFT_MAXPROCS");
    setenv(name, value, 1);
    test_in_runtime(0, body);
    exit(0);
}

#define NAMED_AND_IGNORED(name, variable, value, body)                                             \
    DEATH_TEST(name, 0, variable "\n" value)                                                       \
    {                                                                                              \
        run_with(variable, value, body);                                                           \
    }

NAMED_AND_IGNORED(maxprocs_word, "WEFT_MAXPROCS", "abc", expect_default)
NAMED_AND_IGNORED(maxprocs_zero, "WEFT_MAXPROCS", "0", expect_default)
NAMED_AND_IGNORED(maxprocs_negative, "WEFT_MAXPROCS", "-1", expect_default)
NAMED_AND_IGNORED(maxprocs_trailing, "WEFT_MAXPROCS", "4x", expect_default)
NAMED_AND_IGNORED(maxprocs_space, "WEFT_MAXPROCS", " 4", expect_default)
NAMED_AND_IGNORED(maxprocs_fraction, "WEFT_MAXPROCS", "1.5", expect_default)
NAMED_AND_IGNORED(maxprocs_huge, "WEFT_MAXPROCS", "99999999999999999999", expect_default)
NAMED_AND_IGNORED(maxprocs_wraps, "WEFT_MAXPROCS", "4294967298", expect_default)
NAMED_AND_IGNORED(stack_size_unit, "WEFT_STACK_SIZE", "7q", expect_work)
NAMED_AND_IGNORED(stack_size_small, "WEFT_STACK_SIZE", "100", expect_work)
NAMED_AND_IGNORED(stack_size_large, "WEFT_STACK_SIZE", "2G", expect_work)
NAMED_AND_IGNORED(stack_size_overflow, "WEFT_STACK_SIZE", "99999999999G", expect_work)
NAMED_AND_IGNORED(stack_size_wraps, "WEFT_STACK_SIZE", "17179869184G", expect_work)
NAMED_AND_IGNORED(stack_guard_word, "WEFT_STACK_GUARD", "foo", expect_work)

TEST(maxprocs_from_the_environment)
{
    setenv("WEFT_MAXPROCS", "3", 1);
    test_in_runtime(0, expect_three);
}

TEST(the_program_overrides_the_environment)
{
    setenv("WEFT_MAXPROCS", "7", 1);
    test_in_runtime(3, expect_three);
}

TEST(empty_means_unset)
{
    setenv("WEFT_MAXPROCS", "", 1);
    setenv("WEFT_STACK_SIZE", "", 1);
    setenv("WEFT_STACK_GUARD", "", 1);
    test_in_runtime(0, expect_default);
}

/* Nothing is said about what is well-formed. */
TEST(silence_is_the_rule)
{
    char said[256] = "";
    FILE *file = tmpfile();
    CHECK(file != NULL);
    setenv("WEFT_MAXPROCS", "2", 1);
    setenv("WEFT_STACK_SIZE", "128K", 1);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    test_in_runtime(0, expect_work);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    CHECK_STR(said, "");
}
