/* Metadata: v0-13
 * The broker, and the topics with their partitions. v0 takes an empty list for all topics, later ones null; v1 adds the controller;
 * v2 the cluster id; v4 says whether missing topics may be made; v5 offline replicas; v7 leader epochs; v8 authorized operations
 * (the cluster's only up to v10); v9 is flexible; v10 answers with topic ids; v12 asks by them; v13 adds a top-level error. */
#include "broker/api/api.h"
#include "broker/api/cluster.h"
#include "broker/api/names.h"
#include "broker/state/deletion.h"

#define VERSION_TOPIC_IDS 12

/* A node and a one-element array of nodes look alike. A partition whose log can't be used keeps its leader: its clients learn
 * the reason when they ask for records. */
static bool fill_partitions(Call *call, const Topic *topic, MetadataResponseTopic *row) {
        int32_t *node = &call->state->node_id;
        row->partitions = call_array(call, MetadataResponsePartition, topic->partition_count);
        if (!row->partitions)
                return false;
        row->partitions_count = topic->partition_count;
        for (int32_t i = 0; i < topic->partition_count; i++) {
                MetadataResponsePartition *partition = &row->partitions[i];
                partition->partition_index = i;
                partition->leader_id = *node;
                partition->leader_epoch = topic->partitions[i]->leader_epoch;
                partition->replica_nodes = partition->isr_nodes = partition->offline_replicas = node;
                partition->replica_nodes_count = partition->isr_nodes_count = 1;
                partition->offline_replicas_count = topic->partitions[i]->log ? 0 : 1;
        }
        return true;
}

static bool fill_topic(Call *call, const Topic *topic, MetadataResponseTopic *row) {
        const MetadataRequest *request = call->request;
        row->name = str_of(topic->name);
        row->topic_id = topic->id;
        row->is_internal = topic->is_internal;
        if (request->include_topic_authorized_operations)
                row->topic_authorized_operations = AUTHORIZED_OPERATIONS_TOPIC;
        return fill_partitions(call, topic, row);
}

static bool fill_all(Call *call, MetadataResponse *response) {
        const HashMap *topics = &call->state->topics;
        response->topics = call_array(call, MetadataResponseTopic, topics->count);
        if (!response->topics)
                return false;
        HASHMAP_FOREACH(topics, node)
                if (!fill_topic(call, container_of(node, Topic, by_name), &response->topics[response->topics_count++]))
                        return false;
        return true;
}

/* One id makes it a request by ids: what names only is not looked at. */
static bool asks_by_ids(const Call *call) {
        const MetadataRequest *request = call->request;
        for (int32_t i = 0; i < request->topics_count; i++)
                if (!uuid_is_zero(&request->topics[i].topic_id))
                        return true;
        return false;
}

/* The topic that one row of the request means, or the code why there is none. What is made by asking for it is there for the next
 * question, as in Kafka: so whoever asks for a topic that was deleted is told that it is gone. */
static int16_t find_topic(Call *call, const MetadataRequestTopic *want, Topic **ret_topic) {
        const MetadataRequest *request = call->request;
        bool by_id = !uuid_is_zero(&want->topic_id);
        *ret_topic = by_id ? topic_find_id(call->state, &want->topic_id) : topic_find(call->state, want->name);
        if (*ret_topic)
                return 0;
        if (by_id)
                return KAFKA_UNKNOWN_TOPIC_ID;
        if (request->allow_auto_topic_creation) {
                int r = topic_auto_create(call->state, want->name, ret_topic);
                return r ? call_code(call, r) : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        }
        return topic_name_is_valid(want->name) ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_INVALID_TOPIC_EXCEPTION;
}

static bool fill_one(Call *call, Names *seen, const MetadataRequestTopic *want, MetadataResponse *response) {
        bool by_id = !uuid_is_zero(&want->topic_id);
        Str key = by_id ? uuid_key(&want->topic_id) : want->name;
        if (!names_add(seen, key))
                return false;
        if (names_count(seen, key) > 1)
                return true;
        Topic *topic = NULL;
        MetadataResponseTopic *row = &response->topics[response->topics_count++];
        row->error_code = find_topic(call, want, &topic);
        if (row->error_code == 0)
                return fill_topic(call, topic, row);
        row->topic_id = want->topic_id;
        row->name = by_id ? STR_NULL : want->name;
        row->is_internal = !by_id && topic_name_is_internal(want->name);
        if (!by_id && ((const MetadataRequest *)call->request)->include_topic_authorized_operations)
                row->topic_authorized_operations = AUTHORIZED_OPERATIONS_TOPIC;
        return true;
}

static bool fill_named(Call *call, MetadataResponse *response) {
        const MetadataRequest *request = call->request;
        response->topics = call_array(call, MetadataResponseTopic, request->topics_count);
        if (!response->topics)
                return false;
        Names seen;
        names_init(&seen, call);
        bool ok = true, by_ids = asks_by_ids(call);
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = (by_ids && uuid_is_zero(&request->topics[i].topic_id)) || fill_one(call, &seen, &request->topics[i], response);
        names_deinit(&seen);
        return ok;
}

/* Of a request that is refused as a whole, or 0: the older versions know no ids, though they have room for them. */
static int16_t check_request(const Call *call) {
        const MetadataRequest *request = call->request;
        bool old = call_version(call) < VERSION_TOPIC_IDS;
        if (asks_by_ids(call))
                return old ? KAFKA_INVALID_REQUEST : 0;
        for (int32_t i = 0; i < request->topics_count; i++)
                if (str_is_null(request->topics[i].name))
                        return old ? KAFKA_INVALID_REQUEST : KAFKA_UNKNOWN_SERVER_ERROR;
        return 0;
}

/* As Kafka fails: with a code for everything, and nobody to turn to. */
static void refuse_all(Call *call, int16_t code) {
        const MetadataRequest *request = call->request;
        MetadataResponse response = MetadataResponse_INIT;
        response.topics = call_array(call, MetadataResponseTopic, request->topics_count);
        for (int32_t i = 0; response.topics && i < request->topics_count; i++) {
                MetadataResponseTopic *row = &response.topics[response.topics_count++];
                row->error_code = code;
                row->name = str_is_null(request->topics[i].name) ? STR("") : request->topics[i].name;
                row->topic_id = request->topics[i].topic_id;
        }
        response.error_code = code;
        call_reply(call, &response);
}

/* Of a topic that is to be made, though the one that was deleted is not gone yet. */
static bool has_held_name(Call *call) {
        const MetadataRequest *request = call->request;
        bool any = false, creates = request->allow_auto_topic_creation && config_bool(call->state->config, "auto.create.topics.enable") &&
                                    !asks_by_ids(call);
        for (int32_t i = 0; creates && call->state->deletions.count && i < request->topics_count; i++)
                any = (uuid_is_zero(&request->topics[i].topic_id) && deletion_holds_name(call->state, request->topics[i].name)) || any;
        return any;
}

static int plan_missing(Call *call, Creation **creation) {
        const MetadataRequest *request = call->request;
        int r = 0;
        for (int32_t i = 0; request->allow_auto_topic_creation && r == 0 && i < request->topics_count; i++)
                if (uuid_is_zero(&request->topics[i].topic_id) && !str_is_null(request->topics[i].name))
                        r = topic_plan_auto_create(call->state, request->topics[i].name, creation);
        return r;
}

void api_metadata(Call *call) {
        const MetadataRequest *request = call->request;
        int16_t code = check_request(call);
        if (code) {
                refuse_all(call, code);
                return;
        }
        if (has_held_name(call)) {
                call_handle_later(call);
                return;
        }
        if (call_awaits_creation(call, plan_missing))
                return;
        State *state = call->state;
        MetadataResponse response = MetadataResponse_INIT;
        MetadataResponseBroker broker = { .node_id = state->node_id, .host = cluster_host(call), .port = cluster_port(call) };
        response.brokers = &broker;
        response.brokers_count = 1;
        response.cluster_id = str_of(state->cluster_id);
        response.controller_id = state->node_id;
        if (request->include_cluster_authorized_operations)
                response.cluster_authorized_operations = AUTHORIZED_OPERATIONS_CLUSTER;
        bool all = request->topics_count < 0 || (call_version(call) == 0 && request->topics_count == 0);
        if (all ? fill_all(call, &response) : fill_named(call, &response))
                call_reply(call, &response);
        else
                call_close(call);
}
