/* Indexes, snapshots and epochs against what the walk over the log saw. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/endian.h"
#include "storage/base/file.h"
#include "storage/check_internal.h"

static const CheckMark *mark_at(const Check *check, int64_t position) {
        size_t low = 0, high = check->mark_count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (check->marks[middle].position < position)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < check->mark_count && check->marks[low].position == position ? &check->marks[low] : NULL;
}

/* The last batch that begins at or below offset. */
static const CheckMark *mark_of(const Check *check, int64_t offset) {
        size_t low = 0, high = check->mark_count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (check->marks[middle].base_offset <= offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low ? &check->marks[low - 1] : NULL;
}

/* Readers scan from an entry's position: the batch there must not lie behind the offset. */
static const char *check_position(const Check *check, const uint8_t *entry) {
        const CheckMark *mark = mark_at(check, load_be32(entry + 4));
        int64_t offset = check->base + load_be32(entry);
        if (!mark)
                return "an entry points into the middle of a batch, or behind the end of the log";
        return mark->base_offset <= offset && offset < check->expected_offset ? NULL : "an entry names the wrong batch";
}

/* No record up to the entry's offset is newer than it says, and one of them is as new. */
static const char *check_timestamp(const Check *check, const uint8_t *entry) {
        int64_t timestamp = (int64_t)load_be64(entry), offset = check->base + load_be32(entry + 8);
        const CheckMark *mark = mark_of(check, offset);
        if (!mark || offset >= check->expected_offset)
                return "an entry points behind the end of the log";
        return mark->max_timestamp == timestamp ? NULL : "an entry has the wrong time";
}

static void check_index(Check *check, const char *suffix, IndexKind kind, int64_t log_size) {
        char path[SEGMENT_PATH_MAX];
        Index index = INDEX_INIT(kind);
        segment_path(check->how->path, check->base, suffix, path);
        int r = index_load(&index, path, log_size, false);
        if (r == -ENOENT)
                return; /* made when it is needed */
        const char *wrong = r == -EUCLEAN ? "is no sound index" : r ? strerror(-r) : NULL;
        uint32_t i = 0;
        for (; !wrong && i < index.count; i++) {
                const uint8_t *entry = index.entries + (size_t)i * kind;
                wrong = kind == INDEX_OFFSET ? check_position(check, entry) : check_timestamp(check, entry);
        }
        if (wrong)
                check_report(check, CHECK_DERIVED, path, i ? (int64_t)(i - 1) * kind : -1, -1, -1, "%s", wrong);
        index_deinit(&index);
}

static int check_txns(Check *check) {
        char path[SEGMENT_PATH_MAX];
        TxnIndex index = TXN_INDEX_INIT;
        segment_path(check->how->path, check->base, "txnindex", path);
        int r = txn_index_load(&index, path, check->base);
        const char *wrong = r == -EUCLEAN ? "is no sound index" : NULL;
        /* transactions that began before the first segment may be unknown here */
        for (size_t i = 0; r == 0 && !wrong && i < check->aborted_count; i++) {
                bool found = false;
                for (uint32_t k = 0; !found && k < index.count; k++)
                        found = index.rows[k].producer_id == check->aborted[i].producer_id &&
                                index.rows[k].last_offset == check->aborted[i].last_offset &&
                                index.rows[k].first_offset <= check->aborted[i].first_offset;
                wrong = found ? NULL : "a transaction that was aborted is not in it";
        }
        for (uint32_t k = 0; r == 0 && !wrong && k < index.count; k++)
                wrong = index.rows[k].last_offset < check->expected_offset ? NULL : "an entry points behind the end of the log";
        if (wrong)
                check_report(check, CHECK_DERIVED, path, -1, -1, -1, "%s", wrong);
        txn_index_deinit(&index);
        return r == -EUCLEAN ? 0 : r;
}

static void check_snapshot(Check *check) {
        char path[SEGMENT_PATH_MAX];
        Producers producers = PRODUCERS_INIT;
        segment_path(check->how->path, check->base, "snapshot", path);
        if (producers_read_snapshot(&producers, path) == -EUCLEAN)
                check_report(check, CHECK_DERIVED, path, -1, -1, -1, "is no sound snapshot of producers");
        producers_deinit(&producers);
}

int check_indexes(Check *check, int32_t index, int64_t log_size) {
        if (!check_is_trusted(check, index))
                return 0;
        check_index(check, "index", INDEX_OFFSET, log_size);
        check_index(check, "timeindex", INDEX_TIME, log_size);
        check_snapshot(check);
        return check_txns(check);
}

void check_epoch(Check *check, const BatchHeader *header) {
        bool settled = check->how->clean_shutdown || batch_next_offset(header) <= check->how->recovery_point;
        if (!check->epochs_known || check->epochs_told || !settled || header->partition_leader_epoch < 0 ||
            header->base_offset < check->how->log_start_offset)
                return;
        if (check->how->metadata && check->epochs.count && header->base_offset < check->epochs.rows[0].start_offset)
                return; /* nothing else tells where that log starts */
        int32_t epoch = -1;
        for (int32_t i = 0; i < check->epochs.count && check->epochs.rows[i].start_offset <= header->base_offset; i++)
                epoch = check->epochs.rows[i].epoch;
        if (epoch == header->partition_leader_epoch)
                return;
        char path[SEGMENT_PATH_MAX];
        snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", check->how->path);
        check->epochs_told = true;
        check_report(check, CHECK_DERIVED, path, -1, header->base_offset, -1, "has epoch %d for offset %" PRId64 ", the log has %d", epoch,
                     header->base_offset, header->partition_leader_epoch);
}
