/* The APIs of administrators: what the differential test cannot ask a Kafka, and what outlasts a restart. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/api/api.h"
#include "broker/state/metadata/resource_configs.h"
#include "broker/state/transactions/transactions.h"
#include "storage/base/trace.h"
#include "tests/lib/ask.h"

#include "tests/lib/state_fixture.h"

static StateFixture fixture;

static void setup(void) {
        state_fixture_start(&fixture);
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(admin_apis, .init = setup, .fini = teardown);

static void restart(void) {
        state_fixture_reopen(&fixture);
}

static int16_t update_feature(Str name, int16_t level, int8_t type, bool validate_only) {
        UpdateFeaturesRequestUpdate update = { .feature = name, .max_version_level = level, .upgrade_type = type };
        return ASK(fixture.state, UpdateFeatures, update_features, 2, .feature_updates = &update, .feature_updates_count = 1,
                   .validate_only = validate_only)->error_code;
}

static ApiVersionsResponse *api_versions(int16_t version) {
        return ASK(fixture.state, ApiVersions, api_versions, version, .client_software_name = STR("t"),
                   .client_software_version = STR("1"));
}

static int16_t finalized(const ApiVersionsResponse *answer, Str name) {
        for (int32_t i = 0; i < answer->finalized_features_count; i++)
                if (str_equal(answer->finalized_features[i].name, name))
                        return answer->finalized_features[i].max_version_level;
        return 0;
}

Test(admin_apis, features_that_are_not_served_are_not_reported) {
        cr_assert_eq(fixture.state->feature_levels[FEATURE_GROUP], 1); /* for the Kafka that takes the directory over */
        ApiVersionsResponse *answer = api_versions(4);
        cr_assert_eq(finalized(answer, STR("metadata.version")), 25);
        cr_assert_eq(finalized(answer, STR("transaction.version")), 2); /* Java's producers bump epochs themselves */
        cr_assert_eq(finalized(answer, STR("group.version")), api_find(68) ? 1 : 0);
        for (int32_t i = 0; i < answer->supported_features_count; i++)
                cr_assert_gt(answer->supported_features[i].max_version, 0);
}

Test(admin_apis, telemetry_is_served_but_nobody_is_told) {
        ApiVersionsResponse *answer = api_versions(3);
        for (int32_t i = 0; i < answer->api_keys_count; i++)
                cr_assert(answer->api_keys[i].api_key != 71 && answer->api_keys[i].api_key != 72);
        cr_assert(api_find(71) && api_find(72));
}

Test(admin_apis, a_feature_level_and_its_epoch_outlast_a_restart) {
        int64_t epoch = api_versions(3)->finalized_features_epoch;
        cr_assert_geq(epoch, 0);
        cr_assert_eq(update_feature(STR("metadata.version"), 26, 1, true), 0);
        cr_assert_eq(finalized(api_versions(3), STR("metadata.version")), 25);
        cr_assert_eq(update_feature(STR("metadata.version"), 26, 1, false), 0);
        restart();
        cr_assert_eq(finalized(api_versions(3), STR("metadata.version")), 26);
        cr_assert_gt(api_versions(3)->finalized_features_epoch, epoch);
        cr_assert_eq(update_feature(STR("metadata.version"), 24, 2, false), 0);
        cr_assert_eq(update_feature(STR("metadata.version"), 22, 2, false), KAFKA_INVALID_UPDATE_VERSION);
        restart();
        cr_assert_eq(finalized(api_versions(3), STR("metadata.version")), 24);
}

Test(admin_apis, the_only_broker_cannot_be_unregistered) {
        cr_assert_eq(ASK(fixture.state, UnregisterBroker, unregister_broker, 0, .broker_id = fixture.state->node_id)->error_code,
                     KAFKA_INVALID_REQUEST);
        cr_assert_eq(ASK(fixture.state, UnregisterBroker, unregister_broker, 0, .broker_id = fixture.state->node_id + 1)->error_code,
                     KAFKA_BROKER_ID_NOT_REGISTERED);
}

static int16_t alter(ConfigResource type, Str name, Str key, Str value) {
        IncrementalAlterConfigsRequestConfig change = { .name = key, .config_operation = str_is_null(value) ? 1 : 0, .value = value };
        IncrementalAlterConfigsRequestResource resource = { .resource_type = (int8_t)type, .resource_name = name,
                                                            .configs = &change, .configs_count = 1 };
        IncrementalAlterConfigsResponse *answer =
                ASK(fixture.state, IncrementalAlterConfigs, incremental_alter_configs, 1, .resources = &resource,
                                                      .resources_count = 1);
        return answer->responses[0].error_code;
}

Test(admin_apis, configs_of_groups_and_metrics_outlast_a_restart) {
        cr_assert_eq(alter(CONFIG_RESOURCE_GROUP, STR("g"), STR("consumer.session.timeout.ms"), STR("46000")), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_GROUP, STR("gone"), STR("consumer.session.timeout.ms"), STR("46000")), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_GROUP, STR("gone"), STR("consumer.session.timeout.ms"), STR_NULL), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_CLIENT_METRICS, STR("m"), STR("interval.ms"), STR("1000")), 0);
        restart();
        cr_assert_eq(fixture.state->group_configs.count, 1);
        cr_assert_eq(fixture.state->client_metrics.count, 1);
        const ConfigMap *group = resource_config_find(fixture.state, CONFIG_RESOURCE_GROUP, STR("g"));
        cr_assert(str_equal(config_group_str(&fixture.config, group, "consumer.session.timeout.ms"), STR("46000")));
        const ConfigMap *other = resource_config_find(fixture.state, CONFIG_RESOURCE_GROUP, STR("other"));
        cr_assert(str_equal(config_group_str(&fixture.config, other, "consumer.session.timeout.ms"), STR("45000")));
        DescribeConfigsRequestResource want = { .resource_type = CONFIG_RESOURCE_GROUP, .resource_name = STR("g"),
                                                .configuration_keys_count = -1 };
        DescribeConfigsResponse *answer = ASK(fixture.state, DescribeConfigs, describe_configs, 4, .resources = &want,
                                               .resources_count = 1);
        int32_t given = 0;
        for (int32_t i = 0; i < answer->results[0].configs_count; i++)
                given += answer->results[0].configs[i].config_source == CONFIG_SOURCE_GROUP;
        cr_assert_eq(given, 1);
}

Test(admin_apis, so_many_resources_may_have_configs) {
        Str key = STR("interval.ms"), value = STR("1000");
        state_fixture_set(&fixture, "odradek.max.config.resources", "2");
        cr_assert_eq(alter(CONFIG_RESOURCE_CLIENT_METRICS, STR("a"), key, value), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_GROUP, STR("b"), STR("consumer.session.timeout.ms"), STR("46000")), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_CLIENT_METRICS, STR("c"), key, value), KAFKA_POLICY_VIOLATION);
        cr_assert_eq(alter(CONFIG_RESOURCE_GROUP, STR("c"), STR("consumer.session.timeout.ms"), STR("46000")), KAFKA_POLICY_VIOLATION);
        cr_assert_eq(alter(CONFIG_RESOURCE_CLIENT_METRICS, STR("a"), key, STR("2000")), 0); /* those that are there go on */
        cr_assert_eq(alter(CONFIG_RESOURCE_CLIENT_METRICS, STR("a"), key, STR_NULL), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_CLIENT_METRICS, STR("c"), key, value), 0);
}

/* Each is looked for once, however many keys there are. */
Test(admin_apis, so_many_keys_can_be_asked_for, .timeout = 120) {
        enum { KEYS = 200000, RESOURCES = 60 };
        static Str keys[KEYS];
        static char names[KEYS][12];
        static DescribeConfigsRequestResource wants[RESOURCES];
        for (int32_t i = 0; i < KEYS; i++) {
                snprintf(names[i], sizeof(names[i]), "k%d", (i * 7919) % KEYS);
                keys[i] = str_of(names[i]);
        }
        keys[7] = STR("log.segment.bytes");
        keys[100000] = keys[199999] = STR("log.retention.ms");
        for (int32_t i = 0; i < RESOURCES; i++)
                wants[i] = (DescribeConfigsRequestResource){ .resource_type = CONFIG_RESOURCE_BROKER, .resource_name = STR("1"),
                                                             .configuration_keys = keys, .configuration_keys_count = KEYS };
        DescribeConfigsResponse *answer =
                ASK(fixture.state, DescribeConfigs, describe_configs, 4, .resources = wants, .resources_count = RESOURCES);
        for (int32_t i = 0; i < RESOURCES; i++) {
                const DescribeConfigsResponseResult *row = &answer->results[i];
                cr_assert_eq(row->configs_count, 2);
                cr_assert(str_equal(row->configs[0].name, STR("log.retention.ms")) && str_equal(row->configs[1].name, STR("log.segment.bytes")));
        }
}

/* Not with the square of their lengths. */
Test(admin_apis, long_lists_are_appended_to_and_subtracted_from, .timeout = 120) {
        enum { ITEMS = 3000, TOPICS = 100, OPERATION_APPEND = 2, OPERATION_SUBTRACT = 3 };
        static char lists[2][ITEMS * 7 + 1], name[TOPICS][16]; /* the second begins in the middle of the first */
        static IncrementalAlterConfigsRequestResource wants[TOPICS];
        Str key = STR("leader.replication.throttled.replicas");
        for (int k = 0; k < 2; k++)
                for (int i = 0, at = 0; i < ITEMS; i++)
                        at += snprintf(lists[k] + at, sizeof(lists[k]) - (size_t)at, "%s%d:1", i ? "," : "", 1000 + i + k * ITEMS / 2);
        for (int i = 0; i < TOPICS; i++) {
                snprintf(name[i], sizeof(name[i]), "t%d", i);
                cr_assert_eq(topic_create(fixture.state, str_of(name[i]), 1, &CONFIG_MAP_INIT, NULL), 0);
                cr_assert_eq(alter(CONFIG_RESOURCE_TOPIC, str_of(name[i]), key, str_of(lists[0])), 0);
        }
        for (int8_t operation = OPERATION_SUBTRACT; operation >= OPERATION_APPEND; operation--) {
                IncrementalAlterConfigsRequestConfig change = { .name = key, .config_operation = operation, .value = str_of(lists[1]) };
                for (int i = 0; i < TOPICS; i++)
                        wants[i] = (IncrementalAlterConfigsRequestResource){ .resource_type = CONFIG_RESOURCE_TOPIC, .resource_name = str_of(name[i]),
                                                                             .configs = &change, .configs_count = 1 };
                IncrementalAlterConfigsResponse *answer = ASK(fixture.state, IncrementalAlterConfigs, incremental_alter_configs, 1,
                                                              .resources = wants, .resources_count = TOPICS);
                for (int i = 0; i < TOPICS; i++) {
                        cr_assert_eq(answer->responses[i].error_code, 0, "%.*s", STR_ARG(answer->responses[i].error_message));
                        const Topic *topic = topic_find(fixture.state, str_of(name[i]));
                        Str value = config_topic_str(&fixture.config, &topic->config, key.data, NULL);
                        Str half = { lists[0], strlen(lists[0]) / 2 };
                        if (operation == OPERATION_SUBTRACT)
                                cr_assert(str_equal(value, half), "%zu bytes, not %zu", value.len, half.len);
                        else
                                cr_assert(value.len == half.len + 1 + strlen(lists[1]) && strcmp(value.data + half.len + 1, lists[1]) == 0);
                }
        }
}

static DescribeConfigsResponse *describe_broker(Str name, int32_t times) {
        DescribeConfigsRequestResource want[1000];
        for (int32_t i = 0; i < times; i++)
                want[i] = (DescribeConfigsRequestResource){ .resource_type = CONFIG_RESOURCE_BROKER, .resource_name = name,
                                                            .configuration_keys_count = -1 };
        return ASK(fixture.state, DescribeConfigs, describe_configs, 4, .resources = want, .resources_count = times,
                   .include_synonyms = true);
}

static const DescribeConfigsResponseConfig *described(Str broker, Str key) {
        DescribeConfigsResponse *answer = describe_broker(broker, 1);
        for (int32_t i = 0; i < answer->results[0].configs_count; i++)
                if (str_equal(answer->results[0].configs[i].name, key))
                        return &answer->results[0].configs[i];
        return NULL;
}

Test(admin_apis, a_description_that_would_take_too_much_memory_says_so) {
        state_fixture_set(&fixture, "odradek.request.max.memory.bytes", "1048576");
        restart();
        DescribeConfigsResponse *answer = describe_broker(STR("1"), 1000);
        cr_assert_eq(answer->results_count, 1000);
        cr_assert(answer->results[0].error_code == 0 && answer->results[0].configs_count > 200);
        cr_assert(answer->results[999].error_code == KAFKA_POLICY_VIOLATION && answer->results[999].configs_count == 0);
        cr_assert(str_equal(answer->results[999].error_message,
                            STR("The answer takes more memory than odradek.request.max.memory.bytes allows.")));
}

/* The rows are small in memory, as their value is the one that is kept: together they would have 30 MB. */
Test(admin_apis, an_answer_of_the_same_long_value_many_times_is_not_put_together) {
        enum { TIMES = 1000, LENGTH = 30000 };
        static char text[LENGTH];
        static DescribeConfigsRequestResource wants[TIMES];
        Str key = STR("metrics");
        state_fixture_set(&fixture, "odradek.request.max.memory.bytes", "1048576");
        restart();
        memset(text, 'x', sizeof(text));
        cr_assert_eq(alter(CONFIG_RESOURCE_CLIENT_METRICS, STR("m"), key, (Str){ text, LENGTH }), 0);
        for (int32_t i = 0; i < TIMES; i++)
                wants[i] = (DescribeConfigsRequestResource){ .resource_type = CONFIG_RESOURCE_CLIENT_METRICS, .resource_name = STR("m"),
                                                             .configuration_keys = &key, .configuration_keys_count = 1 };
        DescribeConfigsResponse *answer = ASK(fixture.state, DescribeConfigs, describe_configs, 4, .resources = wants, .resources_count = 10);
        cr_assert_eq(answer->results[9].configs[0].value.len, LENGTH);
        Asked *asked = ASK_START(fixture.state, DescribeConfigs, describe_configs, 4, .resources = wants, .resources_count = TIMES);
        cr_assert(asked_is_closed(asked));
        asked_drop(asked);
}

/* Kafka takes them for those of plugins, and tells nobody their values. */
Test(admin_apis, configs_of_the_broker_may_have_any_name) {
        Str key = STR("no.such");
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), key, STR("secret")), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR(""), key, STR("secret too")), 0);
        for (int i = 0; i < 2; i++, restart()) {
                const DescribeConfigsResponseConfig *config = described(STR("1"), key);
                cr_assert(config && config->is_sensitive && str_is_null(config->value) && config->synonyms_count == 2);
                cr_assert_eq(config->config_source, CONFIG_SOURCE_DYNAMIC_BROKER);
                cr_assert_eq(described(STR(""), key)->config_source, CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER);
        }
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), key, STR_NULL), 0);
        cr_assert_eq(described(STR("1"), key)->config_source, CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR(""), key, STR_NULL), 0);
        for (int i = 0; i < 2; i++, restart())
                cr_assert(!described(STR("1"), key) && !described(STR(""), key));
}

Test(admin_apis, so_many_configs_of_any_name_may_be_set) {
        state_fixture_set(&fixture, "odradek.max.custom.configs", "2");
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), STR("b"), STR("1")), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), STR("a"), STR("1")), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), STR("c"), STR("1")), KAFKA_POLICY_VIOLATION);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), STR("a"), STR("2")), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), STR("b"), STR_NULL), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), STR("c"), STR("1")), 0);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), STR("log.retention.ms"), STR("1")), 0); /* is known */
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, STR("1"), (Str){ "d\0", 2 }, STR("1")), KAFKA_INVALID_REQUEST);
}

/* Neither with the square of what is set nor with its product with what is asked for. */
Test(admin_apis, many_configs_of_any_name_are_described, .timeout = 120) {
        enum { CONFIGS = 1000, KEYS = 60000, TIMES = 20 };
        static Str keys[KEYS];
        static char names[KEYS][16];
        static DescribeConfigsRequestResource wants[TIMES];
        static IncrementalAlterConfigsRequestConfig changes[CONFIGS];
        IncrementalAlterConfigsRequestResource broker = { .resource_type = CONFIG_RESOURCE_BROKER, .resource_name = STR("1"),
                                                          .configs = changes, .configs_count = CONFIGS };
        state_fixture_set(&fixture, "odradek.max.custom.configs", "1000");
        for (int32_t i = 0; i < KEYS; i++) {
                snprintf(names[i], sizeof(names[i]), "key%06d", i);
                keys[i] = str_of(names[i]);
        }
        for (int32_t i = 0; i < CONFIGS; i++)
                changes[i] = (IncrementalAlterConfigsRequestConfig){ .name = keys[i * 7919 % KEYS], .value = STR("1") };
        IncrementalAlterConfigsResponse *altered = ASK(fixture.state, IncrementalAlterConfigs, incremental_alter_configs, 1,
                                                       .resources = &broker, .resources_count = 1);
        cr_assert_eq(altered->responses[0].error_code, 0);
        cr_assert_eq(describe_broker(STR("1"), TIMES)->results[TIMES - 1].configs_count,
                     describe_broker(STR("1"), 1)->results[0].configs_count);
        for (int32_t i = 0; i < TIMES; i++)
                wants[i] = (DescribeConfigsRequestResource){ .resource_type = CONFIG_RESOURCE_BROKER, .resource_name = STR("1"),
                                                             .configuration_keys = keys + 1, .configuration_keys_count = KEYS - 1 };
        DescribeConfigsResponse *answer =
                ASK(fixture.state, DescribeConfigs, describe_configs, 4, .resources = wants, .resources_count = TIMES);
        for (int32_t i = 0; i < TIMES; i++)
                cr_assert_eq(answer->results[i].configs_count, CONFIGS - 1); /* all but the first */
}

static void on_added(TransactionWait *wait, State *state, const TransactionResult *result) {
        cr_assert_eq(result->code, 0);
}

static int32_t count_transactions(Str state, int64_t one, int64_t other) {
        Str states[] = { STR("Empty"), state };
        int64_t ids[] = { one, other, one };
        return ASK(fixture.state, ListTransactions, list_transactions, 2, .state_filters = states, .state_filters_count = 2,
                   .producer_id_filters = ids, .producer_id_filters_count = 3, .duration_filter = -1,
                   .transactional_id_pattern = STR_NULL)->transaction_states_count;
}

Test(admin_apis, transactions_are_listed_by_state_and_producer) {
        int64_t ids[2];
        for (int32_t i = 0; i < 2; i++) {
                InitProducerIdResponse *init = ASK(fixture.state, InitProducerId, init_producer_id, 4, .transactional_id = i ? STR("b") : STR("a"),
                                                   .transaction_timeout_ms = 60000, .producer_id = -1, .producer_epoch = -1);
                cr_assert_eq(init->error_code, 0);
                ids[i] = init->producer_id;
        }
        TransactionWait wait = { .done = on_added };
        transaction_add(fixture.state, STR("b"), ids[1], 0, &(TransactionTarget){ STR("t"), 0 }, 1, 2, &wait);
        state_commit(fixture.state);
        cr_assert_eq(count_transactions(STR("Ongoing"), ids[1], ids[0]), 2);
        cr_assert_eq(count_transactions(STR("Dead"), ids[1], ids[0]), 1);
        cr_assert_eq(count_transactions(STR("Ongoing"), ids[1], 987654), 1);
        cr_assert_eq(count_transactions(STR("Ongoing"), 987654, -1), 0);
}

/* Its description takes no memory by the square of their number. */
Test(admin_apis, a_transaction_over_many_topics_is_described) {
        enum { TOPICS = 1000 };
        static char names[TOPICS][32];
        static TransactionTarget targets[2 * TOPICS];
        Str id = STR("id");
        state_fixture_set(&fixture, "odradek.request.max.memory.bytes", "1048576");
        restart();
        InitProducerIdResponse *init = ASK(fixture.state, InitProducerId, init_producer_id, 4, .transactional_id = id,
                                           .transaction_timeout_ms = 60000, .producer_id = -1, .producer_epoch = -1);
        cr_assert_eq(init->error_code, 0);
        for (int32_t i = 0; i < TOPICS; i++) {
                snprintf(names[i], sizeof(names[i]), "topic%d", i);
                targets[2 * i] = (TransactionTarget){ str_of(names[i]), 1 };
                targets[2 * i + 1] = (TransactionTarget){ str_of(names[i]), 0 };
        }
        TransactionWait wait = { .done = on_added };
        transaction_add(fixture.state, id, init->producer_id, init->producer_epoch, targets, 2 * TOPICS, 2, &wait);
        state_commit(fixture.state);
        DescribeTransactionsResponse *answer =
                ASK(fixture.state, DescribeTransactions, describe_transactions, 0, .transactional_ids = &id, .transactional_ids_count = 1);
        cr_assert_eq(answer->transaction_states[0].topics_count, TOPICS);
        for (int32_t i = 0; i < TOPICS; i++) {
                const DescribeTransactionsResponseTopic *topic = &answer->transaction_states[0].topics[i];
                cr_assert(topic->partitions_count == 2 && topic->partitions[0] == 0 && topic->partitions[1] == 1);
        }
}

Test(admin_apis, a_level_is_told_as_it_was_set) {
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER_LOGGER, STR("1"), STR("root"), STR("TRACE")), 0);
        cr_assert_eq(trace_level, TRACE_DEBUG);
        DescribeConfigsRequestResource want = { .resource_type = CONFIG_RESOURCE_BROKER_LOGGER, .resource_name = STR("1"),
                                                .configuration_keys_count = -1 };
        DescribeConfigsResponse *answer = ASK(fixture.state, DescribeConfigs, describe_configs, 4, .resources = &want,
                                               .resources_count = 1);
        cr_assert(answer->results[0].configs_count == 1 && str_equal(answer->results[0].configs[0].value, STR("TRACE")));
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER_LOGGER, STR("1"), STR("root"), STR("ERROR")), 0);
        cr_assert_eq(trace_level, TRACE_ERROR);
}

Test(admin_apis, blanks_do_not_hide_a_number_that_is_refused) {
        Str broker = STR("1"), threads = STR("log.cleaner.threads");
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, broker, threads, STR("0")), KAFKA_INVALID_REQUEST);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, broker, threads, STR(" 0 ")), KAFKA_INVALID_REQUEST);
        cr_assert_eq(alter(CONFIG_RESOURCE_CLIENT_METRICS, STR("m"), STR("interval.ms"), STR(" 1")), KAFKA_INVALID_REQUEST);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, broker, threads, STR(" 2 ")), 0);
}

Test(admin_apis, broker_without_cleaners_takes_the_size_of_their_buffer) {
        Str broker = STR("1"), size = STR("log.cleaner.dedupe.buffer.size");
        state_fixture_set(&fixture, "log.cleaner.threads", "0");
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, broker, size, STR("1048576")), KAFKA_INVALID_REQUEST);
        cr_assert_eq(alter(CONFIG_RESOURCE_BROKER, broker, size, STR("1048577")), 0);
}

/* Kafka's clients know nothing of them. */
Test(admin_apis, configs_of_our_own_are_not_described) {
        DescribeConfigsRequestResource want = { .resource_type = CONFIG_RESOURCE_BROKER, .resource_name = STR("1"),
                                                .configuration_keys_count = -1 };
        DescribeConfigsResponse *answer = ASK(fixture.state, DescribeConfigs, describe_configs, 4, .resources = &want,
                                               .resources_count = 1);
        cr_assert_gt(answer->results[0].configs_count, 200);
        for (int32_t i = 0; i < answer->results[0].configs_count; i++)
                cr_assert(!str_starts_with(answer->results[0].configs[i].name, STR("odradek.")));
}

/* One reply names every resource that was asked for twice; no change of theirs is made. */
Test(admin_apis, a_resource_may_be_altered_once_a_request) {
        AlterConfigsRequestConfig change = { .name = STR("interval.ms"), .value = STR("1000") };
        AlterConfigsRequestResource resources[3];
        for (int i = 0; i < 3; i++)
                resources[i] = (AlterConfigsRequestResource){ .resource_type = CONFIG_RESOURCE_CLIENT_METRICS,
                                                              .resource_name = i == 1 ? STR("b") : STR("a"),
                                                              .configs = &change, .configs_count = 1 };
        AlterConfigsResponse *answer = ASK(fixture.state, AlterConfigs, alter_configs, 2, .resources = resources, .resources_count = 3);
        cr_assert_eq(answer->responses[0].error_code, KAFKA_INVALID_REQUEST);
        cr_assert_eq(answer->responses[1].error_code, 0);
        cr_assert_eq(answer->responses[2].error_code, KAFKA_INVALID_REQUEST);
        cr_assert_eq(fixture.state->client_metrics.count, 1);
}
