/* Where one segment ends and the next begins. A directory that was copied by halves, or from two places, is found out here: nothing
 * else compares neighbours when the stop was clean, and a reader would skip what is missing without knowing. */
#include <inttypes.h>

#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "storage/log_internal.h"

/* The offset behind the last batch; *ret_gaps: compaction took records out of it. */
static int walk(Segment *segment, int64_t position, int64_t *ret_end, bool *ret_gaps) {
        int64_t end = segment->base_offset;
        bool gaps = false, first = true;
        while (position < segment->size) {
                BatchHeader header;
                int r = segment_read_header(segment, position, &header);
                if (r)
                        return r;
                gaps = gaps || (!first && header.base_offset != end) || header.record_count != header.last_offset_delta + 1;
                first = false;
                end = batch_next_offset(&header);
                position += (int64_t)batch_size(&header);
        }
        *ret_end = end;
        *ret_gaps = gaps;
        return 0;
}

static int find_seam(Log *log, int32_t index, int64_t *ret_end) {
        Segment *segment = log->segments[index];
        int64_t next = log->segments[index + 1]->base_offset;
        bool gaps;
        segment_map(segment, log->config.segment_bytes);
        int r = segment_load_indexes(segment, log->config.index_interval_bytes);
        if (!r)
                r = walk(segment, index_last_position(&segment->offsets), ret_end, &gaps);
        if (r || *ret_end != next)
                r = walk(segment, 0, ret_end, &gaps); /* a topic that is no longer compacted may have been; the index may be wrong */
        if (r)
                return r;
        segment->seam = *ret_end > next                                             ? SEGMENT_SEAM_OVERLAP
                        : *ret_end < next && !gaps && next > log->compacted_offset ? SEGMENT_SEAM_GAP
                                                                                   : SEGMENT_SEAM_FITS;
        return 0;
}

int log_check_seam(Log *log, int32_t index, bool missing) {
        Segment *segment = log->segments[index];
        if (log->config.cleanup_compact || index + 1 >= log->segment_count)
                return 0;
        if (segment->seam == SEGMENT_SEAM_UNKNOWN) {
                int64_t end = 0, next = log->segments[index + 1]->base_offset;
                int r = find_seam(log, index, &end);
                if (r)
                        return r;
                if (segment->seam == SEGMENT_SEAM_OVERLAP)
                        trace_error("%s: segment %020" PRId64 ".log ends at offset %" PRId64 ", behind the beginning of the next, %020" PRId64
                                    ".log: neither is served; remove the wrong one, or cut there with odradek repair",
                                    log->path, segment->base_offset, end, next);
                if (segment->seam == SEGMENT_SEAM_GAP)
                        trace_error("%s: offsets %" PRId64 " to %" PRId64 " are missing, a segment between %020" PRId64 ".log and %020" PRId64
                                    ".log: put it back, or cut there with odradek repair", log->path, end, next - 1, segment->base_offset, next);
        }
        return segment->seam == SEGMENT_SEAM_OVERLAP || (missing && segment->seam == SEGMENT_SEAM_GAP) ? KAFKA_KAFKA_STORAGE_ERROR : 0;
}
