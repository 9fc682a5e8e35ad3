/* Batches are taken a stretch at a time: their headers are read one after the other, since each says where the next one begins and has to fit
 * it; then their checksums, which is most of the work, by two threads that share nothing; then they are noted. */
#include "storage/recovery_walk.h"

#include <errno.h>
#include <stdlib.h>

#include "storage/base/file.h"
#include "storage/base/parallel.h"

#define STRETCH_BATCHES 4096
#define BATCHES_AHEAD 8

struct WalkedBatch {
        BatchHeader header;
        const uint8_t *data; /* in the window; of a known batch perhaps only the header */
};

/* Part of a stretch, and its first batch that is not what was written, or its end. */
typedef struct Summing {
        const WalkedBatch *first, *end, *bad;
} Summing;

static void sum_batches(void *data) {
        Summing *summing = data;
        const WalkedBatch *batch = summing->first;
        while (batch < summing->end && batch_check_crc(batch->data, &batch->header))
                batch++;
        summing->bad = batch;
}

/* Where half of the bytes lie behind. */
static const WalkedBatch *find_middle(const WalkedBatch *first, const WalkedBatch *end) {
        const uint8_t *middle = first->data + (end[-1].data - first->data) / 2;
        while (first < end && first->data < middle)
                first++;
        return first;
}

/* How many batches of the stretch come before the first one whose checksum is wrong. */
static int32_t count_sound(const Walk *walk) {
        const WalkedBatch *first = walk->batches + walk->known_count, *end = walk->batches + walk->batch_count;
        bool shared = end - first > 1 && (size_t)(end[-1].data - first->data) >= PARALLEL_BYTES_MIN;
        const WalkedBatch *middle = shared ? find_middle(first, end) : end;
        Summing mine = { .first = first, .end = middle }, other = { .first = middle, .end = end };
        if (shared)
                parallel_pair(sum_batches, &mine, &other);
        else
                sum_batches(&mine);
        return (int32_t)((shared && mine.bad == middle ? other.bad : mine.bad) - walk->batches);
}

/* Whether the batch fits what came before it; the CRC does not cover offsets and epoch. */
static bool fits(const Walk *walk, const Segment *segment, const BatchHeader *header, int64_t expected_offset, int32_t epoch) {
        bool gaps = walk->log->config.cleanup_compact || header->base_offset < walk->recovery_point;
        int32_t count = header->record_count, range = header->last_offset_delta;
        return segment_admits(segment, header) && count >= 0 && count - 1 <= range && (gaps || count - 1 == range) &&
               (gaps ? header->base_offset >= expected_offset : header->base_offset == expected_offset) &&
               header->partition_leader_epoch >= epoch;
}

/* Reads the header of the batch at position. 0; -EAGAIN when the window has to hold *ret_needed bytes there first; -EUCLEAN. */
static int read_batch(const Walk *walk, const Segment *segment, int64_t position, WalkedBatch *ret_batch, size_t *ret_needed) {
        BatchHeader *header = &ret_batch->header;
        *ret_needed = BATCH_HEADER_BYTES;
        if (!file_window_holds(&walk->window, position, BATCH_HEADER_BYTES))
                return -EAGAIN;
        ret_batch->data = file_window_at(&walk->window, position);
        int r = batch_read_header(ret_batch->data, walk->window.size - (size_t)(position - walk->window.position), header);
        if ((r && r != -EAGAIN) || (int64_t)batch_size(header) > segment->size - position)
                return -EUCLEAN;
        *ret_needed = batch_size(header);
        bool known = batch_next_offset(header) <= walk->recovery_point;
        return r && (!known || header->attributes & BATCH_CONTROL) ? r : 0;
}

/* Batches tend to be as large as those before them: while headers are read one after the other, memory already gets the one that may come
 * some batches later. */
static void read_ahead(const Walk *walk, int64_t position, size_t size) {
        int64_t ahead = position + BATCHES_AHEAD * (int64_t)size;
        if (file_window_holds(&walk->window, ahead, BATCH_HEADER_BYTES))
                __builtin_prefetch(file_window_at(&walk->window, ahead));
}

/* Collects the batches that lie in the window from position on, and fit. 0; -EUCLEAN when one that does not follows them; -errno. */
static int collect(Walk *walk, Segment *segment, int64_t position) {
        int64_t expected_offset = walk->expected_offset;
        int32_t epoch = walk->epoch;
        walk->batch_count = walk->known_count = 0;
        while (position < segment->size && walk->batch_count < STRETCH_BATCHES) {
                WalkedBatch *batch = &walk->batches[walk->batch_count];
                size_t needed;
                int r = read_batch(walk, segment, position, batch, &needed);
                if (r == -EAGAIN && walk->batch_count)
                        return 0;
                if (r == -EAGAIN) {
                        int fd = segment_open(segment);
                        r = fd < 0 ? fd : file_window_move(&walk->window, fd, position, needed, segment->size);
                        if (!r)
                                continue;
                }
                if (r)
                        return r;
                if (!fits(walk, segment, &batch->header, expected_offset, epoch))
                        return -EUCLEAN;
                expected_offset = batch_next_offset(&batch->header);
                epoch = batch->header.partition_leader_epoch;
                position += (int64_t)batch_size(&batch->header);
                read_ahead(walk, position, batch_size(&batch->header));
                walk->batch_count++;
                walk->known_count += expected_offset <= walk->recovery_point;
        }
        return 0;
}

static int note_batch(Walk *walk, Segment *segment, const BatchHeader *header, const uint8_t *data) {
        Log *log = walk->log;
        bool numbered = header->producer_id >= 0 && header->base_offset >= walk->producers_offset;
        int r = numbered ? producers_update(&log->producers, header, data, false) : 0;
        if (r)
                return r;
        segment_note(segment, header, log->config.index_interval_bytes);
        walk->expected_offset = batch_next_offset(header);
        if (header->partition_leader_epoch > walk->epoch) {
                walk->epoch = header->partition_leader_epoch;
                epochs_begin(&log->epochs, walk->epoch, header->base_offset);
        }
        log->markers_walked |= header->attributes & BATCH_CONTROL && header->producer_id >= 0;
        return 0;
}

/* Writes what the window holds below position, which is sound, where it was read: a sync that failed left pages that pass for clean, and these
 * are what the next one takes along. */
static int write_again(Walk *walk, Segment *segment, int64_t position) {
        if (!walk->writes_again || position <= walk->again_position)
                return 0;
        int fd = segment_open(segment);
        int r = fd < 0 ? fd : file_write(fd, file_window_at(&walk->window, walk->again_position),
                                         (size_t)(position - walk->again_position), walk->again_position);
        walk->again_position = position;
        return r;
}

/* Notes the first count batches of the stretch, which begins at *position; *position is then where they end. */
static int note_batches(Walk *walk, Segment *segment, int32_t count, int64_t *position) {
        int64_t end = segment->size;
        int r = 0;
        segment->size = *position; /* as if they were being appended */
        for (int32_t i = 0; !r && i < count; i++) {
                r = note_batch(walk, segment, &walk->batches[i].header, walk->batches[i].data);
                if (walk->expected_offset <= walk->recovery_point)
                        walk->again_position = segment->size;
        }
        *position = segment->size;
        segment->size = end;
        int written = write_again(walk, segment, *position);
        return r ? r : written;
}

int walk_segment(Walk *walk, Segment *segment, int64_t position, int64_t *ret_good) {
        if (!walk->batches && !(walk->batches = malloc(STRETCH_BATCHES * sizeof(*walk->batches))))
                return -ENOMEM;
        int r = 0;
        walk->again_position = position;
        while (!r && position < segment->size) {
                int collected = collect(walk, segment, position);
                int32_t sound = count_sound(walk);
                r = note_batches(walk, segment, sound, &position);
                if (!r)
                        r = sound < walk->batch_count ? -EUCLEAN : collected;
        }
        file_window_close(&walk->window); /* the file may be cut next */
        *ret_good = position;
        return r;
}

void walk_deinit(Walk *walk) {
        file_window_close(&walk->window);
        free(walk->batches);
}
