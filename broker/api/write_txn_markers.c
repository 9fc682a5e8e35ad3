/* WriteTxnMarkers: v0-2
 * Ends a producer's transaction in single partitions: how an admin client aborts one that hangs (KIP-664). v1 is flexible; v2 tells
 * the version of the transaction. */
#include "broker/api/api.h"
#include "broker/state/groups/offsets_pending.h"
#include "broker/state/journal.h"
#include "broker/state/transactions/transactions.h"

typedef WriteTxnMarkersRequestMarker Want;
typedef WriteTxnMarkersResponsePartition Row;

typedef struct Marked {
        Partition *partition; /* NULL once nothing is waited for: it may be deleted */
        int64_t end_offset;
        const Want *want;
        Row *row;
} Marked;

typedef struct Marking {
        CommitWait wait;
        Call *call;
        WriteTxnMarkersResponse response;
        Marked *marked; /* what was queued */
        int32_t marked_count;
} Marking;

static void on_settled(CommitWait *wait, State *state) {
        Marking *m = container_of(wait, Marking, wait);
        bool all = true;
        for (int32_t i = 0; i < m->marked_count; i++) {
                Marked *marked = &m->marked[i];
                if (marked->partition && (marked->row->error_code || partition_is_settled(marked->partition, marked->end_offset)))
                        marked->partition = NULL;
                all = all && !marked->partition;
        }
        if (all)
                call_reply(m->call, &m->response);
        else
                state_wait_sync(state, wait, on_settled);
}

static void on_commit(CommitWait *wait, State *state) {
        Marking *m = container_of(wait, Marking, wait);
        for (int32_t i = 0; i < m->marked_count; i++) {
                const Marked *marked = &m->marked[i];
                if (!partition_is_written(marked->partition, marked->end_offset))
                        marked->row->error_code = KAFKA_KAFKA_STORAGE_ERROR;
                else if (strcmp(marked->partition->topic->name, TOPIC_NAME_OFFSETS) == 0)
                        offsets_pending_end(state, marked->partition->index, marked->want->producer_id, marked->want->transaction_result);
        }
        on_settled(wait, state);
}

static void cancel(Call *call) {
        list_remove(&((Marking *)call->park)->wait.node);
}

/* Whether no marker can be made of it, though there is a place for one. */
static bool is_impossible(const Call *call, const Want *want) {
        if (want->producer_id >= 0 && want->producer_epoch != -1)
                return false;
        for (int32_t i = 0; i < want->topics_count; i++)
                for (int32_t j = 0; j < want->topics[i].partition_indexes_count; j++)
                        if (partition_find(call->state, want->topics[i].name, want->topics[i].partition_indexes[j]))
                                return true;
        return false;
}

static void mark(Marking *m, const Want *want, Str topic, Row *row) {
        Partition *partition = partition_find(m->call->state, topic, row->partition_index);
        int64_t end_offset = -1;
        int r = partition ? transaction_mark(m->call->state, partition, want->producer_id, want->producer_epoch,
                                             want->coordinator_epoch, want->transaction_version, want->transaction_result, &end_offset)
                          : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        row->error_code = call_code(m->call, r);
        if (!r)
                m->marked[m->marked_count++] = (Marked){ partition, end_offset, want, row };
}

/* Kafka answers for topics and markers of which some partition was named. */
static bool mark_all(Marking *m, const Want *want, WriteTxnMarkersResponseMarker *answer) {
        bool impossible = is_impossible(m->call, want);
        answer->producer_id = want->producer_id;
        answer->topics = call_array(m->call, WriteTxnMarkersResponseTopic, want->topics_count);
        if (!answer->topics)
                return false;
        for (int32_t i = 0; i < want->topics_count; i++) {
                int32_t count = want->topics[i].partition_indexes_count;
                if (count == 0)
                        continue;
                WriteTxnMarkersResponseTopic *topic = &answer->topics[answer->topics_count++];
                topic->name = want->topics[i].name;
                topic->partitions = call_array(m->call, WriteTxnMarkersResponsePartition, count);
                if (!topic->partitions)
                        return false;
                topic->partitions_count = count;
                for (int32_t j = 0; j < count; j++) {
                        topic->partitions[j].partition_index = want->topics[i].partition_indexes[j];
                        if (impossible)
                                topic->partitions[j].error_code = KAFKA_UNKNOWN_SERVER_ERROR;
                        else
                                mark(m, want, topic->name, &topic->partitions[j]);
                }
        }
        return true;
}

static size_t count_partitions(const WriteTxnMarkersRequest *request) {
        size_t count = 0;
        for (int32_t i = 0; i < request->markers_count; i++)
                for (int32_t j = 0; j < request->markers[i].topics_count; j++)
                        count += (size_t)request->markers[i].topics[j].partition_indexes_count;
        return count;
}

void api_write_txn_markers(Call *call) {
        const WriteTxnMarkersRequest *request = call->request;
        Marking *m = arena_alloc(&call->arena, sizeof(*m));
        if (!m) {
                call_close(call);
                return;
        }
        *m = (Marking){ .call = call, .response = WriteTxnMarkersResponse_INIT };
        m->marked = arena_alloc_array(&call->arena, count_partitions(request), sizeof(*m->marked));
        m->response.markers = call_array(call, WriteTxnMarkersResponseMarker, request->markers_count);
        bool ok = m->marked && m->response.markers;
        for (int32_t i = 0; ok && i < request->markers_count; i++) {
                WriteTxnMarkersResponseMarker *answer = &m->response.markers[m->response.markers_count];
                ok = mark_all(m, &request->markers[i], answer);
                m->response.markers_count += answer->topics_count > 0;
        }
        if (!ok) {
                call_close(call);
        } else if (!m->marked_count) {
                call_reply(call, &m->response);
        } else {
                call->park = m;
                call->cancel = cancel;
                state_wait_commit(call->state, &m->wait, on_commit);
        }
}
