/* Which segments have their files open. Thousands of partitions share a few hundred descriptors and a few thousand
 * mappings: the ones used last keep them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "storage/base/file.h"
#include "storage/segment.h"

#define SEGMENTS_OPEN_MAX 768
#define SEGMENTS_OPEN_MIN 8
#define SEGMENTS_OPEN_SHARE 4 /* a quarter of the process's descriptors; clients need the others */
#define SEGMENTS_MAPPED_MAX 4096 /* of three mappings each, far below vm.max_map_count */
#define SKIPS_MAX 16 /* segments in use that one search for a victim passes over */

typedef struct Recent {
        List list; /* least recently used first */
        int count, max;
} Recent;

static Recent opened, mapped;
static int kept; /* descriptors that syncs have use for */
static pthread_t owner; /* of both: the loop's thread */

static int descriptors_share(void) {
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / SEGMENTS_OPEN_SHARE > SEGMENTS_OPEN_MAX)
                return SEGMENTS_OPEN_MAX;
        int share = (int)(limit.rlim_cur / SEGMENTS_OPEN_SHARE);
        return share < SEGMENTS_OPEN_MIN ? SEGMENTS_OPEN_MIN : share;
}

static void forget(Recent *recent, ListNode *node) {
        if (!list_node_is_linked(node))
                return;
        list_remove(node);
        recent->count--;
}

static void make_newest(Recent *recent, ListNode *node) {
        if (recent->list.head.prev == node)
                return;
        forget(recent, node);
        list_append(&recent->list, node);
        recent->count++;
}

static bool is_in_use(const Segment *segment) {
        return segment->refs - segment->passive_refs > 1;
}

static void close_descriptor(Segment *segment) {
        forget(&opened, &segment->opened);
        file_close(segment->fd);
        segment->fd = -1;
}

/* The indexes of a sealed segment are mappings, too. */
static void unmap(Segment *segment) {
        forget(&mapped, &segment->mapped);
        if (segment->map)
                munmap((void *)segment->map, segment->map_size);
        segment->map = NULL;
        segment->map_size = 0;
        if (segment->offsets.mapped || segment->times.mapped) {
                index_deinit(&segment->offsets);
                index_deinit(&segment->times);
                segment->indexes_loaded = false;
        }
}

/* The least recently used segment that nobody holds, or NULL. */
static ListNode *find_victim(Recent *recent, Segment *(*segment_of)(ListNode *node)) {
        for (int i = 0; i < SKIPS_MAX && !list_is_empty(&recent->list); i++) {
                ListNode *node = list_first(&recent->list);
                if (!is_in_use(segment_of(node)))
                        return node;
                make_newest(recent, node);
        }
        return NULL;
}

static Segment *segment_of_opened(ListNode *node) {
        return container_of(node, Segment, opened);
}

static Segment *segment_of_mapped(ListNode *node) {
        return container_of(node, Segment, mapped);
}

static bool close_oldest(void) {
        bool allowed = opened.count && pthread_equal(owner, pthread_self());
        ListNode *node = allowed ? find_victim(&opened, segment_of_opened) : NULL;
        if (node)
                close_descriptor(segment_of_opened(node));
        return node != NULL;
}

static void init_limits(void) {
        if (opened.max)
                return;
        opened.max = descriptors_share();
        mapped.max = SEGMENTS_MAPPED_MAX;
        list_init(&opened.list);
        list_init(&mapped.list);
        owner = pthread_self();
        file_spare_descriptor = close_oldest;
}

void segment_used(Segment *segment) {
        init_limits();
        if (segment->fd >= 0)
                make_newest(&opened, &segment->opened);
        if (segment->map || segment->offsets.mapped || segment->times.mapped)
                make_newest(&mapped, &segment->mapped);
        while (opened.count > opened.max && close_oldest())
                ;
        while (mapped.count > mapped.max) {
                ListNode *node = find_victim(&mapped, segment_of_mapped);
                if (!node)
                        break;
                unmap(segment_of_mapped(node));
        }
}

void segment_close_files(Segment *segment) {
        if (is_in_use(segment))
                return;
        close_descriptor(segment);
        unmap(segment);
}

SegmentRemains segment_take_files(Segment *segment) {
        SegmentRemains remains = { .fd = segment->fd, .map = (void *)segment->map, .map_size = segment->map_size };
        segment->fd = -1;
        segment->map = NULL;
        close_descriptor(segment);
        unmap(segment);
        return remains;
}

void segment_files_limit(int opened_max, int mapped_max) {
        init_limits();
        opened.max = opened_max;
        mapped.max = mapped_max;
}

void segment_files_count(int *ret_opened, int *ret_mapped) {
        *ret_opened = opened.count;
        *ret_mapped = mapped.count;
}

Segment *segment_keep(Segment *segment, int *ret_fd) {
        init_limits();
        *ret_fd = kept < opened.max / 2 ? segment->fd : -1;
        kept += *ret_fd >= 0;
        segment->passive_refs += *ret_fd < 0;
        return segment_ref(segment);
}

void segment_let_go(Segment *segment, int fd) {
        kept -= fd >= 0;
        segment->passive_refs -= fd < 0;
        segment_unref(segment);
}

int segment_open(Segment *segment) {
        if (segment->fd >= 0)
                return segment->fd;
        char path[SEGMENT_PATH_MAX];
        segment_path(segment->dir, segment->base_offset, "log" SEGMENT_SWAP_SUFFIX, path);
        int fd = segment->swapping ? file_open(path, O_RDWR) : -ENOENT;
        segment_path(segment->dir, segment->base_offset, "log", path);
        if (fd == -ENOENT)
                fd = file_open(path, O_RDWR);
        if (fd >= 0)
                segment->fd = fd;
        return fd;
}

void segment_map(Segment *segment, int64_t bytes_expected) {
        if (segment->map || segment_open(segment) < 0)
                return;
        int64_t size = segment->sealed || bytes_expected < segment->size ? segment->size : bytes_expected;
        void *map = size ? file_map_shared(segment->fd, (size_t)size) : NULL;
        if (!map)
                return;
        madvise(map, (size_t)size, MADV_RANDOM);
        segment->map = map;
        segment->map_size = (size_t)size;
}
