/* AddPartitionsToTxn: v0-5
 * Takes partitions into a transaction, before anything is written to them. v2 knows PRODUCER_FENCED; v3 is flexible; v4 takes several
 * transactions, and only verifies where it is asked to (KIP-890); v5 is of transactions v2. */
#include "broker/api/api.h"
#include "broker/api/partition_names.h"
#include "broker/state/transactions/transactions.h"

typedef AddPartitionsToTxnRequestTransaction Want;
typedef AddPartitionsToTxnResponseTransactionResult Row;

typedef struct Adding Adding;

typedef struct AddOne {
        TransactionWait wait;
        Adding *adding;
        const Want *want;
        Row *row;
} AddOne;

struct Adding {
        Call *call;
        Want *wants; /* of any version, in v4's form */
        Row *rows;
        AddOne *ones;
        int32_t count;
        int32_t waiting; /* answers that are not there yet; the handler itself counts as one */
};

/* v3's one transaction. */
static Want *old_want(Call *call) {
        const AddPartitionsToTxnRequest *request = call->request;
        int32_t count = request->v3_and_below_topics_count;
        Want *want = call_array(call, AddPartitionsToTxnRequestTransaction, 1);
        AddPartitionsToTxnRequestTopic *topics = call_array(call, AddPartitionsToTxnRequestTopic, count);
        if (!want || !topics)
                return NULL;
        want->transactional_id = request->v3_and_below_transactional_id;
        want->producer_id = request->v3_and_below_producer_id;
        want->producer_epoch = request->v3_and_below_producer_epoch;
        want->topics = topics;
        want->topics_count = count;
        for (int32_t i = 0; i < count; i++) {
                topics[i].name = request->v3_and_below_topics[i].name;
                topics[i].partitions = request->v3_and_below_topics[i].partitions;
                topics[i].partitions_count = request->v3_and_below_topics[i].partitions_count;
        }
        return want;
}

static bool fill_row(Call *call, const Want *want, Row *row) {
        row->transactional_id = want->transactional_id;
        row->topic_results = call_array(call, AddPartitionsToTxnResponseTopicResult, want->topics_count);
        if (!row->topic_results)
                return false;
        row->topic_results_count = want->topics_count;
        for (int32_t i = 0; i < want->topics_count; i++) {
                int32_t count = want->topics[i].partitions_count;
                row->topic_results[i].name = want->topics[i].name;
                row->topic_results[i].results_by_partition =
                        call_array(call, AddPartitionsToTxnResponsePartitionResult, count);
                if (!row->topic_results[i].results_by_partition)
                        return false;
                row->topic_results[i].results_by_partition_count = count;
                for (int32_t j = 0; j < count; j++)
                        row->topic_results[i].results_by_partition[j].partition_index = want->topics[i].partitions[j];
        }
        return true;
}

static void set_all(Row *row, int16_t code) {
        for (int32_t i = 0; i < row->topic_results_count; i++)
                for (int32_t j = 0; j < row->topic_results[i].results_by_partition_count; j++)
                        row->topic_results[i].results_by_partition[j].partition_error_code = code;
}

/* What clients before v4 may not write to, and what there is not. */
static int16_t check_partition(Call *call, Str topic, int32_t partition) {
        if (call_version(call) < 4 && topic_name_is_internal(topic))
                return KAFKA_TOPIC_AUTHORIZATION_FAILED;
        return partition_find(call->state, topic, partition) ? 0 : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

/* All or nothing: with an unknown partition the others are not attempted. */
static bool has_unknown(Call *call, const Want *want) {
        bool found = false;
        for (int32_t i = 0; !found && i < want->topics_count; i++)
                for (int32_t j = 0; !found && j < want->topics[i].partitions_count; j++)
                        found = check_partition(call, want->topics[i].name, want->topics[i].partitions[j]) != 0;
        return found;
}

static int16_t refuse(Call *call, const Want *want, Str topic, int32_t partition) {
        int16_t code = check_partition(call, topic, partition);
        return code ? code : KAFKA_OPERATION_NOT_ATTEMPTED;
}

static int16_t verify(Call *call, const Want *want, Str topic, int32_t partition) {
        return transaction_verify(call->state, want->transactional_id, want->producer_id, want->producer_epoch, topic, partition);
}

static bool collect(Call *call, const Want *want, PartitionNames *ret_names) {
        *ret_names = PARTITION_NAMES_INIT(call);
        for (int32_t i = 0; i < want->topics_count; i++)
                for (int32_t j = 0; j < want->topics[i].partitions_count; j++)
                        partition_names_add(ret_names, want->topics[i].name, want->topics[i].partitions[j], NULL);
        return partition_names_sort(ret_names);
}

/* Where partitions have codes of their own each is told of once; otherwise the request is echoed. As in Kafka. */
static bool answer_each(Call *call, const Want *want, Row *row, int16_t (*code_of)(Call *, const Want *, Str, int32_t)) {
        PartitionNames names;
        if (!collect(call, want, &names))
                return false;
        row->topic_results = call_array(call, AddPartitionsToTxnResponseTopicResult, partition_names_topics(&names));
        row->topic_results_count = 0;
        for (int32_t i = 0; row->topic_results && i < names.count;) {
                int32_t count = partition_names_same_topic(&names, i);
                AddPartitionsToTxnResponseTopicResult *topic = &row->topic_results[row->topic_results_count++];
                topic->name = names.rows[i].topic;
                topic->results_by_partition = call_array(call, AddPartitionsToTxnResponsePartitionResult, count);
                if (!topic->results_by_partition)
                        return false;
                topic->results_by_partition_count = count;
                for (int32_t j = 0; j < count; j++, i++)
                        topic->results_by_partition[j] = (AddPartitionsToTxnResponsePartitionResult){
                                .partition_index = names.rows[i].partition,
                                .partition_error_code = code_of(call, want, names.rows[i].topic, names.rows[i].partition) };
        }
        return row->topic_results != NULL;
}

static void reply_old(Adding *adding) {
        Call *call = adding->call;
        AddPartitionsToTxnResponse response = AddPartitionsToTxnResponse_INIT;
        const Row *row = &adding->rows[0];
        response.results_by_topic_v3_and_below = call_array(call, AddPartitionsToTxnResponseOldTopicResult, row->topic_results_count);
        if (!response.results_by_topic_v3_and_below) {
                call_close(call);
                return;
        }
        for (int32_t i = 0; i < row->topic_results_count; i++) {
                AddPartitionsToTxnResponseOldTopicResult *topic = &response.results_by_topic_v3_and_below[i];
                int32_t count = row->topic_results[i].results_by_partition_count;
                topic->name = row->topic_results[i].name;
                topic->results_by_partition = call_array(call, AddPartitionsToTxnResponseOldPartitionResult, count);
                if (!topic->results_by_partition) {
                        call_close(call);
                        return;
                }
                topic->results_by_partition_count = count;
                response.results_by_topic_v3_and_below_count++;
                for (int32_t j = 0; j < count; j++) {
                        int16_t code = row->topic_results[i].results_by_partition[j].partition_error_code;
                        topic->results_by_partition[j].partition_index = row->topic_results[i].results_by_partition[j].partition_index;
                        topic->results_by_partition[j].partition_error_code =
                                code == KAFKA_PRODUCER_FENCED && call_version(call) < 2 ? KAFKA_INVALID_PRODUCER_EPOCH : code;
                }
        }
        call_reply(call, &response);
}

static void count_down(Adding *adding) {
        if (--adding->waiting > 0)
                return;
        if (call_version(adding->call) < 4) {
                reply_old(adding);
                return;
        }
        AddPartitionsToTxnResponse response = AddPartitionsToTxnResponse_INIT;
        response.results_by_transaction = adding->rows;
        response.results_by_transaction_count = adding->count;
        call_reply(adding->call, &response);
}

static void on_result(TransactionWait *wait, State *state, const TransactionResult *result) {
        AddOne *one = container_of(wait, AddOne, wait);
        set_all(one->row, result->code);
        count_down(one->adding);
}

static void cancel(Call *call) {
        Adding *adding = call->park;
        for (int32_t i = 0; i < adding->count; i++)
                transaction_wait_cancel(&adding->ones[i].wait);
}

static bool add(Adding *adding, AddOne *one) {
        Call *call = adding->call;
        const Want *want = one->want;
        size_t count = 0, at = 0;
        for (int32_t i = 0; i < want->topics_count; i++)
                count += (size_t)want->topics[i].partitions_count;
        TransactionTarget *targets = arena_alloc_array(&call->arena, count, sizeof(*targets));
        if (!targets)
                return false;
        for (int32_t i = 0; i < want->topics_count; i++)
                for (int32_t j = 0; j < want->topics[i].partitions_count; j++)
                        targets[at++] = (TransactionTarget){ want->topics[i].name, want->topics[i].partitions[j] };
        adding->waiting++;
        transaction_add(call->state, want->transactional_id, want->producer_id, want->producer_epoch, targets, (int32_t)count,
                        call_version(call) >= 5 ? 2 : 0, &one->wait);
        return true;
}

static bool handle_one(Adding *adding, int32_t i) {
        AddOne *one = &adding->ones[i];
        *one = (AddOne){ .wait = { .done = on_result }, .adding = adding, .want = &adding->wants[i], .row = &adding->rows[i] };
        if (!fill_row(adding->call, one->want, one->row))
                return false;
        if (has_unknown(adding->call, one->want))
                return answer_each(adding->call, one->want, one->row, refuse);
        return one->want->verify_only ? answer_each(adding->call, one->want, one->row, verify) : add(adding, one);
}

void api_add_partitions_to_txn(Call *call) {
        const AddPartitionsToTxnRequest *request = call->request;
        Adding *adding = arena_alloc(&call->arena, sizeof(*adding));
        if (!adding) {
                call_close(call);
                return;
        }
        bool is_old = call_version(call) < 4;
        *adding = (Adding){ .call = call, .count = is_old ? 1 : request->transactions_count, .waiting = 1 };
        adding->wants = is_old ? old_want(call) : request->transactions;
        adding->rows = call_array(call, AddPartitionsToTxnResponseTransactionResult, adding->count);
        adding->ones = arena_alloc_array(&call->arena, (size_t)adding->count, sizeof(*adding->ones));
        bool ok = adding->rows && adding->ones && (adding->wants || !adding->count);
        if (ok)
                memset(adding->ones, 0, (size_t)adding->count * sizeof(*adding->ones));
        call->park = adding;
        call->cancel = ok ? cancel : NULL;
        for (int32_t i = 0; ok && i < adding->count; i++)
                ok = handle_one(adding, i);
        if (ok) {
                count_down(adding);
                return;
        }
        if (call->cancel)
                cancel(call);
        call_close(call);
}
