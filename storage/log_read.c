/* Lookups by offset and by time. A consumer that keeps up asks for an offset at which a commit began, up to the end of
 * the log: then nothing is searched and nothing is read. */
#include <errno.h>
#include <stdlib.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/log_internal.h"

static int64_t segment_end_offset(const Log *log, int32_t index) {
        return index + 1 < log->segment_count ? log->segments[index + 1]->base_offset : log->end_offset;
}

/* The position of the batch that holds offset. */
static int find_position(Log *log, Segment *segment, int64_t offset, int64_t *ret_position) {
        for (int i = 0; i < LOG_RECENT_COUNT; i++)
                if (log->recent[i].segment == segment && log->recent[i].offset == offset) {
                        *ret_position = log->recent[i].position;
                        return 0;
                }
        if (offset <= segment->base_offset) {
                BatchHeader header;
                *ret_position = 0;
                return segment->size ? segment_read_header(segment, 0, &header) : 0;
        }
        segment_map(segment, log->config.segment_bytes);
        int r = segment_load_indexes(segment, log->config.index_interval_bytes);
        return r ? r : segment_find(segment, offset, ret_position);
}

/* Where whole batches from position on end, if they are to take at most size_max bytes and not pass limit. */
static int find_end(Log *log, Segment *segment, int64_t position, int64_t limit, int32_t size_max, bool min_one,
                    int64_t *ret_end) {
        if (limit - position <= size_max) {
                *ret_end = limit;
                return 0;
        }
        segment_map(segment, log->config.segment_bytes);
        int r = segment_load_indexes(segment, log->config.index_interval_bytes);
        if (!r)
                r = segment_find_boundary(segment, position, position + (size_max > 0 ? size_max : 0), ret_end);
        if (r || *ret_end > position || !min_one)
                return r;
        BatchHeader header;
        r = segment_read_header(segment, position, &header);
        if (!r)
                *ret_end = position + (int64_t)batch_size(&header);
        return r;
}

static int make_span(Log *log, Segment *segment, int64_t position, int64_t size, FileSpan *ret_span) {
        if (size == 0)
                return 0;
        int fd = segment_open(segment);
        if (fd < 0)
                return fd;
        segment_map(segment, log->config.segment_bytes);
        bool mapped = (uint64_t)(position + size) <= segment->map_size;
        *ret_span = (FileSpan){
                .fd = fd,
                .position = position,
                .size = (int32_t)size,
                .map = mapped ? segment->map + position : NULL,
                .release = segment_unref,
                .owner = segment_ref(segment),
        };
        segment_used(segment);
        return 0;
}

int log_read(Log *log, int64_t offset, int64_t end_offset_max, int32_t size_max, bool min_one, FileSpan *ret_span) {
        *ret_span = FILE_SPAN_INIT;
        if (offset < log->start_offset || offset > log->end_offset)
                return KAFKA_OFFSET_OUT_OF_RANGE;
        int64_t bound = end_offset_max < log->end_offset ? end_offset_max : log->end_offset;
        int32_t index = log_segment_index(log, offset);
        Segment *segment = NULL;
        int64_t position = 0, limit, end;
        for (; offset < bound && index < log->segment_count; index++) { /* on when compaction left nothing here */
                segment = log->segments[index];
                int r = find_position(log, segment, offset, &position);
                if (r)
                        return r;
                if (position < segment->size)
                        break;
                r = log_check_seam(log, index, true);
                if (r)
                        return r;
        }
        if (offset >= bound || index == log->segment_count)
                return 0;
        int seam = log_check_seam(log, index, false);
        if (seam)
                return seam;
        limit = segment->size;
        if (bound < segment_end_offset(log, index)) {
                int r = find_position(log, segment, bound, &limit);
                if (r)
                        return r;
        }
        if (limit <= position)
                return 0;
        int r = find_end(log, segment, position, limit, size_max, min_one, &end);
        return r ? r : make_span(log, segment, position, (end < limit ? end : limit) - position, ret_span);
}

/* The first record of the batch at position that is recent enough. 1 found, 0 not, -errno. */
static int find_in_batch(Segment *segment, int64_t position, const BatchHeader *header, int64_t offset_min,
                         int64_t timestamp_ms, LogPosition *ret_position) {
        size_t size = batch_size(header);
        uint8_t *data = malloc(size);
        if (!data)
                return -ENOMEM;
        int fd = segment_open(segment);
        ssize_t got = fd < 0 ? fd : file_read(fd, data, size, position);
        BatchReader reader;
        Record record;
        int r = got == (ssize_t)size ? 0 : got < 0 ? (int)got : -EUCLEAN;
        if (!r) {
                r = batch_reader_init(&reader, data, header, LOG_INFLATE_BYTES_MAX);
                while (!r && (r = batch_reader_next(&reader, &record)) == 1 &&
                       (record.timestamp_ms < timestamp_ms || record.offset < offset_min))
                        r = 0;
                batch_reader_deinit(&reader);
        }
        free(data);
        if (r == 1)
                *ret_position = (LogPosition){ .offset = record.offset, .timestamp_ms = record.timestamp_ms,
                                               .leader_epoch = header->partition_leader_epoch };
        return r > 1 ? -EUCLEAN : r;
}

/* The same in a whole segment. */
static int find_in_segment(Log *log, Segment *segment, int64_t timestamp_ms, LogPosition *ret_position) {
        segment_map(segment, log->config.segment_bytes);
        int r = segment_load_indexes(segment, log->config.index_interval_bytes);
        if (r)
                return r;
        int64_t from = segment->base_offset + index_offset_before(&segment->times, timestamp_ms), position;
        if (from < log->start_offset)
                from = log->start_offset;
        r = segment_find(segment, from, &position);
        while (!r && position < segment->size) {
                BatchHeader header;
                r = segment_read_header(segment, position, &header);
                if (!r && header.max_timestamp >= timestamp_ms)
                        r = find_in_batch(segment, position, &header, log->start_offset, timestamp_ms, ret_position);
                position += r ? 0 : (int64_t)batch_size(&header);
        }
        return r;
}

int log_find_timestamp(Log *log, int64_t timestamp_ms, LogPosition *ret_position) {
        *ret_position = (LogPosition){ .offset = -1, .timestamp_ms = -1, .leader_epoch = -1 };
        for (int32_t i = 0; i < log->segment_count; i++) {
                Segment *segment = log->segments[i];
                if (segment_max_timestamp(segment, log->config.index_interval_bytes) < timestamp_ms)
                        continue;
                int r = find_in_segment(log, segment, timestamp_ms, ret_position);
                segment_used(segment);
                if (r)
                        return r < 0 ? r : 0;
        }
        return 0;
}

int log_find_max_timestamp(Log *log, LogPosition *ret_position) {
        int64_t max = -1;
        for (int32_t i = 0; i < log->segment_count; i++) {
                int64_t timestamp = segment_max_timestamp(log->segments[i], log->config.index_interval_bytes);
                max = timestamp > max ? timestamp : max;
                segment_used(log->segments[i]);
        }
        if (max < 0) {
                *ret_position = (LogPosition){ .offset = -1, .timestamp_ms = -1, .leader_epoch = -1 };
                return 0;
        }
        return log_find_timestamp(log, max, ret_position);
}
