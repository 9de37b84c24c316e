/* SPDX-License-Identifier: MIT
 *
 * A fuzz target is one file under tests/fuzz/ that takes in the part of a server that reads what
 * strangers send, and defines fuzz(). It has its seeds in tests/fuzz/corpus/NAME/.
 *
 * `make fuzz` compiles it for libFuzzer, which calls fuzz() with inputs of its own making. Compiled
 * for the harness it calls it for every seed, for every seed cut short anywhere, and for some
 * thousand damaged seeds; so the target is tried on machines without clang, and what was found once
 * and became a seed is not found again.
 *
 * A target that cannot be built here defines FUZZ_NEEDS, a text that names what is missing, and not
 * fuzz(): it is skipped.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef FUZZ_NEEDS
#ifdef FUZZ

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 0;
}

#else

#include "harness/test.h"

TEST(seeds)
{
    SKIP("needs %s", FUZZ_NEEDS);
}

#endif
#else

/* Feeds the input to what is tested, and aborts if that breaks a promise. */
static void fuzz(const uint8_t *data, size_t size);

/* What must hold of the answer to any input, in the harness and in libFuzzer. */
static inline void fuzz_must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

#ifdef FUZZ

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz(data, size);
    return 0;
}

#else

#include <dirent.h>

#include "harness/test.h"

enum { SEED_MAX = 64 * 1024, DAMAGED = 3000 };

/* At the end of a block of its exact size, so that a sanitizer or valgrind sees a step past it. */
static void fuzz_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    fuzz(copy, size);
    free(copy);
}

/* Calls each for every seed. How many there are. */
static int each_seed(void (*each)(const uint8_t *seed, size_t size))
{
    static uint8_t seed[SEED_MAX];
    char folder[256], path[512];
    int count = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", program_invocation_short_name);
    DIR *files = opendir(folder);
    CHECK(files != NULL);
    for (struct dirent *entry; (entry = readdir(files)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "rb");
        CHECK(file != NULL);
        each(seed, fread(seed, 1, sizeof seed, file));
        fclose(file);
        count++;
    }
    closedir(files);
    return count;
}

static void cut_short(const uint8_t *seed, size_t size)
{
    size_t step = 1 + size / 2048;
    for (size_t length = 0; length < size; length += step)
        fuzz_copy(seed, length);
}

/* Some octets changed, doubled or left out. */
static void damage(const uint8_t *seed, size_t size)
{
    static uint8_t text[2 * SEED_MAX];
    for (int i = 0; i < DAMAGED && size > 0; i++) {
        size_t at = test_random_below(size), length = 1 + test_random_below(8);
        size_t rest = size - at, part = length < rest ? length : rest;
        memcpy(text, seed, size);
        switch (test_random_below(4)) {
        case 0: /* any octet */
            text[at] = (uint8_t)test_random_below(256);
            fuzz_copy(text, size);
            break;
        case 1: /* one that is close */
            text[at] ^= (uint8_t)(1 << test_random_below(8));
            fuzz_copy(text, size);
            break;
        case 2:
            memmove(text + at, seed + at + part, rest - part);
            fuzz_copy(text, size - part);
            break;
        default:
            memcpy(text + at + part, seed + at, rest);
            fuzz_copy(text, size + part);
        }
    }
}

TEST(seeds)
{
    CHECK_GE(each_seed(fuzz_copy), 1);
}

TEST(seeds_cut_short, .timeout = 120)
{
    CHECK_GE(each_seed(cut_short), 1);
}

TEST(seeds_damaged, .timeout = 120)
{
    CHECK_GE(each_seed(damage), 1);
}

#endif
#endif
#endif
