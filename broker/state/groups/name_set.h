/* Sets of names: sorted arrays of owned texts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/str.h"

typedef struct NameSet {
        char **names; /* rising, without doubles */
        int32_t count;
} NameSet;

#define NAME_SET_INIT ((NameSet){ .names = NULL, .count = 0 })

/* Makes a set of names in any order, doubles allowed. False without memory. */
bool name_set_of(const Str *names, int32_t count, NameSet *ret_set);
bool name_set_has(const NameSet *set, Str name);
bool name_set_equal(const NameSet *a, const NameSet *b);
void name_set_deinit(NameSet *set);
