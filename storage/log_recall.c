/* What a producer snapshot does not tell: as Kafka's, it holds the last batch of each producer only. A client that had five requests
 * under way when the broker went down sends all of them again; the older ones are looked for in the log, once somebody asks. */
#include "storage/log_internal.h"

#define RECALL_BYTES (8 << 20) /* before the snapshot: more is not under way at once */

/* From about bytes before position on, up to it. */
static int recall_in(Log *log, Segment *segment, int64_t position, int64_t bytes) {
        segment_map(segment, log->config.segment_bytes);
        int r = segment_load_indexes(segment, log->config.index_interval_bytes);
        int64_t at = position > bytes ? index_position_before(&segment->offsets, (uint32_t)(position - bytes)) : 0;
        while (!r && at < position) {
                BatchHeader header;
                r = segment_read_header(segment, at, &header);
                if (!r)
                        producers_recall(&log->producers, &header);
                at += (int64_t)batch_size(&header);
        }
        segment_used(segment);
        return r;
}

bool log_recall_producers(Log *log) {
        int64_t offset = log->recall_offset, left = RECALL_BYTES;
        log->recall_offset = -1;
        if (offset <= log->segments[0]->base_offset)
                return false;
        for (int32_t i = log_segment_index(log, offset - 1); i >= 0 && left > 0; i--) {
                Segment *segment = log->segments[i];
                int64_t position = segment->size;
                int r = segment_load_indexes(segment, log->config.index_interval_bytes);
                if (!r && i + 1 == log->segment_count)
                        r = segment_find(segment, offset, &position);
                if (!r)
                        r = recall_in(log, segment, position, left);
                if (r)
                        break; /* what was found is true */
                left -= position;
        }
        return true;
}
