/* OffsetCommit: v0-10
 * Commits offsets for a group. v1 has a timestamp a partition and v2-4 a retention time; v6 adds leader epochs; v7 static members; v8 is
 * flexible; v9 speaks the new protocol's member epochs; v10 names topics by id. */
#include <errno.h>
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/state/groups.h"
#include "broker/state/journal.h"

typedef struct Pending {
        OffsetCommitResponsePartition *row;
        Str topic, metadata;
        int32_t partition, leader_epoch;
        int64_t offset;
} Pending;

typedef struct Commit {
        JournalWrite write;
        Call *call;
        OffsetCommitResponse response;
        Str group_id;
        int64_t commit_ms, expire_ms;
        Pending *pending; /* what was written and is to be put in force */
        int32_t pending_count;
} Commit;

static int64_t expiry_of(const Call *call) {
        const OffsetCommitRequest *request = call->request;
        int16_t version = call_version(call);
        return version >= 2 && version <= 4 && request->retention_time_ms != -1 ? call->state->now_ms + request->retention_time_ms : -1;
}

static int store(const Commit *c, State *state, const Pending *p) {
        Group *group = group_get(state, c->group_id);
        return !group ? -ENOMEM
                      : offset_store(group, p->topic, p->partition, p->offset, p->leader_epoch, p->metadata, c->commit_ms, c->expire_ms);
}

static void on_written(JournalWrite *write, State *state, int16_t code) {
        Commit *c = container_of(write, Commit, write);
        for (int32_t i = 0; i < c->pending_count; i++)
                c->pending[i].row->error_code = code                              ? code
                                                : store(c, state, &c->pending[i]) ? KAFKA_COORDINATOR_NOT_AVAILABLE
                                                                                  : 0;
        call_reply(c->call, &c->response);
}

/* What outlives a call: one block, freed at the end of the turn. */
typedef struct Orphan {
        Commit commit;
        Arena arena;
} Orphan;

static void on_orphan_written(JournalWrite *write, State *state, int16_t code) {
        Orphan *orphan = container_of(write, Orphan, commit.write);
        for (int32_t i = 0; !code && i < orphan->commit.pending_count; i++)
                if (store(&orphan->commit, state, &orphan->commit.pending[i]) < 0)
                        break;
        arena_deinit(&orphan->arena);
        free(orphan);
}

static Orphan *orphan_new(const Commit *c) {
        Orphan *orphan = calloc(1, sizeof(*orphan));
        if (!orphan)
                return NULL;
        orphan->commit = *c;
        Pending *pending = arena_alloc_array(&orphan->arena, (size_t)c->pending_count, sizeof(*pending));
        orphan->commit.group_id = arena_str(&orphan->arena, c->group_id);
        bool ok = pending && !str_is_null(orphan->commit.group_id);
        for (int32_t i = 0; ok && i < c->pending_count; i++) {
                pending[i] = c->pending[i];
                pending[i].metadata = arena_str(&orphan->arena, c->pending[i].metadata);
                ok = !str_is_null(pending[i].metadata);
        }
        orphan->commit.pending = pending;
        orphan->commit.write.done = on_orphan_written;
        if (ok)
                return orphan;
        arena_deinit(&orphan->arena);
        free(orphan);
        return NULL;
}

/* The client is gone, but its offsets are on their way into the log, and a replay would bring them back: they take effect. */
static void cancel(Call *call) {
        Commit *c = call->park;
        Orphan *orphan = orphan_new(c);
        if (orphan)
                list_insert_before(&c->write.wait.node, &orphan->commit.write.wait.node);
        list_remove(&c->write.wait.node);
}

/* As Java counts: in units of UTF-16. */
static int64_t length_of(Str text) {
        int64_t count = 0;
        for (size_t i = 0; i < text.len; i++) {
                uint8_t byte = (uint8_t)text.data[i];
                count += (byte & 0xc0) == 0x80 ? 0 : byte >= 0xf0 ? 2 : 1;
        }
        return count;
}

static int16_t check_partition(Call *call, int16_t group_code, Topic *topic, const OffsetCommitRequestPartition *want) {
        if (!topic)
                return call_version(call) >= 10 ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (!topic_partition(topic, want->partition_index))
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (group_code)
                return group_code;
        bool is_too_long = length_of(want->committed_metadata) > config_int(call->state->config, "offset.metadata.max.bytes");
        return is_too_long ? KAFKA_OFFSET_METADATA_TOO_LARGE : 0;
}

static void add_partition(Commit *c, Journal *journal, const Topic *topic, const OffsetCommitRequestPartition *want,
                          OffsetCommitResponsePartition *row) {
        Str metadata = str_is_null(want->committed_metadata) ? STR("") : want->committed_metadata;
        CommittedOffset record = {
                .topic = topic->name,
                .partition = want->partition_index,
                .offset = want->committed_offset,
                .leader_epoch = want->committed_leader_epoch,
                .metadata = metadata,
                .commit_timestamp_ms = c->commit_ms,
                .expire_timestamp_ms = c->expire_ms,
        };
        journal_add_offset(journal, c->group_id, &record);
        c->pending[c->pending_count++] = (Pending){ .row = row, .topic = str_of(topic->name), .metadata = metadata,
                                                    .partition = want->partition_index, .offset = want->committed_offset,
                                                    .leader_epoch = want->committed_leader_epoch };
}

static bool add_topic(Commit *c, Journal *journal, int16_t group_code, const OffsetCommitRequestTopic *want,
                      OffsetCommitResponseTopic *answer) {
        Call *call = c->call;
        bool by_id = call_version(call) >= 10;
        Topic *topic = by_id ? topic_find_id(call->state, &want->topic_id) : topic_find(call->state, want->name);
        answer->name = want->name;
        answer->topic_id = want->topic_id;
        answer->partitions = call_array(call, OffsetCommitResponsePartition, want->partitions_count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = want->partitions_count;
        for (int32_t i = 0; i < want->partitions_count; i++) {
                OffsetCommitResponsePartition *row = &answer->partitions[i];
                row->partition_index = want->partitions[i].partition_index;
                row->error_code = check_partition(call, group_code, topic, &want->partitions[i]);
                if (!row->error_code)
                        add_partition(c, journal, topic, &want->partitions[i], row);
        }
        return true;
}

static int32_t count_partitions(const OffsetCommitRequest *request) {
        int32_t count = 0;
        for (int32_t i = 0; i < request->topics_count; i++)
                count += request->topics[i].partitions_count;
        return count;
}

static int16_t check_group(Call *call) {
        const OffsetCommitRequest *request = call->request;
        Group *group = group_find(call->state, request->group_id);
        if (request->group_id.len > 0 && memchr(request->group_id.data, 0, request->group_id.len))
                return KAFKA_INVALID_GROUP_ID;
        if (!group && request->generation_id_or_member_epoch >= 0 && call_version(call) >= 9)
                return KAFKA_GROUP_ID_NOT_FOUND;
        return group_check_commit(call->state, group, request->member_id, request->group_instance_id,
                                  request->generation_id_or_member_epoch);
}

void api_offset_commit(Call *call) {
        const OffsetCommitRequest *request = call->request;
        Commit *c = arena_alloc(&call->arena, sizeof(*c));
        Journal journal;
        if (!c) {
                call_close(call);
                return;
        }
        *c = (Commit){ .call = call, .response = OffsetCommitResponse_INIT, .group_id = request->group_id,
                       .commit_ms = call->state->now_ms, .expire_ms = expiry_of(call) };
        c->pending = arena_alloc_array(&call->arena, (size_t)count_partitions(request), sizeof(Pending));
        c->response.topics = call_array(call, OffsetCommitResponseTopic, request->topics_count);
        bool ok = c->pending && c->response.topics;
        int16_t code = check_group(call);
        journal_begin(&journal, c->commit_ms);
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = add_topic(c, &journal, code, &request->topics[i], &c->response.topics[c->response.topics_count++]);
        if (!ok || c->pending_count == 0) {
                batch_builder_deinit(&journal.batch);
                if (ok)
                        call_reply(call, &c->response);
                else
                        call_close(call);
                return;
        }
        int r = journal_append(call->state, &journal, request->group_id, &c->write, on_written);
        if (r) {
                on_written(&c->write, call->state, call_code(call, r) == KAFKA_UNKNOWN_SERVER_ERROR ? KAFKA_UNKNOWN_SERVER_ERROR
                                                                                                   : KAFKA_COORDINATOR_NOT_AVAILABLE);
                return;
        }
        call->park = c;
        call->cancel = cancel;
}
