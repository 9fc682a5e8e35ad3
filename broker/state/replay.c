/* Reading the partitions of an internal topic from their beginnings. */
#include "broker/state/replay.h"

#include <errno.h>

#include "storage/base/endian.h"
#include "storage/base/trace.h"

#define READ_BYTES (4 * 1024 * 1024)
#define INFLATE_BYTES_MAX ((size_t)64 * 1024 * 1024)

typedef struct Replay {
        State *state;
        Partition *partition;
        int (*each)(State *state, const ReplayedRecord *replayed, void *data);
        void *data;
} Replay;

/* An end marker's key is int16 version and int16 type: 0 abort, 1 commit. Others don't concern us. */
static int replay_marker(const Replay *replay, const BatchHeader *header, const Record *record) {
        int type = record->key.len >= 4 ? load_be16(record->key.data + 2) : -1;
        if (type != 0 && type != 1)
                return 0;
        return replay->each(replay->state, &(ReplayedRecord){ replay->partition, header, NULL, type == 1 }, replay->data);
}

static int replay_batch(const Replay *replay, const uint8_t *data, const BatchHeader *header) {
        BatchReader reader;
        Record record;
        int more = 0, r = batch_reader_init(&reader, data, header, INFLATE_BYTES_MAX);
        while (!r && (more = batch_reader_next(&reader, &record)) == 1)
                r = header->attributes & BATCH_CONTROL
                            ? replay_marker(replay, header, &record)
                            : replay->each(replay->state, &(ReplayedRecord){ replay->partition, header, &record, false }, replay->data);
        batch_reader_deinit(&reader);
        return r < 0 ? r : r || more > 1 ? -EUCLEAN : 0; /* no record is passed over in silence */
}

static int replay_span(const Replay *replay, const Buffer *bytes, int64_t *offset) {
        BatchHeader header;
        size_t at = 0;
        int r = 0;
        while (!r && at < bytes->size && batch_read_header(bytes->data + at, bytes->size - at, &header) == 0) {
                r = batch_check_crc(bytes->data + at, &header) ? replay_batch(replay, bytes->data + at, &header) : -EUCLEAN;
                at += batch_size(&header);
                *offset = batch_next_offset(&header);
        }
        return r ? r : at ? 0 : -EIO;
}

int replay_partition(State *state, Partition *partition, int (*each)(State *state, const ReplayedRecord *replayed, void *data), void *data) {
        Replay replay = { .state = state, .partition = partition, .each = each, .data = data };
        Log *log = partition->log;
        int64_t offset = log_start_offset(log), end = log_end_offset(log);
        int r = 0;
        while (!r && offset < end) {
                FileSpan span;
                Buffer copy = BUFFER_INIT;
                if ((r = log_read(log, offset, end, READ_BYTES, true, &span)))
                        return r < 0 ? r : -EUCLEAN; /* segments that don't fit each other */
                r = file_span_copy(&span, &copy);
                file_span_release(&span);
                if (!r)
                        r = replay_span(&replay, &copy, &offset);
                buffer_deinit(&copy);
        }
        return r;
}

/* After a clean stop nothing was read until now. */
static void give_up(State *state, Partition *partition) {
        trace_error("partition %s-%d is not served: the log is damaged; its files were left as they are, odradek check says more",
                    partition->topic->name, partition->index);
        partition_close_log(state, partition); /* its recovery point is kept where the checkpoint file did not say: the next start must not cut it */
}

int replay_topic(State *state, Topic *topic, int (*each)(State *state, const ReplayedRecord *replayed, void *data), void *data) {
        for (int32_t i = 0; i < topic->partition_count; i++) {
                Partition *partition = topic->partitions[i];
                int r = partition->log ? replay_partition(state, partition, each, data) : 0;
                if (r == -EUCLEAN)
                        give_up(state, partition);
                else if (r)
                        return r;
        }
        return 0;
}
