/* XXH3. */
#include "storage/base/xxh3.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t xxh3_64(const void *data, size_t size) {
        return XXH3_64bits(size ? data : "", size);
}
