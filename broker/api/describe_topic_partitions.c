/* DescribeTopicPartitions: v0
 * Topics in the order of their names, a bounded number of partitions at a time; next_cursor says where to go on (KIP-966). */
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/api/cluster.h"
#include "broker/api/names.h"

static int compare_names(const void *a, const void *b) {
        return str_compare(*(const Str *)a, *(const Str *)b);
}

static Str *collect_all(Call *call, int32_t *ret_count) {
        const HashMap *topics = &call->state->topics;
        Str *names = arena_alloc_array(&call->arena, topics->count, sizeof(Str));
        *ret_count = 0;
        if (names)
                HASHMAP_FOREACH(topics, node)
                        names[(*ret_count)++] = str_of(container_of(node, Topic, by_name)->name);
        return names;
}

static Str *collect_named(Call *call, int32_t *ret_count) {
        const DescribeTopicPartitionsRequest *request = call->request;
        Str *names = arena_alloc_array(&call->arena, (size_t)request->topics_count, sizeof(Str));
        Names seen;
        names_init(&seen, call);
        *ret_count = 0;
        for (int32_t i = 0; names && i < request->topics_count; i++) {
                Str name = request->topics[i].name;
                if (!names_add(&seen, name))
                        names = NULL;
                else if (names_count(&seen, name) == 1)
                        names[(*ret_count)++] = name;
        }
        names_deinit(&seen);
        return names;
}

static bool is_valid(const DescribeTopicPartitionsRequest *request) {
        if (!request->cursor)
                return true;
        bool listed = request->topics_count == 0;
        for (int32_t i = 0; i < request->topics_count && !listed; i++)
                listed = str_equal(request->topics[i].name, request->cursor->topic_name);
        return listed && request->cursor->partition_index >= 0;
}

static void refuse(Call *call, int16_t code) {
        const DescribeTopicPartitionsRequest *request = call->request;
        DescribeTopicPartitionsResponse response = DescribeTopicPartitionsResponse_INIT;
        response.topics = call_array(call, DescribeTopicPartitionsResponseTopic, request->topics_count);
        if (!response.topics) {
                call_close(call);
                return;
        }
        response.topics_count = request->topics_count;
        for (int32_t i = 0; i < request->topics_count; i++) {
                response.topics[i].name = request->topics[i].name;
                response.topics[i].error_code = code;
        }
        call_reply(call, &response);
}

/* Kafka doesn't mind an empty name where there is a cursor. */
static bool names_nothing(const DescribeTopicPartitionsRequest *request) {
        if (request->cursor)
                return false;
        for (int32_t i = 0; i < request->topics_count; i++)
                if (request->topics[i].name.len == 0)
                        return true;
        return false;
}

/* Partitions from first on, at most limit; *ret_next is the one to go on with, or -1. */
static bool fill_topic(Call *call, const Topic *topic, int32_t first, int32_t limit,
                       DescribeTopicPartitionsResponseTopic *row, int32_t *ret_next) {
        int32_t *node = &call->state->node_id;
        int32_t left = first < topic->partition_count ? topic->partition_count - first : 0;
        int32_t count = left < limit ? left : limit;
        row->topic_id = topic->id;
        row->is_internal = topic->is_internal;
        row->partitions = call_array(call, DescribeTopicPartitionsResponsePartition, count);
        if (!row->partitions)
                return false;
        row->partitions_count = count;
        for (int32_t i = 0; i < count; i++) {
                DescribeTopicPartitionsResponsePartition *partition = &row->partitions[i];
                partition->partition_index = first + i;
                partition->leader_id = *node;
                partition->leader_epoch = topic->partitions[first + i]->leader_epoch;
                partition->replica_nodes = partition->isr_nodes = partition->offline_replicas = node;
                partition->replica_nodes_count = partition->isr_nodes_count = 1;
                partition->eligible_leader_replicas_count = partition->last_known_elr_count = 0;
                partition->offline_replicas_count = topic->partitions[first + i]->log ? 0 : 1;
        }
        *ret_next = count < left ? first + count : -1;
        return true;
}

static bool set_cursor(Call *call, DescribeTopicPartitionsResponse *response, Str topic, int32_t partition_index) {
        response->next_cursor = call_array(call, DescribeTopicPartitionsResponseNextCursor, 1);
        if (!response->next_cursor)
                return false;
        response->next_cursor->topic_name = topic;
        response->next_cursor->partition_index = partition_index;
        return true;
}

static bool fill(Call *call, const Str *names, int32_t count, DescribeTopicPartitionsResponse *response) {
        const DescribeTopicPartitionsRequest *request = call->request;
        int64_t limit = config_int(call->state->config, "max.request.partition.size.limit");
        int32_t left = request->response_partition_limit < limit ? request->response_partition_limit : (int32_t)limit;
        left = left < 1 ? 1 : left;
        for (int32_t i = 0; i < count; i++) {
                int32_t order = request->cursor ? str_compare(names[i], request->cursor->topic_name) : 1;
                if (order < 0)
                        continue;
                if (left == 0)
                        return set_cursor(call, response, names[i], 0);
                DescribeTopicPartitionsResponseTopic *row = &response->topics[response->topics_count++];
                Topic *topic = topic_find(call->state, names[i]);
                row->name = names[i];
                row->topic_authorized_operations = AUTHORIZED_OPERATIONS_TOPIC;
                if (!topic) {
                        row->is_internal = topic_name_is_internal(names[i]);
                        row->error_code = topic_name_is_valid(names[i]) ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                                                        : KAFKA_INVALID_TOPIC_EXCEPTION;
                        continue;
                }
                int32_t next;
                if (!fill_topic(call, topic, order == 0 ? request->cursor->partition_index : 0, left, row, &next))
                        return false;
                if (next >= 0)
                        return set_cursor(call, response, names[i], next);
                left -= row->partitions_count;
        }
        return true;
}

void api_describe_topic_partitions(Call *call) {
        const DescribeTopicPartitionsRequest *request = call->request;
        if (!is_valid(request) || names_nothing(request)) {
                refuse(call, is_valid(request) ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_INVALID_REQUEST);
                return;
        }
        DescribeTopicPartitionsResponse response = DescribeTopicPartitionsResponse_INIT;
        int32_t count = 0;
        Str *names = request->topics_count > 0 ? collect_named(call, &count) : collect_all(call, &count);
        response.topics = names ? call_array(call, DescribeTopicPartitionsResponseTopic, count) : NULL;
        if (!response.topics) {
                call_close(call);
                return;
        }
        qsort(names, (size_t)count, sizeof(Str), compare_names);
        if (fill(call, names, count, &response))
                call_reply(call, &response);
        else
                call_close(call);
}
