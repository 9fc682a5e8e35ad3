/* OffsetCommit: v0-10
 * Commits offsets for a group. v1 has a timestamp a partition and v2-4 a retention time; v6 adds leader epochs; v7 static members; v8 is
 * flexible; v9 speaks the new protocol's member epochs; v10 names topics by id. */
#include <errno.h>

#include "broker/api/api.h"
#include "broker/state/groups.h"
#include "broker/state/journal.h"

typedef struct Pending {
        OffsetCommitResponsePartition *row;
        const OffsetCommitRequestPartition *want;
        Str topic;
} Pending;

typedef struct Commit {
        JournalWrite write;
        Call *call;
        OffsetCommitResponse response;
        Pending *pending; /* what was written and is to be put in force */
        int32_t pending_count;
        int64_t commit_ms;
        bool is_stored;
} Commit;

static int64_t expiry_of(const Commit *c) {
        const OffsetCommitRequest *request = c->call->request;
        int16_t version = call_version(c->call);
        return version >= 2 && version <= 4 && request->retention_time_ms >= 0 ? c->commit_ms + request->retention_time_ms : -1;
}

static int store(const Commit *c, const Pending *p) {
        const OffsetCommitRequest *request = c->call->request;
        Group *group = group_get(c->call->state, request->group_id);
        return !group ? -ENOMEM
                      : offset_store(group, p->topic, p->want->partition_index, p->want->committed_offset,
                                     p->want->committed_leader_epoch, p->want->committed_metadata, c->commit_ms, expiry_of(c));
}

static void on_written(JournalWrite *write, State *state) {
        Commit *c = container_of(write, Commit, write);
        for (int32_t i = 0; i < c->pending_count; i++)
                c->pending[i].row->error_code = store(c, &c->pending[i]) ? KAFKA_COORDINATOR_NOT_AVAILABLE : 0;
        c->is_stored = true;
}

static void on_done(JournalWrite *write, State *state, int16_t code) {
        Commit *c = container_of(write, Commit, write);
        for (int32_t i = 0; code && i < c->pending_count; i++)
                c->pending[i].row->error_code = code;
        call_reply(c->call, &c->response);
}

/* The client is gone, but its offsets are on their way into the log, and a replay would bring them back: they take effect. */
static void cancel(Call *call) {
        Commit *c = call->park;
        list_remove(&c->write.wait.node);
        for (int32_t i = 0; !c->is_stored && i < c->pending_count; i++)
                if (store(c, &c->pending[i]) < 0)
                        return;
}

static int16_t check_partition(Commit *c, Topic *topic, const OffsetCommitRequestPartition *want) {
        if (!topic_partition(topic, want->partition_index))
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if ((int64_t)want->committed_metadata.len > config_int(c->call->state->config, "offset.metadata.max.bytes"))
                return KAFKA_OFFSET_METADATA_TOO_LARGE;
        return 0;
}

static bool add_topic(Commit *c, Journal *journal, int16_t group_code, const OffsetCommitRequestTopic *want,
                      OffsetCommitResponseTopic *answer) {
        Call *call = c->call;
        const OffsetCommitRequest *request = call->request;
        bool by_id = call_version(call) >= 10;
        Topic *topic = by_id ? topic_find_id(call->state, &want->topic_id) : topic_find(call->state, want->name);
        answer->name = want->name;
        answer->topic_id = want->topic_id;
        answer->partitions = call_array(call, OffsetCommitResponsePartition, want->partitions_count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = want->partitions_count;
        for (int32_t i = 0; i < want->partitions_count; i++) {
                const OffsetCommitRequestPartition *p = &want->partitions[i];
                OffsetCommitResponsePartition *row = &answer->partitions[i];
                row->partition_index = p->partition_index;
                row->error_code = !topic ? by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                         : check_partition(c, topic, p);
                if (!row->error_code)
                        row->error_code = group_code;
                if (row->error_code)
                        continue;
                Str metadata = str_is_null(p->committed_metadata) ? STR("") : p->committed_metadata;
                CommittedOffset record = {
                        .topic = topic->name,
                        .partition = p->partition_index,
                        .offset = p->committed_offset,
                        .leader_epoch = p->committed_leader_epoch,
                        .metadata = (char *)(uintptr_t)arena_str(&call->arena, metadata).data,
                        .commit_timestamp_ms = c->commit_ms,
                        .expire_timestamp_ms = expiry_of(c),
                };
                journal_add_offset(journal, request->group_id, &record);
                c->pending[c->pending_count++] = (Pending){ row, p, str_of(topic->name) };
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
        return group_check_commit(call->state, group_find(call->state, request->group_id), request->member_id,
                                  request->group_instance_id, request->generation_id_or_member_epoch);
}

void api_offset_commit(Call *call) {
        const OffsetCommitRequest *request = call->request;
        Commit *c = arena_alloc(&call->arena, sizeof(*c));
        Journal journal;
        if (!c) {
                call_close(call);
                return;
        }
        *c = (Commit){ .call = call, .response = OffsetCommitResponse_INIT, .commit_ms = call->state->now_ms };
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
        c->write.written = on_written;
        int r = journal_append(call->state, &journal, request->group_id, &c->write, on_done);
        if (r) {
                on_done(&c->write, call->state, call_code(call, r) == KAFKA_UNKNOWN_SERVER_ERROR ? KAFKA_UNKNOWN_SERVER_ERROR
                                                                                                   : KAFKA_COORDINATOR_NOT_AVAILABLE);
                return;
        }
        call->park = c;
        call->cancel = cancel;
}
