/* Writing and replaying __consumer_offsets. */
#include "broker/state/journal.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/groups/consumer_journal.h"
#include "broker/state/groups/java_order.h"
#include "broker/state/groups/offsets_pending.h"
#include "broker/state/replay.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

#define GROUP_VALUE_VERSION 3
#define OFFSET_VALUE_VERSION 3
#define BASE_SEQUENCE 0 /* of every batch, as Kafka's coordinator writes them; nobody checks it */

/* As Kafka makes a hash code non-negative. */
int32_t journal_partition_index(Str group_id, int32_t partition_count) {
        return (int32_t)((java_hash_string(group_id) & 0x7fffffff) % (uint32_t)partition_count);
}

Partition *journal_partition(const State *state, Str group_id) {
        const Topic *topic = topic_find(state, STR(TOPIC_NAME_OFFSETS));
        return topic && topic->partition_count ? topic->partitions[journal_partition_index(group_id, topic->partition_count)] : NULL;
}

/* A key begins with the type of its record, a value with its version. */
static void encode_headed(const MessageSchema *message, int16_t head, int16_t version, const void *value, Reply *out) {
        uint8_t *to = buffer_extend(&out->bytes, 2);
        if (to)
                store_be16(to, (uint16_t)head);
        if (codec_encode(message, version, value, out) < 0)
                out->bytes.failed = true;
}

static Str slice_of(const Reply *reply) {
        return (Str){ .data = (const char *)reply->bytes.data, .len = reply->bytes.size };
}

static void add_record(Journal *journal, Reply *key, Reply *value) {
        journal->batch.out.failed |= key->bytes.failed || (value && value->bytes.failed);
        if (!journal->batch.out.failed)
                batch_builder_add(&journal->batch, journal->now_ms, slice_of(key), value ? slice_of(value) : STR_NULL, NULL, 0);
        reply_deinit(key);
        if (value)
                reply_deinit(value);
}

void journal_begin(Journal *journal, int64_t now_ms) {
        journal->now_ms = now_ms;
        batch_builder_init(&journal->batch, 0, -1, -1, BASE_SEQUENCE);
}

void journal_begin_transactional(Journal *journal, int64_t now_ms, int64_t producer_id, int16_t producer_epoch) {
        journal->now_ms = now_ms;
        batch_builder_init(&journal->batch, BATCH_TRANSACTIONAL, producer_id, producer_epoch, BASE_SEQUENCE);
}

bool journal_is_readable(const State *state, Str topic_name, Str key) {
        const Topic *topic = topic_find(state, topic_name);
        return !topic || !topic->partition_count || topic->partitions[journal_partition_index(key, topic->partition_count)]->log;
}

void journal_add(Journal *journal, const MessageSchema *key_message, const void *key, const MessageSchema *value_message,
                 int16_t version, const void *value) {
        Reply key_bytes = REPLY_INIT, value_bytes = REPLY_INIT;
        encode_headed(key_message, key_message->key, 0, key, &key_bytes);
        if (value)
                encode_headed(value_message, version, version, value, &value_bytes);
        add_record(journal, &key_bytes, value ? &value_bytes : NULL);
}

static void encode_offset_key(Str group_id, Str topic, int32_t partition, Reply *out) {
        OffsetCommitKey key = { .group = group_id, .topic = topic, .partition = partition };
        encode_headed(&OffsetCommitKey_message, OffsetCommitKey_message.key, 0, &key, out);
}

void journal_add_offset(Journal *journal, Str group_id, const CommittedOffset *offset) {
        Reply key = REPLY_INIT, value = REPLY_INIT;
        OffsetCommitValue body = OffsetCommitValue_INIT;
        body.offset = offset->offset;
        body.leader_epoch = offset->leader_epoch;
        body.metadata = offset->metadata;
        body.commit_timestamp = offset->commit_timestamp_ms;
        body.expire_timestamp = offset->expire_timestamp_ms;
        encode_offset_key(group_id, str_of(offset->topic), offset->partition, &key);
        int16_t version = offset->expire_timestamp_ms == -1 ? OFFSET_VALUE_VERSION : 1;
        encode_headed(&OffsetCommitValue_message, version, version, &body, &value);
        add_record(journal, &key, &value);
}

void journal_add_offset_tombstone(Journal *journal, Str group_id, Str topic, int32_t partition) {
        Reply key = REPLY_INIT;
        encode_offset_key(group_id, topic, partition, &key);
        add_record(journal, &key, NULL);
}

static void encode_group_key(Str group_id, Reply *out) {
        GroupMetadataKey key = { .group = group_id };
        encode_headed(&GroupMetadataKey_message, GroupMetadataKey_message.key, 0, &key, out);
}

void journal_add_group_tombstone(Journal *journal, Str group_id) {
        Reply key = REPLY_INIT;
        encode_group_key(group_id, &key);
        add_record(journal, &key, NULL);
}

void journal_add_group_end(Journal *journal, const Group *group) {
        if (group->consumer)
                consumer_journal_end(journal, group->consumer);
        else
                journal_add_group_tombstone(journal, str_of(group->id));
}

void journal_add_group(Journal *journal, const Group *group) {
        Reply key = REPLY_INIT, value = REPLY_INIT;
        GroupMetadataValue body = GroupMetadataValue_INIT;
        GroupMetadataValueMember *members = calloc((size_t)group->member_count + 1, sizeof(*members));
        int32_t count = 0;
        if (!members) {
                journal->batch.out.failed = true;
                return;
        }
        LIST_FOREACH(&group->members, node) {
                const Member *member = container_of(node, Member, node);
                const MemberProtocol *protocol = group->protocol ? member_protocol(member, group->protocol) : NULL;
                members[count++] = (GroupMetadataValueMember){
                        .member_id = str_of(member->id),
                        .group_instance_id = str_of(member->instance_id),
                        .client_id = str_of(member->client_id),
                        .client_host = str_of(member->client_host),
                        .rebalance_timeout = member->rebalance_timeout_ms,
                        .session_timeout = member->session_timeout_ms,
                        .subscription = protocol ? protocol->metadata : STR(""),
                        .assignment = str_is_null(member->assignment) ? STR("") : member->assignment,
                };
        }
        body.protocol_type = group->protocol_type ? str_of(group->protocol_type) : STR("");
        body.generation = group->generation;
        body.protocol = str_of(group->protocol);
        body.leader = group->leader ? str_of(group->leader->id) : STR_NULL;
        body.current_state_timestamp = group->state_since_ms;
        body.members = members;
        body.members_count = count;
        encode_group_key(str_of(group->id), &key);
        encode_headed(&GroupMetadataValue_message, GROUP_VALUE_VERSION, GROUP_VALUE_VERSION, &body, &value);
        add_record(journal, &key, &value);
        free(members);
}

static void on_commit(CommitWait *wait, State *state) {
        JournalWrite *write = container_of(wait, JournalWrite, wait);
        write->done(write, state, write->partition->commit_error ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0);
}

/* max.message.bytes of the topic bounds what a request may make of a group. */
static int append_limited(State *state, Partition *partition, Buffer *batch) {
        LogAppend append;
        if (partition->log && (int64_t)batch->size > log_config(partition->log)->max_message_bytes)
                return KAFKA_MESSAGE_TOO_LARGE;
        return partition_append_owned(state, partition, batch, LOG_ORIGIN_BROKER, &append);
}

int journal_append(State *state, Journal *journal, Str group_id, JournalWrite *write,
                   void (*done)(JournalWrite *write, State *state, int16_t code)) {
        int r = groups_ensure_topic(state);
        Partition *partition = journal_partition(state, group_id);
        if (!r && !partition)
                r = KAFKA_COORDINATOR_NOT_AVAILABLE;
        if (!r)
                r = batch_builder_finish(&journal->batch, 0);
        if (!r) {
                r = append_limited(state, partition, &journal->batch.out);
                if (!r && write) {
                        write->partition = partition;
                        write->done = done;
                        state_wait_commit(state, &write->wait, on_commit);
                }
        }
        batch_builder_deinit(&journal->batch);
        return r;
}

void journal_follow(State *state, Str group_id, JournalWrite *write, void (*done)(JournalWrite *write, State *state, int16_t code)) {
        write->partition = journal_partition(state, group_id);
        write->done = done;
        state_wait_commit(state, &write->wait, on_commit);
}

int16_t journal_code(int r) {
        return r == KAFKA_MESSAGE_TOO_LARGE ? KAFKA_UNKNOWN_SERVER_ERROR : r ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0;
}

typedef struct SyncWrite {
        JournalWrite write;
        int16_t code;
} SyncWrite;

static void on_sync_write(JournalWrite *write, State *state, int16_t code) {
        container_of(write, SyncWrite, write)->code = code;
}

int journal_write(State *state, Journal *journal, Str group_id) {
        SyncWrite write = { .code = 0 };
        int r = journal_append(state, journal, group_id, &write.write, on_sync_write);
        if (r)
                return r;
        state_commit(state);
        return write.code;
}

/* ---- replay */

int journal_decode(const MessageSchema *message, Str bytes, Arena *arena, void *ret_value) {
        if (bytes.len < 2)
                return KAFKA_INVALID_REQUEST;
        int16_t version = (int16_t)load_be16(bytes.data);
        if (version < message->version_min || version > message->version_max)
                return KAFKA_UNSUPPORTED_VERSION;
        return codec_decode(message, version, (Str){ .data = bytes.data + 2, .len = bytes.len - 2 }, arena, ret_value, NULL);
}

static int replay_value(State *state, const ReplayedRecord *replayed, const OffsetCommitKey *key, const OffsetCommitValue *value) {
        Group *group = group_get(state, key->group);
        if (!group)
                return -ENOMEM;
        if (replayed->batch->attributes & BATCH_TRANSACTIONAL)
                return offsets_pending_add(state, replayed->partition->index, replayed->batch->producer_id,
                                           &(PendingCommit){ .group = key->group, .topic = key->topic, .metadata = value->metadata,
                                                             .partition = key->partition, .leader_epoch = value->leader_epoch,
                                                             .offset = value->offset, .commit_ms = value->commit_timestamp });
        offsets_pending_supersede(state, key->group, key->topic, key->partition);
        return offset_store(group, key->topic, key->partition, value->offset, value->leader_epoch, value->metadata,
                            value->commit_timestamp, value->expire_timestamp);
}

static int replay_offset(State *state, const ReplayedRecord *replayed, Arena *arena) {
        OffsetCommitKey key;
        OffsetCommitValue value;
        Str key_bytes = replayed->record->key, value_bytes = replayed->record->value;
        int r = codec_decode(&OffsetCommitKey_message, 0, (Str){ key_bytes.data + 2, key_bytes.len - 2 }, arena, &key, NULL);
        if (r)
                return r;
        if (str_is_null(value_bytes)) {
                Group *group = group_find(state, key.group);
                if (group)
                        offset_forget(group, key.topic, key.partition);
                offsets_pending_forget(state, key.group, key.topic, key.partition);
                return 0;
        }
        if ((r = journal_decode(&OffsetCommitValue_message, value_bytes, arena, &value)))
                return r;
        return replay_value(state, replayed, &key, &value);
}

static int replay_members(Group *group, const GroupMetadataValue *value) {
        for (int32_t i = 0; i < value->members_count; i++) {
                const GroupMetadataValueMember *m = &value->members[i];
                Member *member = group_add_replayed(group, m->member_id, m->group_instance_id, m->client_id, m->client_host,
                                                    m->session_timeout,
                                                    m->rebalance_timeout < 0 ? m->session_timeout : m->rebalance_timeout,
                                                    value->protocol, m->subscription, m->assignment);
                if (!member)
                        return -ENOMEM;
                if (str_equal(m->member_id, value->leader))
                        group->leader = member;
        }
        return 0;
}

/* Offsets that are left are those of a group that never had members. */
static void forget_group(State *state, Group *group) {
        if (group->consumer)
                return;
        group_clear_members(group);
        group_set_text(&group->protocol_type, STR_NULL);
        group_set_text(&group->protocol, STR_NULL);
        group->generation = 0;
        group->state = GROUP_EMPTY;
        if (!group->offsets.count)
                group_free(state, group);
}

static int replay_group(State *state, Str key_bytes, Str value_bytes, Arena *arena) {
        GroupMetadataKey key;
        GroupMetadataValue value;
        int r = codec_decode(&GroupMetadataKey_message, 0, (Str){ key_bytes.data + 2, key_bytes.len - 2 }, arena, &key, NULL);
        if (r)
                return r;
        Group *group = str_is_null(value_bytes) ? group_find(state, key.group) : group_get(state, key.group);
        if (str_is_null(value_bytes)) {
                if (group)
                        forget_group(state, group);
                return 0;
        }
        if ((r = journal_decode(&GroupMetadataValue_message, value_bytes, arena, &value)) || !group)
                return r ? r : -ENOMEM;
        if (group->consumer)
                consumer_detach(state, group);
        group_clear_members(group);
        group_set_text(&group->protocol_type, value.protocol_type.len ? value.protocol_type : STR_NULL);
        group_set_text(&group->protocol, value.protocol);
        group->generation = value.generation;
        group->state_since_ms = value.current_state_timestamp;
        group->state = value.members_count ? GROUP_STABLE : GROUP_EMPTY;
        return replay_members(group, &value);
}

static int replay_record(State *state, const ReplayedRecord *replayed) {
        const Record *record = replayed->record;
        Arena arena = ARENA_INIT(0);
        int r = 0;
        if (record->key.len >= 2 && record->key.data) {
                int16_t kind = (int16_t)load_be16(record->key.data);
                if (kind == 0 || kind == 1)
                        r = replay_offset(state, replayed, &arena);
                else if (kind == 2)
                        r = replay_group(state, record->key, record->value, &arena);
                else
                        r = consumer_replay(state, kind, record->key, record->value, &arena);
        }
        arena_deinit(&arena);
        if (r > 0) {
                trace_warn("%s: a record at offset %lld is not understood and was skipped", TOPIC_NAME_OFFSETS, (long long)record->offset);
                r = 0;
        }
        return r;
}

static int replay_one(State *state, const ReplayedRecord *replayed, void *data) {
        if (replayed->record)
                return replay_record(state, replayed);
        offsets_pending_end(state, replayed->partition->index, replayed->batch->producer_id, replayed->is_commit);
        return 0;
}

/* All keys begin with their kind and the group's id. */
static bool is_of_group(const Record *record, Str group_id) {
        const char *key = record->key.data;
        return record->key.len >= 4 + group_id.len && load_be16(key) >= 2 && load_be16(key + 2) == group_id.len &&
               memcmp(key + 4, group_id.data, group_id.len) == 0;
}

static int replay_one_of_group(State *state, const ReplayedRecord *replayed, void *data) {
        return replayed->record && is_of_group(replayed->record, *(const Str *)data) ? replay_record(state, replayed) : 0;
}

int journal_replay_group(State *state, Str group_id) {
        Partition *partition = journal_partition(state, group_id);
        return partition && partition->log ? replay_partition(state, partition, replay_one_of_group, &group_id) : 0;
}

int journal_replay(State *state) {
        Topic *topic = topic_find(state, STR(TOPIC_NAME_OFFSETS));
        return topic ? replay_topic(state, topic, replay_one, NULL) : 0;
}
