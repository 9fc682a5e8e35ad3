/* DescribeTransactions: v0
 * Transactional ids with their producers and partitions (KIP-664). */
#include "broker/api/api.h"
#include "broker/api/partition_names.h"
#include "broker/state/transactions/transactions.h"

typedef DescribeTransactionsResponseState Row;

/* The partitions, gathered by topic. */
static bool fill_topics(Call *call, const Transaction *txn, Row *row) {
        PartitionNames names = PARTITION_NAMES_INIT(call);
        HASHMAP_FOREACH(&txn->partitions, node) {
                const TransactionPartition *partition = container_of(node, TransactionPartition, node);
                partition_names_add(&names, partition->topic, partition->partition, NULL);
        }
        if (!partition_names_sort(&names))
                return false;
        row->topics = call_array(call, DescribeTransactionsResponseTopic, partition_names_topics(&names));
        for (int32_t i = 0; row->topics && i < names.count;) {
                int32_t count = partition_names_same_topic(&names, i);
                DescribeTransactionsResponseTopic *topic = &row->topics[row->topics_count++];
                topic->topic = names.rows[i].topic;
                topic->partitions = arena_alloc_array(&call->arena, (size_t)count, sizeof(int32_t));
                if (!topic->partitions)
                        return false;
                topic->partitions_count = count;
                for (int32_t j = 0; j < count; j++, i++)
                        topic->partitions[j] = names.rows[i].partition;
        }
        return row->topics != NULL;
}

static bool describe(Call *call, Str id, Row *row) {
        const Transaction *txn = id.len ? transaction_find(call->state, id) : NULL;
        row->transactional_id = id;
        row->transaction_state = STR("");
        if (!txn) {
                row->error_code = id.len ? KAFKA_TRANSACTIONAL_ID_NOT_FOUND : KAFKA_INVALID_REQUEST;
                return true;
        }
        row->transaction_state = str_of(transaction_status_name(txn->facts.status));
        row->transaction_timeout_ms = txn->facts.timeout_ms;
        row->transaction_start_time_ms = txn->facts.start_ms;
        row->producer_id = txn->facts.producer_id;
        row->producer_epoch = txn->facts.producer_epoch;
        return fill_topics(call, txn, row);
}

void api_describe_transactions(Call *call) {
        const DescribeTransactionsRequest *request = call->request;
        DescribeTransactionsResponse response = DescribeTransactionsResponse_INIT;
        response.transaction_states = call_array(call, DescribeTransactionsResponseState, request->transactional_ids_count);
        bool ok = response.transaction_states != NULL;
        for (int32_t i = 0; ok && i < request->transactional_ids_count; i++)
                ok = describe(call, request->transactional_ids[i], &response.transaction_states[response.transaction_states_count++]);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
