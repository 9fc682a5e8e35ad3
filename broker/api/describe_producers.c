/* DescribeProducers: v0
 * Who writes to partitions with sequences, and which transactions are open there (KIP-664). */
#include "broker/api/api.h"

typedef DescribeProducersResponsePartition Row;
typedef DescribeProducersResponseProducer Producer;

typedef struct Producers {
        Call *call;
        Producer *rows; /* NULL while they are counted */
        int32_t count;
} Producers;

static void add(const LogProducer *producer, void *data) {
        Producers *producers = data;
        int32_t i = producers->count++;
        if (producers->rows)
                producers->rows[i] = (Producer){ .producer_id = producer->producer_id,
                                                 .producer_epoch = producer->producer_epoch,
                                                 .last_sequence = producer->last_sequence,
                                                 .last_timestamp = producer->last_timestamp_ms,
                                                 .coordinator_epoch = producer->coordinator_epoch,
                                                 .current_txn_start_offset = producer->txn_start_offset };
}

static bool describe(Call *call, Str topic, Row *row) {
        Partition *partition = partition_find(call->state, topic, row->partition_index);
        Producers producers = { .call = call };
        if (partition && partition->log) {
                partition_each_producer(partition, add, &producers);
                producers.rows = call_array(call, DescribeProducersResponseProducer, producers.count);
                producers.count = 0;
                if (!producers.rows)
                        return false;
                partition_each_producer(partition, add, &producers);
                row->active_producers = producers.rows;
                row->active_producers_count = producers.count;
        } else if (partition) {
                row->error_code = KAFKA_KAFKA_STORAGE_ERROR;
        } else if (topic_find(call->state, topic)) {
                row->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        } else if (topic_name_is_valid(topic)) {
                row->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
                row->error_message = STR("This server does not host this topic-partition.");
        } else {
                row->error_code = KAFKA_INVALID_TOPIC_EXCEPTION;
                row->error_message = call_describe_bad_topic(call, topic);
        }
        return true;
}

void api_describe_producers(Call *call) {
        const DescribeProducersRequest *request = call->request;
        DescribeProducersResponse response = DescribeProducersResponse_INIT;
        response.topics = call_array(call, DescribeProducersResponseTopic, request->topics_count);
        bool ok = response.topics != NULL;
        for (int32_t i = 0; ok && i < request->topics_count; i++) {
                const DescribeProducersRequestTopic *want = &request->topics[i];
                DescribeProducersResponseTopic *topic = &response.topics[response.topics_count++];
                topic->name = want->name;
                topic->partitions = call_array(call, DescribeProducersResponsePartition, want->partition_indexes_count);
                ok = topic->partitions != NULL;
                for (int32_t j = 0; ok && j < want->partition_indexes_count; j++) {
                        topic->partitions[j].partition_index = want->partition_indexes[j];
                        topic->partitions_count++;
                        ok = describe(call, want->name, &topic->partitions[j]);
                }
        }
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
