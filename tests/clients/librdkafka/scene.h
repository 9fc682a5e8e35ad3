/* What the scenarios in C stand on: clients, topics, records written and read, members of a group. Everything asserts. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        WAIT_MS = 60000, /* only against hanging for ever */
        EPOCH_SECONDS = 1700000000,
        VALUES_MAX = 64,
        VALUE_BYTES_MAX = 32,
};

typedef struct Member Member;
typedef struct Range Range;

/* Records whose values are "event FIRST" and so on; a record's time is its place among them, in seconds after the epoch. */
struct Range {
        const char *topic;
        int partition, first, count;
};

/* A member of a group, which commits each record that it has read. */
struct Member {
        rd_kafka_t *client;
        int n_values;
        char values[VALUES_MAX][VALUE_BYTES_MAX];
};

/* Where the broker is, and what the names of topics and groups start with. */
extern const char *scene_address, *scene_name;

/* NAME-suffix; kept for ever. */
const char *scene_topic_name(const char *suffix);
/* The same, of a topic that is there from now on. */
const char *scene_topic(const char *suffix, int n_partitions);

/* A client with these settings, given as name, value, ..., NULL. */
rd_kafka_t *client_new(rd_kafka_type_t type, ...) __attribute__((sentinel));
/* A consumer that reads a partition from an offset on. */
rd_kafka_t *client_assigned(const char *topic, int partition, int64_t offset, const char *setting, const char *value);
void client_close(rd_kafka_t *client);

/* Sends what may be NULL; what becomes of it is left to the delivery report. */
void producer_send(rd_kafka_t *producer, const char *topic, int partition, int number, const void *value, size_t size);
void producer_send_range(rd_kafka_t *producer, Range range);
/* Waits for all delivery reports, and returns their first error. */
rd_kafka_resp_err_t producer_finish(rd_kafka_t *producer);
/* Writes them by a producer with one setting of one's own, or NULL, and waits until they are there. */
void range_produce(Range range, const char *setting, const char *value);

/* The next record, or fails; to be destroyed. */
rd_kafka_message_t *consumer_next(rd_kafka_t *consumer);
/* Reads them, in this order. */
void range_read(rd_kafka_t *consumer, Range range);

Member *member_new(const char *topic, bool is_classic);
void member_free(Member *member);
/* Polls all members until every one holds so many partitions; each partition must be held by one. */
void members_share(Member *const *members, int n_members, int n_partitions);
/* Polls all members until they have read so many records together. */
void members_read(Member *const *members, int n_members, int n_values);
bool member_has_read(const Member *member, const char *value);

/* The offset which a group has committed. */
int64_t group_offset(const char *group, const char *topic, int partition);
