/* TxnOffsetCommit: v0-5
 * Commits offsets of a group inside a transaction: they take effect when it commits. v2 adds leader epochs; v3 is flexible and names the
 * member (KIP-447); v4 knows TRANSACTION_ABORTABLE; v5 takes the group's partition into the transaction by itself (KIP-890). */
#include <errno.h>

#include "broker/api/api.h"
#include "broker/api/internal_topics.h"
#include "broker/api/names.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/offsets_pending.h"
#include "broker/state/groups/offsets_write.h"
#include "broker/state/transactions/transactions.h"

typedef struct Commit {
        OffsetsWait wait;
        TransactionWait transaction;
        Call *call;
        TxnOffsetCommitResponse response;
        OffsetToCommit *offsets; /* those without an error yet */
        TxnOffsetCommitResponsePartition **rows;
        int32_t count;
} Commit;

static void reply(Commit *c, int16_t code) {
        for (int32_t i = 0; i < c->count; i++)
                c->rows[i]->error_code = code;
        call_reply(c->call, &c->response);
}

static void on_written(OffsetsWait *wait, State *state, int16_t code) {
        reply(container_of(wait, Commit, wait), code);
}

static void cancel(Call *call) {
        Commit *c = call->park;
        offsets_wait_cancel(&c->wait);
        transaction_wait_cancel(&c->transaction);
}

static int16_t check_group(Call *call);

/* Those whose metadata is too long are out. */
static void drop_long(Commit *c) {
        int32_t kept = 0;
        for (int32_t i = 0; i < c->count; i++) {
                if (!offsets_metadata_fits(c->call->state, c->offsets[i].metadata)) {
                        c->rows[i]->error_code = KAFKA_OFFSET_METADATA_TOO_LARGE;
                        continue;
                }
                c->rows[kept] = c->rows[i];
                c->offsets[kept++] = c->offsets[i];
        }
        c->count = kept;
}

/* The transaction may be written to; as in Kafka the group is asked after it. */
static void write_offsets(Commit *c) {
        const TxnOffsetCommitRequest *request = c->call->request;
        int16_t code = check_group(c->call);
        if (!code)
                drop_long(c);
        if (code || c->count == 0) {
                reply(c, code);
                return;
        }
        OffsetsProducer producer = { request->producer_id, request->producer_epoch };
        int r = offsets_write(c->call->state, request->group_id, c->offsets, c->count, &producer, &c->wait);
        if (r > 0 && r != KAFKA_KAFKA_STORAGE_ERROR && r != KAFKA_MESSAGE_TOO_LARGE)
                reply(c, (int16_t)r);
        else if (r)
                reply(c, r == -ENOMEM ? call_code(c->call, r) : journal_code(r));
}

static void on_added(TransactionWait *wait, State *state, const TransactionResult *result) {
        Commit *c = container_of(wait, Commit, transaction);
        int16_t code = result->code == KAFKA_PRODUCER_FENCED ? KAFKA_INVALID_PRODUCER_EPOCH : result->code;
        if (code)
                reply(c, code);
        else
                write_offsets(c);
}

/* Clients of transactions v1 have added the group's partition before: otherwise the offsets would hang. */
static int16_t verify(Call *call, int32_t partition) {
        const TxnOffsetCommitRequest *request = call->request;
        if (!config_bool(call->state->config, "transaction.partition.verification.enable"))
                return 0;
        int16_t code = transaction_verify(call->state, request->transactional_id, request->producer_id, request->producer_epoch,
                                          STR(TOPIC_NAME_OFFSETS), partition);
        if (code == KAFKA_PRODUCER_FENCED)
                return KAFKA_INVALID_PRODUCER_EPOCH;
        return code == KAFKA_TRANSACTION_ABORTABLE && call_version(call) < 4 ? KAFKA_INVALID_TXN_STATE : code;
}

/* Producers of older versions do not say whose offsets they commit. */
static int16_t check_consumer_group(Call *call, const ConsumerGroup *consumer) {
        const TxnOffsetCommitRequest *request = call->request;
        const ConsumerMember *late;
        if (request->generation_id == -1 && request->member_id.len == 0 && str_is_null(request->group_instance_id))
                return 0;
        int16_t code = consumer_check_commit(consumer, request->member_id, request->generation_id, true, &late);
        for (int32_t i = 0; late && !code && i < request->topics_count; i++) {
                const Topic *topic = topic_find(call->state, request->topics[i].name);
                for (int32_t p = 0; topic && !code && p < request->topics[i].partitions_count; p++)
                        code = consumer_check_late_commit(late, request->generation_id, &topic->id,
                                                          request->topics[i].partitions[p].partition_index);
        }
        return code == KAFKA_STALE_MEMBER_EPOCH ? KAFKA_ILLEGAL_GENERATION : code;
}

static int16_t check_group(Call *call) {
        const TxnOffsetCommitRequest *request = call->request;
        Group *group = group_find(call->state, request->group_id);
        if (group && group->consumer)
                return check_consumer_group(call, group->consumer);
        return group_check_transactional_commit(call->state, group, request->member_id,
                                                request->group_instance_id, request->generation_id);
}

/* A topic of the request; answer NULL: it has none yet. */
typedef struct Wanted {
        Topic *topic;
        TxnOffsetCommitResponseTopic *answer;
        int32_t row_count_max;
} Wanted;

static bool begin_answer(Commit *c, const TxnOffsetCommitRequestTopic *want, Wanted *wanted) {
        TxnOffsetCommitResponseTopic *answer = &c->response.topics[c->response.topics_count++];
        answer->name = want->name;
        answer->partitions = call_array(c->call, TxnOffsetCommitResponsePartition, wanted->row_count_max);
        wanted->answer = answer;
        return answer->partitions;
}

static void add_partition(Commit *c, Str topic, const TxnOffsetCommitRequestPartition *want, TxnOffsetCommitResponsePartition *row) {
        c->rows[c->count] = row;
        c->offsets[c->count++] = (OffsetToCommit){
                .topic = topic, .metadata = str_is_null(want->committed_metadata) ? STR("") : want->committed_metadata,
                .partition = want->partition_index, .leader_epoch = want->committed_leader_epoch, .offset = want->committed_offset,
                .commit_ms = c->call->state->now_ms, .expire_ms = -1 };
}

/* The partitions that there are, or the others. A topic that there is but without partitions is not answered, as in Kafka. */
static bool add_partitions(Commit *c, const TxnOffsetCommitRequestTopic *want, Wanted *wanted, bool there_are) {
        bool has_group = ((const TxnOffsetCommitRequest *)c->call->request)->group_id.len > 0;
        if (!wanted->topic && !wanted->answer && !begin_answer(c, want, wanted))
                return false;
        for (int32_t i = 0; i < want->partitions_count; i++) {
                const TxnOffsetCommitRequestPartition *partition = &want->partitions[i];
                bool there_is = wanted->topic && topic_partition(wanted->topic, partition->partition_index);
                if (there_is != there_are)
                        continue;
                if (!wanted->answer && !begin_answer(c, want, wanted))
                        return false;
                TxnOffsetCommitResponsePartition *row = &wanted->answer->partitions[wanted->answer->partitions_count++];
                row->partition_index = partition->partition_index;
                row->error_code = !there_is ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : has_group ? 0 : KAFKA_INVALID_GROUP_ID;
                if (!row->error_code)
                        add_partition(c, want->name, partition, row);
        }
        return true;
}

/* The topics of the request, and for each the place of the first of its name. */
static Wanted *find_topics(Call *call, const int32_t **ret_first) {
        const TxnOffsetCommitRequest *request = call->request;
        Wanted *wanted = arena_alloc_array(&call->arena, (size_t)request->topics_count, sizeof(*wanted));
        Str *names = arena_alloc_array(&call->arena, (size_t)request->topics_count, sizeof(*names));
        for (int32_t i = 0; names && i < request->topics_count; i++)
                names[i] = request->topics[i].name;
        *ret_first = names ? names_first(call, names, request->topics_count) : NULL;
        for (int32_t i = 0; wanted && *ret_first && i < request->topics_count; i++) {
                const TxnOffsetCommitRequestTopic *want = &request->topics[i];
                wanted[i] = (Wanted){ topic_find(call->state, want->name), NULL, want->partitions_count };
                if ((*ret_first)[i] < i)
                        wanted[(*ret_first)[i]].row_count_max += want->partitions_count;
        }
        return wanted;
}

/* What there is not comes first, and where there is any the pieces of a topic are put together, as in Kafka. */
static bool add_all(Commit *c) {
        Call *call = c->call;
        const TxnOffsetCommitRequest *request = call->request;
        const int32_t *first;
        size_t count = 0;
        for (int32_t i = 0; i < request->topics_count; i++)
                count += (size_t)request->topics[i].partitions_count;
        c->offsets = arena_alloc_array(&call->arena, count, sizeof(*c->offsets));
        c->rows = arena_alloc_array(&call->arena, count, sizeof(*c->rows));
        c->response.topics = call_array(call, TxnOffsetCommitResponseTopic, request->topics_count);
        Wanted *wanted = find_topics(call, &first);
        bool ok = c->offsets && c->rows && c->response.topics && wanted && first;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = add_partitions(c, &request->topics[i], &wanted[first[i]], false);
        bool together = c->response.topics_count > 0;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = add_partitions(c, &request->topics[i], &wanted[together ? first[i] : i], true);
        return ok;
}

static void begin(Commit *c) {
        Call *call = c->call;
        const TxnOffsetCommitRequest *request = call->request;
        int16_t code = groups_ensure_topic(call->state) ? KAFKA_COORDINATOR_NOT_AVAILABLE
                                                        : offsets_pending_check_room(call->state, c->count);
        if (code) {
                reply(c, code);
                return;
        }
        const Topic *offsets = topic_find(call->state, STR(TOPIC_NAME_OFFSETS));
        int32_t partition = journal_partition_index(request->group_id, offsets->partition_count);
        Log *log = offsets->partitions[partition]->log;
        if (log && log_has_open_transaction(log, request->producer_id, request->producer_epoch)) {
                write_offsets(c); /* it was checked when it began */
                return;
        }
        if (log && log_producer_epoch(log, request->producer_id) > request->producer_epoch) {
                reply(c, KAFKA_INVALID_PRODUCER_EPOCH); /* whoever it says it is */
                return;
        }
        if (call_version(call) >= 5) {
                TransactionTarget target = { STR(TOPIC_NAME_OFFSETS), partition };
                transaction_add(call->state, request->transactional_id, request->producer_id, request->producer_epoch, &target, 1,
                                TRANSACTION_VERSION, &c->transaction);
                return;
        }
        code = verify(call, partition);
        if (code)
                reply(c, code);
        else
                write_offsets(c);
}

void api_txn_offset_commit(Call *call) {
        if (internal_topics_await_offsets(call))
                return;
        Commit *c = arena_alloc(&call->arena, sizeof(*c));
        if (!c) {
                call_close(call);
                return;
        }
        *c = (Commit){ .wait = { .done = on_written }, .transaction = { .done = on_added }, .call = call,
                       .response = TxnOffsetCommitResponse_INIT };
        if (!add_all(c)) {
                call_close(call);
                return;
        }
        call->park = c;
        call->cancel = cancel;
        if (c->count)
                begin(c);
        else
                reply(c, 0);
}
