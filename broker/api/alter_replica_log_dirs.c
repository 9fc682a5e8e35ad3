/* AlterReplicaLogDirs: v0-2
 * Moves replicas to another log directory (KIP-113); there is only the one that they are in. v2 is flexible. */
#include "broker/api/api.h"
#include "broker/api/partition_names.h"

/* While Kafka moves a replica its new directory is TOPIC-PARTITION.ID-future, which has to fit into a file name. */
#define FUTURE_SUFFIX_LENGTH 40
#define FILE_NAME_LENGTH_MAX 255

static int16_t move(Call *call, const PartitionName *want) {
        char digits[16];
        size_t length = want->topic.len + 1 + (size_t)snprintf(digits, sizeof(digits), "%d", want->partition);
        if (length + FUTURE_SUFFIX_LENGTH > FILE_NAME_LENGTH_MAX)
                return KAFKA_INVALID_TOPIC_EXCEPTION;
        if (!str_equal(*(const Str *)want->want, str_of(call->state->config->data_dir)))
                return KAFKA_LOG_DIR_NOT_FOUND;
        Partition *partition = partition_find(call->state, want->topic, want->partition);
        if (!partition)
                return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return partition->log ? 0 : KAFKA_KAFKA_STORAGE_ERROR;
}

static bool collect(Call *call, PartitionNames *ret_names) {
        const AlterReplicaLogDirsRequest *request = call->request;
        *ret_names = PARTITION_NAMES_INIT(call);
        for (int32_t i = 0; i < request->dirs_count; i++)
                for (int32_t j = 0; j < request->dirs[i].topics_count; j++) {
                        const AlterReplicaLogDirsRequestTopic *topic = &request->dirs[i].topics[j];
                        for (int32_t k = 0; k < topic->partitions_count; k++)
                                partition_names_add(ret_names, topic->name, topic->partitions[k], &request->dirs[i].path);
                }
        return partition_names_sort(ret_names);
}

static bool answer(Call *call, const PartitionNames *names, AlterReplicaLogDirsResponse *response) {
        response->results = call_array(call, AlterReplicaLogDirsResponseResult, partition_names_topics(names));
        for (int32_t i = 0; response->results && i < names->count;) {
                int32_t count = partition_names_same_topic(names, i);
                AlterReplicaLogDirsResponseResult *row = &response->results[response->results_count++];
                row->topic_name = names->rows[i].topic;
                row->partitions = call_array(call, AlterReplicaLogDirsResponsePartition, count);
                if (!row->partitions)
                        return false;
                row->partitions_count = count;
                for (int32_t j = 0; j < count; j++, i++)
                        row->partitions[j] = (AlterReplicaLogDirsResponsePartition){
                                .partition_index = names->rows[i].partition, .error_code = move(call, &names->rows[i]) };
        }
        return response->results != NULL;
}

void api_alter_replica_log_dirs(Call *call) {
        AlterReplicaLogDirsResponse response = AlterReplicaLogDirsResponse_INIT;
        PartitionNames names;
        if (collect(call, &names) && answer(call, &names, &response))
                call_reply(call, &response);
        else
                call_close(call);
}
