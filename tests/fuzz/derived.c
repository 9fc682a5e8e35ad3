/* Each small file by itself: indexes, producers' snapshots, checkpoints, leader epochs, partition.metadata, meta.properties. What is
 * taken for sound is written again and reads the same. Byte 0 chooses the kind, and whether a snapshot's checksum is put right. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"
#include "storage/epochs.h"
#include "storage/index.h"
#include "storage/producers.h"
#include "storage/txn_index.h"
#include "tests/fuzz/files.h"

#define LOG_BYTES (1 << 20)
#define BASE_OFFSET 7

static char path[FILES_PATH_MAX];

static void read_index(IndexKind kind) {
        Index index = INDEX_INIT(kind), again = INDEX_INIT(kind);
        uint32_t relative = 0, position;
        int64_t timestamp;
        (void)index_peek_position(path, &relative, &position);
        (void)index_peek_timestamp(path, &timestamp, &relative);
        if (index_load(&index, path, LOG_BYTES, true))
                return;
        for (uint32_t i = 0; kind == INDEX_OFFSET && i < 40; i++)
                FUZZ_CHECK(index_position_of(&index, i * 1000) < LOG_BYTES && index_position_before(&index, i * 1000) <= i * 1000);
        for (int64_t i = 0; kind == INDEX_TIME && i < 40; i++)
                (void)index_offset_before(&index, i << 30);
        if (index_last_offset(&index, &relative))
                FUZZ_CHECK(relative <= INT32_MAX);
        FUZZ_CHECK(index_load(&again, path, LOG_BYTES, false) == 0 && again.count == index.count);
        again.changed = true;
        again.saved = 0;
        FUZZ_CHECK(index_flush(&again, path, UINT32_MAX) == 0);
        index_deinit(&again);
        index_deinit(&index);
}

static void count_txn(const AbortedTxn *txn, void *data) {
        ++*(uint32_t *)data;
}

static void read_txns(void) {
        TxnIndex index = TXN_INDEX_INIT, again = TXN_INDEX_INIT;
        if (txn_index_load(&index, path, BASE_OFFSET))
                return;
        uint32_t count = 0;
        (void)txn_index_collect(&index, 0, INT64_MAX, count_txn, &count);
        FUZZ_CHECK(count <= index.count);
        index.rewrite = true;
        FUZZ_CHECK(txn_index_save(&index, path) == 0 && txn_index_load(&again, path, BASE_OFFSET) == 0 && again.count == index.count);
        txn_index_truncate(&again, 1000);
        txn_index_deinit(&again);
        txn_index_deinit(&index);
}

static void read_producers(void) {
        Producers producers = PRODUCERS_INIT, again = PRODUCERS_INIT;
        if (producers_read_snapshot(&producers, path) == 0) {
                FUZZ_CHECK(producers_write_snapshot(&producers, INT64_MAX, path) == 0);
                FUZZ_CHECK(producers_read_snapshot(&again, path) == 0 && again.map.count == producers.map.count);
                FUZZ_CHECK(producers_first_open(&again) == producers_first_open(&producers));
                producers_expire(&again, INT64_MAX / 2, 1);
        }
        producers_deinit(&producers);
        producers_deinit(&again);
}

static void add_row(const CheckpointRow *row, void *data) {
        FUZZ_CHECK(strlen(row->topic) && row->partition >= 0 && row->offset >= 0);
        buffer_printf(data, "%s %d %lld\n", row->topic, row->partition, (long long)row->offset);
}

static void read_checkpoint(const char *dir, const char *name) {
        Buffer once = BUFFER_INIT, twice = BUFFER_INIT;
        if (checkpoint_read(dir, name, add_row, &once) == 0) {
                Buffer text = BUFFER_INIT;
                int32_t count = 0;
                for (size_t i = 0; i < once.size; i++)
                        count += once.data[i] == '\n';
                buffer_printf(&text, "0\n%d\n", count);
                buffer_append(&text, once.data, once.size);
                FUZZ_CHECK(checkpoint_write_text(dir, name, (Str){ (const char *)text.data, text.size }) == 0);
                FUZZ_CHECK(checkpoint_read(dir, name, add_row, &twice) == 0 && twice.size == once.size);
                buffer_deinit(&text);
        }
        buffer_deinit(&once);
        buffer_deinit(&twice);
}

static void read_epochs(const char *dir) {
        Epochs epochs = EPOCHS_INIT, again = EPOCHS_INIT;
        int32_t epoch;
        int64_t end;
        if (epochs_read(&epochs, dir) == 0) {
                for (int32_t i = 0; i < 20; i++)
                        epochs_end(&epochs, i, 100, &epoch, &end);
                FUZZ_CHECK(epochs_write(&epochs, dir) == 0 && epochs_read(&again, dir) == 0 && again.count == epochs.count);
                (void)epochs_cut_end(&again, 50);
                (void)epochs_cut_start(&again, 10);
                (void)epochs_begin(&again, epochs_latest(&again) == INT32_MAX ? INT32_MAX : epochs_latest(&again) + 1, 60);
        }
        epochs_deinit(&epochs);
        epochs_deinit(&again);
}

static void read_partition(const char *dir) {
        Uuid id, again;
        if (checkpoint_read_partition_metadata(dir, &id) == 0)
                FUZZ_CHECK(checkpoint_write_partition_metadata(dir, &id, true) == 0 && checkpoint_read_partition_metadata(dir, &again) == 0 &&
                           uuid_equal(&id, &again));
}

static void read_meta(const char *dir) {
        MetaProperties meta, again;
        const char *reason = NULL;
        int r = checkpoint_read_meta(dir, &meta, &reason);
        if (r == -EUCLEAN)
                FUZZ_CHECK(reason != NULL);
        if (r == 0)
                FUZZ_CHECK(checkpoint_write_meta(dir, &meta) == 0 && checkpoint_read_meta(dir, &again, &reason) == 0 &&
                           again.node_id == meta.node_id && strcmp(again.cluster_id, meta.cluster_id) == 0 &&
                           uuid_equal(&again.directory_id, &meta.directory_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const names[] = { "0.index", "0.timeindex", "0.txnindex", "0.snapshot", "rows-checkpoint",
                                             "leader-epoch-checkpoint", "partition.metadata", "meta.properties" };
        enum { KINDS = sizeof(names) / sizeof(names[0]) };
        uint8_t file[4096 + 64];
        if (size < 1 || size > 4096)
                return 0;
        trace_level = TRACE_NONE;
        const char *dir = files_root(), *name = names[data[0] % KINDS];
        int n = snprintf((char *)file, 64, "%s", name);
        file[n + 1] = (uint8_t)((size - 1) >> 8);
        file[n + 2] = (uint8_t)(size - 1);
        memcpy(file + n + 3, data + 1, size - 1);
        files_unpack(dir, file, (size_t)n + 3 + size - 1, data[0] & 0x80);
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        switch (data[0] % KINDS) {
        case 0: read_index(INDEX_OFFSET); break;
        case 1: read_index(INDEX_TIME); break;
        case 2: read_txns(); break;
        case 3: read_producers(); break;
        case 4: read_checkpoint(dir, name); break;
        case 5: read_epochs(dir); break;
        case 6: read_partition(dir); break;
        case 7: read_meta(dir); break;
        }
        return 0;
}
