/* What a program on librdkafka sees, on its defaults: rdkafka_load ADDRESS TOPIC COUNT prints the records of 100 bytes that it produced
 * and then consumed a second. */
#include <librdkafka/rdkafka.h>
#include <string.h>

#include "tools/loadgen/common.h"

#define RECORD_BYTES 100
#define STALL_MS 60000

typedef struct Run {
        const char *address, *topic;
        long count, delivered;
} Run;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *userdata) {
        Run *run = userdata;
        if (message->err)
                die("a record was not delivered: %s", rd_kafka_err2str(message->err));
        run->delivered++;
}

static void set(rd_kafka_conf_t *config, const char *name, const char *value) {
        char error[256];
        if (rd_kafka_conf_set(config, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
                die("%s", error);
}

static rd_kafka_t *make_client(Run *run, rd_kafka_type_t type) {
        char error[256];
        rd_kafka_conf_t *config = rd_kafka_conf_new();
        set(config, "bootstrap.servers", run->address);
        if (type == RD_KAFKA_PRODUCER) {
                rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
                rd_kafka_conf_set_opaque(config, run);
        } else {
                set(config, "group.id", run->topic);
                set(config, "auto.offset.reset", "earliest");
        }
        rd_kafka_t *client = rd_kafka_new(type, config, error, sizeof(error));
        return client ? client : (die("%s", error), NULL);
}

static double produce(Run *run) {
        rd_kafka_t *client = make_client(run, RD_KAFKA_PRODUCER);
        char value[RECORD_BYTES];
        memset(value, 'v', sizeof(value));
        int64_t begin = now_ns();
        for (long i = 0; i < run->count;) {
                rd_kafka_resp_err_t error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(run->topic), RD_KAFKA_V_VALUE(value, sizeof(value)),
                                                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
                if (error && error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                        die("producing failed: %s", rd_kafka_err2str(error));
                i += error == RD_KAFKA_RESP_ERR_NO_ERROR;
                rd_kafka_poll(client, error ? 10 : 0);
        }
        rd_kafka_flush(client, STALL_MS);
        double seconds = (double)(now_ns() - begin) / NS_PER_S;
        if (run->delivered != run->count)
                die("%ld records were delivered of %ld", run->delivered, run->count);
        rd_kafka_destroy(client);
        return (double)run->count / seconds;
}

/* From the first record on: what comes before is the group's. */
static double consume(Run *run) {
        rd_kafka_t *client = make_client(run, RD_KAFKA_CONSUMER);
        rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(topics, run->topic, RD_KAFKA_PARTITION_UA);
        rd_kafka_poll_set_consumer(client);
        if (rd_kafka_subscribe(client, topics))
                die("subscribing failed");
        rd_kafka_topic_partition_list_destroy(topics);
        int64_t begin = 0;
        for (long got = 0; got < run->count; got++) {
                rd_kafka_message_t *message = rd_kafka_consumer_poll(client, STALL_MS);
                if (!message || message->err || message->offset != got || message->len != RECORD_BYTES)
                        die("record %ld did not come: %s", got, message ? rd_kafka_message_errstr(message) : "nothing in a minute");
                rd_kafka_message_destroy(message);
                begin = begin ? begin : now_ns();
        }
        double seconds = (double)(now_ns() - begin) / NS_PER_S;
        rd_kafka_consumer_close(client);
        rd_kafka_destroy(client);
        return (double)run->count / seconds;
}

int main(int argc, char **argv) {
        if (argc != 4)
                die("usage: rdkafka_load ADDRESS TOPIC COUNT");
        Run run = { .address = argv[1], .topic = argv[2], .count = atol(argv[3]) };
        double produced = produce(&run);
        printf("%.0f %.0f\n", produced, consume(&run));
        return 0;
}
