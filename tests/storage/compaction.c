/* Compaction against a model, while the log goes on, and cut short anywhere. */
#include "tests/storage/compaction_model.h"

#include <pthread.h>

TestSuite(compaction, .init = test_setup, .fini = test_teardown);

static void reopen(Log **log, LogOpen how, bool clean) {
        how.recovery_point = log_recovery_point(*log);
        how.clean_shutdown = clean;
        if (clean)
                assert_ok(log_close(*log, NOW));
        else
                log_abandon(*log);
        *log = open_log(how);
}

static void run_model(unsigned seed, bool transactions) {
        srand(seed);
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        Model *model = model_new(transactions);
        for (int round = 0; round < 6; round++) {
                model_fill(model, log, 60 + rand() % 100);
                if (!transactions)
                        cr_assert_gt(log->segment_count, 3);
                compact_both(model, log);
                compare_log(model, log);
                compare_committed(model, log);
                model->now_ms += rand() % 3000;
                if (rand() % 2) {
                        reopen(&log, how, rand() % 2);
                        compare_log(model, log);
                        compare_committed(model, log);
                }
        }
        log_abandon(log);
        free(model);
        assert_ok(log_delete_directory(test_log_path));
}

Test(compaction, keeps_what_the_model_keeps) {
        for (unsigned seed = 1; seed <= 20; seed++)
                run_model(seed, false);
}

Test(compaction, keeps_what_the_model_keeps_with_transactions) {
        for (unsigned seed = 1; seed <= 20; seed++)
                run_model(seed, true);
}

Test(compaction, last_record_of_each_key_survives_in_several_passes) {
        srand(4);
        Log *log = open_log(how_to_compact());
        Model *model = model_new(false);
        model_fill(model, log, 400);
        LogDirt dirt;
        assert_ok(log_sync(log));
        log_dirt(log, -1, model->now_ms, &dirt);
        int passes = 0;
        for (int64_t offset = -1; offset < dirt.first_uncleanable_offset; passes++) {
                LogCompacted compacted;
                assert_ok(compact(log, offset, 8 * OFFSET_MAP_SLOT_BYTES, model->now_ms, &compacted)); /* 7 keys */
                cr_assert_gt(compacted.cleaner_offset, offset);
                offset = compacted.cleaner_offset;
        }
        cr_assert_gt(passes, 20);
        model_compact(model, 0, dirt.first_uncleanable_offset, dirt.first_uncleanable_offset, 2000);
        compare_log(model, log);
        log_abandon(log);
        free(model);
}

Test(compaction, merges_small_segments_and_says_how_much_it_won) {
        srand(5);
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        Model *model = model_new(false);
        model_fill(model, log, 500);
        int32_t segments = log->segment_count;
        int64_t bytes = log_size_bytes(log);
        LogCompacted compacted;
        assert_ok(compact(log, -1, MAP_BYTES, model->now_ms, &compacted));
        cr_assert_eq(log_size_bytes(log), bytes - compacted.bytes_before + compacted.bytes_after);
        cr_assert_lt(compacted.bytes_after, compacted.bytes_before / 2);
        assert_ok(compact(log, 0, MAP_BYTES, model->now_ms, &compacted));
        cr_assert_lt(log->segment_count, segments / 4);
        int64_t size = 0;
        for (int32_t i = 0; i < log->segment_count; i++)
                size += size_of(log_file(log->segments[i]->base_offset, "log"));
        cr_assert_eq(log_size_bytes(log), size);
        char command[256]; /* nothing else is left; one snapshot for the active segment's start */
        snprintf(command, sizeof(command), "cd %s && [ $(ls | grep -c 'log$') = %d ] && ! ls | grep -q 'cleaned\\|swap\\|deleted'",
                 test_log_path, log->segment_count);
        cr_assert_eq(system(command), 0);
        log_abandon(log);
        free(model);
}

Test(compaction, indexes_are_those_that_would_be_built) {
        srand(6);
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        Model *model = model_new(true);
        model_fill(model, log, 300);
        for (int i = 0; i < MODEL_PRODUCERS; i++)
                if (model->txn_start[i] >= 0)
                        model_end_transaction(model, log, i);
        model_fill(model, log, 30);
        compact_both(model, log);
        assert_ok(log_close(log, NOW));
        char command[512];
        snprintf(command, sizeof(command), "cd %s && mkdir ../kept && cp *.*index ../kept && rm *.index *.timeindex *.txnindex *.snapshot", test_log_path);
        cr_assert_eq(system(command), 0);
        log = open_log(how);
        compare_log(model, log);
        compare_committed(model, log);
        assert_ok(log_close(log, NOW));
        snprintf(command, sizeof(command), "cd %s && for f in ../kept/*.index ../kept/*.timeindex; do [ ! -s $f ] || cmp $f $(basename $f) || exit 1; done", test_log_path);
        cr_assert_eq(system(command), 0);
        free(model);
}

Test(compaction, producers_are_remembered_without_their_records) {
        srand(7);
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        for (int i = 0; i < 3; i++)
                append(log, TEST_BATCH(.records = 2, .producer_id = 1 + i, .producer_epoch = 0, .base_sequence = 0));
        for (int i = 0; i < 100; i++)
                append(log, TEST_BATCH(.value_bytes = 100));
        LogCompacted compacted;
        assert_ok(compact(log, -1, MAP_BYTES, NOW, &compacted));
        Content *content = read_content(log);
        cr_assert_geq(content->empty_batches, 3);
        free(content);
        char command[256];
        snprintf(command, sizeof(command), "rm %s/*.snapshot", test_log_path);
        cr_assert_eq(system(command), 0);
        reopen(&log, how, false);
        LogAppend result;
        for (int i = 0; i < 3; i++) {
                assert_ok(try_append(log, TEST_BATCH(.records = 2, .producer_id = 1 + i, .producer_epoch = 0, .base_sequence = 0), &result));
                cr_assert(result.duplicate && result.base_offset == i * 2);
                cr_assert_eq(try_append(log, TEST_BATCH(.producer_id = 1 + i, .producer_epoch = 0, .base_sequence = 3), &result), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        log_abandon(log);
}

static int count_markers(Log *log) {
        Content *content = read_content(log);
        int count = content->controls;
        free(content);
        return count;
}

Test(compaction, marker_goes_after_its_transaction_and_its_horizon) {
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        LogCompacted compacted;
        for (int16_t commit = 0; commit < 2; commit++) {
                BatchBuilder builder;
                LogAppend result;
                append(log, TEST_BATCH(.producer_id = 5 + commit, .producer_epoch = 0, .base_sequence = 0, .attributes = BATCH_TRANSACTIONAL));
                assert_ok(batch_build_marker(&builder, 5 + commit, 0, &(BatchMarker){ .commit = commit, .timestamp_ms = NOW }));
                assert_ok(log_append(log, builder.out.data, builder.out.size, LOG_ORIGIN_BROKER, 0, NOW, &result));
                assert_ok(log_commit(log, NOW));
                batch_builder_deinit(&builder);
        }
        for (int i = 0; i < 60; i++)
                append(log, TEST_BATCH(.value_bytes = 100));
        producers_expire(&log->producers, NOW + 1000, 1); /* or their last batches would stay, and with them the markers */
        assert_ok(compact(log, -1, MAP_BYTES, NOW, &compacted));
        cr_assert_eq(count_markers(log), 2, "the first pass finds the records");
        for (int i = 0; i < 60; i++)
                append(log, TEST_BATCH(.value_bytes = 100));
        assert_ok(compact(log, compacted.cleaner_offset, MAP_BYTES, NOW + 10, &compacted));
        cr_assert_eq(count_markers(log), 2, "the second gives them a horizon");
        for (int i = 0; i < 60; i++)
                append(log, TEST_BATCH(.value_bytes = 100));
        assert_ok(compact(log, compacted.cleaner_offset, MAP_BYTES, NOW + 2009, &compacted));
        cr_assert_eq(count_markers(log), 2);
        for (int i = 0; i < 60; i++)
                append(log, TEST_BATCH(.value_bytes = 100));
        assert_ok(compact(log, compacted.cleaner_offset, MAP_BYTES, NOW + 2010, &compacted));
        cr_assert_eq(count_markers(log), 0);
        Skips skips = { .count = 0 };
        assert_ok(log_aborted_transactions(log, 0, 100, add_skip, &skips));
        cr_assert_eq(skips.count, 0);
        log_abandon(log);
}

Test(compaction, dirt_is_bounded_by_lag_transactions_and_the_active_segment) {
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        for (int i = 0; i < 100; i++)
                append(log, TEST_BATCH(.value_bytes = 100, .timestamp_ms = NOW + i));
        LogDirt dirt;
        log_dirt(log, -1, NOW + 100, &dirt);
        cr_assert(dirt.first_uncleanable_offset == 0 && !dirt.due, "nothing is on disk");
        assert_ok(log_sync(log));
        log_dirt(log, -1, NOW + 100, &dirt);
        cr_assert_eq(dirt.first_dirty_offset, 0);
        cr_assert_eq(dirt.first_uncleanable_offset, log_active(log)->base_offset);
        cr_assert(dirt.due && !dirt.overdue && dirt.clean_bytes == 0);
        cr_assert_eq(dirt.dirty_bytes, log_size_bytes(log) - log_active(log)->size);
        log->config.min_compaction_lag_ms = 60;
        log_dirt(log, -1, NOW + 100, &dirt);
        cr_assert_leq(dirt.first_uncleanable_offset, 41);
        cr_assert_gt(dirt.first_uncleanable_offset, 10);
        log->config.min_compaction_lag_ms = 1000;
        log_dirt(log, -1, NOW + 100, &dirt);
        cr_assert(dirt.first_uncleanable_offset == 0 && dirt.dirty_bytes == 0 && !dirt.due);
        Compaction *compaction;
        assert_ok(log_compaction_begin(log, -1, MAP_BYTES, NOW + 100, &compaction));
        cr_assert_null(compaction);
        log->config.min_compaction_lag_ms = 0;
        int64_t second = log->segments[1]->base_offset, last = log->segments[log->segment_count - 2]->base_offset;
        log_dirt(log, last, NOW + 100, &dirt);
        cr_assert_eq(dirt.first_dirty_offset, last);
        cr_assert(!dirt.due && dirt.dirty_bytes && log_dirt_ratio(&dirt) < 0.5);
        log->config.max_compaction_lag_ms = 10;
        log_dirt(log, last, NOW + 100, &dirt);
        cr_assert(dirt.due && dirt.overdue);
        log_dirt(log, 1000, NOW + 100, &dirt);
        cr_assert_eq(dirt.first_dirty_offset, 0, "an offset past the end is none");
        log->unstable_offset = second + 1;
        log_dirt(log, -1, NOW + 100, &dirt);
        cr_assert_eq(dirt.first_uncleanable_offset, second);
        log_abandon(log);
}

/* ---- while the log goes on ---- */

static void *run_on_thread(void *data) {
        return (void *)(intptr_t)compaction_run(data);
}

static void *settle_on_thread(void *data) {
        return (void *)(intptr_t)compaction_settle(data);
}

Test(compaction, log_goes_on_while_it_runs) {
        srand(11);
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        Model *model = model_new(true);
        for (int round = 0; round < 5; round++) {
                model_fill(model, log, 150);
                LogDirt dirt;
                Compaction *compaction, *second;
                LogCompacted compacted;
                assert_ok(log_sync(log));
                log_dirt(log, model->cleaner_offset, model->now_ms, &dirt);
                int64_t now_ms = model->now_ms;
                assert_ok(log_compaction_begin(log, model->cleaner_offset, MAP_BYTES, now_ms, &compaction));
                if (!compaction)
                        continue;
                cr_assert_eq(log_compaction_begin(log, -1, MAP_BYTES, now_ms, &second), -EBUSY);
                pthread_t thread;
                void *result;
                cr_assert_eq(pthread_create(&thread, NULL, run_on_thread, compaction), 0);
                model_fill(model, log, 50);
                compare_log(model, log);
                assert_ok(log_sync(log));
                FileSpan span;
                assert_ok(log_read(log, log_start_offset(log), INT64_MAX, 2000, true, &span));
                uint8_t before[2000];
                cr_assert_eq(pread(span.fd, before, (size_t)span.size, span.position), span.size);
                pthread_join(thread, &result);
                cr_assert_null(result);
                assert_ok(log_compaction_swap(log, compaction));
                segment_files_limit(1, 1); /* names change while files are opened */
                cr_assert_eq(pthread_create(&thread, NULL, settle_on_thread, compaction), 0);
                for (int i = 0; i < 5; i++)
                        free(read_content(log));
                pthread_join(thread, &result);
                cr_assert_null(result);
                segment_files_limit(100, 100);
                assert_ok(log_compaction_finish(log, compaction, &compacted));
                int64_t later_ms = model->now_ms;
                model->now_ms = now_ms;
                model_compact(model, dirt.first_dirty_offset, compacted.cleaner_offset, compacted.cleaner_offset, how.config.delete_retention_ms);
                model->now_ms = later_ms;
                uint8_t after[2000];
                compaction_free(compaction);
                cr_assert_eq(pread(span.fd, after, (size_t)span.size, span.position), span.size);
                cr_assert_arr_eq(before, after, (size_t)span.size);
                file_span_release(&span);
                compare_log(model, log);
                compare_committed(model, log);
        }
        assert_ok(log_close(log, NOW));
        free(model);
}

Test(compaction, segments_deleted_under_it_go_when_it_is_over) {
        for (int when = 0; when < 3; when++) {
                srand(12);
                LogOpen how = how_to_compact();
                Log *log = open_log(how);
                Model *model = model_new(false);
                model_fill(model, log, 200);
                assert_ok(log_sync(log));
                Compaction *compaction;
                LogCompacted compacted;
                assert_ok(log_compaction_begin(log, -1, MAP_BYTES, model->now_ms, &compaction));
                int64_t start = log->segments[2]->base_offset;
                if (when == 0)
                        assert_ok(log_advance_start(log, start, model->now_ms));
                assert_ok(compaction_run(compaction));
                if (when == 1)
                        assert_ok(log_advance_start(log, start, model->now_ms));
                assert_ok(log_compaction_swap(log, compaction));
                if (when == 2)
                        assert_ok(log_advance_start(log, start, model->now_ms));
                assert_ok(compaction_settle(compaction));
                cr_assert_eq(log_retain(log, model->now_ms), 0);
                assert_ok(log_compaction_finish(log, compaction, &compacted));
                compaction_free(compaction);
                cr_assert_eq(log_start_offset(log), start);
                cr_assert_geq(log_retain(log, model->now_ms), 0);
                cr_assert_gt(log->segments[1]->base_offset, start);
                char command[256];
                snprintf(command, sizeof(command), "! ls %s | grep -q 'cleaned\\|swap'", test_log_path);
                cr_assert_eq(system(command), 0);
                how.log_start_offset = start;
                reopen(&log, how, false);
                assert_ok(compact(log, -1, MAP_BYTES, model->now_ms, &compacted));
                Content *content = read_content(log);
                cr_assert_gt(content->count, 0);
                cr_assert_geq(content->records[0].offset, start);
                free(content);
                log_abandon(log);
                free(model);
                assert_ok(log_delete_directory(test_log_path));
        }
}

static int reaped;

static void reap(Reaper *reaper, SegmentRemains remains) {
        reaped++;
        segment_remains_dispose(&remains);
}

Test(compaction, replaced_files_go_to_the_reaper_with_their_last_reader) {
        LogOpen how = how_to_compact();
        Reaper reaper = { .take = reap };
        how.reaper = &reaper;
        Log *log = open_log(how);
        append_many(log, 100);
        int32_t sealed = log->segment_count - 1;
        FileSpan span;
        LogCompacted compacted;
        assert_ok(log_read(log, 0, INT64_MAX, 1, true, &span));
        assert_ok(compact(log, -1, MAP_BYTES, NOW, &compacted));
        cr_assert_eq(reaped, sealed - 1);
        cr_assert_eq(access(log_file(0, "log.deleted"), F_OK), 0, "is still read");
        int before = reaped;
        file_span_release(&span);
        cr_assert_eq(reaped, before + 1);
        char command[256];
        snprintf(command, sizeof(command), "! ls %s | grep -q deleted", test_log_path);
        cr_assert_eq(system(command), 0);
        log_abandon(log);
}

Test(compaction, closing_the_log_ends_it) {
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        append_many(log, 100);
        assert_ok(log_sync(log));
        Compaction *compaction;
        assert_ok(log_compaction_begin(log, -1, MAP_BYTES, NOW, &compaction));
        assert_ok(log_close(log, NOW));
        cr_assert_eq(compaction_run(compaction), -ECANCELED);
        compaction_free(compaction);
        how.clean_shutdown = true;
        log = open_log(how);
        Content *content = read_content(log);
        cr_assert_eq(content->count, 100);
        free(content);
        log_abandon(log);
}

Test(compaction, damaged_batch_is_not_given_a_new_checksum) {
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        append_many(log, 100);
        flip_byte(log_file(0, "log"), 100);
        LogCompacted compacted;
        char command[256];
        cr_assert_eq(compact(log, -1, MAP_BYTES, NOW, &compacted), -EUCLEAN);
        snprintf(command, sizeof(command), "! ls %s | grep -q 'cleaned\\|swap'", test_log_path);
        cr_assert_eq(system(command), 0);
        cr_assert_eq(log_size_bytes(log) > 10000, 1);
        append_many(log, 1);
        log_abandon(log);
}

Test(compaction, empty_segment_does_not_stop_retention) {
        LogOpen how = how_to_compact();
        how.config.cleanup_delete = true;
        how.config.retention_ms = 1000;
        Log *log = open_log(how);
        append_many(log, 100);
        log->segments[0]->size = 0; /* as when compaction had left nothing in it */
        log->segments[0]->max_timestamp = -1;
        cr_assert_eq(truncate(log_file(0, "log"), 0), 0);
        cr_assert_gt(log_retain(log, INT64_MAX / 2), 1);
        log_abandon(log);
}
