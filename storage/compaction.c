/* The part of a compaction that takes time, away from the log's thread: reads the dirty section for the last offset of each
 * key, then writes the segments anew without what those offsets make superfluous. It knows the log by a copy
 * of what it needs and opens the files itself. */
#include "storage/compaction.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/log_internal.h"

#define READ_BYTES (512 << 10)
#define WRITE_BYTES (1 << 20)

const char *const compaction_suffixes[4] = { "log", "index", "timeindex", "txnindex" };

void compaction_path(const char *dir, int64_t base_offset, const char *suffix, const char *extra,
                     char ret_path[static SEGMENT_PATH_MAX]) {
        snprintf(ret_path, SEGMENT_PATH_MAX, "%s/%020" PRId64 ".%s%s", dir, base_offset, suffix, extra);
}

void compaction_cancel(Compaction *compaction) {
        compaction->cancelled = true;
}

/* ---- reading ---- */

typedef struct Reader {
        int fd;
        int64_t size, position; /* of the next batch */
        Buffer chunk;
        int64_t chunk_position;
} Reader;

static int reader_open(Reader *reader, const Compaction *compaction, const CompactionSource *source) {
        char path[SEGMENT_PATH_MAX];
        segment_path(compaction->dir, source->base_offset, "log", path);
        reader->fd = file_open(path, O_RDONLY);
        reader->size = source->size;
        reader->position = reader->chunk_position = 0;
        buffer_clear(&reader->chunk);
        return reader->fd < 0 ? reader->fd : 0;
}

static void reader_close(Reader *reader) {
        file_close(reader->fd);
        reader->fd = -1;
}

/* size bytes at the reader's position. 0; -EUCLEAN when they are not there; -errno. */
static int reader_fill(Reader *reader, size_t size, const uint8_t **ret_data) {
        int64_t skip = reader->position - reader->chunk_position;
        if ((int64_t)size > reader->size - reader->position)
                return -EUCLEAN;
        if ((uint64_t)skip + size > reader->chunk.size) {
                int64_t left = reader->size - reader->position;
                size_t want = size > READ_BYTES ? size : left < READ_BYTES ? (size_t)left : READ_BYTES;
                buffer_clear(&reader->chunk);
                uint8_t *to = buffer_extend(&reader->chunk, want);
                ssize_t got = to ? file_read(reader->fd, to, want, reader->position) : -ENOMEM;
                reader->chunk.size = got < 0 ? 0 : (size_t)got;
                reader->chunk_position = reader->position;
                skip = 0;
                if (got < (ssize_t)size)
                        return got < 0 ? (int)got : -EUCLEAN;
        }
        *ret_data = reader->chunk.data + skip;
        return 0;
}

/* The next batch: 1; 0 at the end; -EUCLEAN; -errno. */
static int reader_next(Reader *reader, BatchHeader *ret_header, const uint8_t **ret_data) {
        if (reader->position == reader->size)
                return 0;
        int r = reader_fill(reader, BATCH_HEADER_BYTES, ret_data);
        if (r)
                return r;
        r = batch_read_header(*ret_data, BATCH_HEADER_BYTES, ret_header);
        if (r && r != -EAGAIN)
                return -EUCLEAN;
        r = reader_fill(reader, batch_size(ret_header), ret_data);
        if (r)
                return r;
        reader->position += (int64_t)batch_size(ret_header);
        return 1;
}

/* ---- the last offset of each key ---- */

typedef struct Mapping {
        const Compaction *compaction;
        OffsetMap map;
        int64_t end_offset; /* of what is in the map */
        TxnWalk txns;
} Mapping;

/* 0; -ENOSPC when the map is full; -EUCLEAN; -errno. */
static int map_records(Mapping *mapping, const BatchHeader *header, const uint8_t *data) {
        BatchReader reader;
        Record record;
        int r = batch_check_crc(data, header) ? 0 : -EUCLEAN;
        if (r)
                return r;
        r = batch_reader_init(&reader, data, header, LOG_INFLATE_BYTES_MAX);
        while (!r && (r = batch_reader_next(&reader, &record)) == 1) {
                r = 0;
                if (str_is_null(record.key) || record.offset < mapping->compaction->first_dirty_offset)
                        continue;
                r = offset_map_put(&mapping->map, record.key, record.offset);
                if (!r)
                        mapping->end_offset = record.offset + 1;
        }
        batch_reader_deinit(&reader);
        return r > 0 ? -EUCLEAN : r;
}

static int map_batch(Mapping *mapping, const BatchHeader *header, const uint8_t *data) {
        int r = 0;
        if (header->attributes & BATCH_CONTROL) {
                r = txn_walk_control(&mapping->txns, header, data);
        } else {
                r = txn_walk_batch(&mapping->txns, header);
                if (r == 0)
                        r = map_records(mapping, header, data);
        }
        if (r >= 0 && batch_last_offset(header) >= mapping->compaction->first_dirty_offset)
                mapping->end_offset = batch_next_offset(header);
        return r < 0 ? r : 0;
}

static int map_source(Mapping *mapping, const CompactionSource *source) {
        Reader reader = { .fd = -1 };
        BatchHeader header;
        const uint8_t *data;
        int r = reader_open(&reader, mapping->compaction, source);
        while (!r && (r = reader_next(&reader, &header, &data)) == 1)
                r = mapping->compaction->cancelled ? -ECANCELED : map_batch(mapping, &header, data);
        reader_close(&reader);
        buffer_deinit(&reader.chunk);
        if (!r)
                mapping->end_offset = source->next_offset;
        return r;
}

static int map_keys(Mapping *mapping) {
        const Compaction *compaction = mapping->compaction;
        int32_t i = 0;
        while (i < compaction->source_count && compaction->sources[i].next_offset <= compaction->first_dirty_offset)
                i++;
        mapping->end_offset = compaction->first_dirty_offset;
        mapping->txns = (TxnWalk){ .aborted = compaction->aborted, .aborted_count = compaction->aborted_count,
                                   .from_offset = i < compaction->source_count ? compaction->sources[i].base_offset : 0 };
        int64_t span = compaction->first_uncleanable_offset - compaction->first_dirty_offset;
        int r = offset_map_init(&mapping->map, (uint64_t)span, compaction->map_bytes_max);
        for (; !r && i < compaction->source_count; i++)
                r = map_source(mapping, &compaction->sources[i]);
        return r == -ENOSPC ? 0 : r; /* full: the rest is for the next time */
}

/* ---- writing ---- */

typedef struct Writer {
        const Compaction *compaction;
        Segment segment; /* only what segment_note() keeps */
        int fd;
        int64_t written;
        Buffer pending; /* whole batches */
} Writer;

static int writer_open(Writer *writer, const Compaction *compaction, int64_t base_offset) {
        char path[SEGMENT_PATH_MAX];
        *writer = (Writer){
                .compaction = compaction,
                .segment = { .base_offset = base_offset, .max_timestamp = -1, .max_timestamp_offset = base_offset,
                             .offsets = INDEX_INIT(INDEX_OFFSET), .times = INDEX_INIT(INDEX_TIME) },
        };
        compaction_path(compaction->dir, base_offset, "log", CLEANED_SUFFIX, path);
        writer->fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC);
        return writer->fd < 0 ? writer->fd : 0;
}

static void writer_close(Writer *writer) {
        file_close(writer->fd);
        index_deinit(&writer->segment.offsets);
        index_deinit(&writer->segment.times);
        txn_index_deinit(&writer->segment.txns);
        buffer_deinit(&writer->pending);
}

static int writer_flush(Writer *writer) {
        if (writer->written + (int64_t)writer->pending.size > INT32_MAX)
                return -EFBIG;
        int r = file_write(writer->fd, writer->pending.data, writer->pending.size, writer->written);
        if (r)
                return r;
        writer->written += (int64_t)writer->pending.size;
        buffer_clear(&writer->pending);
        return 0;
}

/* Accounts for what was appended to pending since it had size bytes: one batch at most. */
static int writer_note(Writer *writer, size_t size) {
        BatchHeader header;
        if (writer->pending.failed)
                return -ENOMEM;
        if (writer->pending.size == size)
                return 0;
        batch_read_header(writer->pending.data + size, writer->pending.size - size, &header);
        segment_note(&writer->segment, &header, writer->compaction->config.index_interval_bytes);
        return writer->pending.size >= WRITE_BYTES ? writer_flush(writer) : 0;
}

/* Syncs a file that was written; of the log also what it is dated back to. */
static int finish_file(const Compaction *compaction, int64_t base_offset, int suffix, int64_t mtime_ms) {
        char path[SEGMENT_PATH_MAX];
        compaction_path(compaction->dir, base_offset, compaction_suffixes[suffix], CLEANED_SUFFIX, path);
        int fd = file_open(path, O_RDWR);
        if (fd < 0)
                return fd;
        int r = suffix == 0 ? file_set_mtime(fd, mtime_ms) : 0;
        if (!r)
                r = file_sync(fd);
        file_close(fd);
        return r;
}

static int writer_finish(Writer *writer, int64_t mtime_ms) {
        const Compaction *compaction = writer->compaction;
        Segment *segment = &writer->segment;
        char path[SEGMENT_PATH_MAX];
        int r = writer_flush(writer);
        index_add_timestamp(&segment->times, segment->max_timestamp,
                            (uint32_t)(segment->max_timestamp_offset - segment->base_offset));
        segment->offsets.changed = segment->times.changed = segment->txns.rewrite = true;
        compaction_path(compaction->dir, segment->base_offset, "index", CLEANED_SUFFIX, path);
        if (!r)
                r = index_flush(&segment->offsets, path, UINT32_MAX);
        compaction_path(compaction->dir, segment->base_offset, "timeindex", CLEANED_SUFFIX, path);
        if (!r)
                r = index_flush(&segment->times, path, UINT32_MAX);
        for (int i = 0; !r && i < COMPACTION_TXN_SUFFIX; i++)
                r = finish_file(compaction, segment->base_offset, i, mtime_ms);
        if (r || !compaction->aborted_count)
                return r;
        /* an empty one, too: it replaces one that was not */
        compaction_path(compaction->dir, segment->base_offset, "txnindex", CLEANED_SUFFIX, path);
        return segment->txns.count ? txn_index_save(&segment->txns, path) : file_replace(path, "", 0);
}

static int write_source(Writer *writer, BatchFilter *filter, const CompactionSource *source) {
        Reader reader = { .fd = -1 };
        BatchHeader header;
        const uint8_t *data;
        int r = reader_open(&reader, writer->compaction, source);
        while (!r && (r = reader_next(&reader, &header, &data)) == 1) {
                size_t size = writer->pending.size;
                r = writer->compaction->cancelled ? -ECANCELED
                                                  : batch_filter_apply(filter, &header, data, &writer->pending);
                if (!r)
                        r = writer_note(writer, size);
        }
        reader_close(&reader);
        buffer_deinit(&reader.chunk);
        return r;
}

static int write_group(const Compaction *compaction, CompactionGroup *group, BatchFilter *filter) {
        Writer writer;
        int r = writer_open(&writer, compaction, group->base_offset);
        filter->txns.kept = &writer.segment.txns;
        for (int32_t i = 0; !r && i < group->count; i++)
                r = write_source(&writer, filter, &compaction->sources[group->first + i]);
        if (!r)
                r = writer_finish(&writer, compaction->sources[group->first + group->count - 1].mtime_ms);
        group->size = writer.written;
        group->txns = writer.segment.txns;
        writer.segment.txns = TXN_INDEX_INIT;
        group->txns.loaded = true;
        group->txns.rewrite = false; /* it was written as it is */
        group->txns.saved_count = group->txns.count;
        writer_close(&writer);
        return r;
}

/* ---- which segments become one ---- */

typedef struct Sizes {
        int64_t log, offsets, times;
} Sizes;

static Sizes source_sizes(const Compaction *compaction, const CompactionSource *source) {
        char path[SEGMENT_PATH_MAX];
        Sizes sizes = { .log = source->size };
        segment_path(compaction->dir, source->base_offset, "index", path);
        if (file_stat(path, &sizes.offsets, NULL))
                sizes.offsets = 0;
        segment_path(compaction->dir, source->base_offset, "timeindex", path);
        if (file_stat(path, &sizes.times, NULL))
                sizes.times = 0;
        return sizes;
}

/* Groups the sources below the end, as many in a row as one segment may hold. */
static int make_groups(Compaction *compaction) {
        compaction->groups = calloc((size_t)compaction->source_count, sizeof(*compaction->groups));
        if (!compaction->groups)
                return -ENOMEM;
        const LogConfig *config = &compaction->config;
        CompactionGroup *group = NULL;
        Sizes sum = { 0 };
        for (int32_t i = 0; i < compaction->source_count; i++) {
                const CompactionSource *source = &compaction->sources[i];
                if (source->base_offset >= compaction->end_offset)
                        break;
                Sizes sizes = source_sizes(compaction, source);
                if (group && sum.log + sizes.log <= config->segment_bytes &&
                    sum.offsets + sizes.offsets <= config->segment_index_bytes &&
                    sum.times + sizes.times <= config->segment_index_bytes &&
                    (!sizes.log || source->next_offset - 1 - group->base_offset <= INT32_MAX)) {
                        group->count++;
                } else {
                        group = &compaction->groups[compaction->group_count++];
                        *group = (CompactionGroup){ .first = i, .count = 1, .base_offset = source->base_offset };
                        sum = (Sizes){ 0 };
                }
                sum = (Sizes){ sum.log + sizes.log, sum.offsets + sizes.offsets, sum.times + sizes.times };
        }
        return 0;
}

static int write_groups(Compaction *compaction, const OffsetMap *map) {
        BatchFilter filter = {
                .compaction = compaction,
                .map = map,
                .map_end_offset = compaction->end_offset,
                .txns = { .aborted = compaction->aborted, .aborted_count = compaction->aborted_count },
        };
        int r = 0;
        for (int32_t i = 0; !r && i < compaction->group_count; i++)
                r = write_group(compaction, &compaction->groups[i], &filter);
        batch_filter_deinit(&filter);
        return r ? r : file_sync_directory(compaction->dir);
}

static int run(Compaction *compaction) {
        Mapping mapping = { .compaction = compaction };
        int r = file_sync_directory(compaction->dir); /* the names of the swap before: .cleaned beside .swap would take it back */
        if (!r)
                r = map_keys(&mapping);
        txn_walk_deinit(&mapping.txns);
        compaction->end_offset = mapping.end_offset;
        if (!r)
                r = make_groups(compaction);
        if (!r)
                r = write_groups(compaction, &mapping.map);
        offset_map_deinit(&mapping.map);
        if (!r && compaction->cancelled)
                r = -ECANCELED;
        for (int32_t i = 0; r && i < compaction->group_count; i++)
                compaction_discard(compaction->dir, compaction->groups[i].base_offset);
        if (!r)
                r = compaction_announce(compaction);
        return compaction->result = r;
}

/* It needs room to make room; the last of the disk is not for that. */
int compaction_run(Compaction *compaction) {
        bool kept = file_keep_space(true);
        int r = run(compaction);
        file_keep_space(kept);
        return r;
}
