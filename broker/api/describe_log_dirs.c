/* DescribeLogDirs: v0-5
 * The log directory, how much of it is free, and the sizes of the replicas in it (KIP-113, KIP-827). v1 is as v0; v2 is flexible; v3
 * adds an error of the whole; v4 the file system's bytes; v5 whether new replicas are kept out, which they never are. */
#include "broker/api/api.h"
#include "broker/api/partition_names.h"
#include "broker/state/data_dir.h"

/* Only replicas that are in the directory: others are left out, without an error. */
static void add(Call *call, PartitionNames *names, Str topic, int32_t index) {
        Partition *partition = partition_find(call->state, topic, index);
        if (partition && partition->log)
                partition_names_add(names, topic, index, NULL);
}

static bool collect(Call *call, PartitionNames *ret_names) {
        const DescribeLogDirsRequest *request = call->request;
        *ret_names = PARTITION_NAMES_INIT(call);
        for (int32_t i = 0; i < request->topics_count; i++)
                for (int32_t j = 0; j < request->topics[i].partitions_count; j++)
                        add(call, ret_names, request->topics[i].topic, request->topics[i].partitions[j]);
        if (request->topics_count < 0)
                HASHMAP_FOREACH(&call->state->topics, node)
                        for (int32_t j = 0; j < container_of(node, Topic, by_name)->partition_count; j++)
                                add(call, ret_names, node->key, j);
        return partition_names_sort(ret_names);
}

static bool fill(Call *call, const PartitionNames *names, DescribeLogDirsResponseResult *row) {
        row->topics = call_array(call, DescribeLogDirsResponseTopic, partition_names_topics(names));
        for (int32_t i = 0; row->topics && i < names->count;) {
                int32_t count = partition_names_same_topic(names, i);
                DescribeLogDirsResponseTopic *topic = &row->topics[row->topics_count++];
                topic->name = names->rows[i].topic;
                topic->partitions = call_array(call, DescribeLogDirsResponsePartition, count);
                if (!topic->partitions)
                        return false;
                topic->partitions_count = count;
                for (int32_t j = 0; j < count; j++, i++) {
                        Partition *partition = partition_find(call->state, topic->name, names->rows[i].partition);
                        topic->partitions[j].partition_index = partition->index;
                        topic->partitions[j].partition_size = partition_size_bytes(partition);
                }
        }
        return row->topics != NULL;
}

void api_describe_log_dirs(Call *call) {
        DescribeLogDirsResponse response = DescribeLogDirsResponse_INIT;
        DescribeLogDirsResponseResult row = DescribeLogDirsResponseResult_INIT;
        PartitionNames names;
        row.log_dir = str_of(call->state->config->data_dir);
        row.error_code = call_code(call, data_dir_space(call->state, &row.total_bytes, &row.usable_bytes));
        response.results = &row;
        response.results_count = 1;
        if (row.error_code || (collect(call, &names) && fill(call, &names, &row)))
                call_reply(call, &response);
        else
                call_close(call);
}
