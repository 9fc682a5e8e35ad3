/* Spans read into memory. */
#include "storage/base/span.h"

#include <errno.h>
#include <unistd.h>

int file_span_copy(const FileSpan *span, Buffer *out) {
        size_t size = span->size > 0 ? (size_t)span->size : 0, used = 0;
        uint8_t *to = buffer_extend(out, size);
        if (!to)
                return -ENOMEM;
        while (used < size) {
                ssize_t n = pread(span->fd, to + used, size - used, span->position + (off_t)used);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                used += (size_t)n;
        }
        return 0;
}
