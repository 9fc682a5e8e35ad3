/* The file format, and the log's transactions against a model of them. */
#include "tests/storage/support.h"

#include "storage/log_internal.h"
#include "storage/txn_index.h"

TestSuite(txn_index, .init = test_setup, .fini = test_teardown);

static const char *index_path(void) {
        static char path[96];
        snprintf(path, sizeof(path), "%s/00000000000000000010.txnindex", test_dir);
        return path;
}

Test(txn_index, file_has_kafkas_format) {
        TxnIndex index = TXN_INDEX_INIT;
        assert_ok(txn_index_load(&index, index_path(), 10));
        AbortedTxn txn = { .producer_id = 0x0102030405060708, .first_offset = 3, .last_offset = 17, .last_stable_offset = 18 };
        assert_ok(txn_index_append(&index, &txn));
        cr_assert_eq(size_of(index_path()), -1);
        assert_ok(txn_index_save(&index, index_path()));
        static const uint8_t row[34] = { 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, [17] = 3, [25] = 17, [33] = 18 };
        uint8_t bytes[35];
        int fd = open(index_path(), O_RDONLY);
        cr_assert_eq(read(fd, bytes, sizeof(bytes)), 34);
        close(fd);
        cr_assert_arr_eq(bytes, row, 34);
        txn_index_deinit(&index);
}

static int count;

static void count_one(const AbortedTxn *txn, void *data) {
        count++;
}

static int collect(const TxnIndex *index, int64_t from, int64_t to, bool complete) {
        count = 0;
        cr_assert_eq(txn_index_collect(index, from, to, count_one, NULL), complete);
        return count;
}

Test(txn_index, saved_rows_come_back_and_are_cut_and_found) {
        TxnIndex index = TXN_INDEX_INIT, back = TXN_INDEX_INIT;
        assert_ok(txn_index_load(&index, index_path(), 10));
        for (int i = 0; i < 20; i++) {
                AbortedTxn txn = { .producer_id = i, .first_offset = i * 10, .last_offset = i * 10 + 15, .last_stable_offset = i * 10 + 10 };
                assert_ok(txn_index_append(&index, &txn));
                cr_assert_eq(txn_index_append(&index, &txn), -EINVAL);
                if (i % 7 == 0)
                        assert_ok(txn_index_save(&index, index_path()));
        }
        cr_assert_eq(collect(&index, 0, 1, true), 1);
        cr_assert_eq(collect(&index, 36, 1000, false), 17);
        cr_assert_eq(collect(&index, 35, 51, true), 4, "2 to 5");
        txn_index_truncate(&index, 95);
        cr_assert_eq(index.count, 8);
        cr_assert(txn_index_is_dirty(&index));
        assert_ok(txn_index_save(&index, index_path()));
        cr_assert_not(txn_index_is_dirty(&index));
        assert_ok(txn_index_load(&back, index_path(), 10));
        cr_assert_eq(back.count, 8);
        cr_assert_arr_eq(back.rows, index.rows, 8 * sizeof(*index.rows));
        txn_index_deinit(&back);
        txn_index_truncate(&index, 0);
        assert_ok(txn_index_save(&index, index_path()));
        cr_assert_eq(size_of(index_path()), -1, "no rows, no file");
        txn_index_deinit(&index);
}

Test(txn_index, damaged_file_is_no_index) {
        TxnIndex index = TXN_INDEX_INIT;
        txn_index_reset(&index);
        assert_ok(txn_index_append(&index, &(AbortedTxn){ .producer_id = 1, .first_offset = 3, .last_offset = 17, .last_stable_offset = 18 }));
        assert_ok(txn_index_append(&index, &(AbortedTxn){ .producer_id = 1, .first_offset = 18, .last_offset = 19, .last_stable_offset = 20 }));
        assert_ok(txn_index_save(&index, index_path()));
        txn_index_deinit(&index);
        cr_assert_eq(txn_index_load(&index, index_path(), 18), -EUCLEAN, "ends before its segment");
        flip_byte(index_path(), 1);
        cr_assert_eq(txn_index_load(&index, index_path(), 10), -EUCLEAN, "another version");
        flip_byte(index_path(), 1);
        flip_byte(index_path(), 34 + 25);
        flip_byte(index_path(), 25);
        cr_assert_eq(txn_index_load(&index, index_path(), 10), 0);
        txn_index_deinit(&index);
        flip_byte(index_path(), 34 + 25);
        cr_assert_eq(txn_index_load(&index, index_path(), 10), -EUCLEAN, "offsets fall");
        flip_byte(index_path(), 25);
        cr_assert_eq(truncate(index_path(), 67), 0);
        cr_assert_eq(txn_index_load(&index, index_path(), 10), -EUCLEAN, "cut");
        cr_assert_eq(index.count, 0);
}

/* ---- the log ---- */

static int try_end(Log *log, int64_t id, int16_t epoch, bool commit, int32_t coordinator_epoch, LogOrigin origin) {
        BatchBuilder builder;
        BatchMarker marker = { .commit = commit, .coordinator_epoch = coordinator_epoch, .timestamp_ms = NOW };
        LogAppend result;
        assert_ok(batch_build_marker(&builder, id, epoch, &marker));
        int r = log_append(log, builder.out.data, builder.out.size, origin, 0, NOW, &result);
        if (!r)
                r = log_commit(log, NOW);
        batch_builder_deinit(&builder);
        return r;
}

#define TXN_BATCH(id, epoch, sequence, ...) \
        TEST_BATCH(.producer_id = (id), .producer_epoch = (int16_t)(epoch), .base_sequence = (sequence), \
                   .attributes = BATCH_TRANSACTIONAL, __VA_ARGS__)

Test(txn_index, epochs_of_markers_are_checked) {
        Log *log = open_log(how_to_open());
        append(log, TXN_BATCH(7, 3, 0));
        cr_assert_eq(try_end(log, 7, 2, true, 5, LOG_ORIGIN_BROKER), KAFKA_INVALID_PRODUCER_EPOCH);
        cr_assert_eq(try_end(log, 7, 3, true, 5, LOG_ORIGIN_TRANSACTIONS_V2), KAFKA_INVALID_PRODUCER_EPOCH);
        cr_assert_eq(log_end_offset(log), 1);
        assert_ok(try_end(log, 7, 3, true, 5, LOG_ORIGIN_BROKER));
        cr_assert_eq(log_last_stable_offset(log), 2);
        append(log, TXN_BATCH(7, 3, 1));
        cr_assert_eq(try_end(log, 7, 3, false, 4, LOG_ORIGIN_BROKER), KAFKA_TRANSACTION_COORDINATOR_FENCED);
        cr_assert_eq(log_last_stable_offset(log), 2);
        assert_ok(try_end(log, 7, 4, false, 5, LOG_ORIGIN_TRANSACTIONS_V2));
        assert_ok(try_end(log, 7, 4, false, 5, LOG_ORIGIN_TRANSACTIONS_V2));
        cr_assert_eq(log_last_stable_offset(log), 5);
        LogAppend result;
        cr_assert_eq(try_append(log, TXN_BATCH(7, 3, 2), &result), KAFKA_INVALID_PRODUCER_EPOCH);
        append(log, TXN_BATCH(7, 4, 0));
        cr_assert_eq(try_append(log, TEST_BATCH(.producer_id = 7, .producer_epoch = 4, .base_sequence = 1), &result), KAFKA_INVALID_TXN_STATE);
        assert_ok(log_close(log, NOW));
}

static ssize_t failing_pwritev(int fd, const struct iovec *parts, int n, off_t position) {
        errno = EIO;
        return -1;
}

/* The snapshot of a stop spares the recovery the rotten batch, but not the search for what transactions there were. */
Test(txn_index, a_torn_tail_stays_where_damage_keeps_the_log_from_being_served) {
        LogOpen how = how_to_open();
        how.config.segment_bytes = 1000;
        Log *log = open_log(how);
        append_many(log, 8);
        assert_ok(log_close(log, NOW));
        how.clean_shutdown = true;
        log = open_log(how);
        append(log, TXN_BATCH(7, 0, 0));
        assert_ok(try_end(log, 7, 0, false, 0, LOG_ORIGIN_BROKER));
        append_many(log, 1);
        int64_t base_offset = log_active_offset(log);
        log_abandon(log);
        cr_assert(base_offset > 0 && base_offset < 8);
        char command[256];
        snprintf(command, sizeof(command), "cd %s && rm -f $(ls *.snapshot | grep -v 08.snapshot) && ls *08.snapshot >/dev/null", test_log_path);
        cr_assert_eq(system(command), 0);
        flip_byte(log_file(0, "log"), 16);
        int64_t size = size_of(log_file(base_offset, "log")) - 1;
        cr_assert_eq(truncate(log_file(base_offset, "log"), size), 0);
        how.clean_shutdown = false;
        how.recovery_point = 8;
        cr_assert_eq(log_open(&how, &log), -EUCLEAN);
        cr_assert_eq(size_of(log_file(base_offset, "log")), size);
        snprintf(command, sizeof(command), "! ls %s | grep -q torn", test_log_path);
        cr_assert_eq(system(command), 0);
}

Test(txn_index, marker_that_is_not_written_ends_nothing) {
        Log *log = open_log(how_to_open());
        append(log, TXN_BATCH(7, 3, 0));
        BatchBuilder builder;
        LogAppend result;
        assert_ok(batch_build_marker(&builder, 7, 3, &(BatchMarker){ .timestamp_ms = NOW }));
        assert_ok(log_append(log, builder.out.data, builder.out.size, LOG_ORIGIN_BROKER, 0, NOW, &result));
        cr_assert_eq(log_last_stable_offset(log), 0, "not before the marker is in the log");
        file_ops.pwritev = failing_pwritev;
        cr_assert_eq(log_commit(log, NOW), -EIO);
        file_ops = FILE_OPS_SYSTEM;
        batch_builder_deinit(&builder);
        cr_assert_eq(log_last_stable_offset(log), 0);
        cr_assert_eq(log->aborted_count, 0);
        assert_ok(try_end(log, 7, 3, false, 0, LOG_ORIGIN_BROKER));
        cr_assert_eq(log_last_stable_offset(log), 2);
        cr_assert_eq(log_active(log)->txns.count, 1);
        assert_ok(log_close(log, NOW));
}

#define PRODUCER_COUNT 6
#define TXN_MAX 2000

typedef struct Model {
        struct {
                int64_t first, last, producer;
        } aborted[TXN_MAX];
        int aborted_count;
        int64_t open[PRODUCER_COUNT]; /* -1: none */
        int32_t sequence[PRODUCER_COUNT];
} Model;

typedef struct Found {
        const Model *model;
        int64_t from, to;
        int at;
} Found;

static void next_overlap(Found *found) {
        const Model *model = found->model;
        while (found->at < model->aborted_count &&
               (model->aborted[found->at].last < found->from || model->aborted[found->at].first >= found->to))
                found->at++;
}

static void check_aborted(int64_t producer_id, int64_t first_offset, void *data) {
        Found *found = data;
        next_overlap(found);
        cr_assert_lt(found->at, found->model->aborted_count);
        cr_assert_eq(found->model->aborted[found->at].producer, producer_id);
        cr_assert_eq(found->model->aborted[found->at].first, first_offset);
        found->at++;
}

static void compare(Log *log, const Model *model) {
        int64_t stable = log_end_offset(log);
        for (int i = 0; i < PRODUCER_COUNT; i++)
                if (model->open[i] >= 0 && model->open[i] < stable)
                        stable = model->open[i];
        cr_assert_eq(log_last_stable_offset(log), stable);
        for (int i = 0; i < 5; i++) {
                Found found = { .model = model, .from = i ? rand() % (stable + 1) : 0, .to = stable };
                if (i > 1)
                        found.to = found.from + rand() % (stable - found.from + 1);
                assert_ok(log_aborted_transactions(log, found.from, found.to, check_aborted, &found));
                next_overlap(&found);
                cr_assert_eq(found.at, model->aborted_count, "[%" PRId64 ", %" PRId64 ")", found.from, found.to);
        }
}

static void step(Log *log, Model *model) {
        int i = rand() % PRODUCER_COUNT;
        if (rand() % 3 || model->open[i] < 0) {
                if (model->open[i] < 0)
                        model->open[i] = log_end_offset(log);
                int records = 1 + rand() % 3;
                append(log, TXN_BATCH(100 + i, 0, model->sequence[i], .records = records, .value_bytes = rand() % 100));
                model->sequence[i] += records;
                return;
        }
        bool commit = rand() % 2;
        if (!commit) {
                model->aborted[model->aborted_count].first = model->open[i];
                model->aborted[model->aborted_count].last = log_end_offset(log);
                model->aborted[model->aborted_count++].producer = 100 + i;
        }
        assert_ok(try_end(log, 100 + i, 0, commit, 0, LOG_ORIGIN_BROKER));
        model->open[i] = -1;
}

Test(txn_index, log_knows_what_a_model_knows, .timeout = 120) {
        for (unsigned seed = 1; seed <= 12; seed++) {
                srand(seed);
                LogOpen how = how_to_open();
                bool long_segments = seed % 3 == 0; /* a recovery begins somewhere in them */
                how.config.segment_bytes = long_segments ? 60000 : 3000;
                how.config.index_interval_bytes = long_segments ? 200 : 4096;
                Log *log = open_log(how);
                Model *model = calloc(1, sizeof(*model));
                memset(model->open, 0xff, sizeof(model->open));
                for (int n = 0; n < 600; n++) {
                        step(log, model);
                        int chance = rand() % 40;
                        if (chance == 0)
                                assert_ok(log_sync(log));
                        if (chance == 1 || chance == 2) {
                                how.recovery_point = log_recovery_point(log);
                                how.clean_shutdown = chance == 1;
                                if (how.clean_shutdown)
                                        assert_ok(log_close(log, NOW));
                                else
                                        log_abandon(log);
                                log = open_log(how);
                        }
                        if (n % 10 == 0 || chance < 3)
                                compare(log, model);
                }
                assert_ok(log_close(log, NOW));
                how.clean_shutdown = true;
                log = open_log(how);
                compare(log, model);
                cr_assert_gt(log->segment_count, long_segments ? 0 : 10);
                log_abandon(log);
                free(model);
                assert_ok(log_delete_directory(test_log_path));
        }
}

static void count_aborted(int64_t producer_id, int64_t first_offset, void *data) {
        ++*(int *)data;
}

Test(txn_index, rows_before_the_start_of_a_recovery_stay) {
        LogOpen how = how_to_open();
        how.config.index_interval_bytes = 200;
        Log *log = open_log(how);
        append(log, TXN_BATCH(7, 0, 0));
        assert_ok(try_end(log, 7, 0, false, 0, LOG_ORIGIN_BROKER));
        append_many(log, 50);
        assert_ok(log_close(log, NOW)); /* leaves indexes, from which a recovery goes on */
        for (int i = 0; i < 2; i++) {
                how.recovery_point = 52;
                log = open_log(how);
                int rows = 0;
                assert_ok(log_aborted_transactions(log, 0, 52, count_aborted, &rows));
                cr_assert_eq(rows, 1);
                log_abandon(log);
        }
}

Test(txn_index, damaged_or_lost_files_are_built_again_the_same) {
        srand(99);
        LogOpen how = how_to_open();
        how.config.segment_bytes = 3000;
        Log *log = open_log(how);
        Model *model = calloc(1, sizeof(*model));
        memset(model->open, 0xff, sizeof(model->open));
        for (int n = 0; n < 300; n++)
                step(log, model);
        assert_ok(log_close(log, NOW));
        char command[256];
        snprintf(command, sizeof(command), "cd %s && mkdir ../kept && cp *.txnindex ../kept && for f in *.txnindex; do echo x >> $f; done", test_log_path);
        cr_assert_eq(system(command), 0);
        how.clean_shutdown = true;
        trace_level = TRACE_ERROR;
        log = open_log(how);
        compare(log, model);
        assert_ok(log_close(log, NOW));
        snprintf(command, sizeof(command), "cd %s && for f in *.txnindex; do cmp $f ../kept/$f || exit 1; done; ls *.txnindex | wc -l | grep -q ^$(ls ../kept | wc -l)$ && rm *.txnindex *.snapshot", test_log_path);
        cr_assert_eq(system(command), 0);
        how.clean_shutdown = false;
        how.recovery_point = 0;
        log = open_log(how);
        compare(log, model);
        log_abandon(log);
        snprintf(command, sizeof(command), "cd %s && for f in ../kept/*; do cmp $f $(basename $f) || exit 1; done", test_log_path);
        cr_assert_eq(system(command), 0);
        free(model);
}
