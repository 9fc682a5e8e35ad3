/* Offsets committed inside transactions: pending until the end, and what else can become of them. */
#include "broker/state/groups/offsets_pending.h"

#include <criterion/criterion.h>

#include "broker/state/groups/offsets_write.h"
#include "storage/base/endian.h"
#include "tests/lib/ask.h"
#include "tests/lib/state_fixture.h"

#define MINUTE_MS ((int64_t)60000)

static StateFixture fixture;
static int16_t written_code;
static int written_count;

static void setup(void) {
        state_fixture_start(&fixture);
        cr_assert_eq(topic_create(fixture.state, STR("t"), 2, &CONFIG_MAP_INIT, NULL), 0);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(offsets_pending, .init = setup, .fini = teardown);

static void on_written(OffsetsWait *wait, State *state, int16_t code) {
        written_code = code;
        written_count++;
}

/* Commits for t-0 of group "g"; producer 0: outside transactions. */
static void commit(int64_t producer, int64_t offset) {
        OffsetToCommit wanted = { .topic = STR("t"), .metadata = STR("note"), .leader_epoch = -1, .offset = offset,
                                  .commit_ms = fixture.state->now_ms, .expire_ms = -1 };
        OffsetsProducer of = { producer, 0 };
        OffsetsWait wait = { .done = on_written };
        cr_assert_eq(offsets_write(fixture.state, STR("g"), &wanted, 1, producer ? &of : NULL, &wait), 0);
        state_commit(fixture.state);
        cr_assert_eq(written_code, 0);
}

static Partition *partition_of_g(void) {
        Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
        return topic->partitions[journal_partition_index(STR("g"), topic->partition_count)];
}

/* The marker in the log, and in memory. */
static void end(int64_t producer, bool commits) {
        uint8_t key[4] = { 0 }, value[6] = { 0 };
        BatchBuilder builder;
        LogAppend result;
        key[3] = commits;
        batch_builder_init(&builder, BATCH_CONTROL | BATCH_TRANSACTIONAL, producer, 0, -1);
        batch_builder_add(&builder, fixture.state->now_ms, (Str){ (char *)key, 4 }, (Str){ (char *)value, 6 }, NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        cr_assert_eq(partition_append_owned(fixture.state, partition_of_g(), &builder.out, LOG_ORIGIN_BROKER, &result), 0);
        batch_builder_deinit(&builder);
        state_commit(fixture.state);
        offsets_pending_end(fixture.state, partition_of_g()->index, producer, commits);
}

/* -1: none. */
static int64_t offset_of_g(void) {
        const Group *group = group_find(fixture.state, STR("g"));
        const CommittedOffset *offset = group ? offset_find(group, STR("t"), 0) : NULL;
        return offset ? offset->offset : -1;
}

static bool is_pending(void) {
        return offsets_pending_has(fixture.state, STR("g"), STR("t"), 0);
}

/* Now, and after a crash. */
static void assert_now_and_later(int64_t offset, bool pending) {
        for (int i = 0; i < 2; i++) {
                cr_assert_eq(offset_of_g(), offset, "%s: %lld", i ? "later" : "now", (long long)offset_of_g());
                cr_assert_eq(is_pending(), pending);
                state_fixture_crash(&fixture);
        }
}

Test(offsets_pending, take_effect_with_the_commit) {
        commit(7, 5);
        assert_now_and_later(-1, true);
        end(7, true);
        assert_now_and_later(5, false);
}

Test(offsets_pending, have_no_effect_after_an_abort) {
        commit(0, 4);
        commit(7, 5);
        end(7, false);
        assert_now_and_later(4, false);
}

Test(offsets_pending, that_are_not_written_do_not_exist) {
        OffsetToCommit wanted = { .topic = STR("t"), .metadata = STR(""), .offset = 5, .expire_ms = -1 };
        OffsetsWait wait = { .done = on_written };
        commit(0, 4);
        state_fixture_fail_writes(true);
        cr_assert_eq(offsets_write(fixture.state, STR("g"), &wanted, 1, &(OffsetsProducer){ 7, 0 }, &wait), 0);
        state_commit(fixture.state);
        state_fixture_fail_writes(false);
        cr_assert(written_code == KAFKA_COORDINATOR_NOT_AVAILABLE && !is_pending());
        assert_now_and_later(4, false);
}

Test(offsets_pending, that_are_under_way_when_the_process_dies_do_not_exist) {
        OffsetToCommit wanted = { .topic = STR("t"), .metadata = STR(""), .offset = 5, .expire_ms = -1 };
        OffsetsWait wait = { .done = on_written };
        commit(0, 4);
        cr_assert_eq(offsets_write(fixture.state, STR("g"), &wanted, 1, NULL, &wait), 0);
        state_fixture_crash(&fixture);
        cr_assert(written_count == 2 && written_code == KAFKA_COORDINATOR_NOT_AVAILABLE);
        assert_now_and_later(4, false);
}

Test(offsets_pending, exist_though_nobody_waits_for_the_write) {
        OffsetToCommit wanted = { .topic = STR("t"), .metadata = STR(""), .offset = 5, .expire_ms = -1 };
        OffsetsWait wait = { .done = on_written };
        cr_assert_eq(offsets_write(fixture.state, STR("g"), &wanted, 1, NULL, &wait), 0);
        offsets_wait_cancel(&wait);
        state_commit(fixture.state);
        cr_assert_eq(written_count, 0);
        assert_now_and_later(5, false);
}

Test(offsets_pending, later_commits_stand_whatever_comes_of_earlier_ones) {
        commit(7, 5);
        commit(0, 6);
        assert_now_and_later(6, true);
        end(7, true);
        assert_now_and_later(6, false);
}

Test(offsets_pending, the_last_written_counts_not_the_last_committed) {
        commit(7, 5);
        commit(8, 6);
        end(8, true);
        assert_now_and_later(6, true);
        end(7, true);
        assert_now_and_later(6, false);
}

Test(offsets_pending, a_producer_s_last_counts) {
        commit(7, 5);
        commit(7, 6);
        end(7, true);
        assert_now_and_later(6, false);
}

Test(offsets_pending, a_producer_s_last_counts_as_committed_last) {
        commit(7, 5);
        commit(0, 6);
        commit(7, 7);
        commit(8, 8);
        commit(7, 9);
        end(7, true);
        assert_now_and_later(9, true);
        end(8, true);
        assert_now_and_later(9, false);
}

static int16_t txn_commit_with(int64_t producer, int32_t partition, Str metadata) {
        TxnOffsetCommitRequestPartition row = { .partition_index = partition, .committed_offset = 5, .committed_leader_epoch = -1,
                                                .committed_metadata = metadata };
        TxnOffsetCommitRequestTopic topic = { .name = STR("t"), .partitions = &row, .partitions_count = 1 };
        TxnOffsetCommitResponse *answer = ASK(fixture.state, TxnOffsetCommit, txn_offset_commit, 3, .transactional_id = STR("id"),
                                              .group_id = STR("g"), .producer_id = producer, .generation_id = -1, .member_id = STR(""),
                                              .topics = &topic, .topics_count = 1);
        return answer->topics[0].partitions[0].error_code;
}

static int16_t txn_commit_of(int64_t producer, int32_t partition) {
        return txn_commit_with(producer, partition, STR(""));
}

Test(offsets_pending, metadata_is_as_long_as_java_says) {
        state_fixture_set(&fixture, "transaction.partition.verification.enable", "false");
        state_fixture_set(&fixture, "offset.metadata.max.bytes", "4");
        cr_assert_eq(txn_commit_with(7, 0, STR("1234")), 0);
        cr_assert_eq(txn_commit_with(7, 0, STR("12345")), KAFKA_OFFSET_METADATA_TOO_LARGE);
        cr_assert_eq(txn_commit_with(7, 0, STR("€€€€")), 0);
        cr_assert_eq(txn_commit_with(7, 0, STR("€€€€€")), KAFKA_OFFSET_METADATA_TOO_LARGE);
        cr_assert_eq(txn_commit_with(7, 0, STR("😀😀")), 0);
        cr_assert_eq(txn_commit_with(7, 0, STR("😀😀1")), KAFKA_OFFSET_METADATA_TOO_LARGE);
}

Test(offsets_pending, the_transaction_is_asked_for_before_the_group) {
        TxnOffsetCommitRequestPartition row = { .committed_offset = 5, .committed_leader_epoch = -1 };
        TxnOffsetCommitRequestTopic topic = { .name = STR("t"), .partitions = &row, .partitions_count = 1 };
        for (int verifies = 1; verifies >= 0; verifies--) {
                state_fixture_set(&fixture, "transaction.partition.verification.enable", verifies ? "true" : "false");
                TxnOffsetCommitResponse *answer = ASK(fixture.state, TxnOffsetCommit, txn_offset_commit, 3, .transactional_id = STR("nobody's"),
                                                      .group_id = STR("g"), .producer_id = 7, .generation_id = 1, .member_id = STR("nobody"),
                                                      .topics = &topic, .topics_count = 1);
                cr_assert_eq(answer->topics[0].partitions[0].error_code,
                             verifies ? KAFKA_INVALID_PRODUCER_ID_MAPPING : KAFKA_ILLEGAL_GENERATION);
        }
}

Test(offsets_pending, there_are_no_more_than_allowed) {
        state_fixture_set(&fixture, "transaction.partition.verification.enable", "false");
        state_fixture_set(&fixture, "odradek.max.pending.offsets", "2");
        for (int i = 0; i < 5; i++) /* those of one producer for one partition count once */
                cr_assert_eq(txn_commit_of(7, 0), 0);
        cr_assert_eq(txn_commit_of(8, 0), 0);
        cr_assert_eq(txn_commit_of(7, 1), KAFKA_POLICY_VIOLATION);
        end(8, false);
        cr_assert_eq(txn_commit_of(7, 1), 0);
}

Test(offsets_pending, only_stable_offsets_are_asked_for) {
        commit(0, 4);
        commit(7, 5);
        int32_t index = 0;
        OffsetFetchRequestTopic topic = { .name = STR("t"), .partition_indexes = &index, .partition_indexes_count = 1 };
        for (int i = 0; i < 4; i++) {
                OffsetFetchResponse *answer = ASK(fixture.state, OffsetFetch, offset_fetch, 7, .group_id = STR("g"), .topics = &topic,
                                                  .topics_count = i < 2 ? 1 : -1, .require_stable = i % 2);
                cr_assert_eq(answer->topics[0].partitions[0].committed_offset, i % 2 ? -1 : 4);
                cr_assert_eq(answer->topics[0].partitions[0].error_code, i % 2 ? KAFKA_UNSTABLE_OFFSET_COMMIT : 0);
        }
}

/* Deletions */

Test(offsets_pending, are_deleted_with_the_offset) {
        OffsetDeleteRequestPartition row = { 0 };
        OffsetDeleteRequestTopic topic = { .name = STR("t"), .partitions = &row, .partitions_count = 1 };
        commit(7, 5);
        commit(8, 6);
        OffsetDeleteResponse *answer = ASK(fixture.state, OffsetDelete, offset_delete, 0, .group_id = STR("g"), .topics = &topic,
                                           .topics_count = 1);
        cr_assert_eq(answer->topics[0].partitions[0].error_code, 0);
        assert_now_and_later(-1, false);
        end(7, true);
        end(8, true);
        assert_now_and_later(-1, false);
}

Test(offsets_pending, are_deleted_with_the_group) {
        commit(0, 4);
        commit(7, 5);
        cr_assert_eq(group_delete(fixture.state, STR("g")), 0);
        assert_now_and_later(-1, false);
        end(7, true);
        assert_now_and_later(-1, false);
        commit(7, 6);
        cr_assert_eq(group_delete(fixture.state, STR("g")), 0); /* of which nothing else is known */
        end(7, true);
        assert_now_and_later(-1, false);
}

Test(offsets_pending, are_deleted_with_the_topic) {
        commit(7, 5);
        cr_assert_eq(topic_delete(fixture.state, topic_find(fixture.state, STR("t"))), 0);
        state_commit(fixture.state);
        cr_assert_eq(state_fixture_create(&fixture, STR("t"), 1, NULL), 0);
        assert_now_and_later(-1, false);
        end(7, true);
        assert_now_and_later(-1, false);
}

Test(offsets_pending, do_not_expire_nor_does_their_group) {
        state_fixture_set(&fixture, "offsets.retention.minutes", "60");
        state_fixture_set(&fixture, "offsets.retention.check.interval.ms", "60000");
        commit(0, 4);
        commit(7, 5);
        state_fixture_advance(&fixture, 100 * MINUTE_MS);
        assert_now_and_later(4, true);
        end(7, false);
        state_fixture_advance(&fixture, MINUTE_MS);
        cr_assert_null(group_find(fixture.state, STR("g")));
        commit(7, 5);
        state_fixture_advance(&fixture, 100 * MINUTE_MS);
        cr_assert(group_find(fixture.state, STR("g")));
}
