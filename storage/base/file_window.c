#include "storage/base/file_window.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "storage/base/both.h"
#include "storage/base/file.h"

#define READ_BYTES ((size_t)256 << 10) /* they stay in the processor's cache */
#define MAP_BYTES ((size_t)64 << 20)
#define SHARED_BYTES ((size_t)2 << 20) /* less isn't worth a thread */
#define ALIGNMENT 0xffff /* no page of any machine is larger */

/* Pages that were used, and pages that are next. */
typedef struct Exchange {
        uint8_t *used, *next;
        size_t used_bytes, next_bytes;
        bool failed;
} Exchange;

static void exchange(void *data) {
        Exchange *pages = data;
        if (pages->used_bytes)
                (void)madvise(pages->used, pages->used_bytes, MADV_DONTNEED);
        pages->failed = pages->next_bytes && !file_populate(pages->next, pages->next_bytes);
}

/* The kernel takes as long for the pages as is needed to read them, so that two threads share this, too. */
static bool exchange_pages(uint8_t *used, uint8_t *next, size_t size) {
        size_t used_bytes = (size_t)(next - used), used_half = used_bytes / 2 & ~(size_t)ALIGNMENT, half = size / 2 & ~(size_t)ALIGNMENT;
        Exchange mine = { .used = used, .used_bytes = used_half, .next = next, .next_bytes = half };
        Exchange other = { .used = used + used_half, .used_bytes = used_bytes - used_half, .next = next + half, .next_bytes = size - half };
        if (size < SHARED_BYTES) {
                mine.next_bytes = size;
                mine.used_bytes = used_bytes;
                exchange(&mine);
        } else {
                both(exchange, &mine, &other);
        }
        return !mine.failed && !other.failed;
}

/* size bytes at position of the file, by way of the mapping. */
static bool map(FileWindow *window, int fd, int64_t position, size_t size, int64_t end) {
        if (!window->map) {
                window->map_position = window->position = position & ~(int64_t)ALIGNMENT;
                window->map_end = end;
                window->map = file_map_part(fd, window->map_position, (size_t)(end - window->map_position));
        }
        if (!window->map || position < window->position || end > window->map_end)
                return false;
        uint8_t *used = window->map + ((window->position & ~(int64_t)ALIGNMENT) - window->map_position);
        uint8_t *next = window->map + ((position & ~(int64_t)ALIGNMENT) - window->map_position);
        window->data = window->map + (position - window->map_position);
        window->position = position;
        bool there = exchange_pages(used, next, (size_t)(window->data - next) + size);
        window->size = there ? size : 0;
        return there;
}

static int read_part(FileWindow *window, int fd, int64_t position, size_t size) {
        if (size > window->memory_bytes) {
                uint8_t *memory = realloc(window->memory, size);
                if (!memory)
                        return -ENOMEM;
                window->memory = memory;
                window->memory_bytes = size;
        }
        ssize_t got = file_read(fd, window->memory, size, position);
        window->data = window->memory;
        window->position = position;
        window->size = got < 0 ? 0 : (size_t)got;
        return got < 0 ? (int)got : 0;
}

/* The larger of the two, but no more than there is. */
static size_t at_least(size_t needed, size_t usual, uint64_t left) {
        size_t bytes = needed > usual ? needed : usual;
        return bytes < left ? bytes : (size_t)left;
}

int file_window_move(FileWindow *window, int fd, int64_t position, size_t needed, int64_t end) {
        uint64_t left = end > position ? (uint64_t)(end - position) : 0;
        if (needed > left)
                return -EUCLEAN;
        if (left > READ_BYTES && map(window, fd, position, at_least(needed, MAP_BYTES, left), end))
                return 0;
        int r = read_part(window, fd, position, at_least(needed, READ_BYTES, left));
        return r ? r : window->size < needed ? -EUCLEAN : 0;
}

void file_window_close(FileWindow *window) {
        if (window->map)
                munmap(window->map, (size_t)(window->map_end - window->map_position));
        free(window->memory);
        *window = (FileWindow){ 0 };
}
