#include "storage/base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define STEP_BYTES ((uintptr_t)1 << 20)
#define LARGE_BYTES (4 * STEP_BYTES)

void memory_free(void *data, size_t size) {
        uintptr_t begin = ((uintptr_t)data + STEP_BYTES - 1) & ~(STEP_BYTES - 1), end = ((uintptr_t)data + size) & ~(STEP_BYTES - 1);
        if (size >= LARGE_BYTES)
                for (uintptr_t at = begin; at < end; at += STEP_BYTES)
                        (void)madvise((void *)at, STEP_BYTES, MADV_DONTNEED);
        free(data);
}
