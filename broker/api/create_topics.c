/* CreateTopics: v0-7
 * When the answer is out, the topic can be used. v1 adds validate_only and messages; v4 takes -1 for the defaults; v5 is flexible and
 * answers with counts and configs; v7 with topic ids. */
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/api/cluster.h"
#include "broker/api/config_change.h"
#include "broker/api/names.h"
#include "broker/state/creation.h"
#include "broker/state/deletion.h"

#define REQUEST_PARTITIONS_MAX 10000 /* Kafka's bound on the partitions of one request */

typedef struct Refusal {
        int16_t code;
        Str message;
} Refusal;

static Refusal refuse(int16_t code, Str message) {
        return (Refusal){ code, message };
}

/* What one topic of the request comes to. */
typedef struct Plan {
        int32_t partition_count;
        ConfigMap config;
} Plan;

static Refusal check_name(Call *call, Str name) {
        if (str_equal(name, STR(TOPIC_NAME_METADATA)))
                return refuse(KAFKA_INVALID_REQUEST, STR("Creation of internal topic " TOPIC_NAME_METADATA " is prohibited."));
        if (topic_find(call->state, name))
                return refuse(KAFKA_TOPIC_ALREADY_EXISTS,
                              arena_printf(&call->arena, "Topic '%.*s' already exists.", STR_ARG(name)));
        int r = topic_validate_name(call->state, name, NULL, 0);
        return refuse(call_code(call, r), r ? call_describe_bad_topic(call, name) : STR_NULL);
}

/* "Null value not supported for topic configs: a,b", or code 0. */
static Refusal check_null_configs(Call *call, const CreateTopicsRequestTopic *want) {
        Buffer list = BUFFER_INIT;
        for (int32_t i = 0; i < want->configs_count; i++)
                if (str_is_null(want->configs[i].value)) {
                        if (list.size == 0)
                                buffer_append_str(&list, STR("Null value not supported for topic configs: "));
                        else
                                buffer_append_str(&list, STR(","));
                        buffer_append_str(&list, want->configs[i].name);
                }
        Refusal refusal = { .code = list.size ? KAFKA_INVALID_CONFIG : 0 };
        if (list.size && !list.failed)
                refusal.message = arena_str(&call->arena, (Str){ (const char *)list.data, list.size });
        buffer_deinit(&list);
        return refusal;
}

static Refusal read_configs(Call *call, const CreateTopicsRequestTopic *want, ConfigMap *ret_config) {
        Refusal refusal = check_null_configs(call, want);
        for (int32_t i = 0; refusal.code == 0 && i < want->configs_count; i++)
                refusal.code = (int16_t)config_change_check_name(call, CONFIG_RESOURCE_TOPIC, want->configs[i].name, want->configs[i].value,
                                                                 &refusal.message);
        for (int32_t i = 0; refusal.code == 0 && i < want->configs_count; i++) {
                const CreateTopicsRequestConfig *config = &want->configs[i];
                const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, config->name);
                if (!config_change_validate(call, key, config->value, &refusal.message))
                        refusal.code = KAFKA_INVALID_CONFIG;
                else
                        refusal.code = call_code(call, config_map_set(ret_config, key, config->value, CONFIG_SOURCE_TOPIC));
        }
        char conflict[512];
        if (refusal.code == 0 && !config_validate_topic(call->state->config, ret_config, conflict, sizeof(conflict)))
                refusal = refuse(KAFKA_INVALID_CONFIG, arena_str(&call->arena, str_of(conflict)));
        return refusal.message.len > INT16_MAX ? refuse(KAFKA_UNKNOWN_SERVER_ERROR, STR_NULL) : refusal; /* no string of the protocol */
}

static Refusal check_assignments(Call *call, const CreateTopicsRequestTopic *want, int32_t *ret_count) {
        if (want->replication_factor != -1)
                return refuse(KAFKA_INVALID_REQUEST,
                              STR("A manual partition assignment was specified, but replication factor was not set to -1."));
        if (want->num_partitions != -1)
                return refuse(KAFKA_INVALID_REQUEST,
                              STR("A manual partition assignment was specified, but numPartitions was not set to -1."));
        int32_t count = want->assignments_count;
        bool *seen = arena_alloc_array(&call->arena, (size_t)count, sizeof(bool));
        if (!seen)
                return refuse(KAFKA_UNKNOWN_SERVER_ERROR, STR_NULL);
        bool consecutive = true;
        for (int32_t i = 0; i < count; i++) {
                int32_t index = want->assignments[i].partition_index;
                bool in_range = index >= 0 && index < count;
                if (in_range && seen[index])
                        return refuse(KAFKA_INVALID_REPLICA_ASSIGNMENT, arena_printf(&call->arena,
                                "Found multiple manual partition assignments for partition %d", index));
                if (in_range)
                        seen[index] = true;
                consecutive = consecutive && in_range;
                Str message;
                int16_t code = cluster_check_replicas(call, want->assignments[i].broker_ids, want->assignments[i].broker_ids_count, &message);
                if (code)
                        return refuse(code, message);
        }
        if (!consecutive)
                return refuse(KAFKA_INVALID_REPLICA_ASSIGNMENT,
                              STR("partitions should be a consecutive 0-based integer sequence"));
        *ret_count = count;
        return refuse(0, STR_NULL);
}

static Refusal check_counts(Call *call, const CreateTopicsRequestTopic *want, int32_t *ret_count) {
        const Config *config = call->state->config;
        if (want->assignments_count > 0)
                return check_assignments(call, want, ret_count);
        if (want->replication_factor < -1 || want->replication_factor == 0)
                return refuse(KAFKA_INVALID_REPLICATION_FACTOR,
                              STR("Replication factor must be larger than 0, or -1 to use the default value."));
        if (want->num_partitions < -1 || want->num_partitions == 0)
                return refuse(KAFKA_INVALID_PARTITIONS, STR("Number of partitions was set to an invalid non-positive value."));
        int64_t factor = want->replication_factor == -1 ? config_int(config, "default.replication.factor")
                                                        : want->replication_factor;
        if (factor > 1 && !config->any_replication_factor)
                return refuse(KAFKA_INVALID_REPLICATION_FACTOR, arena_printf(&call->arena,
                        "Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached "
                        "because only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
                        (int)factor, (int)factor));
        *ret_count = want->num_partitions == -1 ? (int32_t)config_int(config, "num.partitions") : want->num_partitions;
        return refuse(0, STR_NULL);
}

static int compare_configs(const void *a, const void *b) {
        return str_compare(((const CreateTopicsResponseConfig *)a)->name, ((const CreateTopicsResponseConfig *)b)->name);
}

/* v5+: what the new topic's configs are, defaults included. What was given, to the topic or to the broker, is told as it was, blanks and all. */
static bool fill_configs(Call *call, const ConfigMap *config, CreateTopicsResponseTopic *row) {
        if (call_version(call) < 5)
                return true;
        row->configs = call_array(call, CreateTopicsResponseConfig, topic_config_key_count);
        if (!row->configs)
                return false;
        row->configs_count = (int32_t)topic_config_key_count;
        for (size_t i = 0; i < topic_config_key_count; i++) {
                const ConfigKey *key = &topic_config_keys[i];
                const ConfigEntry *entry = config_topic_entry(call->state->config, config, key);
                Str value = !entry ? str_of(key->default_value) : entry->value_ms ? str_of(entry->value_ms) : config_given(entry);
                row->configs[i].name = str_of(key->name);
                row->configs[i].value = key->sensitive ? STR_NULL : arena_str(&call->arena, value);
                row->configs[i].config_source = (int8_t)(entry ? entry->source : CONFIG_SOURCE_DEFAULT);
                row->configs[i].is_sensitive = key->sensitive;
        }
        qsort(row->configs, topic_config_key_count, sizeof(row->configs[0]), compare_configs);
        return true;
}

static Refusal plan_topic(Call *call, const CreateTopicsRequestTopic *want, Plan *plan) {
        Refusal refusal = check_name(call, want->name);
        if (refusal.code == 0)
                refusal = read_configs(call, want, &plan->config);
        if (refusal.code == 0)
                refusal = check_counts(call, want, &plan->partition_count);
        if (refusal.code == 0 && topics_check_room(call->state, plan->partition_count))
                refusal = refuse(KAFKA_POLICY_VIOLATION, STR("There are as many partitions as odradek.max.partitions allows."));
        return refusal;
}

static Refusal make_topic(Call *call, const CreateTopicsRequestTopic *want, Plan *plan, CreateTopicsResponseTopic *row) {
        const CreateTopicsRequest *request = call->request;
        Refusal refusal = plan_topic(call, want, plan);
        if (refusal.code)
                return refusal;
        Topic *topic = NULL;
        if (!request->validate_only)
                refusal.code = call_code(call, topic_create(call->state, want->name, plan->partition_count, &plan->config, &topic));
        if (refusal.code)
                return refusal;
        row->topic_id = topic ? topic->id : uuid_random();
        row->num_partitions = plan->partition_count;
        row->replication_factor = 1;
        if (!fill_configs(call, &plan->config, row))
                row->topic_config_error_code = KAFKA_UNKNOWN_SERVER_ERROR;
        return refusal;
}

static void answer_topic(Call *call, const CreateTopicsRequestTopic *want, bool is_duplicate, bool too_many,
                         CreateTopicsResponseTopic *row) {
        Refusal refusal;
        Plan plan = { .config = CONFIG_MAP_INIT };
        row->name = want->name;
        if (is_duplicate)
                refusal = refuse(KAFKA_INVALID_REQUEST, STR("Duplicate topic name."));
        else if (too_many)
                refusal = refuse(KAFKA_POLICY_VIOLATION, STR("Excessively large number of partitions per request."));
        else
                refusal = make_topic(call, want, &plan, row);
        row->error_code = refusal.code;
        row->error_message = refusal.message;
        config_map_deinit(&plan.config);
}

/* Partitions that the request asks for, all topics together. */
static int64_t count_partitions(const Call *call) {
        const CreateTopicsRequest *request = call->request;
        int64_t count = 0;
        for (int32_t i = 0; i < request->topics_count; i++) {
                const CreateTopicsRequestTopic *topic = &request->topics[i];
                count += topic->assignments_count > 0 ? topic->assignments_count : topic->num_partitions > 0 ? topic->num_partitions : 0;
        }
        return count;
}

/* Kafka's controller takes a request without time for one that came too late, where there is anything to do. */
static void time_out(const CreateTopicsRequest *request, CreateTopicsResponse *response) {
        for (int32_t i = 0; i < request->topics_count; i++) {
                CreateTopicsResponseTopic *row = &response->topics[response->topics_count++];
                row->name = request->topics[i].name;
                row->error_code = KAFKA_REQUEST_TIMED_OUT;
                row->error_message = STR_NULL;
        }
}

/* Of a topic that was deleted, and is not gone yet. */
static bool has_held_name(Call *call) {
        const CreateTopicsRequest *request = call->request;
        bool any = false;
        for (int32_t i = 0; !request->validate_only && request->timeout_ms > 0 && i < request->topics_count; i++)
                any = deletion_holds_name(call->state, request->topics[i].name) || any;
        return any;
}

static int plan_all(Call *call, Creation **creation) {
        const CreateTopicsRequest *request = call->request;
        int r = creation_check_turn(call->state);
        if (request->validate_only || request->timeout_ms <= 0 || count_partitions(call) > REQUEST_PARTITIONS_MAX)
                return 0;
        for (int32_t i = 0; r == 0 && i < request->topics_count; i++) {
                const CreateTopicsRequestTopic *want = &request->topics[i];
                Plan plan = { .config = CONFIG_MAP_INIT };
                if (plan_topic(call, want, &plan).code == 0)
                        r = creation_add(call->state, creation, want->name, plan.partition_count);
                config_map_deinit(&plan.config);
        }
        return r;
}

void api_create_topics(Call *call) {
        const CreateTopicsRequest *request = call->request;
        if (has_held_name(call)) {
                call_handle_later(call);
                return;
        }
        if (call_awaits_creation(call, plan_all))
                return;
        CreateTopicsResponse response = CreateTopicsResponse_INIT;
        response.topics = call_array(call, CreateTopicsResponseTopic, request->topics_count);
        bool ok = response.topics != NULL;
        Names names;
        names_init(&names, call);
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = names_add(&names, request->topics[i].name);
        bool is_late = ok && request->timeout_ms <= 0 && names_any_once(&names);
        if (is_late)
                time_out(request, &response);
        bool too_many = count_partitions(call) > REQUEST_PARTITIONS_MAX;
        for (int32_t i = 0; ok && !is_late && i < request->topics_count; i++) {
                const CreateTopicsRequestTopic *want = &request->topics[i];
                if (names_take(&names, want->name))
                        answer_topic(call, want, names_count(&names, want->name) > 1, too_many,
                                     &response.topics[response.topics_count++]);
        }
        names_deinit(&names);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
