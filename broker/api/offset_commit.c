/* OffsetCommit: v0-10
 * Commits offsets for a group. v1 has a timestamp a partition and v2-4 a retention time; v6 adds leader epochs; v7 static members; v8 is
 * flexible; v9 speaks the new protocol's member epochs; v10 names topics by id. */
#include <errno.h>

#include "broker/api/api.h"
#include "broker/api/internal_topics.h"
#include "broker/api/names.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/offsets_write.h"

typedef struct Commit {
        OffsetsWait wait;
        Call *call;
        OffsetCommitResponse response;
        int64_t expire_ms;
        OffsetToCommit *offsets; /* those without an error yet */
        OffsetCommitResponsePartition **rows;
        int32_t count;
} Commit;

static int64_t expiry_of(const Call *call) {
        const OffsetCommitRequest *request = call->request;
        int64_t expire_ms;
        if (call_version(call) < 2 || call_version(call) > 4 || request->retention_time_ms == -1)
                return -1;
        return __builtin_add_overflow(call->state->now_ms, request->retention_time_ms, &expire_ms) ? INT64_MAX : expire_ms;
}

static void on_written(OffsetsWait *wait, State *state, int16_t code) {
        Commit *c = container_of(wait, Commit, wait);
        for (int32_t i = 0; i < c->count; i++)
                c->rows[i]->error_code = code;
        call_reply(c->call, &c->response);
}

static void cancel(Call *call) {
        offsets_wait_cancel(&((Commit *)call->park)->wait);
}

static int16_t check_partition(Call *call, int16_t group_code, const OffsetCommitRequestPartition *want) {
        if (group_code)
                return group_code;
        return offsets_metadata_fits(call->state, want->committed_metadata) ? 0 : KAFKA_OFFSET_METADATA_TOO_LARGE;
}

static void add_partition(Commit *c, const Topic *topic, const OffsetCommitRequestPartition *want, OffsetCommitResponsePartition *row) {
        c->rows[c->count] = row;
        c->offsets[c->count++] = (OffsetToCommit){
                .topic = str_of(topic->name),
                .metadata = str_is_null(want->committed_metadata) ? STR("") : want->committed_metadata,
                .partition = want->partition_index,
                .leader_epoch = want->committed_leader_epoch,
                .offset = want->committed_offset,
                .commit_ms = c->call->state->now_ms,
                .expire_ms = c->expire_ms,
        };
}

/* A topic of the request; answer NULL: it has none yet. */
typedef struct Wanted {
        Topic *topic;
        OffsetCommitResponseTopic *answer;
        int32_t row_count_max;
} Wanted;

static bool begin_answer(Commit *c, const OffsetCommitRequestTopic *want, Wanted *wanted) {
        OffsetCommitResponseTopic *answer = &c->response.topics[c->response.topics_count++];
        answer->name = want->name;
        answer->topic_id = want->topic_id;
        answer->partitions = call_array(c->call, OffsetCommitResponsePartition, wanted->row_count_max);
        wanted->answer = answer;
        return answer->partitions;
}

/* The partitions that there are, or the others. A topic that there is but without partitions is not answered, as in Kafka. */
static bool add_partitions(Commit *c, int16_t group_code, const OffsetCommitRequestTopic *want, Wanted *wanted, bool there_are) {
        int16_t unknown = !wanted->topic && call_version(c->call) >= 10 ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        if (!wanted->topic && !wanted->answer && !begin_answer(c, want, wanted))
                return false;
        for (int32_t i = 0; i < want->partitions_count; i++) {
                const OffsetCommitRequestPartition *partition = &want->partitions[i];
                bool there_is = wanted->topic && topic_partition(wanted->topic, partition->partition_index);
                if (there_is != there_are)
                        continue;
                if (!wanted->answer && !begin_answer(c, want, wanted))
                        return false;
                OffsetCommitResponsePartition *row = &wanted->answer->partitions[wanted->answer->partitions_count++];
                row->partition_index = partition->partition_index;
                row->error_code = there_is ? check_partition(c->call, group_code, partition) : unknown;
                if (!row->error_code)
                        add_partition(c, wanted->topic, partition, row);
        }
        return true;
}

static int32_t count_partitions(const OffsetCommitRequest *request) {
        int32_t count = 0;
        for (int32_t i = 0; i < request->topics_count; i++)
                count += request->topics[i].partitions_count;
        return count;
}

/* A commit of an older epoch is sound where the member had the partition at that epoch; one that is not spoils all. */
static int16_t check_late_topic(Call *call, const ConsumerMember *member, const OffsetCommitRequestTopic *want) {
        const OffsetCommitRequest *request = call->request;
        const Topic *topic = call_version(call) >= 10 ? topic_find_id(call->state, &want->topic_id) : topic_find(call->state, want->name);
        int16_t code = 0;
        for (int32_t i = 0; topic && !code && i < want->partitions_count; i++)
                if (topic_partition(topic, want->partitions[i].partition_index))
                        code = consumer_check_late_commit(member, request->generation_id_or_member_epoch, &topic->id,
                                                          want->partitions[i].partition_index);
        return code;
}

static int16_t check_consumer_group(Call *call, const ConsumerGroup *consumer) {
        const OffsetCommitRequest *request = call->request;
        const ConsumerMember *late;
        int16_t code = consumer_check_commit(consumer, request->member_id, request->generation_id_or_member_epoch,
                                             call_version(call) >= 9, &late);
        for (int32_t i = 0; late && !code && i < request->topics_count; i++)
                code = check_late_topic(call, late, &request->topics[i]);
        return code;
}

static int16_t check_group(Call *call) {
        const OffsetCommitRequest *request = call->request;
        Group *group = group_find(call->state, request->group_id);
        if (request->group_id.len > 0 && memchr(request->group_id.data, 0, request->group_id.len))
                return KAFKA_INVALID_GROUP_ID;
        if (!group && request->generation_id_or_member_epoch >= 0 && call_version(call) >= 9)
                return KAFKA_GROUP_ID_NOT_FOUND;
        if (group && group->consumer)
                return check_consumer_group(call, group->consumer);
        return group_check_commit(call->state, group, request->member_id, request->group_instance_id,
                                  request->generation_id_or_member_epoch);
}

/* The topics of the request, and for each the place of the first that is the same. */
static Wanted *find_topics(Call *call, const int32_t **ret_first) {
        const OffsetCommitRequest *request = call->request;
        bool by_id = call_version(call) >= 10;
        Wanted *wanted = arena_alloc_array(&call->arena, (size_t)request->topics_count, sizeof(*wanted));
        Str *names = arena_alloc_array(&call->arena, (size_t)request->topics_count, sizeof(*names));
        for (int32_t i = 0; names && i < request->topics_count; i++) {
                const OffsetCommitRequestTopic *want = &request->topics[i];
                names[i] = by_id ? (Str){ (const char *)want->topic_id.bytes, sizeof(want->topic_id.bytes) } : want->name;
        }
        *ret_first = names ? names_first(call, names, request->topics_count) : NULL;
        for (int32_t i = 0; wanted && *ret_first && i < request->topics_count; i++) {
                const OffsetCommitRequestTopic *want = &request->topics[i];
                Topic *topic = by_id ? topic_find_id(call->state, &want->topic_id) : topic_find(call->state, want->name);
                wanted[i] = (Wanted){ topic, NULL, want->partitions_count };
                if ((*ret_first)[i] < i)
                        wanted[(*ret_first)[i]].row_count_max += want->partitions_count;
        }
        return wanted;
}

/* What there is not comes first, and where there is any the pieces of a topic are put together, as in Kafka. */
static bool add_all(Commit *c) {
        Call *call = c->call;
        const OffsetCommitRequest *request = call->request;
        const int32_t *first;
        size_t count = (size_t)count_partitions(request);
        c->offsets = arena_alloc_array(&call->arena, count, sizeof(*c->offsets));
        c->rows = arena_alloc_array(&call->arena, count, sizeof(*c->rows));
        c->response.topics = call_array(call, OffsetCommitResponseTopic, request->topics_count);
        Wanted *wanted = find_topics(call, &first);
        int16_t code = check_group(call);
        bool ok = c->offsets && c->rows && c->response.topics && wanted && first;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = add_partitions(c, code, &request->topics[i], &wanted[first[i]], false);
        bool together = c->response.topics_count > 0;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = add_partitions(c, code, &request->topics[i], &wanted[together ? first[i] : i], true);
        return ok;
}

void api_offset_commit(Call *call) {
        const OffsetCommitRequest *request = call->request;
        if (internal_topics_await_offsets(call))
                return;
        Commit *c = arena_alloc(&call->arena, sizeof(*c));
        if (!c) {
                call_close(call);
                return;
        }
        *c = (Commit){ .wait = { .done = on_written }, .call = call, .response = OffsetCommitResponse_INIT, .expire_ms = expiry_of(call) };
        if (!add_all(c)) {
                call_close(call);
                return;
        }
        int r = c->count ? offsets_write(call->state, request->group_id, c->offsets, c->count, NULL, &c->wait) : 0;
        if (r || !c->count) {
                int16_t code = r == -ENOMEM ? call_code(call, r) : journal_code(r);
                on_written(&c->wait, call->state, code);
                return;
        }
        call->park = c;
        call->cancel = cancel;
}
