/* Clients of librdkafka, as far as all scenarios use them alike. */
#include "tests/clients/librdkafka/scene.h"

#include "tests/clients/librdkafka/admin.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 20 };

const char *scene_address, *scene_name;

const char *scene_topic_name(const char *suffix) {
        char *topic = NULL;
        assert(asprintf(&topic, "%s-%s", scene_name, suffix) > 0);
        return topic;
}

static int64_t now_ms(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *scene_topic(const char *suffix, int n_partitions) {
        const char *topic = scene_topic_name(suffix);
        rd_kafka_t *client = client_new(RD_KAFKA_PRODUCER, NULL);
        assert(!admin_create_topic(client, topic, n_partitions));
        while (admin_count_partitions(client, topic) != n_partitions) /* Kafka answers before it tells of the topic */
                ;
        client_close(client);
        return topic;
}

static void set(rd_kafka_conf_t *settings, const char *setting, const char *value) {
        char error[256];
        if (rd_kafka_conf_set(settings, setting, value, error, sizeof(error)) != RD_KAFKA_CONF_OK) {
                fprintf(stderr, "%s=%s: %s\n", setting, value, error);
                abort();
        }
}

/* Keeps the first error in the client's opaque. */
static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque) {
        rd_kafka_resp_err_t *first = opaque;
        if (*first || !message->err)
                return;
        *first = message->err;
        fprintf(stderr, "not delivered: %s\n", rd_kafka_err2str(message->err));
}

rd_kafka_t *client_new(rd_kafka_type_t type, ...) {
        rd_kafka_conf_t *settings = rd_kafka_conf_new();
        char error[256];
        va_list list;
        set(settings, "bootstrap.servers", scene_address);
        if (type == RD_KAFKA_CONSUMER) {
                set(settings, "auto.offset.reset", "earliest");
                set(settings, "enable.auto.commit", "false");
                set(settings, "fetch.wait.max.ms", "100");
        } else
                rd_kafka_conf_set_dr_msg_cb(settings, delivered);
        rd_kafka_conf_set_opaque(settings, calloc(1, sizeof(rd_kafka_resp_err_t)));
        va_start(list, type);
        for (const char *setting; (setting = va_arg(list, const char *));)
                set(settings, setting, va_arg(list, const char *));
        va_end(list);
        rd_kafka_t *client = rd_kafka_new(type, settings, error, sizeof(error));
        if (!client) {
                fprintf(stderr, "%s\n", error);
                abort();
        }
        if (type == RD_KAFKA_CONSUMER)
                assert(!rd_kafka_poll_set_consumer(client));
        return client;
}

rd_kafka_t *client_assigned(const char *topic, int partition, int64_t offset, const char *setting, const char *value) {
        rd_kafka_t *consumer = client_new(RD_KAFKA_CONSUMER, "group.id", topic, setting, value, NULL);
        rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(parts, topic, partition)->offset = offset;
        assert(!rd_kafka_assign(consumer, parts));
        rd_kafka_topic_partition_list_destroy(parts);
        return consumer;
}

void client_close(rd_kafka_t *client) {
        void *opaque = rd_kafka_opaque(client);
        if (rd_kafka_type(client) == RD_KAFKA_CONSUMER)
                assert(!rd_kafka_consumer_close(client));
        rd_kafka_destroy(client);
        free(opaque);
}

void producer_send(rd_kafka_t *producer, const char *topic, int partition, int number, const void *value, size_t size) {
        char key[VALUE_BYTES_MAX], header[VALUE_BYTES_MAX];
        int key_size = snprintf(key, sizeof(key), "key %d", number);
        int header_size = snprintf(header, sizeof(header), "%d", number);
        assert(!rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                  RD_KAFKA_V_TIMESTAMP((EPOCH_SECONDS + number) * 1000LL), RD_KAFKA_V_KEY(key, (size_t)key_size),
                                  RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size), RD_KAFKA_V_HEADER("number", header, header_size),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END));
}

void producer_send_range(rd_kafka_t *producer, Range range) {
        for (int i = 0; i < range.count; i++) {
                char value[VALUE_BYTES_MAX];
                int size = snprintf(value, sizeof(value), "event %d", range.first + i);
                producer_send(producer, range.topic, range.partition, i, value, (size_t)size);
        }
}

rd_kafka_resp_err_t producer_finish(rd_kafka_t *producer) {
        assert(!rd_kafka_flush(producer, WAIT_MS));
        return *(rd_kafka_resp_err_t *)rd_kafka_opaque(producer);
}

void range_produce(Range range, const char *setting, const char *value) {
        rd_kafka_t *producer = client_new(RD_KAFKA_PRODUCER, setting, value, NULL);
        producer_send_range(producer, range);
        assert(!producer_finish(producer));
        client_close(producer);
}

rd_kafka_message_t *consumer_next(rd_kafka_t *consumer) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, WAIT_MS);
        assert(message);
        if (message->err)
                fprintf(stderr, "%s\n", rd_kafka_message_errstr(message));
        assert(!message->err);
        return message;
}

void range_read(rd_kafka_t *consumer, Range range) {
        for (int i = 0; i < range.count; i++) {
                char value[VALUE_BYTES_MAX];
                int size = snprintf(value, sizeof(value), "event %d", range.first + i);
                rd_kafka_message_t *message = consumer_next(consumer);
                assert(message->partition == range.partition && !strcmp(rd_kafka_topic_name(message->rkt), range.topic));
                assert(message->len == (size_t)size && !memcmp(message->payload, value, message->len));
                rd_kafka_message_destroy(message);
        }
}

Member *member_new(const char *topic, bool is_classic) {
        Member *member = calloc(1, sizeof(*member));
        rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
        assert(member);
        member->client = is_classic ? client_new(RD_KAFKA_CONSUMER, "group.id", topic, "heartbeat.interval.ms", "300", "session.timeout.ms", "30000", NULL) :
                                      client_new(RD_KAFKA_CONSUMER, "group.id", topic, "group.protocol", "consumer", NULL);
        rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
        assert(!rd_kafka_subscribe(member->client, topics));
        rd_kafka_topic_partition_list_destroy(topics);
        return member;
}

void member_free(Member *member) {
        client_close(member->client);
        free(member);
}

static void member_poll(Member *member) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(member->client, POLL_MS);
        if (!message)
                return;
        assert(!message->err && member->n_values < VALUES_MAX && message->len < VALUE_BYTES_MAX);
        memcpy(member->values[member->n_values++], message->payload, message->len);
        assert(!rd_kafka_commit_message(member->client, message, 0));
        rd_kafka_message_destroy(message);
}

/* Marks the partitions that a member holds; returns how many. */
static int member_parts(Member *member, uint64_t *held) {
        rd_kafka_topic_partition_list_t *parts;
        assert(!rd_kafka_assignment(member->client, &parts));
        int n_parts = parts->cnt;
        for (int i = 0; i < n_parts; i++)
                *held |= UINT64_C(1) << parts->elems[i].partition;
        rd_kafka_topic_partition_list_destroy(parts);
        return n_parts;
}

static bool is_shared(Member *const *members, int n_members, int n_partitions) {
        uint64_t held = 0;
        int n_held = 0;
        for (int i = 0; i < n_members; i++) {
                int n_parts = member_parts(members[i], &held);
                if (!n_parts)
                        return false;
                n_held += n_parts;
        }
        return n_held == n_partitions && held == (UINT64_C(1) << n_partitions) - 1;
}

void members_share(Member *const *members, int n_members, int n_partitions) {
        for (int64_t end_ms = now_ms() + WAIT_MS; !is_shared(members, n_members, n_partitions);) {
                assert(now_ms() < end_ms);
                for (int i = 0; i < n_members; i++)
                        member_poll(members[i]);
        }
}

void members_read(Member *const *members, int n_members, int n_values) {
        for (int64_t end_ms = now_ms() + WAIT_MS;;) {
                int n_read = 0;
                for (int i = 0; i < n_members; i++)
                        n_read += members[i]->n_values;
                assert(n_read <= n_values && now_ms() < end_ms);
                if (n_read == n_values)
                        return;
                for (int i = 0; i < n_members; i++)
                        member_poll(members[i]);
        }
}

bool member_has_read(const Member *member, const char *value) {
        for (int i = 0; i < member->n_values; i++)
                if (!strcmp(member->values[i], value))
                        return true;
        return false;
}

int64_t group_offset(const char *group, const char *topic, int partition) {
        rd_kafka_t *client = client_new(RD_KAFKA_CONSUMER, "group.id", group, NULL);
        rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(parts, topic, partition);
        assert(!rd_kafka_committed(client, parts, WAIT_MS));
        assert(!parts->elems[0].err);
        int64_t offset = parts->elems[0].offset;
        rd_kafka_topic_partition_list_destroy(parts);
        client_close(client);
        return offset;
}
