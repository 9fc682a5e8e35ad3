/* Sequences, epochs, duplicates, and the snapshot. */
#include "storage/producers.h"

#include "tests/storage/support.h"

TestSuite(producers, .init = test_setup, .fini = test_teardown);

static BatchHeader batch_of(int64_t base_offset, int16_t epoch, int32_t sequence, int32_t count) {
        return (BatchHeader){ .base_offset = base_offset, .producer_id = 9, .producer_epoch = epoch,
                              .base_sequence = sequence, .last_offset_delta = count - 1, .record_count = count,
                              .max_timestamp = NOW };
}

static int check(const Producers *producers, int16_t epoch, int32_t sequence) {
        BatchHeader header = batch_of(0, epoch, sequence, 1);
        return producers_check(producers, &header);
}

static void add(Producers *producers, int64_t base_offset, int16_t epoch, int32_t sequence, int32_t count, bool undo) {
        BatchHeader header = batch_of(base_offset, epoch, sequence, count);
        assert_ok(producers_update(producers, &header, NULL, undo));
}

Test(producers, sequences_must_continue) {
        Producers producers = PRODUCERS_INIT;
        assert_ok(check(&producers, 0, 17)); /* never seen: any start */
        add(&producers, 0, 0, 17, 3, false);
        assert_ok(check(&producers, 0, 20));
        cr_assert_eq(check(&producers, 0, 21), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
        cr_assert_eq(check(&producers, 1, 20), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_ok(check(&producers, 1, 0));
        add(&producers, 3, 1, 0, 1, false);
        cr_assert_eq(check(&producers, 0, 20), KAFKA_INVALID_PRODUCER_EPOCH);
        producers_deinit(&producers);
}

Test(producers, sequences_wrap_to_zero) {
        Producers producers = PRODUCERS_INIT;
        add(&producers, 0, 0, INT32_MAX - 1, 2, false);
        assert_ok(check(&producers, 0, 0));
        add(&producers, 2, 0, 0, 1, false);
        assert_ok(check(&producers, 0, 1));
        producers_deinit(&producers);
}

Test(producers, the_last_five_batches_are_known_as_duplicates) {
        Producers producers = PRODUCERS_INIT;
        int64_t base, last, timestamp;
        for (int i = 0; i < 6; i++)
                add(&producers, 100 + i * 2, 0, i * 2, 2, false);
        BatchHeader oldest = batch_of(0, 0, 0, 2), second = batch_of(0, 0, 2, 2), other = batch_of(0, 0, 2, 1);
        cr_assert_not(producers_find_duplicate(&producers, &oldest, &base, &last, &timestamp));
        cr_assert(producers_find_duplicate(&producers, &second, &base, &last, &timestamp));
        cr_assert(base == 102 && last == 103 && timestamp == NOW);
        cr_assert_not(producers_find_duplicate(&producers, &other, &base, &last, &timestamp));
        producers_deinit(&producers);
}

Test(producers, reverting_restores_what_was) {
        Producers producers = PRODUCERS_INIT;
        add(&producers, 0, 0, 0, 1, false);
        add(&producers, 1, 0, 1, 1, true);
        add(&producers, 2, 1, 0, 1, true);
        producers_revert(&producers, 0);
        assert_ok(check(&producers, 0, 1));
        producers_deinit(&producers);
        add(&producers, 0, 0, 0, 1, true);
        producers_revert(&producers, 0);
        cr_assert_eq(producers.map.count, 0);
        producers_deinit(&producers);
}

Test(producers, snapshot_reads_back_and_leaves_out_what_is_queued) {
        char path[128];
        snprintf(path, sizeof(path), "%s/x.snapshot", test_dir);
        Producers producers = PRODUCERS_INIT, back = PRODUCERS_INIT;
        add(&producers, 0, 3, 0, 5, true);
        add(&producers, 5, 3, 5, 5, true);
        assert_ok(producers_write_snapshot(&producers, 5, path));
        assert_ok(check(&producers, 3, 10));
        assert_ok(producers_read_snapshot(&back, path));
        assert_ok(check(&back, 3, 5));
        int64_t base, last, timestamp;
        BatchHeader again = batch_of(0, 3, 0, 5);
        cr_assert(producers_find_duplicate(&back, &again, &base, &last, &timestamp) && base == 0 && last == 4);
        producers_deinit(&producers);
        flip_byte(path, -1);
        cr_assert_eq(producers_read_snapshot(&back, path), -EUCLEAN);
        cr_assert_eq(back.map.count, 0);
        producers_deinit(&back);
}

Test(producers, idle_ones_expire_unless_a_transaction_is_open) {
        Producers producers = PRODUCERS_INIT;
        add(&producers, 0, 0, 0, 1, false);
        producers_expire(&producers, NOW + 999, 1000);
        cr_assert_eq(producers.map.count, 1);
        producers_find(&producers, 9)->state.txn_start_offset = 0;
        producers_expire(&producers, NOW + 1000, 1000);
        cr_assert_eq(producers.map.count, 1);
        producers_find(&producers, 9)->state.txn_start_offset = -1;
        producers_expire(&producers, NOW + 1000, 1000);
        cr_assert_eq(producers.map.count, 0);
        producers_deinit(&producers);
}

static int append_of(Producers *producers, int64_t id, int64_t base_offset, bool transactional) {
        BatchHeader header = batch_of(base_offset, 0, 0, 1);
        header.producer_id = id;
        header.attributes = transactional ? BATCH_TRANSACTIONAL : 0;
        int r = producers_check(producers, &header);
        return r ? r : producers_update(producers, &header, NULL, true);
}

static bool knows(const Producers *producers, int64_t id) {
        return producers_find(producers, id) != NULL;
}

Test(producers, beyond_the_limit_who_is_idle_for_longest_is_forgotten) {
        Producers producers = PRODUCERS_INIT;
        producers.count_max = 3;
        for (int64_t id = 1; id <= 3; id++)
                assert_ok(append_of(&producers, id, id, id == 1));
        BatchHeader again = batch_of(4, 0, 1, 1);
        again.producer_id = 2;
        assert_ok(producers_update(&producers, &again, NULL, true)); /* now 3 is the one */
        assert_ok(append_of(&producers, 4, 5, false));
        cr_assert(knows(&producers, 1) && knows(&producers, 2) && !knows(&producers, 3) && knows(&producers, 4));
        assert_ok(append_of(&producers, 5, 6, true));
        cr_assert(knows(&producers, 1) && !knows(&producers, 2) && knows(&producers, 4) && knows(&producers, 5));
        producers_revert(&producers, 0); /* those that are gone already are no matter */
        cr_assert_eq(producers.map.count, 0);
        cr_assert(!producers.open.first && !producers.open.last && !producers.idle.first && !producers.idle.last);
        producers_deinit(&producers);
}

Test(producers, with_open_transactions_up_to_the_limit_new_ones_are_refused) {
        Producers producers = PRODUCERS_INIT;
        producers.count_max = 2;
        assert_ok(append_of(&producers, 1, 0, true));
        assert_ok(append_of(&producers, 2, 1, true));
        cr_assert_eq(append_of(&producers, 3, 2, true), KAFKA_POLICY_VIOLATION);
        cr_assert_eq(append_of(&producers, 3, 2, false), KAFKA_POLICY_VIOLATION);
        cr_assert_eq(producers_first_open(&producers), 0);
        producers_find(&producers, 1)->state.txn_start_offset = -1;
        BatchHeader next = batch_of(3, 0, 1, 1);
        next.producer_id = 1;
        assert_ok(producers_update(&producers, &next, NULL, false));
        cr_assert_eq(producers_first_open(&producers), 1);
        assert_ok(append_of(&producers, 3, 4, true));
        cr_assert(!knows(&producers, 1) && knows(&producers, 2) && knows(&producers, 3));
        producers_deinit(&producers);
}

Test(producers, snapshot_keeps_who_is_idle_for_longest) {
        char path[128];
        snprintf(path, sizeof(path), "%s/x.snapshot", test_dir);
        Producers producers = PRODUCERS_INIT, back = PRODUCERS_INIT;
        static const int64_t ids[] = { 7, 3, 11, 2, 5 };
        for (int i = 0; i < 5; i++)
                assert_ok(append_of(&producers, ids[i], i, false));
        assert_ok(producers_write_snapshot(&producers, 5, path));
        back.count_max = 3; /* it sank */
        assert_ok(producers_read_snapshot(&back, path));
        cr_assert(back.map.count == 3 && knows(&back, 11) && knows(&back, 2) && knows(&back, 5));
        assert_ok(append_of(&back, 1, 5, false));
        cr_assert(back.map.count == 3 && !knows(&back, 11));
        producers_deinit(&producers);
        producers_deinit(&back);
}
