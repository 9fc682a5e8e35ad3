/* librdkafka's requests to the administration: each waits, and asserts that what it asked for was done. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdint.h>

enum { VERSION_ADMIN_OF_RECORDS = 0x01060000 }; /* and of groups */

/* Returns what the broker says to it. */
rd_kafka_resp_err_t admin_create_topic(rd_kafka_t *client, const char *topic, int n_partitions);
void admin_create_partitions(rd_kafka_t *client, const char *topic, int total);
void admin_delete_topic(rd_kafka_t *client, const char *topic);
/* How many partitions the broker lists; 0 if it doesn't know the topic. */
int admin_count_partitions(rd_kafka_t *client, const char *topic);

void admin_set_config(rd_kafka_t *client, const char *topic, const char *config, const char *value);
void admin_expect_config(rd_kafka_t *client, const char *topic, const char *config, const char *value);

void admin_expect_group(rd_kafka_t *client, const char *group, const char *state, int n_members);
void admin_delete_group(rd_kafka_t *client, const char *group);
void admin_delete_records(rd_kafka_t *client, const char *topic, int partition, int64_t before);
