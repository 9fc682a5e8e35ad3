/* The admin API of librdkafka: requests that answer by an event on a queue. */
#include "tests/clients/librdkafka/admin.h"

#include "tests/clients/librdkafka/scene.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* 1.x asks the broker, without this, not to wait until it is done. */
static rd_kafka_AdminOptions_t *patience(rd_kafka_t *client, rd_kafka_admin_op_t operation) {
        rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, operation);
        assert(!rd_kafka_AdminOptions_set_operation_timeout(options, WAIT_MS / 2, NULL, 0));
        return options;
}

/* Waits for the answer to the only request that was sent with this queue. */
static rd_kafka_event_t *answer(rd_kafka_queue_t *queue) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
        assert(event);
        if (rd_kafka_event_error(event))
                fprintf(stderr, "%s\n", rd_kafka_event_error_string(event));
        assert(!rd_kafka_event_error(event));
        rd_kafka_queue_destroy(queue);
        return event;
}

/* The error of the only topic in an answer, which is done with then. */
static rd_kafka_resp_err_t only(const rd_kafka_topic_result_t **results, size_t n_results, rd_kafka_event_t *event) {
        assert(n_results == 1);
        rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[0]);
        rd_kafka_event_destroy(event);
        return error;
}

rd_kafka_resp_err_t admin_create_topic(rd_kafka_t *client, const char *topic, int n_partitions) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_AdminOptions_t *options = patience(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, n_partitions, 1, NULL, 0);
        size_t n_results;
        rd_kafka_CreateTopics(client, &wanted, 1, options, queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_NewTopic_destroy(wanted);
        rd_kafka_event_t *event = answer(queue);
        const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n_results);
        return only(results, n_results, event);
}

void admin_create_partitions(rd_kafka_t *client, const char *topic, int total) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_AdminOptions_t *options = patience(client, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);
        char error[256];
        rd_kafka_NewPartitions_t *wanted = rd_kafka_NewPartitions_new(topic, (size_t)total, error, sizeof(error));
        size_t n_results;
        rd_kafka_CreatePartitions(client, &wanted, 1, options, queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_NewPartitions_destroy(wanted);
        rd_kafka_event_t *event = answer(queue);
        const rd_kafka_topic_result_t **results =
                rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &n_results);
        assert(!only(results, n_results, event));
}

void admin_delete_topic(rd_kafka_t *client, const char *topic) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_AdminOptions_t *options = patience(client, RD_KAFKA_ADMIN_OP_DELETETOPICS);
        rd_kafka_DeleteTopic_t *unwanted = rd_kafka_DeleteTopic_new(topic);
        size_t n_results;
        rd_kafka_DeleteTopics(client, &unwanted, 1, options, queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_DeleteTopic_destroy(unwanted);
        rd_kafka_event_t *event = answer(queue);
        const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n_results);
        assert(!only(results, n_results, event));
}

int admin_count_partitions(rd_kafka_t *client, const char *topic) {
        const struct rd_kafka_metadata *metadata;
        int n_partitions = 0;
        assert(!rd_kafka_metadata(client, 1, NULL, &metadata, WAIT_MS));
        for (int i = 0; i < metadata->topic_cnt; i++)
                if (!strcmp(metadata->topics[i].topic, topic))
                        n_partitions = metadata->topics[i].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
        return n_partitions;
}

void admin_set_config(rd_kafka_t *client, const char *topic, const char *config, const char *value) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
        size_t n_resources;
        assert(!rd_kafka_ConfigResource_set_config(resource, config, value));
        rd_kafka_AlterConfigs(client, &resource, 1, NULL, queue);
        rd_kafka_ConfigResource_destroy(resource);
        rd_kafka_event_t *event = answer(queue);
        const rd_kafka_ConfigResource_t **resources =
                rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &n_resources);
        assert(n_resources == 1 && !rd_kafka_ConfigResource_error(resources[0]));
        rd_kafka_event_destroy(event);
}

void admin_expect_config(rd_kafka_t *client, const char *topic, const char *config, const char *value) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
        size_t n_resources, n_entries;
        bool is_found = false;
        rd_kafka_DescribeConfigs(client, &resource, 1, NULL, queue);
        rd_kafka_ConfigResource_destroy(resource);
        rd_kafka_event_t *event = answer(queue);
        const rd_kafka_ConfigResource_t **resources =
                rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &n_resources);
        assert(n_resources == 1 && !rd_kafka_ConfigResource_error(resources[0]));
        const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &n_entries);
        for (size_t i = 0; i < n_entries; i++) {
                if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), config))
                        continue;
                assert(!strcmp(rd_kafka_ConfigEntry_value(entries[i]), value) && !rd_kafka_ConfigEntry_is_default(entries[i]));
                is_found = true;
        }
        assert(is_found);
        rd_kafka_event_destroy(event);
}

void admin_expect_group(rd_kafka_t *client, const char *group, const char *state, int n_members) {
        const struct rd_kafka_group_list *list;
        bool is_found = false;
        assert(!rd_kafka_list_groups(client, NULL, &list, WAIT_MS));
        for (int i = 0; i < list->group_cnt; i++)
                is_found |= !strcmp(list->groups[i].group, group);
        assert(is_found);
        rd_kafka_group_list_destroy(list);
        assert(!rd_kafka_list_groups(client, group, &list, WAIT_MS));
        assert(list->group_cnt == 1 && !list->groups[0].err && list->groups[0].member_cnt == n_members);
        assert(!strcmp(list->groups[0].state, state) && !strcmp(list->groups[0].protocol_type, "consumer"));
        rd_kafka_group_list_destroy(list);
}

void admin_delete_group(rd_kafka_t *client, const char *group) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_DeleteGroup_t *unwanted = rd_kafka_DeleteGroup_new(group);
        size_t n_results;
        rd_kafka_DeleteGroups(client, &unwanted, 1, NULL, queue);
        rd_kafka_DeleteGroup_destroy(unwanted);
        rd_kafka_event_t *event = answer(queue);
        const rd_kafka_group_result_t **results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &n_results);
        assert(n_results == 1 && !rd_kafka_group_result_error(results[0]));
        rd_kafka_event_destroy(event);
}

void admin_delete_records(rd_kafka_t *client, const char *topic, int partition, int64_t before) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_AdminOptions_t *options = patience(client, RD_KAFKA_ADMIN_OP_DELETERECORDS);
        rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(parts, topic, partition)->offset = before;
        rd_kafka_DeleteRecords_t *unwanted = rd_kafka_DeleteRecords_new(parts);
        rd_kafka_DeleteRecords(client, &unwanted, 1, options, queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_DeleteRecords_destroy(unwanted);
        rd_kafka_topic_partition_list_destroy(parts);
        rd_kafka_event_t *event = answer(queue);
        const rd_kafka_topic_partition_list_t *results = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
        assert(results->cnt == 1 && !results->elems[0].err && results->elems[0].offset == before);
        rd_kafka_event_destroy(event);
}
