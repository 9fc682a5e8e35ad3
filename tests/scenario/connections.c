/* Framing and hostile bytes: what a client sends costs itself its connection, never another client theirs. */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/base/endian.h"
#include "storage/batch.h"
#include "tests/lib/requests.h"

static BrokerFixture broker;

static void start(void) {
        broker = BROKER_FIXTURE_INIT;
        fixture_start(&broker, NULL);
}

static void stop(void) {
        fixture_remove(&broker);
}

TestSuite(connections, .init = start, .fini = stop, .timeout = 60);

static void expect_served(TestClient *client) {
        ApiVersionsRequest request = ApiVersionsRequest_INIT;
        ApiVersionsResponse response;
        CLIENT_CALL(client, ApiVersions, 0, &request, &response);
        cr_expect_eq(response.error_code, 0);
        cr_expect_gt(response.api_keys_count, 10);
}

static Buffer metadata_frame(int16_t version, int32_t correlation_id) {
        MetadataRequestTopic topic = MetadataRequestTopic_INIT;
        topic.name = STR("nowhere");
        MetadataRequest request = MetadataRequest_INIT;
        request.topics = &topic;
        request.topics_count = 1;
        return client_frame(&MetadataRequest_message, version, correlation_id, &request);
}

Test(connections, api_versions_of_an_unknown_version_is_answered_with_v0) {
        TestClient client = client_connect(&broker);
        uint8_t frame[4 + 10] = { 0 };
        store_be32(frame, 10);
        store_be16(frame + 4, 18);
        store_be16(frame + 6, 999);
        store_be32(frame + 8, 7);
        client_send_bytes(&client, frame, sizeof(frame));
        ApiVersionsResponse response;
        client_receive(&client, &ApiVersionsResponse_message, 0, 7, &response);
        cr_expect_eq(response.error_code, 35);
        cr_assert_eq(response.api_keys_count, 1);
        cr_expect_eq(response.api_keys[0].api_key, 18);
        expect_served(&client);
        client_close(&client);
}

Test(connections, refused_bytes_close_only_their_own_connection) {
        static const uint8_t refused[][16] = {
                { 0x7f, 0xff, 0xff, 0xff },                             /* a frame of 2 GiB */
                { 0x06, 0x40, 0x00, 0x01 },                             /* one more than socket.request.max.bytes */
                { 0xff, 0xff, 0xff, 0xff },                             /* a negative length */
                { 0, 0, 0, 0 },                                         /* no header at all */
                { 0, 0, 0, 4, 0, 18, 0, 0 },                            /* half a header */
                { 0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0, 0 },    /* no such API */
                { 0, 0, 0, 10, 0, 3, 0x7f, 0xff, 0, 0, 0, 1, 0, 0 },    /* no such version of Metadata */
                { 0, 0, 0, 12, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff }, /* more topics than bytes */
                { 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '/', '1', '.', '1', '\r', '\n' },
        };
        TestClient other = client_connect(&broker);
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                TestClient client = client_connect(&broker);
                client_send_bytes(&client, refused[i], i < 4 ? 4 : sizeof(refused[i]));
                cr_expect(client_is_closed(&client), "bytes %zu", i);
                client_close(&client);
                expect_served(&other);
        }
        client_close(&other);
}

/* Header of Metadata v12 or v1 behind the length, up to the field in question. */
#define FLEXIBLE 0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff
#define PLAIN 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff
#define NO_ID 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define VARINT_MAX 0xff, 0xff, 0xff, 0xff, 0x0f

Test(connections, counts_and_lengths_that_cannot_be_close) {
        static const struct {
                const char *what;
                uint8_t size, bytes[40];
        } refused[] = {
                { "tags in the header without end", 15, { FLEXIBLE, VARINT_MAX } },
                { "a tag in the header without end", 17, { FLEXIBLE, 1, 9, VARINT_MAX } },
                { "a count of six bytes", 17, { FLEXIBLE, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 } },
                { "two billion topics, compact", 16, { FLEXIBLE, 0, 0xff, 0xff, 0xff, 0xff, 0x07 } },
                { "a topic of two billion bytes", 33, { FLEXIBLE, 0, 2, NO_ID, 0xff, 0xff, 0xff, 0xff, 0x07 } },
                { "tags of a topic without end", 34, { FLEXIBLE, 0, 2, NO_ID, 0, VARINT_MAX } },
                { "two billion topics", 14, { PLAIN, 0x7f, 0xff, 0xff, 0xff } },
                { "a topic that is null", 16, { PLAIN, 0, 0, 0, 1, 0xff, 0xff } },
                { "a topic of 32767 bytes", 16, { PLAIN, 0, 0, 0, 1, 0x7f, 0xff } },
                { "a client of 32767 bytes", 10, { 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff } },
                { "topics to create that are null", 14, { 0, 19, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
        };
        TestClient other = client_connect(&broker);
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                TestClient client = client_connect(&broker);
                uint8_t length[4];
                store_be32(length, refused[i].size);
                client_send_bytes(&client, length, sizeof(length));
                client_send_bytes(&client, refused[i].bytes, refused[i].size);
                cr_expect(client_is_closed(&client), "%s", refused[i].what);
                client_close(&client);
                expect_served(&other);
        }
        client_close(&other);
}

Test(connections, answers_before_refused_bytes_still_arrive) {
        TestClient client = client_connect(&broker);
        Buffer frame = metadata_frame(1, 1);
        buffer_append(&frame, "\xff\xff\xff\xff", 4);
        client_send_bytes(&client, frame.data, frame.size);
        MetadataResponse response;
        client_receive(&client, &MetadataResponse_message, 1, 1, &response);
        cr_expect_eq(response.topics_count, 1);
        cr_expect(client_is_closed(&client));
        buffer_deinit(&frame);
        client_close(&client);
}

Test(connections, a_request_may_come_byte_by_byte) {
        TestClient client = client_connect(&broker);
        Buffer frame = metadata_frame(9, 3);
        for (size_t i = 0; i < frame.size; i++) {
                cr_expect(client_is_silent(&client, 1));
                client_send_bytes(&client, frame.data + i, 1);
        }
        MetadataResponse response;
        client_receive(&client, &MetadataResponse_message, 9, 3, &response);
        buffer_deinit(&frame);
        client_close(&client);
}

Test(connections, a_connection_may_end_after_every_byte) {
        Buffer frame = metadata_frame(9, 3);
        TestClient other = client_connect(&broker);
        for (size_t size = 0; size < frame.size; size++) {
                TestClient client = client_connect(&broker);
                client_send_bytes(&client, frame.data, size);
                shutdown(client.fd, SHUT_WR);
                cr_expect(client_is_closed(&client), "after %zu bytes", size);
                client_close(&client);
        }
        expect_served(&other);
        client_close(&other);
        buffer_deinit(&frame);
}

Test(connections, a_truncated_message_in_a_whole_frame_closes) {
        static const int16_t versions[] = { 1, 4, 9, 12 };
        TestClient other = client_connect(&broker);
        for (size_t v = 0; v < sizeof(versions) / sizeof(versions[0]); v++) {
                Buffer frame = metadata_frame(versions[v], 3);
                for (size_t size = 4; size < frame.size; size++) {
                        TestClient client = client_connect(&broker);
                        store_be32(frame.data, (uint32_t)size - 4);
                        client_send_bytes(&client, frame.data, size);
                        cr_expect(client_is_closed(&client), "v%d cut to %zu bytes", versions[v], size);
                        client_close(&client);
                }
                buffer_deinit(&frame);
        }
        expect_served(&other);
        client_close(&other);
}

Test(connections, pipelined_requests_are_answered_in_order) {
        enum { COUNT = 3000 };
        TestClient client = client_connect(&broker);
        Buffer all = BUFFER_INIT;
        for (int32_t i = 0; i < COUNT; i++) {
                Buffer frame = metadata_frame((int16_t)(i % 9), i);
                buffer_append(&all, frame.data, frame.size);
                buffer_deinit(&frame);
        }
        client_send_bytes(&client, all.data, all.size);
        for (int32_t i = 0; i < COUNT; i++) {
                MetadataResponse response;
                client_receive(&client, &MetadataResponse_message, (int16_t)(i % 9), i, &response);
        }
        cr_expect(client_is_silent(&client, 20));
        buffer_deinit(&all);
        client_close(&client);
}

/* One record, whose value has that size. */
static Buffer large_frame(const char *name, size_t size, int32_t correlation_id) {
        char *value = malloc(size);
        for (size_t i = 0; i < size; i++)
                value[i] = (char)(i * 7 + (size_t)correlation_id);
        BatchBuilder builder;
        batch_builder_init(&builder, 0, -1, -1, -1);
        batch_builder_add(&builder, 1700000000000, STR_NULL, (Str){ value, size }, NULL, 0);
        cr_assert_eq(batch_builder_finish(&builder, 0), 0);
        Buffer frame = request_produce_frame(9, name, UUID_ZERO, (Str){ (char *)builder.out.data, builder.out.size }, correlation_id);
        batch_builder_deinit(&builder);
        free(value);
        return frame;
}

/* Whatever the broker reads of them at a time: sizes and pieces lie around those of its reads. */
Test(connections, frames_of_all_sizes_come_in_all_pieces) {
        enum { COUNT = 120 };
        static const size_t around[] = { 1, 4 << 10, 64 << 10, 128 << 10, 256 << 10, 1000 << 10 };
        static const size_t pieces[] = { 5 << 20, 262144, 65537, 4097, 300001 };
        TestClient client = client_connect(&broker);
        cr_assert_eq(request_create(&client, "large", 1, 1, NULL, NULL).error_code, 0);
        Buffer all = BUFFER_INIT;
        for (int32_t i = 0; i < COUNT; i++) {
                size_t size = around[(size_t)i * 5 / 7 % (sizeof(around) / sizeof(around[0]))], off = (size_t)i * 37 % 211;
                Buffer frame = large_frame("large", i % 2 || size < off ? size + off : size - off, i);
                buffer_append(&all, frame.data, frame.size);
                buffer_deinit(&frame);
        }
        size_t piece;
        for (size_t at = 0, i = 0; at < all.size; at += piece, i++) {
                piece = pieces[i % (sizeof(pieces) / sizeof(pieces[0]))];
                piece = piece < all.size - at ? piece : all.size - at;
                client_send_bytes(&client, all.data + at, piece);
                if (i % 3 == 0)
                        usleep(500); /* what was sent is read alone */
        }
        for (int32_t i = 0; i < COUNT; i++) {
                ProduceResponsePartitionResponse row = request_produce_receive(&client, 9, i);
                cr_assert(row.error_code == 0 && row.base_offset == i, "frame %d: error %d, offset %lld", i, row.error_code, (long long)row.base_offset);
        }
        cr_expect(client_is_silent(&client, 20));
        buffer_deinit(&all);
        client_close(&client);
}

Test(connections, requests_sent_before_half_closing_are_answered) {
        TestClient client = client_connect(&broker);
        Buffer all = BUFFER_INIT;
        for (int32_t i = 0; i < 600; i++) {
                Buffer frame = metadata_frame(1, i);
                buffer_append(&all, frame.data, frame.size);
                buffer_deinit(&frame);
        }
        client_send_bytes(&client, all.data, all.size);
        shutdown(client.fd, SHUT_WR);
        for (int32_t i = 0; i < 600; i++) {
                MetadataResponse response;
                client_receive(&client, &MetadataResponse_message, 1, i, &response);
        }
        cr_expect(client_is_closed(&client));
        buffer_deinit(&all);
        client_close(&client);
}

static void reset(TestClient *client) {
        struct linger at_once = { .l_onoff = 1 };
        cr_assert_eq(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
        client_close(client);
}

/* Time enough, or the test ends. */
static void wait_until_there(TestClient *client, const char *name) {
        while (request_metadata(client, 9, name).error_code)
                (void)client_is_silent(client, 10);
}

Test(connections, a_parked_request_is_answered_after_half_closing) {
        TestClient client = client_connect(&broker);
        request_create_send(&client, "half");
        shutdown(client.fd, SHUT_WR);
        cr_expect_eq(request_create_receive(&client).error_code, 0);
        cr_expect(client_is_closed(&client));
        client_close(&client);
}

static void set_config(TestClient *client, const char *name, const char *value) {
        IncrementalAlterConfigsRequestConfig change = { .name = str_of(name), .value = str_of(value) };
        IncrementalAlterConfigsRequestResource resource = { .resource_type = 4, .resource_name = STR("1"), .configs = &change,
                                                            .configs_count = 1 };
        IncrementalAlterConfigsRequest request = { .resources = &resource, .resources_count = 1 };
        IncrementalAlterConfigsResponse response;
        CLIENT_CALL(client, IncrementalAlterConfigs, 1, &request, &response);
        cr_assert_eq(response.responses[0].error_code, 0);
}

Test(connections, the_most_connections_can_be_changed_while_it_runs) {
        TestClient first = client_connect(&broker), second = client_connect(&broker);
        expect_served(&second);
        set_config(&first, "max.connections", "2");
        TestClient third = client_connect(&broker); /* it waits */
        ApiVersionsRequest request = ApiVersionsRequest_INIT;
        ApiVersionsResponse response;
        client_send(&third, &ApiVersionsRequest_message, 0, &request);
        expect_served(&first);
        cr_assert(client_is_silent(&third, 200));
        set_config(&first, "max.connections", "3");
        client_receive(&third, &ApiVersionsResponse_message, 0, third.correlation_id, &response);
        cr_expect_eq(response.error_code, 0);
        client_close(&first);
        client_close(&second);
        client_close(&third);
}

/* And then its connection is gone, too: otherwise there would be no room for the next one. */
Test(connections, what_was_received_is_carried_out_though_the_client_is_gone) {
        static void (*const leave[])(TestClient *) = { client_close, reset };
        TestClient first = client_connect(&broker);
        set_config(&first, "max.connections", "2");
        for (int i = 0; i < 8; i++) {
                char names[3][32];
                TestClient leaving = client_connect(&broker);
                expect_served(&leaving);
                for (int j = 0; j < 3; j++) {
                        snprintf(names[j], sizeof(names[j]), "gone-%d-%d", i, j);
                        request_create_send(&leaving, names[j]);
                }
                leave[i % 2](&leaving);
                for (int j = 0; j < 3; j++)
                        wait_until_there(&first, names[j]);
        }
        client_close(&first);
}

Test(connections, who_only_waits_for_others_ends_with_its_client) {
        TestClient first = client_connect(&broker), polling = client_connect(&broker), joining = client_connect(&broker);
        request_create_send(&first, "silent");
        wait_until_there(&polling, "silent");
        request_fetch_send(&polling, 11, "silent", UUID_ZERO, 0, 600000, 1);
        shutdown(polling.fd, SHUT_WR);
        cr_expect(client_is_closed(&polling));
        JoinGroupRequestProtocol protocol = { .name = STR("range") };
        JoinGroupRequest join = JoinGroupRequest_INIT;
        join.group_id = STR("g");
        join.protocol_type = STR("consumer");
        join.session_timeout_ms = join.rebalance_timeout_ms = 30000;
        join.protocols = &protocol;
        join.protocols_count = 1;
        client_send(&joining, &JoinGroupRequest_message, 3, &join);
        shutdown(joining.fd, SHUT_WR);
        cr_expect(client_is_closed(&joining));
        client_close(&first);
        client_close(&polling);
        client_close(&joining);
}

Test(connections, who_only_waits_for_others_is_in_nobodys_way_once_its_client_is_gone) {
        TestClient first = client_connect(&broker), leaving = client_connect(&broker);
        request_create_send(&leaving, "silent");
        wait_until_there(&first, "silent");
        request_fetch_send(&leaving, 11, "silent", UUID_ZERO, 0, 600000, 1);
        request_create_send(&leaving, "behind");
        reset(&leaving);
        wait_until_there(&first, "behind");
        client_close(&first);
}

Test(connections, an_address_has_no_more_connections_than_allowed) {
        TestClient first = client_connect(&broker), second = client_connect(&broker);
        expect_served(&second);
        set_config(&first, "max.connections.per.ip", "2");
        TestClient third = client_connect(&broker);
        cr_assert(client_is_closed(&third));
        TestClient other = client_connect_from(&broker, "127.0.0.2");
        expect_served(&other);
        client_close(&third);
        set_config(&first, "max.connections.per.ip.overrides", "127.0.0.9:1, 127.0.0.1:3,::1:0");
        third = client_connect(&broker);
        expect_served(&third);
        TestClient fourth = client_connect(&broker);
        cr_assert(client_is_closed(&fourth));
        client_close(&second);
        ApiVersionsRequest request = ApiVersionsRequest_INIT;
        for (bool served = false; !served;) { /* as soon as the broker has noticed */
                client_close(&fourth);
                fourth = client_connect(&broker);
                client_send(&fourth, &ApiVersionsRequest_message, 0, &request);
                served = !str_is_null(client_receive_frame(&fourth));
        }
        client_close(&first);
        client_close(&third);
        client_close(&fourth);
        client_close(&other);
}
