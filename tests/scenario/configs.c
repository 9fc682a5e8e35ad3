/* The config APIs over a socket: what they change, what they refuse in Apache Kafka's words, and what a restart keeps. */
#include <criterion/criterion.h>

#include "storage/base/error.h"
#include "tests/lib/requests.h"

typedef IncrementalAlterConfigsRequestConfig Change;

enum { SET = 0, DELETE = 1, APPEND = 2, SUBTRACT = 3 };

static BrokerFixture broker;
static TestClient client;

static void connect_client(void) {
        client = client_connect(&broker);
}

static void start(void) {
        broker = BROKER_FIXTURE_INIT;
        fixture_start(&broker, NULL);
        connect_client();
        cr_assert_eq(request_create(&client, "t", 1, 1, NULL, NULL).error_code, 0);
}

static void stop(void) {
        client_close(&client);
        fixture_remove(&broker);
}

TestSuite(configs, .init = start, .fini = stop, .timeout = 60);

static void alter(int8_t type, const char *name, Change *changes, int32_t count, bool validate_only, int16_t code, const char *message) {
        IncrementalAlterConfigsRequestResource resource = IncrementalAlterConfigsRequestResource_INIT;
        resource.resource_type = type;
        resource.resource_name = str_of(name);
        resource.configs = changes;
        resource.configs_count = count;
        IncrementalAlterConfigsRequest request = IncrementalAlterConfigsRequest_INIT;
        request.resources = &resource;
        request.resources_count = 1;
        request.validate_only = validate_only;
        IncrementalAlterConfigsResponse response;
        CLIENT_CALL(&client, IncrementalAlterConfigs, 1, &request, &response);
        Str told = response.responses[0].error_message;
        cr_assert_eq(response.responses[0].error_code, code, "%d %.*s", response.responses[0].error_code, STR_ARG(told));
        cr_assert(str_equal(told, str_of(message)), "%.*s", STR_ARG(told));
}

static Change change(int8_t operation, const char *name, const char *value) {
        return (Change){ .name = str_of(name), .config_operation = operation, .value = str_of(value) };
}

#define ALTER(type, name, code, message, ...)                                                                \
        do {                                                                                                 \
                Change list[] = { __VA_ARGS__ };                                                             \
                alter(CONFIG_RESOURCE_##type, name, list, (int32_t)(sizeof(list) / sizeof(list[0])), false, code, message); \
        } while (0)

static DescribeConfigsResponseResult describe(int8_t type, const char *name, const char *key) {
        Str keys[] = { str_of(key) };
        DescribeConfigsRequestResource resource = DescribeConfigsRequestResource_INIT;
        resource.resource_type = type;
        resource.resource_name = str_of(name);
        resource.configuration_keys = keys;
        resource.configuration_keys_count = key ? 1 : -1;
        DescribeConfigsRequest request = DescribeConfigsRequest_INIT;
        request.resources = &resource;
        request.resources_count = 1;
        request.include_synonyms = true;
        DescribeConfigsResponse response;
        CLIENT_CALL(&client, DescribeConfigs, 4, &request, &response);
        cr_assert_eq(response.results_count, 1);
        return response.results[0];
}

static DescribeConfigsResponseConfig assert_config(int8_t type, const char *name, const char *key, const char *value, int8_t source) {
        DescribeConfigsResponseResult result = describe(type, name, key);
        cr_assert(result.error_code == 0 && result.configs_count == 1);
        cr_assert(str_equal(result.configs[0].value, str_of(value)), "%s=%.*s", key, STR_ARG(result.configs[0].value));
        cr_assert_eq(result.configs[0].config_source, source, "%d", result.configs[0].config_source);
        return result.configs[0];
}

#define ASSERT_TOPIC(key, value, source) assert_config(CONFIG_RESOURCE_TOPIC, "t", key, value, CONFIG_SOURCE_##source)

Test(configs, lists_are_appended_to_and_subtracted_from) {
        ALTER(TOPIC, "t", 0, NULL, change(SET, "cleanup.policy", "compact"));
        ALTER(TOPIC, "t", 0, NULL, change(APPEND, "cleanup.policy", "delete"));
        ASSERT_TOPIC("cleanup.policy", "compact,delete", TOPIC);
        ALTER(TOPIC, "t", 0, NULL, change(SUBTRACT, "cleanup.policy", "compact"));
        ASSERT_TOPIC("cleanup.policy", "delete", TOPIC);
        ALTER(TOPIC, "t", 0, NULL, change(DELETE, "cleanup.policy", NULL));
        ASSERT_TOPIC("cleanup.policy", "delete", DEFAULT);
        ALTER(TOPIC, "t", KAFKA_INVALID_CONFIG, "Can't APPEND to key retention.ms because its type is not LIST.",
              change(APPEND, "retention.ms", "1"));
}

Test(configs, changes_are_made_together_or_not_at_all) {
        ALTER(TOPIC, "t", KAFKA_INVALID_CONFIG, "Invalid value abc for configuration retention.ms: Not a number of type LONG",
              change(SET, "flush.ms", "5"), change(SET, "retention.ms", "abc"));
        ASSERT_TOPIC("flush.ms", "9223372036854775807", DEFAULT);
}

Test(configs, validate_only_changes_nothing) {
        Change list[] = { change(SET, "retention.ms", "5") };
        alter(CONFIG_RESOURCE_TOPIC, "t", list, 1, true, 0, NULL);
        ASSERT_TOPIC("retention.ms", "604800000", DEFAULT);
}

Test(configs, what_does_not_fit_is_refused_in_words) {
        ALTER(TOPIC, "t", KAFKA_INVALID_CONFIG, "Unknown topic config name: x", change(SET, "x", "1"));
        ALTER(TOPIC, "t", 0, NULL, change(DELETE, "x", NULL));
        ALTER(TOPIC, "t", KAFKA_INVALID_REQUEST, "Error due to duplicate config keys", change(SET, "retention.ms", "1"),
              change(SET, "retention.ms", "2"));
        ALTER(TOPIC, "t", KAFKA_INVALID_REQUEST, "Null value not supported for : retention.ms", change(SET, "retention.ms", NULL));
        ALTER(TOPIC, "u", KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "The topic 'u' does not exist.", change(SET, "retention.ms", "1"));
        ALTER(TOPIC, "", KAFKA_INVALID_REQUEST, "Default topic resources are not allowed.", change(SET, "retention.ms", "1"));
        ALTER(BROKER, "1", KAFKA_INVALID_REQUEST, "Cannot update these configs dynamically: [num.partitions]",
              change(SET, "num.partitions", "2"));
        ALTER(BROKER, "", KAFKA_INVALID_REQUEST,
              "Cannot update these configs at default cluster level, broker id must be specified: [sasl.jaas.config]",
              change(SET, "sasl.jaas.config", "x"));
        ALTER(BROKER, "1", KAFKA_INVALID_REQUEST,
              "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.key.password]",
              change(SET, "ssl.key.password", "x"));
        ALTER(BROKER, "1", KAFKA_INVALID_REQUEST, "Invalid value -1 for configuration message.max.bytes: Value must be at least 0",
              change(SET, "message.max.bytes", "-1"));
}

Test(configs, a_resource_that_is_named_twice_is_refused) {
        IncrementalAlterConfigsRequestResource resources[2] = { IncrementalAlterConfigsRequestResource_INIT,
                                                                IncrementalAlterConfigsRequestResource_INIT };
        for (int i = 0; i < 2; i++) {
                resources[i].resource_type = CONFIG_RESOURCE_TOPIC;
                resources[i].resource_name = STR("t");
        }
        IncrementalAlterConfigsRequest request = IncrementalAlterConfigsRequest_INIT;
        request.resources = resources;
        request.resources_count = 2;
        IncrementalAlterConfigsResponse response;
        CLIENT_CALL(&client, IncrementalAlterConfigs, 1, &request, &response);
        for (int i = 0; i < 2; i++)
                cr_assert_eq(response.responses[i].error_code, KAFKA_INVALID_REQUEST);
        cr_assert(str_equal(response.responses[0].error_message, STR("Each resource must appear at most once.")));
}

Test(configs, synonyms_go_from_the_topic_to_the_broker_to_the_defaults) {
        ALTER(BROKER, "", 0, NULL, change(SET, "log.retention.ms", "77000"));
        ASSERT_TOPIC("retention.ms", "77000", DYNAMIC_DEFAULT_BROKER);
        ALTER(BROKER, "1", 0, NULL, change(SET, "log.retention.ms", "88000"));
        ASSERT_TOPIC("retention.ms", "88000", DYNAMIC_BROKER);
        ALTER(TOPIC, "t", 0, NULL, change(SET, "retention.ms", "99000"));
        DescribeConfigsResponseConfig row = ASSERT_TOPIC("retention.ms", "99000", TOPIC);
        static const struct {
                const char *name, *value;
                ConfigSource source;
        } wanted[] = { { "retention.ms", "99000", CONFIG_SOURCE_TOPIC },
                       { "log.retention.ms", "88000", CONFIG_SOURCE_DYNAMIC_BROKER },
                       { "log.retention.ms", "77000", CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER },
                       { "log.retention.hours", "168", CONFIG_SOURCE_DEFAULT } };
        cr_assert_eq(row.synonyms_count, 4);
        for (int i = 0; i < 4; i++)
                cr_assert(str_equal(row.synonyms[i].name, str_of(wanted[i].name)) &&
                          str_equal(row.synonyms[i].value, str_of(wanted[i].value)) &&
                          row.synonyms[i].source == (int8_t)wanted[i].source);
        cr_assert_eq(describe(CONFIG_RESOURCE_BROKER, "", NULL).configs_count, 2, "the other is min.insync.replicas, set at the beginning");
}

Test(configs, what_was_set_outlives_a_restart) {
        ALTER(TOPIC, "t", 0, NULL, change(SET, "retention.ms", " 5000 "), change(SET, "cleanup.policy", "compact"));
        ALTER(BROKER, "", 0, NULL, change(SET, "message.max.bytes", "2000000"));
        client_close(&client);
        fixture_stop(&broker);
        fixture_start(&broker, NULL);
        connect_client();
        ASSERT_TOPIC("retention.ms", "5000", TOPIC);
        ASSERT_TOPIC("cleanup.policy", "compact", TOPIC);
        ASSERT_TOPIC("max.message.bytes", "2000000", DYNAMIC_DEFAULT_BROKER);
}

Test(configs, alter_configs_replaces_all) {
        ALTER(TOPIC, "t", 0, NULL, change(SET, "retention.ms", "5000"));
        AlterConfigsRequestConfig row = { STR("flush.ms"), STR("7") };
        AlterConfigsRequestResource resource = AlterConfigsRequestResource_INIT;
        resource.resource_type = CONFIG_RESOURCE_TOPIC;
        resource.resource_name = STR("t");
        resource.configs = &row;
        resource.configs_count = 1;
        AlterConfigsRequest request = AlterConfigsRequest_INIT;
        request.resources = &resource;
        request.resources_count = 1;
        AlterConfigsResponse response;
        CLIENT_CALL(&client, AlterConfigs, 2, &request, &response);
        cr_assert_eq(response.responses[0].error_code, 0);
        ASSERT_TOPIC("retention.ms", "604800000", DEFAULT);
        ASSERT_TOPIC("flush.ms", "7", TOPIC);
}

Test(configs, describe_refuses_what_is_not_there) {
        cr_assert_eq(describe(CONFIG_RESOURCE_TOPIC, "u", NULL).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        cr_assert_eq(describe(CONFIG_RESOURCE_TOPIC, "a b", NULL).error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
        cr_assert_eq(describe(CONFIG_RESOURCE_BROKER, "x", NULL).error_code, KAFKA_INVALID_REQUEST);
        cr_assert_eq(describe(CONFIG_RESOURCE_BROKER, "7", NULL).error_code, KAFKA_INVALID_REQUEST);
        cr_assert_eq(describe(CONFIG_RESOURCE_GROUP, "", NULL).error_code, KAFKA_INVALID_REQUEST);
        cr_assert_eq(describe(99, "x", NULL).error_code, KAFKA_INVALID_REQUEST);
}

Test(configs, a_missing_name_may_look_like_a_topic_that_is_there) {
        cr_assert_eq(request_create(&client, "a.b", 1, 1, NULL, NULL).error_code, 0);
        cr_assert_eq(describe(CONFIG_RESOURCE_TOPIC, "a_b", NULL).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(configs, every_kind_of_resource_is_described) {
        cr_assert_eq(describe(CONFIG_RESOURCE_TOPIC, "t", NULL).configs_count, (int32_t)topic_config_key_count);
        cr_assert_gt(describe(CONFIG_RESOURCE_BROKER, "1", NULL).configs_count, 300);
        cr_assert_eq(describe(CONFIG_RESOURCE_GROUP, "g", NULL).configs_count, (int32_t)group_config_key_count);
        cr_assert_eq(describe(CONFIG_RESOURCE_CLIENT_METRICS, "m", NULL).configs_count, (int32_t)client_metrics_config_key_count);
        assert_config(CONFIG_RESOURCE_GROUP, "g", "consumer.session.timeout.ms", "45000", CONFIG_SOURCE_DEFAULT);
}

Test(configs, the_root_logger_is_what_is_traced) {
        ALTER(BROKER_LOGGER, "1", 0, NULL, change(SET, "root", "WARN"));
        assert_config(CONFIG_RESOURCE_BROKER_LOGGER, "1", "root", "WARN", CONFIG_SOURCE_BROKER_LOGGER);
        ALTER(BROKER_LOGGER, "1", KAFKA_INVALID_CONFIG, "Logger nope does not exist!", change(SET, "nope", "INFO"));
}

/* "first:1,first+1:1,..." of some 20 kB. */
static const char *replicas(int first) {
        static char text[20020];
        size_t used = 0;
        for (int i = first; used < 20000; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%d:1", used ? "," : "", i);
        return text;
}

Test(configs, a_list_cannot_grow_beyond_what_a_string_holds) {
        ALTER(TOPIC, "t", 0, NULL, change(SET, "leader.replication.throttled.replicas", replicas(10000)));
        ALTER(TOPIC, "t", KAFKA_INVALID_CONFIG,
              "Invalid value for configuration leader.replication.throttled.replicas: longer than 32767 bytes",
              change(APPEND, "leader.replication.throttled.replicas", replicas(20000)));
}
