/* What programs do with librdkafka in C, as short scenarios that check themselves.
 *
 * usage: scenarios HOST:PORT NAME
 *
 * Runs with any librdkafka from 1.0 on, whatever it was compiled with; what the library doesn't have yet is left out. */
#include "tests/clients/librdkafka/admin.h"
#include "tests/clients/librdkafka/scene.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        VERSION_TRANSACTIONS = 0x01040000,
        VERSION_CONSUMER_PROTOCOL = 0x020c0000, /* no longer a preview */
        BIG_BYTES = 1000000,
        N_BIG = 8,
        GROUP_PARTITIONS = 4,
};

static void expect(const rd_kafka_message_t *message, int number, const char *value) {
        char key[VALUE_BYTES_MAX], header[VALUE_BYTES_MAX];
        rd_kafka_headers_t *headers;
        const void *found;
        size_t size;
        snprintf(key, sizeof(key), "key %d", number);
        snprintf(header, sizeof(header), "%d", number);
        assert(message->offset == number && rd_kafka_message_timestamp(message, NULL) == (EPOCH_SECONDS + number) * 1000LL);
        assert(message->key_len == strlen(key) && !memcmp(message->key, key, message->key_len));
        assert(value ? message->payload && message->len == strlen(value) && !memcmp(message->payload, value, message->len) :
                       !message->payload);
        assert(!rd_kafka_message_headers(message, &headers) && rd_kafka_header_cnt(headers) == 1);
        assert(!rd_kafka_header_get_last(headers, "number", &found, &size));
        assert(size == strlen(header) && !memcmp(found, header, size));
}

static void records(void) {
        static const char *const values[] = { "one", "two", NULL, "" };
        static const char *const settings[][2] = { { "acks", "0" }, { "acks", "1" }, { "acks", "all" }, { "enable.idempotence", "true" } };
        const char *topic = scene_topic("records", 1);
        rd_kafka_t *producer = client_new(RD_KAFKA_PRODUCER, NULL);
        for (int i = 0; i < 4; i++)
                producer_send(producer, topic, 0, i, values[i], values[i] ? strlen(values[i]) : 0);
        assert(!producer_finish(producer));
        client_close(producer);
        rd_kafka_t *consumer = client_assigned(topic, 0, 0, NULL, NULL);
        for (int i = 0; i < 4; i++) {
                rd_kafka_message_t *message = consumer_next(consumer);
                expect(message, i, values[i]);
                rd_kafka_message_destroy(message);
        }
        for (int i = 0; i < 4; i++) {
                Range range = { topic, 0, 10 * i, 10 };
                range_produce(range, settings[i][0], settings[i][1]);
                range_read(consumer, range);
        }
        client_close(consumer);
}

static bool library_has(const char *feature) {
        rd_kafka_conf_t *settings = rd_kafka_conf_new();
        char features[512];
        size_t size = sizeof(features);
        assert(rd_kafka_conf_get(settings, "builtin.features", features, &size) == RD_KAFKA_CONF_OK);
        rd_kafka_conf_destroy(settings);
        return strstr(features, feature);
}

static void codecs(void) {
        static const char *const all[] = { "gzip", "snappy", "lz4", "zstd" };
        for (int i = 0; i < 4; i++) {
                if (!library_has(all[i]))
                        continue;
                Range range = { scene_topic(all[i], 1), 0, 0, 1000 };
                range_produce(range, "compression.codec", all[i]);
                rd_kafka_t *consumer = client_assigned(range.topic, 0, 0, NULL, NULL);
                range_read(consumer, range);
                client_close(consumer);
        }
}

static void big_read(const char *topic, const char *setting, const char *value) {
        rd_kafka_t *consumer = client_assigned(topic, 0, 0, setting, value);
        for (int i = 0; i < N_BIG; i++) {
                rd_kafka_message_t *message = consumer_next(consumer);
                const char *bytes = message->payload;
                assert(message->len == BIG_BYTES && bytes[0] == i && !memcmp(bytes, bytes + 1, BIG_BYTES - 1));
                rd_kafka_message_destroy(message);
        }
        client_close(consumer);
}

static void big(void) {
        const char *topic = scene_topic("big", 1);
        char *value = malloc(2 * BIG_BYTES);
        /* 1.3 and older batch up to the size of the biggest message, which is more than the broker takes */
        rd_kafka_t *producer = client_new(RD_KAFKA_PRODUCER, "message.max.bytes", "3000000", "batch.num.messages", "1", NULL);
        assert(value);
        for (int i = 0; i < N_BIG; i++)
                producer_send(producer, topic, 0, i, memset(value, i, BIG_BYTES), BIG_BYTES);
        assert(!producer_finish(producer));
        big_read(topic, NULL, NULL);
        big_read(topic, "fetch.message.max.bytes", "1000");
        producer_send(producer, topic, 0, N_BIG, value, 2 * BIG_BYTES);
        assert(producer_finish(producer) == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        client_close(producer);
        free(value);
}

static void times(void) {
        static const int64_t asked[][2] = { { 0, 0 }, { 1000, 1 }, { 1500, 2 }, { 4000, 4 }, { 4001, RD_KAFKA_OFFSET_END } };
        const char *topic = scene_topic("times", 1);
        range_produce((Range){ topic, 0, 0, 5 }, NULL, NULL);
        rd_kafka_t *consumer = client_new(RD_KAFKA_CONSUMER, "group.id", topic, NULL);
        for (int i = 0; i < 5; i++) {
                rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
                rd_kafka_topic_partition_list_add(parts, topic, 0)->offset = EPOCH_SECONDS * 1000LL + asked[i][0];
                assert(!rd_kafka_offsets_for_times(consumer, parts, WAIT_MS));
                assert(!parts->elems[0].err && parts->elems[0].offset == asked[i][1]);
                rd_kafka_topic_partition_list_destroy(parts);
        }
        int64_t first, end;
        assert(!rd_kafka_query_watermark_offsets(consumer, topic, 0, &first, &end, WAIT_MS));
        assert(first == 0 && end == 5);
        client_close(consumer);
}

static void come_and_go(const char *topic, bool is_classic) {
        Member *members[2];
        for (int i = 0; i < 2; i++) {
                members[i] = member_new(topic, is_classic);
                members_share(members, i + 1, GROUP_PARTITIONS);
        }
        for (int i = 0; i < GROUP_PARTITIONS; i++)
                range_produce((Range){ topic, i, 10 * i, 10 }, NULL, NULL);
        members_read(members, 2, 10 * GROUP_PARTITIONS);
        for (int i = 0; i < 10 * GROUP_PARTITIONS; i++) {
                char value[VALUE_BYTES_MAX];
                snprintf(value, sizeof(value), "event %d", i);
                assert(member_has_read(members[0], value) != member_has_read(members[1], value));
        }
        member_free(members[0]);
        members_share(members + 1, 1, GROUP_PARTITIONS);
        assert(members[1]->n_values < 10 * GROUP_PARTITIONS);
        member_free(members[1]);
        range_produce((Range){ topic, 3, 40, 2 }, NULL, NULL);
        members[0] = member_new(topic, is_classic);
        members_read(members, 1, 2);
        assert(!strcmp(members[0]->values[0], "event 40") && !strcmp(members[0]->values[1], "event 41"));
        member_free(members[0]);
        assert(group_offset(topic, topic, 0) == 10 && group_offset(topic, topic, 3) == 12);
}

static void group(void) {
        come_and_go(scene_topic("group", GROUP_PARTITIONS), true);
}

static void kip848(void) {
        come_and_go(scene_topic("kip848", GROUP_PARTITIONS), false);
}

static void no_error(rd_kafka_error_t *error) {
        if (error)
                fprintf(stderr, "%s\n", rd_kafka_error_string(error));
        assert(!error);
}

/* Copies two records in a transaction that carries the consumer's place, too. */
static void copy_two(rd_kafka_t *producer, rd_kafka_t *consumer, const char *source, const char *target, bool commits) {
        rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
        no_error(rd_kafka_begin_transaction(producer));
        for (int i = 0; i < 2; i++) {
                rd_kafka_message_t *message = consumer_next(consumer);
                producer_send(producer, target, 0, i, message->payload, message->len);
                rd_kafka_message_destroy(message);
        }
        rd_kafka_topic_partition_list_add(parts, source, 0);
        assert(!rd_kafka_position(consumer, parts));
        rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(consumer);
        no_error(rd_kafka_send_offsets_to_transaction(producer, parts, metadata, WAIT_MS));
        assert(!producer_finish(producer));
        no_error(commits ? rd_kafka_commit_transaction(producer, WAIT_MS) : rd_kafka_abort_transaction(producer, WAIT_MS));
        rd_kafka_consumer_group_metadata_destroy(metadata);
        rd_kafka_topic_partition_list_destroy(parts);
}

static void transactions(void) {
        const char *source = scene_topic("source", 1), *target = scene_topic("target", 1);
        range_produce((Range){ source, 0, 0, 6 }, NULL, NULL);
        rd_kafka_t *producer = client_new(RD_KAFKA_PRODUCER, "transactional.id", scene_name, NULL);
        no_error(rd_kafka_init_transactions(producer, WAIT_MS));
        rd_kafka_t *consumer = client_assigned(source, 0, 0, NULL, NULL);
        for (int i = 0; i < 3; i++)
                copy_two(producer, consumer, source, target, i != 1);
        client_close(consumer);
        assert(group_offset(source, source, 0) == 6);

        consumer = client_assigned(target, 0, 0, "isolation.level", "read_committed");
        range_read(consumer, (Range){ target, 0, 0, 2 });
        range_read(consumer, (Range){ target, 0, 4, 2 });
        client_close(consumer);
        consumer = client_assigned(target, 0, 0, "isolation.level", "read_uncommitted");
        range_read(consumer, (Range){ target, 0, 0, 6 });
        client_close(consumer);

        rd_kafka_t *newer = client_new(RD_KAFKA_PRODUCER, "transactional.id", scene_name, NULL);
        no_error(rd_kafka_init_transactions(newer, WAIT_MS));
        no_error(rd_kafka_begin_transaction(producer));
        producer_send(producer, target, 0, 0, "fenced", 6);
        rd_kafka_error_t *error = rd_kafka_commit_transaction(producer, WAIT_MS);
        assert(error && rd_kafka_error_is_fatal(error));
        assert(rd_kafka_fatal_error(producer, NULL, 0) == RD_KAFKA_RESP_ERR__FENCED);
        rd_kafka_error_destroy(error);
        client_close(producer);
        client_close(newer);
}

/* Each step by librdkafka's requests to the administration, as admin.c has them. */
static void admin(void) {
        const char *topic = scene_topic("admin", 2);
        rd_kafka_t *client = client_new(RD_KAFKA_PRODUCER, NULL);
        assert(admin_create_topic(client, topic, 2) == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS);
        admin_create_partitions(client, topic, 3);
        assert(admin_count_partitions(client, topic) == 3);
        range_produce((Range){ topic, 1, 0, 10 }, NULL, NULL);
        Member *member = member_new(topic, true);
        members_read(&member, 1, 10);
        admin_expect_group(client, topic, "Stable", 1);
        assert(group_offset(topic, topic, 1) == 10);
        member_free(member);
        admin_set_config(client, topic, "retention.ms", "1234567");
        admin_expect_config(client, topic, "retention.ms", "1234567");
        if (rd_kafka_version() >= VERSION_ADMIN_OF_RECORDS) {
                admin_delete_records(client, topic, 1, 4);
                rd_kafka_t *consumer = client_assigned(topic, 1, RD_KAFKA_OFFSET_BEGINNING, NULL, NULL);
                range_read(consumer, (Range){ topic, 1, 4, 6 });
                client_close(consumer);
                admin_delete_group(client, topic);
        }
        const char *unread = scene_topic("unread", 1); /* what had a consumer, 1.0 may make anew while that is closing */
        admin_delete_topic(client, unread);
        assert(admin_count_partitions(client, unread) == 0);
        client_close(client);
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *name;
                void (*run)(void);
                int since;
        } scenarios[] = {
                { "records", records }, { "codecs", codecs }, { "big", big }, { "times", times }, { "group", group },
                { "kip848", kip848, VERSION_CONSUMER_PROTOCOL }, { "transactions", transactions, VERSION_TRANSACTIONS },
                { "admin", admin },
        };
        if (argc != 3)
                return 2;
        scene_address = argv[1];
        scene_name = argv[2];
        printf("%s\n", rd_kafka_version_str());
        for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
                if (rd_kafka_version() < scenarios[i].since)
                        continue;
                scenarios[i].run();
                printf("ok %s\n", scenarios[i].name);
                fflush(stdout);
        }
}
