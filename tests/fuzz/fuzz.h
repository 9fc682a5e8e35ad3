/* What every fuzz target offers: libFuzzer's entry point. In other builds replay.c calls it with
 * each file of the corpus, so what fuzzing once found stays tested. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A fact that must hold, in release builds too. */
#define FUZZ_CHECK(fact)                                                            \
        do {                                                                        \
                if (!(fact)) {                                                      \
                        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #fact); \
                        __builtin_trap();                                           \
                }                                                                   \
        } while (0)
