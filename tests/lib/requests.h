/* The requests that tests make most, with all that does not matter to them filled in. Each fails the test when the socket does. */
#pragma once

#include "tests/lib/broker_fixture.h"

/* CreateTopics, on default configs but one (key NULL: none). The row of the answer, whose error_code is the caller's to check. */
CreateTopicsResponseTopic request_create(TestClient *client, const char *name, int32_t partitions, int16_t replication_factor,
                                         const char *key, const char *value);
/* The same of one partition on default configs, to send and to receive. */
void request_create_send(TestClient *client, const char *name);
CreateTopicsResponseTopic request_create_receive(TestClient *client);
/* DeleteTopics by name; the error code. */
int16_t request_delete(TestClient *client, const char *name);
/* Metadata of one topic, which is not made by this. */
MetadataResponseTopic request_metadata(TestClient *client, int16_t version, const char *name);

/* One batch of count records "key"/"value"; freed by the caller. */
Buffer make_batch(int count, bool with_keys);

/* Produce of those bytes to partition 0, acks=-1. Names the topic as the version does: by name, from 13 by id. */
ProduceResponsePartitionResponse request_produce(TestClient *client, int16_t version, const char *name, Uuid id, Str records);
/* The same as a frame, which is the caller's, and the row of its answer. */
Buffer request_produce_frame(int16_t version, const char *name, Uuid id, Str records, int32_t correlation_id);
ProduceResponsePartitionResponse request_produce_receive(TestClient *client, int16_t version, int32_t correlation_id);
/* The same with request_metadata() and make_batch(); expects success. The base offset. */
int64_t request_append(TestClient *client, const char *name, int count);

/* Fetch from partition 0, to send and to receive. */
void request_fetch_send(TestClient *client, int16_t version, const char *name, Uuid id, int64_t offset, int32_t wait_ms,
                        int32_t bytes_min);
FetchResponsePartition request_fetch_receive(TestClient *client, int16_t version);
FetchResponsePartition request_fetch(TestClient *client, int16_t version, const char *name, Uuid id, int64_t offset);
