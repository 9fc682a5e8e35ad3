/* --durable over a socket: nothing is answered or served before it is on disk, and nobody else waits for the disk. The same goes for
 * topics and configs. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/batch.h"
#include "tests/lib/requests.h"

static BrokerFixture broker;
static TestClient client;
static atomic_bool is_gated, is_failing;
static atomic_int syncs, waiting_syncs;
static sem_t gate;

/* Syncs of the topic t, and of the internal ones and the metadata log, wait at the gate. */
static int gated_sync(int fd) {
        char name[64], target[512] = "";
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        ssize_t size = readlink(name, target, sizeof(target) - 1);
        if (size < 0 || !(strstr(target, "/t-0/") || strstr(target, "/__consumer_offsets-") || strstr(target, "/__transaction_state-") ||
                          strstr(target, "/__cluster_metadata-")))
                return fdatasync(fd);
        if (is_gated) {
                waiting_syncs++;
                sem_wait(&gate);
                waiting_syncs--;
        }
        if (is_failing)
                return errno = EIO, -1;
        syncs++;
        return fdatasync(fd);
}

static void start(void) {
        static const char *const arguments[] = { "--durable", NULL };
        file_ops.fdatasync = gated_sync;
        sem_init(&gate, 0, 0);
        broker = BROKER_FIXTURE_INIT;
        fixture_start(&broker, arguments);
        client = client_connect(&broker);
        cr_assert_eq(request_create(&client, "t", 1, 1, NULL, NULL).error_code, 0);
}

static void stop(void) {
        client_close(&client);
        fixture_remove(&broker);
}

TestSuite(durable, .init = start, .fini = stop, .timeout = 60);

static void send_produce(TestClient *to, int16_t acks, int32_t timeout_ms) {
        BatchBuilder builder;
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, 1, STR_NULL, STR("value"), NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        ProduceRequestPartitionData data = ProduceRequestPartitionData_INIT;
        data.records.bytes = (Str){ (const char *)builder.out.data, builder.out.size };
        ProduceRequestTopicData topic = ProduceRequestTopicData_INIT;
        topic.name = STR("t");
        topic.partition_data = &data;
        topic.partition_data_count = 1;
        ProduceRequest request = ProduceRequest_INIT;
        request.acks = acks;
        request.timeout_ms = timeout_ms;
        request.topic_data = &topic;
        request.topic_data_count = 1;
        client_send(to, &ProduceRequest_message, 9, &request);
        batch_builder_deinit(&builder);
}

static ProduceResponsePartitionResponse receive_produce(TestClient *from, int32_t correlation_id) {
        ProduceResponse response;
        client_receive(from, &ProduceResponse_message, 9, correlation_id, &response);
        cr_assert_eq(response.responses_count, 1);
        cr_assert(str_equal(response.responses[0].name, STR("t")), "'%.*s'", STR_ARG(response.responses[0].name));
        return response.responses[0].partition_responses[0];
}

static FetchResponsePartition fetch(TestClient *from, int64_t offset, int32_t max_wait_ms) {
        FetchRequestPartition partition = FetchRequestPartition_INIT;
        partition.fetch_offset = offset;
        partition.partition_max_bytes = 1 << 20;
        FetchRequestTopic topic = FetchRequestTopic_INIT;
        topic.topic = STR("t");
        topic.partitions = &partition;
        topic.partitions_count = 1;
        FetchRequest request = FetchRequest_INIT;
        request.max_bytes = 1 << 20;
        request.min_bytes = 1;
        request.max_wait_ms = max_wait_ms;
        request.topics = &topic;
        request.topics_count = 1;
        FetchResponse response;
        CLIENT_CALL(from, Fetch, 11, &request, &response);
        return response.responses[0].partitions[0];
}

/* What was sent has been carried out, but for the disk. A client that is silent may just not have been read yet. */
static void expect_sync_at_gate(void) {
        while (!waiting_syncs)
                usleep(1000);
}

static void open_gate(void) {
        is_gated = false;
        for (int i = 0; i < 8; i++)
                sem_post(&gate);
}

Test(durable, pipelined_produces_of_many_are_answered_in_order_and_share_syncs) {
        enum { CLIENTS = 8, REQUESTS = 100 };
        TestClient clients[CLIENTS];
        bool seen[CLIENTS * REQUESTS] = { false };
        int before = syncs;
        is_gated = true;
        for (int i = 0; i < CLIENTS; i++) {
                clients[i] = client_connect(&broker);
                for (int k = 0; k < REQUESTS; k++)
                        send_produce(&clients[i], k % 2 ? -1 : 1, 60000);
        }
        open_gate();
        for (int i = 0; i < CLIENTS; i++) {
                int64_t last = -1;
                for (int k = 1; k <= REQUESTS; k++) {
                        ProduceResponsePartitionResponse row = receive_produce(&clients[i], k);
                        cr_assert_eq(row.error_code, 0);
                        cr_assert_gt(row.base_offset, last);
                        last = row.base_offset;
                        cr_assert(!seen[last]);
                        seen[last] = true;
                }
                client_close(&clients[i]);
        }
        cr_assert_lt(syncs - before, CLIENTS * REQUESTS);
        cr_assert_eq(fetch(&client, 0, 0).high_watermark, CLIENTS * REQUESTS);
}

Test(durable, nothing_is_served_before_it_is_on_disk_and_nobody_else_waits) {
        TestClient producer = client_connect(&broker);
        is_gated = true;
        send_produce(&producer, 1, 1000);
        expect_sync_at_gate();
        FetchResponsePartition row = fetch(&client, 0, 100); /* the loop answers while the disk does not */
        cr_assert_eq(row.error_code, 0);
        cr_assert_eq(row.high_watermark, 0);
        cr_assert_eq(row.records.bytes.len, 0);
        cr_assert(client_is_silent(&producer, 0));
        open_gate();
        row = fetch(&client, 0, 10000);
        cr_assert_eq(row.high_watermark, 1);
        cr_assert_gt(row.records.bytes.len, 0);
        cr_assert_eq(receive_produce(&producer, 1).error_code, 0);
        client_close(&producer);
}

Test(durable, acks_all_gives_up_after_its_timeout_and_acks_none_does_not_wait) {
        TestClient producer = client_connect(&broker);
        is_gated = true;
        send_produce(&producer, 0, 1000);
        send_produce(&producer, -1, 50);
        cr_assert_eq(receive_produce(&producer, 2).error_code, 7); /* REQUEST_TIMED_OUT */
        ApiVersionsResponse versions;
        CLIENT_CALL(&producer, ApiVersions, 0, &ApiVersionsRequest_INIT, &versions);
        cr_assert_eq(versions.error_code, 0);
        open_gate();
        cr_assert_eq(fetch(&client, 1, 10000).high_watermark, 2);
        client_close(&producer);
}

Test(durable, a_client_that_leaves_is_not_missed) {
        TestClient producer = client_connect(&broker);
        is_gated = true;
        for (int i = 0; i < 20; i++)
                send_produce(&producer, -1, 60000);
        client_close(&producer);
        TestClient other = client_connect(&broker);
        send_produce(&other, 1, 1000);
        open_gate();
        cr_assert_eq(receive_produce(&other, 1).error_code, 0);
        client_close(&other);
}

Test(durable, deleting_the_topic_answers_who_waits) {
        TestClient producer = client_connect(&broker);
        is_gated = true;
        send_produce(&producer, 1, 1000);
        expect_sync_at_gate();
        cr_assert(client_is_silent(&producer, 100));
        Str name = STR("t");
        DeleteTopicsRequest request = DeleteTopicsRequest_INIT;
        DeleteTopicsResponse response;
        request.topic_names = &name;
        request.topic_names_count = 1;
        request.timeout_ms = 1000;
        client_send(&client, &DeleteTopicsRequest_message, 4, &request);
        cr_assert_eq(receive_produce(&producer, 1).error_code, 3); /* UNKNOWN_TOPIC_OR_PARTITION */
        cr_assert(client_is_silent(&client, 100), "a deletion that may be lost is not told");
        open_gate();
        client_receive(&client, &DeleteTopicsResponse_message, 4, client.correlation_id, &response);
        cr_assert_eq(response.responses[0].error_code, 0);
        client_close(&producer);
}

static void send_commit(TestClient *to, int64_t offset) {
        OffsetCommitRequestPartition partition = OffsetCommitRequestPartition_INIT;
        partition.committed_offset = offset;
        OffsetCommitRequestTopic topic = OffsetCommitRequestTopic_INIT;
        topic.name = STR("t");
        topic.partitions = &partition;
        topic.partitions_count = 1;
        OffsetCommitRequest request = OffsetCommitRequest_INIT;
        request.group_id = STR("g");
        request.generation_id_or_member_epoch = -1;
        request.topics = &topic;
        request.topics_count = 1;
        client_send(to, &OffsetCommitRequest_message, 8, &request);
}

static void send_offset_fetch(TestClient *to) {
        OffsetFetchRequest request = OffsetFetchRequest_INIT;
        request.group_id = STR("g");
        request.topics = NULL;
        request.topics_count = -1;
        client_send(to, &OffsetFetchRequest_message, 5, &request);
}

Test(durable, committed_offsets_are_answered_and_told_when_they_are_on_disk) {
        TestClient consumer = client_connect(&broker);
        OffsetCommitResponse committed;
        OffsetFetchResponse fetched;
        send_commit(&consumer, 1);
        client_receive(&consumer, &OffsetCommitResponse_message, 8, consumer.correlation_id, &committed);
        cr_assert_eq(committed.topics[0].partitions[0].error_code, 0);
        is_gated = true;
        send_commit(&consumer, 2);
        expect_sync_at_gate();
        ApiVersionsResponse versions;
        CLIENT_CALL(&client, ApiVersions, 0, &ApiVersionsRequest_INIT, &versions);
        cr_assert(client_is_silent(&consumer, 100));
        send_offset_fetch(&client);
        cr_assert(client_is_silent(&client, 100), "an offset that may be lost is not told");
        open_gate();
        client_receive(&client, &OffsetFetchResponse_message, 5, client.correlation_id, &fetched);
        cr_assert_eq(fetched.topics[0].partitions[0].committed_offset, 2);
        client_receive(&consumer, &OffsetCommitResponse_message, 8, consumer.correlation_id, &committed);
        cr_assert_eq(committed.topics[0].partitions[0].error_code, 0);
        client_close(&consumer);
}

/* A client that closes while its answer is held. */
Test(durable, a_held_answer_may_lose_its_client) {
        TestClient consumer = client_connect(&broker);
        is_gated = true;
        send_commit(&consumer, 7);
        expect_sync_at_gate();
        cr_assert(client_is_silent(&consumer, 100));
        client_close(&consumer);
        ApiVersionsResponse versions;
        CLIENT_CALL(&client, ApiVersions, 0, &ApiVersionsRequest_INIT, &versions);
        open_gate();
        OffsetFetchResponse fetched;
        send_offset_fetch(&client);
        client_receive(&client, &OffsetFetchResponse_message, 5, client.correlation_id, &fetched);
        cr_assert_eq(fetched.topics[0].partitions[0].committed_offset, 7);
}

static void send_metadata(TestClient *to, const char *name) {
        MetadataRequestTopic topic = MetadataRequestTopic_INIT;
        topic.name = str_of(name);
        MetadataRequest request = MetadataRequest_INIT;
        request.topics = &topic;
        request.topics_count = 1;
        client_send(to, &MetadataRequest_message, 9, &request);
}

Test(durable, a_topic_is_told_of_when_it_is_on_disk_and_nobody_else_waits) {
        TestClient creator = client_connect(&broker), other = client_connect(&broker);
        MetadataResponse metadata;
        is_gated = true;
        request_create_send(&creator, "new");
        expect_sync_at_gate();
        cr_assert(client_is_silent(&creator, 100));
        send_metadata(&other, "new");
        cr_assert_eq(fetch(&client, 0, 0).error_code, 0);
        cr_assert(client_is_silent(&other, 100) && client_is_silent(&creator, 0));
        open_gate();
        cr_assert_eq(request_create_receive(&creator).error_code, 0);
        client_receive(&other, &MetadataResponse_message, 9, other.correlation_id, &metadata);
        cr_assert_eq(metadata.topics[0].error_code, 0);
        client_close(&creator);
        client_close(&other);
}

Test(durable, a_topic_that_was_deleted_can_be_made_again_at_once) {
        for (int i = 0; i < 10; i++) {
                Str name = STR("t");
                DeleteTopicsRequest request = DeleteTopicsRequest_INIT;
                DeleteTopicsResponse deleted;
                request.topic_names = &name;
                request.topic_names_count = 1;
                request.timeout_ms = 1000;
                send_produce(&client, i % 2 ? -1 : 0, 60000);
                if (i % 2)
                        cr_assert_eq(receive_produce(&client, client.correlation_id).error_code, 0);
                CLIENT_CALL(&client, DeleteTopics, 4, &request, &deleted);
                cr_assert_eq(deleted.responses[0].error_code, 0);
                request_create_send(&client, "t");
                cr_assert_eq(request_create_receive(&client).error_code, 0);
                cr_assert_eq(fetch(&client, 0, 0).high_watermark, 0);
        }
}

/* The broker ends of its own accord. */
static void expect_end_without_an_answer(void) {
        pthread_join(broker.thread, NULL);
        BrokerExit code = broker_free(broker.broker);
        broker.broker = NULL;
        config_deinit(&broker.config);
        cr_assert_eq(code, BROKER_EXIT_FATAL);
        cr_assert(client_is_closed(&client));
}

Test(durable, a_failed_sync_of_the_metadata_ends_the_broker_without_an_answer) {
        trace_level = TRACE_ERROR;
        is_failing = true;
        request_create_send(&client, "new");
        expect_end_without_an_answer();
}

Test(durable, a_failed_sync_ends_the_broker_without_an_answer) {
        trace_level = TRACE_ERROR;
        is_failing = true;
        send_produce(&client, 1, 1000);
        expect_end_without_an_answer();
}

Test(durable, a_stop_while_a_sync_is_under_way_is_clean) {
        TestClient producer = client_connect(&broker);
        is_gated = true;
        send_produce(&producer, 1, 1000);
        expect_sync_at_gate();
        cr_assert(client_is_silent(&producer, 100));
        open_gate();
        cr_assert_eq(fixture_stop(&broker), BROKER_EXIT_CLEAN);
        client_close(&producer);
        client_close(&client);
        fixture_start(&broker, NULL);
        client = client_connect(&broker);
        cr_assert_eq(fetch(&client, 0, 0).high_watermark, 1);
}
