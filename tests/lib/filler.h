/* Fills any message with pseudo-random values, driven by its table: what round trips and corpora are made of. */
#pragma once

#include "broker/protocol/schema.h"
#include "storage/base/arena.h"

typedef struct Filler {
        Arena *arena;
        uint64_t seed; /* same seed, same values */
        int16_t version;
} Filler;

/* The next pseudo-random number. */
uint64_t filler_next(Filler *filler);

/* Sets every field that the version has; the others get their default. Nulls appear where they are allowed. */
void filler_fill(Filler *filler, const StructSchema *schema, void *ret_value);
