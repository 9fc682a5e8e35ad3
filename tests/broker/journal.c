/* __consumer_offsets: what is written there, in Kafka's own form, and what a start makes of it. */
#include "broker/state/journal.h"

#include <criterion/criterion.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"
#include "tests/lib/group_actor.h"
#include "tests/lib/state_fixture.h"

static StateFixture fixture;
static Actor a, b;
static Arena arena;

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "group.initial.rebalance.delay.ms", "0");
        a = actor_new(fixture.state, "a");
        b = actor_new(fixture.state, "b");
        cr_assert_eq(topic_create(fixture.state, STR("t"), 6, &CONFIG_MAP_INIT, NULL), 0); /* or a start drops its offsets */
}

static void teardown(void) {
        state_fixture_end(&fixture);
        arena_deinit(&arena);
}

TestSuite(journal, .init = setup, .fini = teardown);

static void crash(void) {
        state_fixture_crash(&fixture);
        a.state = b.state = fixture.state;
}

static void reopen(void) {
        state_fixture_reopen(&fixture);
        a.state = b.state = fixture.state;
}

static Group *group(const char *id) {
        return group_find(fixture.state, str_of(id));
}

/* Writes an offset for a group and puts it in force. */
static void commit(const char *id, const char *topic, int32_t partition, int64_t offset) {
        CommittedOffset record = { .topic = (char *)(uintptr_t)topic, .partition = partition, .offset = offset, .leader_epoch = 4,
                                   .metadata = STR("note"), .commit_timestamp_ms = FIXTURE_NOW, .expire_timestamp_ms = -1 };
        Journal journal;
        journal_begin(&journal, fixture.state->now_ms);
        journal_add_offset(&journal, str_of(id), &record);
        cr_assert_eq(journal_write(fixture.state, &journal, str_of(id)), 0);
        cr_assert_eq(offset_store(group_get(fixture.state, str_of(id)), str_of(topic), partition, offset, 4, STR("note"), FIXTURE_NOW, -1), 0);
}

static void forget(const char *id, const char *topic, int32_t partition) {
        Journal journal;
        journal_begin(&journal, fixture.state->now_ms);
        journal_add_offset_tombstone(&journal, str_of(id), str_of(topic), partition);
        cr_assert_eq(journal_write(fixture.state, &journal, str_of(id)), 0);
}

/* Partitions */

Test(journal, group_ids_hash_as_in_kafka) {
        static const struct {
                const char *id;
                int32_t of_50, of_7;
        } rows[] = { { "", 0, 0 },        { "g", 3, 5 },       { "my-group", 36, 1 }, { "console-consumer-12345", 6, 6 },
                     { "grüppe", 36, 6 }, { "消费者", 6, 3 },  { "😀😀", 38, 6 },     { "polygenelubricants", 0, 0 }, /* INT_MIN */
                     { "AaAaAaAa", 14, 2 } };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                cr_assert_eq(journal_partition_index(str_of(rows[i].id), 50), rows[i].of_50, "%s", rows[i].id);
                cr_assert_eq(journal_partition_index(str_of(rows[i].id), 7), rows[i].of_7, "%s", rows[i].id);
                cr_assert_eq(journal_partition_index(str_of(rows[i].id), 1), 0);
        }
        cr_assert_geq(journal_partition_index((Str){ "\xff\xf0\x9f", 3 }, 50), 0); /* no text at all */
}

static Str topic_config(const char *name) {
        Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
        return config_topic_str(fixture.state->config, &topic->config, name, NULL);
}

Test(journal, topic_is_made_on_first_use) {
        state_fixture_set(&fixture, "offsets.topic.num.partitions", "9");
        state_fixture_set(&fixture, "offsets.topic.segment.bytes", "1048576");
        cr_assert_null(topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS)));
        actor_join(&a);
        Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
        cr_assert_eq(topic->partition_count, 9);
        cr_assert(str_equal(topic_config("cleanup.policy"), STR("compact")));
        cr_assert(str_equal(topic_config("compression.type"), STR("producer")));
        cr_assert(str_equal(topic_config("segment.bytes"), STR("1048576")));
        state_fixture_set(&fixture, "offsets.topic.num.partitions", "2"); /* too late */
        crash();
        topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
        cr_assert_eq(topic->partition_count, 9);
        cr_assert_eq(groups_ensure_topic(fixture.state), 0);
        cr_assert(str_equal(topic_config("cleanup.policy"), STR("compact")));
}

Test(journal, records_of_a_group_lie_in_its_partition) {
        static const char *const ids[] = { "g", "my-group", "grüppe", "x", "y", "z" };
        for (int i = 0; i < 6; i++) {
                groups_ensure_topic(fixture.state);
                Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
                Partition *partition = topic->partitions[journal_partition_index(str_of(ids[i]), topic->partition_count)];
                int64_t end = partition_high_watermark(partition);
                commit(ids[i], "t", 0, i);
                cr_assert_eq(partition_high_watermark(partition), end + 1);
        }
}

/* What is written */

typedef struct Read {
        Str key, value; /* without their version numbers; value may be null */
        int16_t kind, version;
} Read;

/* The records in the partition of "g", at most so many; returns how many. */
static int read_all(Read *reads, int count_max) {
        Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
        Partition *partition = topic->partitions[journal_partition_index(STR("g"), topic->partition_count)];
        int count = 0;
        for (int64_t offset = 0; offset < partition_high_watermark(partition);) {
                FileSpan span;
                Buffer copy = BUFFER_INIT;
                BatchHeader header;
                BatchReader reader;
                Record record;
                cr_assert_eq(partition_read(partition, offset, false, 1, true, &span), 0);
                cr_assert_eq(file_span_copy(&span, &copy), 0);
                file_span_release(&span);
                cr_assert_eq(batch_read_header(copy.data, copy.size, &header), 0);
                cr_assert(batch_check_crc(copy.data, &header));
                cr_assert_eq(batch_reader_init(&reader, copy.data, &header, 1 << 20), 0);
                while (batch_reader_next(&reader, &record) == 1) {
                        cr_assert_lt(count, count_max);
                        Str key = arena_str(&arena, record.key), value = arena_str(&arena, record.value);
                        bool is_tombstone = str_is_null(value);
                        reads[count++] = (Read){ .key = { key.data + 2, key.len - 2 },
                                                 .value = is_tombstone ? STR_NULL : (Str){ value.data + 2, value.len - 2 },
                                                 .kind = (int16_t)load_be16(key.data),
                                                 .version = is_tombstone ? -1 : (int16_t)load_be16(value.data) };
                }
                batch_reader_deinit(&reader);
                buffer_deinit(&copy);
                offset = batch_next_offset(&header);
        }
        return count;
}

static void decode(const MessageSchema *message, int16_t version, Str bytes, void *ret_value) {
        size_t used;
        cr_assert_eq(codec_decode(message, version, bytes, &arena, ret_value, &used), 0);
        cr_assert_eq(used, bytes.len);
}

Test(journal, an_offset_is_a_record_that_kafka_reads) {
        Read reads[4];
        OffsetCommitKey key;
        OffsetCommitValue value;
        commit("g", "t", 2, 77);
        forget("g", "t", 2);
        cr_assert_eq(read_all(reads, 4), 2);
        for (int i = 0; i < 2; i++) {
                cr_assert_eq(reads[i].kind, 1);
                decode(&OffsetCommitKey_message, 0, reads[i].key, &key);
                cr_assert(str_equal(key.group, STR("g")) && str_equal(key.topic, STR("t")) && key.partition == 2);
        }
        cr_assert_eq(reads[0].version, 3);
        decode(&OffsetCommitValue_message, 3, reads[0].value, &value);
        cr_assert(value.offset == 77 && value.leader_epoch == 4 && value.commit_timestamp == FIXTURE_NOW);
        cr_assert(str_equal(value.metadata, STR("note")));
        cr_assert(str_is_null(reads[1].value));
}

Test(journal, an_offset_with_a_time_to_expire_is_a_record_of_version_1) {
        CommittedOffset record = { .topic = (char *)(uintptr_t) "t", .offset = 1, .metadata = STR(""), .commit_timestamp_ms = 5,
                                   .expire_timestamp_ms = 6 };
        Journal journal;
        Read reads[1];
        OffsetCommitValue value;
        journal_begin(&journal, fixture.state->now_ms);
        journal_add_offset(&journal, STR("g"), &record);
        cr_assert_eq(journal_write(fixture.state, &journal, STR("g")), 0);
        cr_assert_eq(read_all(reads, 1), 1);
        cr_assert_eq(reads[0].version, 1);
        decode(&OffsetCommitValue_message, 1, reads[0].value, &value);
        cr_assert(value.commit_timestamp == 5 && value.expire_timestamp == 6);
        crash();
        const CommittedOffset *found = offset_find(group("g"), STR("t"), 0);
        cr_assert(found->expire_timestamp_ms == 6 && found->commit_timestamp_ms == 5 && found->leader_epoch == -1);
}

Test(journal, a_group_is_a_record_that_kafka_reads) {
        Read reads[8];
        GroupMetadataKey key;
        GroupMetadataValue value;
        b.instance = "i";
        b.session_ms = 20000;
        actors_stabilise((Actor *[]){ &a, &b }, 2);
        cr_assert_eq(read_all(reads, 8), 2);
        for (int i = 0; i < 2; i++) {
                cr_assert(reads[i].kind == 2 && reads[i].version == 3);
                decode(&GroupMetadataKey_message, 0, reads[i].key, &key);
                cr_assert(str_equal(key.group, STR("g")));
        }
        decode(&GroupMetadataValue_message, 3, reads[0].value, &value); /* as it was made */
        cr_assert(value.protocol_type.len == 0 && value.generation == 0 && str_is_null(value.protocol) && str_is_null(value.leader));
        cr_assert(value.members_count == 0 && value.current_state_timestamp == FIXTURE_NOW);
        decode(&GroupMetadataValue_message, 3, reads[1].value, &value);
        cr_assert(str_equal(value.protocol_type, STR("consumer")) && str_equal(value.protocol, STR("range")));
        cr_assert(value.generation == 2 && str_equal(value.leader, str_of(a.id)) && value.members_count == 2);
        GroupMetadataValueMember *first = &value.members[0], *second = &value.members[1];
        cr_assert(str_equal(first->member_id, str_of(a.id)) && str_is_null(first->group_instance_id));
        cr_assert(str_equal(first->client_id, STR("a")) && str_equal(first->client_host, STR("/127.0.0.1")));
        cr_assert(first->rebalance_timeout == 30000 && first->session_timeout == 10000);
        cr_assert(str_equal(first->subscription, STR("m")) && str_equal(first->assignment, STR("a")));
        cr_assert(str_equal(second->group_instance_id, STR("i")) && second->session_timeout == 20000);
}

Test(journal, an_emptied_group_is_written_without_members) {
        Read reads[8];
        GroupMetadataValue value;
        actors_stabilise((Actor *[]){ &a }, 1);
        state_fixture_advance(&fixture, 5000);
        actor_leave(&a);
        state_commit(fixture.state);
        cr_assert_eq(read_all(reads, 8), 3);
        decode(&GroupMetadataValue_message, 3, reads[2].value, &value);
        cr_assert(str_equal(value.protocol_type, STR("consumer")) && str_is_null(value.protocol) && str_is_null(value.leader));
        cr_assert(value.generation == 2 && value.members_count == 0);
        cr_assert_eq(value.current_state_timestamp, FIXTURE_NOW + 5000);
}

/* What a start reads */

Test(journal, groups_survive_a_clean_stop_and_a_crash) {
        b.instance = "i";
        actors_stabilise((Actor *[]){ &a, &b }, 2);
        commit("g", "t", 2, 77);
        for (int i = 0; i < 4; i++) {
                i % 2 ? crash() : reopen();
                Group *found = group("g");
                cr_assert(found->state == GROUP_STABLE && found->generation == 2 && found->member_count == 2);
                cr_assert_str_eq(found->leader->id, a.id);
                cr_assert_str_eq(found->protocol, "range");
                const CommittedOffset *offset = offset_find(found, STR("t"), 2);
                cr_assert(offset->offset == 77 && offset->leader_epoch == 4 && str_equal(offset->metadata, STR("note")));
                cr_assert_eq(offset->commit_timestamp_ms, FIXTURE_NOW);
                cr_assert(actor_heartbeat(&a) == 0 && actor_heartbeat(&b) == 0);
                actor_sync_expect(&b, 0);
                actor_assert_assigned(&b);
        }
}

Test(journal, sessions_begin_anew_with_a_start) {
        actors_stabilise((Actor *[]){ &a, &b }, 2);
        state_fixture_advance(&fixture, 9999);
        crash();
        state_fixture_advance(&fixture, 9999);
        cr_assert_eq(actor_heartbeat(&a), 0);
        state_fixture_advance(&fixture, 1);
        cr_assert_eq(actor_heartbeat(&b), KAFKA_UNKNOWN_MEMBER_ID);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_REBALANCE_IN_PROGRESS);
}

Test(journal, a_generation_without_an_assignment_is_not_remembered) {
        actors_stabilise((Actor *[]){ &a }, 1);
        actor_join(&a);
        cr_assert_eq(a.generation, 2);
        crash();
        cr_assert_eq(group("g")->generation, 1);
        cr_assert_eq(actor_heartbeat(&a), KAFKA_ILLEGAL_GENERATION);
        actor_join(&a);
        actor_assert_joined(&a, 2, &a);
}

Test(journal, an_unfinished_turn_is_lost_in_a_crash) {
        commit("g", "t", 0, 1);
        Journal journal;
        CommittedOffset record = { .topic = (char *)(uintptr_t) "t", .offset = 2, .metadata = STR("") };
        journal_begin(&journal, fixture.state->now_ms);
        journal_add_offset(&journal, STR("g"), &record);
        cr_assert_eq(journal_append(fixture.state, &journal, STR("g"), NULL, NULL), 0);
        crash();
        cr_assert_eq(offset_find(group("g"), STR("t"), 0)->offset, 1);
}

Test(journal, a_failed_write_is_reported_and_leaves_nothing) {
        commit("g", "t", 0, 1);
        Journal journal;
        CommittedOffset record = { .topic = (char *)(uintptr_t) "t", .offset = 2, .metadata = STR("") };
        journal_begin(&journal, fixture.state->now_ms);
        journal_add_offset(&journal, STR("g"), &record);
        state_fixture_fail_writes(true);
        cr_assert_eq(journal_write(fixture.state, &journal, STR("g")), KAFKA_COORDINATOR_NOT_AVAILABLE);
        state_fixture_fail_writes(false);
        commit("g", "t", 1, 3);
        crash();
        cr_assert_eq(offset_find(group("g"), STR("t"), 0)->offset, 1);
        cr_assert_eq(offset_find(group("g"), STR("t"), 1)->offset, 3);
}

Test(journal, tombstones_take_away_what_was_before_them) {
        commit("g", "t", 0, 1);
        commit("g", "t", 1, 2);
        forget("g", "t", 0);
        forget("none", "t", 0);
        crash();
        cr_assert(!offset_find(group("g"), STR("t"), 0) && offset_find(group("g"), STR("t"), 1));
        cr_assert_null(group("none"));
        commit("g", "t", 0, 3);
        crash();
        cr_assert_eq(offset_find(group("g"), STR("t"), 0)->offset, 3);
}

/* A tombstone that Kafka wrote for the group alone: offsets that are left are those of nobody's group. */
Test(journal, a_group_s_tombstone_takes_its_members) {
        actors_stabilise((Actor *[]){ &a }, 1);
        commit("g", "t", 0, 1);
        Journal journal;
        for (int i = 0; i < 2; i++) {
                journal_begin(&journal, fixture.state->now_ms);
                journal_add_group_tombstone(&journal, STR("g"));
                cr_assert_eq(journal_write(fixture.state, &journal, STR("g")), 0);
                crash();
                if (i == 1)
                        break;
                Group *found = group("g");
                cr_assert(found->state == GROUP_EMPTY && !found->member_count && !found->protocol_type && !found->generation);
                cr_assert_eq(offset_find(found, STR("t"), 0)->offset, 1);
                cr_assert_eq(group_check_commit(fixture.state, found, STR(""), STR_NULL, -1), 0);
                forget("g", "t", 0);
        }
        cr_assert_null(group("g"));
}

/* Records of other hands */

static void write_raw(Str key, Str value) {
        BatchBuilder builder;
        LogAppend result;
        cr_assert_eq(groups_ensure_topic(fixture.state), 0);
        Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, FIXTURE_NOW, key, value, NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        Partition *partition = topic->partitions[journal_partition_index(STR("g"), topic->partition_count)];
        cr_assert_eq(partition_append_owned(fixture.state, partition, &builder.out, LOG_ORIGIN_BROKER, &result), 0);
        batch_builder_deinit(&builder);
        state_commit(fixture.state);
}

#define OFFSET_KEY STR("\0\1\0\1g\0\1t\0\0\0\0")
#define GROUP_KEY STR("\0\2\0\1g")

Test(journal, older_records_of_offsets_are_read) {
        write_raw(STR("\0\0\0\1g\0\1t\0\0\0\5"), STR("\0\0\0\0\0\0\0\0\0\7\0\1x\0\0\0\0\0\0\0\3"));
        write_raw(OFFSET_KEY, STR("\0\2\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\0\0\4"));
        crash();
        const CommittedOffset *first = offset_find(group("g"), STR("t"), 5), *second = offset_find(group("g"), STR("t"), 0);
        cr_assert(first->offset == 7 && str_equal(first->metadata, STR("x")) && first->commit_timestamp_ms == 3);
        cr_assert(first->expire_timestamp_ms == -1 && first->leader_epoch == -1);
        cr_assert(second->offset == 8 && str_equal(second->metadata, STR("")) && second->commit_timestamp_ms == 4);
}

Test(journal, records_of_kafka_with_topic_ids_are_read) {
        Reply value = REPLY_INIT;
        OffsetCommitValue body = { .offset = 9, .leader_epoch = 2, .metadata = STR("m"), .commit_timestamp = 3, .topic_id = uuid_random() };
        store_be16(buffer_extend(&value.bytes, 2), 4);
        cr_assert_eq(codec_encode(&OffsetCommitValue_message, 4, &body, &value), 0);
        write_raw(OFFSET_KEY, (Str){ (char *)value.bytes.data, value.bytes.size });
        reply_deinit(&value);
        crash();
        cr_assert_eq(offset_find(group("g"), STR("t"), 0)->offset, 9);
}

Test(journal, a_group_of_the_first_version_is_read) {
        static const char value[] = "\0\0\0\10consumer\0\0\0\7\0\5range\0\1m\0\0\0\1\0\1m\0\1c\0\2/h\0\0\47\20\0\0\0\1s\0\0\0\1x";
        write_raw(GROUP_KEY, (Str){ value, sizeof(value) - 1 });
        crash();
        Group *found = group("g");
        cr_assert(found->state == GROUP_STABLE && found->generation == 7 && found->member_count == 1);
        cr_assert_eq(found->state_since_ms, -1);
        cr_assert(found->leader->session_timeout_ms == 10000 && found->leader->rebalance_timeout_ms == 10000);
        cr_assert(str_equal(found->leader->assignment, STR("x")) && !found->leader->instance_id);
        cr_assert(str_equal(member_protocol(found->leader, "range")->metadata, STR("s")));
}

/* What cannot be understood is passed over; what was known before stays. */
Test(journal, unknown_and_broken_records_are_passed_over) {
        static const struct {
                Str key, value;
        } rows[] = { { OFFSET_KEY, STR("\0\5whatever comes after Kafka 4.3") },
                     { OFFSET_KEY, STR("\177\377") },
                     { OFFSET_KEY, STR("\0") },
                     { OFFSET_KEY, STR("") },
                     { OFFSET_KEY, STR("\0\3\0\0\0") },
                     { GROUP_KEY, STR("\0\5whatever comes after Kafka 4.3") },
                     { GROUP_KEY, STR("\0\3\0\1") },
                     { STR("\0\3\0\1g"), STR("\0\0\0\0\0\1") }, /* a group of the newer protocol */
                     { STR("\0\143\0\1g"), STR("\0\0") },
                     { STR("\0\1\0\1g"), STR("\0\0") },
                     { STR("\0\1"), STR_NULL },
                     { STR("\0"), STR("x") },
                     { STR(""), STR("x") },
                     { STR_NULL, STR("x") } };
        actors_stabilise((Actor *[]){ &a }, 1);
        commit("g", "t", 0, 1);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                write_raw(rows[i].key, rows[i].value);
        commit("g", "t", 1, 2);
        crash();
        cr_assert_eq(offset_find(group("g"), STR("t"), 0)->offset, 1);
        cr_assert_eq(offset_find(group("g"), STR("t"), 1)->offset, 2);
        cr_assert_eq(actor_heartbeat(&a), 0);
        cr_assert_eq(fixture.state->groups->by_id.count, 1);
}
