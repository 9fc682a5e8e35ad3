#include "storage/base/memory.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 9
#define BLOCK_BYTES (((size_t)5 << 20) + 4321) /* begins and ends anywhere in a step */

Test(memory, neighbours_stay_as_they_are) {
        static uint8_t *blocks[BLOCKS];
        for (int i = 0; i < BLOCKS; i++) {
                blocks[i] = malloc(BLOCK_BYTES);
                cr_assert(blocks[i]);
                memset(blocks[i], i + 1, BLOCK_BYTES);
        }
        for (int i = 1; i < BLOCKS; i += 2)
                memory_free(blocks[i], BLOCK_BYTES);
        for (int i = 0; i < BLOCKS; i += 2) {
                cr_assert(blocks[i][0] == i + 1 && memcmp(blocks[i], blocks[i] + 1, BLOCK_BYTES - 1) == 0, "block %d has changed", i);
                memory_free(blocks[i], BLOCK_BYTES);
        }
}

Test(memory, small_blocks_and_none) {
        memory_free(malloc(1), 1);
        memory_free(NULL, 0);
}
