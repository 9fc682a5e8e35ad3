/* XXH3 with 64 bits and no seed: for hashes that are kept, where others compute the same. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t xxh3_64(const void *data, size_t size);
