#include "storage/base/file_window.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "storage/base/file.h"
#include "storage/base/parallel.h"

#define READ_BYTES ((size_t)256 << 10) /* they stay in the processor's cache */
#define MAP_BYTES ((size_t)64 << 20)
#define PAGE_BYTES_MAX 65536

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
        pages->failed = !file_populate(pages->next, pages->next_bytes);
}

static size_t half_of(size_t size) {
        return size / 2 / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
}

/* Pages take the kernel nearly as long as their bytes take whoever reads them, so that two threads share this, too. */
static bool exchange_pages(Exchange pages) {
        if (pages.next_bytes < PARALLEL_BYTES_MIN) {
                exchange(&pages);
                return !pages.failed;
        }
        Exchange mine = pages, other = pages;
        mine.used_bytes = half_of(pages.used_bytes);
        mine.next_bytes = half_of(pages.next_bytes);
        other.used += mine.used_bytes;
        other.used_bytes -= mine.used_bytes;
        other.next += mine.next_bytes;
        other.next_bytes -= mine.next_bytes;
        parallel_pair(exchange, &mine, &other);
        return !mine.failed && !other.failed;
}

static int64_t page_begin(int64_t position) {
        return position / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
}

/* size bytes at position of the file, by way of the mapping. */
static bool map(FileWindow *window, int fd, int64_t position, size_t size, int64_t end) {
        if (!window->map) {
                window->map_position = window->position = page_begin(position);
                window->map_end = end;
                window->map = file_map_part(fd, window->map_position, (size_t)(end - window->map_position));
        }
        if (!window->map || position < window->position || end > window->map_end)
                return false;
        Exchange pages = { .used = window->map + (page_begin(window->position) - window->map_position),
                           .next = window->map + (page_begin(position) - window->map_position) };
        window->data = window->map + (position - window->map_position);
        window->position = position;
        pages.used_bytes = (size_t)(pages.next - pages.used);
        pages.next_bytes = (size_t)(window->data - pages.next) + size;
        bool there = exchange_pages(pages);
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
