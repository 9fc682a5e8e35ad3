/* Settings: where they come from, which one wins, and what is refused. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/config.h"
#include "storage/base/trace.h"

static char dir[64], file[96];

static void setup(void) {
        snprintf(dir, sizeof(dir), "/tmp/odradek-config-XXXXXX");
        cr_assert(mkdtemp(dir));
        snprintf(file, sizeof(file), "%s/server.properties", dir);
        cr_assert_eq(setenv("HOME", "/home/somebody", 1), 0);
        unsetenv("XDG_DATA_HOME");
        trace_level = TRACE_INFO;
}

static void teardown(void) {
        unlink(file);
        rmdir(dir);
}

TestSuite(config, .init = setup, .fini = teardown);

static void write_file(const char *text) {
        FILE *out = fopen(file, "w");
        cr_assert(out && fputs(text, out) >= 0);
        fclose(out);
}

/* Up to six arguments. */
typedef struct Arguments {
        char *items[8];
} Arguments;

static int parse_arguments(Arguments arguments, FILE *out, Config *ret_config) {
        int count = 1;
        arguments.items[0] = (char[]){ "odradek" };
        while (arguments.items[count])
                count++;
        return config_parse(count, arguments.items, out, ret_config);
}

#define PARSE(config, ...) parse_arguments((Arguments){ { NULL, __VA_ARGS__ } }, stdout, (config))

static const char *text_of(Str value) {
        static char text[512];
        snprintf(text, sizeof(text), "%.*s", STR_ARG(value));
        return text;
}

/* What was traced on stderr, redirected before. */
static void assert_traced(const char *wanted) {
        char text[4096] = "";
        FILE *traced = cr_get_redirected_stderr();
        size_t used = 0;
        for (int c; used < sizeof(text) - 1 && !strstr(text, "\n") && (c = fgetc(traced)) != EOF;)
                text[used++] = (char)c;
        cr_assert(strstr(text, wanted), "%s", text);
}

/* Defaults */

Test(config, keys_are_sorted_and_their_defaults_are_valid) {
        char message[512];
        const struct {
                const ConfigKey *keys;
                size_t count;
        } tables[] = { { broker_config_keys, broker_config_key_count },
                       { topic_config_keys, topic_config_key_count },
                       { group_config_keys, group_config_key_count },
                       { client_metrics_config_keys, client_metrics_config_key_count } };
        for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
                for (size_t i = 0; i < tables[t].count; i++) {
                        const ConfigKey *key = &tables[t].keys[i];
                        if (i > 0)
                                cr_assert(str_compare(str_of(key[-1].name), str_of(key->name)) < 0, "%s", key->name);
                        if (key->default_value)
                                cr_assert(config_validate(key, str_of(key->default_value), message, sizeof(message)), "%s", message);
                        if (key->synonym)
                                cr_assert(config_find_key(CONFIG_RESOURCE_BROKER, str_of(key->synonym)), "%s", key->synonym);
                }
}

Test(config, without_arguments_it_listens_on_localhost) {
        Config config;
        cr_assert_eq(PARSE(&config, NULL), 0);
        cr_assert(config.listener_count == 1 && config.listeners[0].port == 9092);
        cr_assert_str_eq(config.listeners[0].host, "localhost");
        cr_assert_str_eq(config.listeners[0].advertised_host, "localhost");
        cr_assert_str_eq(config.data_dir, "/home/somebody/.local/share/odradek");
        cr_assert(!config.ephemeral && !config.durable && !config.exit_with_stdin && !config.any_replication_factor);
        cr_assert_eq(config_int(&config, "num.partitions"), 1);
        cr_assert(config_bool(&config, "auto.create.topics.enable"));
        config_deinit(&config);
}

Test(config, data_goes_where_xdg_says) {
        Config config;
        setenv("XDG_DATA_HOME", "/srv/data", 1);
        cr_assert_eq(PARSE(&config, NULL), 0);
        cr_assert_str_eq(config.data_dir, "/srv/data/odradek");
        config_deinit(&config);
}

/* Precedence and syntax */

Test(config, flags_win_over_environment_and_that_over_the_file) {
        Config config;
        write_file("num.partitions=2\nlog.retention.ms=2\nmessage.max.bytes=2\n");
        setenv("ODRADEK_LOG_RETENTION_MS", "3", 1);
        setenv("ODRADEK_MESSAGE_MAX_BYTES", "3", 1);
        setenv("ODRADEK_MAX_GROUPS", "3", 1); /* odradek.max.groups */
        cr_assert_eq(PARSE(&config, "--override", "message.max.bytes=4", file), 0);
        cr_assert_eq(config_int(&config, "num.partitions"), 2);
        cr_assert_eq(config_int(&config, "log.retention.ms"), 3);
        cr_assert_eq(config_int(&config, "message.max.bytes"), 4);
        cr_assert_eq(config_int(&config, "odradek.max.groups"), 3);
        config_deinit(&config);
}

Test(config, the_last_of_two_overrides_counts) {
        Config config;
        cr_assert_eq(PARSE(&config, "--override", "num.partitions=4", "--override", "num.partitions=5"), 0);
        cr_assert_eq(config_int(&config, "num.partitions"), 5);
        config_deinit(&config);
}

Test(config, properties_have_comments_separators_continuations_and_escapes) {
        Config config;
        write_file("# a comment\\\n"
                   "! another\n"
                   "\n"
                   "   num.partitions : 3  \n"
                   "log.retention.ms 77\r\n"
                   "broker.rack=a\\tb\\\\c\\=d\\u00e9\\u20ac\\ud83d\\ude00\\ud83d\n"
                   "log.cleanup.policy=compact,\\\n"
                   "    delete\n"
                   "metric.reporters=\n"
                   "node.id=12");
        cr_assert_eq(PARSE(&config, file), 0);
        cr_assert_eq(config_int(&config, "num.partitions"), 3);
        cr_assert_eq(config_int(&config, "log.retention.ms"), 77);
        cr_assert_str_eq(text_of(config_str(&config, "broker.rack")), "a\tb\\c=d\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\xa0\xbd");
        cr_assert_str_eq(text_of(config_str(&config, "log.cleanup.policy")), "compact,delete");
        cr_assert_str_eq(text_of(config_str(&config, "metric.reporters")), "");
        cr_assert_eq(config_int(&config, "node.id"), 12);
        config_deinit(&config);
}

Test(config, an_unknown_key_is_warned_about_with_what_was_meant) {
        Config config;
        cr_redirect_stderr();
        write_file("\nlog.retension.ms=5\n");
        cr_assert_eq(PARSE(&config, file), 0);
        assert_traced("server.properties:2: unknown key log.retension.ms; did you mean 'log.retention.ms'?");
        config_deinit(&config);
}

Test(config, suggestions_need_some_likeness) {
        cr_assert_str_eq(config_suggest("num.partition"), "num.partitions");
        cr_assert_null(config_suggest("entirely.different.from.everything"));
}

Test(config, a_bad_value_names_its_line) {
        Config config;
        cr_redirect_stderr();
        write_file("num.partitions=1\nlog.retention.ms=abc\n");
        cr_assert_eq(PARSE(&config, file), 2);
        assert_traced("server.properties:2: Invalid value abc for configuration log.retention.ms: Not a number of type LONG");
}

Test(config, a_bad_override_names_the_flag) {
        Config config;
        cr_redirect_stderr();
        cr_assert_eq(PARSE(&config, "--override", "num.partitions=0"), 2);
        assert_traced("--override: Invalid value 0 for configuration num.partitions: Value must be at least 1");
}

Test(config, misuse_ends_with_2) {
        Config config;
        cr_redirect_stderr();
        cr_assert_eq(PARSE(&config, "--bogus"), 2);
        cr_assert_eq(PARSE(&config, "--override"), 2);
        cr_assert_eq(PARSE(&config, "--override", "num.partitions"), 2);
        cr_assert_eq(PARSE(&config, "--port", "65536"), 2);
        cr_assert_eq(PARSE(&config, "--port", "x"), 2);
        cr_assert_eq(PARSE(&config, "/nonexistent/server.properties"), 2);
        write_file("");
        cr_assert_eq(PARSE(&config, file, file), 2);
}

Test(config, help_and_version_are_answers) {
        Config config;
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        cr_assert_eq(parse_arguments((Arguments){ { NULL, "--help" } }, out, &config), 1);
        cr_assert_eq(parse_arguments((Arguments){ { NULL, "--version" } }, out, &config), 1);
        fclose(out);
        cr_assert(strstr(text, "--ephemeral") && strstr(text, "log.retention.ms") && strstr(text, "odradek.max.groups") && strstr(text, "\nodradek "));
        free(text);
}

/* Flags, listeners, directories */

Test(config, flags_are_short_names) {
        Config config;
        cr_assert_eq(PARSE(&config, "--port", "0", "--data", "/srv/odradek", "--durable", "--any-replication-factor"), 0);
        cr_assert(config.listener_count == 1 && config.listeners[0].port == 0);
        cr_assert_str_eq(config.data_dir, "/srv/odradek");
        cr_assert(config.durable && config.any_replication_factor);
        config_deinit(&config);
}

Test(config, a_flag_may_hold_its_value) {
        Config config;
        cr_assert_eq(PARSE(&config, "--port=1234", "--override=num.partitions=7"), 0);
        cr_assert_eq(config.listeners[0].port, 1234);
        cr_assert_eq(config_int(&config, "num.partitions"), 7);
        config_deinit(&config);
}

Test(config, ephemeral_data_has_a_directory_of_its_own) {
        Config config;
        setenv("TMPDIR", dir, 1);
        cr_assert_eq(PARSE(&config, "--ephemeral"), 0);
        cr_assert(config.ephemeral && strncmp(config.data_dir, dir, strlen(dir)) == 0);
        cr_assert_eq(rmdir(config.data_dir), 0);
        config_deinit(&config);
}

Test(config, controller_listeners_are_left_out) {
        Config config;
        write_file("process.roles=broker,controller\n"
                   "controller.listener.names=CONTROLLER\n"
                   "listeners=IN://[::1]:19092, OUT://:19093,CONTROLLER://:19094\n"
                   "listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
                   "advertised.listeners=OUT://example.org:29093\n");
        cr_assert_eq(PARSE(&config, file), 0);
        cr_assert_eq(config.listener_count, 2);
        cr_assert(strcmp(config.listeners[0].host, "::1") == 0 && config.listeners[0].port == 19092);
        cr_assert(strcmp(config.listeners[0].advertised_host, "::1") == 0 && config.listeners[0].advertised_port == 0);
        cr_assert(strcmp(config.listeners[1].host, "") == 0 && config.listeners[1].port == 19093);
        cr_assert(strcmp(config.listeners[1].advertised_host, "example.org") == 0 && config.listeners[1].advertised_port == 29093);
        config_deinit(&config);
}

Test(config, only_plaintext_is_served) {
        Config config;
        cr_redirect_stderr();
        cr_assert_eq(PARSE(&config, "--override", "listeners=SSL://:9093"), 2);
        assert_traced("SSL://:9093 is not PLAINTEXT");
        cr_assert_eq(PARSE(&config, "--override", "listeners=PLAINTEXT:9093"), 2);
        cr_assert_eq(PARSE(&config, "--override", "advertised.listeners=OTHER://a:1"), 2);
}

Test(config, there_is_one_data_directory) {
        Config config;
        cr_redirect_stderr();
        cr_assert_eq(PARSE(&config, "--override", "log.dir=/srv/old"), 0);
        cr_assert_str_eq(config.data_dir, "/srv/old");
        config_deinit(&config);
        cr_assert_eq(PARSE(&config, "--override", "log.dirs=/a,/b"), 2);
        assert_traced("/a,/b");
}

/* Validation, in the words of Kafka 4.3.1 */

static void assert_checked(ConfigResource resource, const char *name, const char *value, const char *wanted) {
        char message[512] = "";
        bool ok = config_validate(config_find_key(resource, str_of(name)), str_of(value), message, sizeof(message));
        cr_assert_eq(ok, wanted == NULL, "%s=%s: %s", name, value, message);
        cr_assert_str_eq(message, wanted ? wanted : "");
}

#define REFUSES(name, value, reason) \
        assert_checked(CONFIG_RESOURCE_TOPIC, name, value, "Invalid value " value " for configuration " name ": " reason)
#define ACCEPTS(name, value) assert_checked(CONFIG_RESOURCE_TOPIC, name, value, NULL)

Test(config, numbers_have_a_type_and_a_range) {
        REFUSES("retention.ms", "abc", "Not a number of type LONG");
        REFUSES("retention.ms", "", "Not a number of type LONG");
        REFUSES("retention.ms", "99999999999999999999", "Not a number of type LONG");
        REFUSES("retention.ms", "-2", "Value must be at least -1");
        REFUSES("segment.bytes", "3000000000", "Not a number of type INT");
        REFUSES("compression.zstd.level", "23", "Value must be no more than 22");
        ACCEPTS("retention.ms", "-1");
        ACCEPTS("retention.ms", " 5000 ");
        ACCEPTS("retention.ms", "+7");
}

Test(config, gzip_levels_have_a_hole) {
        REFUSES("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1");
        REFUSES("compression.gzip.level", "10", "Value must be between 1 and 9 or equal to -1");
        ACCEPTS("compression.gzip.level", "-1");
        ACCEPTS("compression.gzip.level", "9");
}

Test(config, ratios_are_between_0_and_1) {
        char wanted[] = "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1";
        assert_checked(CONFIG_RESOURCE_TOPIC, "min.cleanable.dirty.ratio", "2", wanted);
        REFUSES("min.cleanable.dirty.ratio", "x", "Not a number of type DOUBLE");
        REFUSES("min.cleanable.dirty.ratio", "nan", "Not a number of type DOUBLE");
        REFUSES("min.cleanable.dirty.ratio", "0x1", "Not a number of type DOUBLE");
        ACCEPTS("min.cleanable.dirty.ratio", "0.25f");
        ACCEPTS("min.cleanable.dirty.ratio", "1e-1");
}

Test(config, choices_and_lists_are_limited) {
        REFUSES("compression.type", "GZIP", "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer");
        REFUSES("cleanup.policy", "foo", "String must be one of: compact, delete");
        REFUSES("preallocate", "yes", "Expected value to be either true or false");
        assert_checked(CONFIG_RESOURCE_TOPIC, "cleanup.policy", "compact,,delete", "Configuration 'cleanup.policy' values must not be empty.");
        ACCEPTS("cleanup.policy", "compact, delete");
        ACCEPTS("cleanup.policy", "");
        ACCEPTS("preallocate", " TRUE ");
        ACCEPTS("leader.replication.throttled.replicas", "*");
        ACCEPTS("leader.replication.throttled.replicas", "0:1,2:1");
}

Test(config, values_have_a_longest) {
        static char value[CONFIG_VALUE_LENGTH_MAX + 2], message[512];
        memset(value, 'x', sizeof(value) - 1);
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_BROKER, STR("broker.rack"));
        cr_assert(!config_validate(key, str_of(value), message, sizeof(message)));
        value[CONFIG_VALUE_LENGTH_MAX] = '\0';
        cr_assert(config_validate(key, str_of(value), message, sizeof(message)));
}

static void assert_told(const char *name, const char *value, const char *wanted) {
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, str_of(name));
        ConfigMap map = CONFIG_MAP_INIT;
        cr_assert_eq(config_map_set(&map, key, str_of(value), CONFIG_SOURCE_TOPIC), 0);
        cr_assert_str_eq(config_map_find(&map, key)->value, wanted);
        cr_assert_str_eq(text_of(config_given(config_map_find(&map, key))), value);
        config_map_deinit(&map);
}

Test(config, values_are_told_as_they_were_parsed_and_kept_as_they_were_given) {
        assert_told("retention.ms", " +007 ", "7");
        assert_told("retention.ms", "-0", "0");
        assert_told("preallocate", "TRUE", "true");
        assert_told("cleanup.policy", " compact , delete,compact", "compact,delete");
        assert_told("leader.replication.throttled.replicas", "0:1, 0:1", "0:1,0:1");
        assert_told("compression.type", "gzip\t", "gzip");
}

Test(config, doubles_are_told_as_java_does) {
        assert_told("min.cleanable.dirty.ratio", "0.50f", "0.5");
        assert_told("min.cleanable.dirty.ratio", "1", "1.0");
        assert_told("min.cleanable.dirty.ratio", "0.00012345", "1.2345E-4");
        assert_told("min.cleanable.dirty.ratio", "0.0001", "1.0E-4");
        assert_told("min.cleanable.dirty.ratio", "4.9e-324", "4.9E-324");
        assert_told("min.cleanable.dirty.ratio", "0x1p-1", "0.5");
        assert_told("min.cleanable.dirty.ratio", "NaN", "NaN");
        assert_told("min.cleanable.dirty.ratio", "0.00000000000000000000000000000000000000000000000000000000000000000000001", "1.0E-71");
}

/* Topics */

static void set(ConfigMap *map, ConfigResource resource, const char *name, const char *value, ConfigSource source) {
        const ConfigKey *key = config_find_key(resource, str_of(name));
        cr_assert(key);
        cr_assert_eq(config_map_set(map, key, str_of(value), source), 0);
}

static void assert_topic(const Config *config, const ConfigMap *topic, const char *name, const char *value, ConfigSource source) {
        ConfigSource found;
        cr_assert_str_eq(text_of(config_topic_str(config, topic, name, &found)), value);
        cr_assert_eq(found, source);
}

Test(config, a_topic_falls_back_to_the_broker_by_precedence) {
        Config config = { .broker = CONFIG_MAP_INIT };
        ConfigMap topic = CONFIG_MAP_INIT;
        assert_topic(&config, &topic, "retention.ms", "604800000", CONFIG_SOURCE_DEFAULT);
        set(&config.broker, CONFIG_RESOURCE_BROKER, "log.retention.hours", "2", CONFIG_SOURCE_STATIC_BROKER);
        assert_topic(&config, &topic, "retention.ms", "7200000", CONFIG_SOURCE_STATIC_BROKER);
        set(&config.broker, CONFIG_RESOURCE_BROKER, "log.retention.minutes", "3", CONFIG_SOURCE_STATIC_BROKER);
        assert_topic(&config, &topic, "retention.ms", "180000", CONFIG_SOURCE_STATIC_BROKER);
        set(&config.broker, CONFIG_RESOURCE_BROKER, "log.retention.ms", "4", CONFIG_SOURCE_STATIC_BROKER);
        assert_topic(&config, &topic, "retention.ms", "4", CONFIG_SOURCE_STATIC_BROKER);
        set(&config.broker, CONFIG_RESOURCE_BROKER, "log.retention.ms", "5", CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER);
        assert_topic(&config, &topic, "retention.ms", "5", CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER);
        set(&config.broker, CONFIG_RESOURCE_BROKER, "log.retention.ms", "6", CONFIG_SOURCE_DYNAMIC_BROKER);
        assert_topic(&config, &topic, "retention.ms", "6", CONFIG_SOURCE_DYNAMIC_BROKER);
        set(&topic, CONFIG_RESOURCE_TOPIC, "retention.ms", "7", CONFIG_SOURCE_TOPIC);
        assert_topic(&config, &topic, "retention.ms", "7", CONFIG_SOURCE_TOPIC);
        config_map_deinit(&topic);
        config_map_deinit(&config.broker);
}

Test(config, unlimited_hours_are_unlimited_ms) {
        Config config = { .broker = CONFIG_MAP_INIT };
        ConfigMap topic = CONFIG_MAP_INIT;
        set(&config.broker, CONFIG_RESOURCE_BROKER, "log.retention.hours", "-1", CONFIG_SOURCE_STATIC_BROKER);
        assert_topic(&config, &topic, "retention.ms", "-1", CONFIG_SOURCE_STATIC_BROKER);
        config_map_deinit(&config.broker);
}

Test(config, logs_get_what_the_topic_says) {
        Config config = { .broker = CONFIG_MAP_INIT };
        ConfigMap topic = CONFIG_MAP_INIT;
        LogConfig log, usual = LOG_CONFIG_INIT;
        config_topic_log(&config, &topic, &log);
        cr_assert(log.segment_bytes == usual.segment_bytes && log.segment_ms == usual.segment_ms);
        cr_assert(log.retention_ms == usual.retention_ms && log.retention_bytes == usual.retention_bytes);
        cr_assert(log.max_message_bytes == usual.max_message_bytes && log.cleanup_delete && !log.cleanup_compact);
        set(&topic, CONFIG_RESOURCE_TOPIC, "cleanup.policy", "compact, delete", CONFIG_SOURCE_TOPIC);
        set(&topic, CONFIG_RESOURCE_TOPIC, "message.timestamp.type", "LogAppendTime", CONFIG_SOURCE_TOPIC);
        set(&config.broker, CONFIG_RESOURCE_BROKER, "log.roll.hours", "1", CONFIG_SOURCE_STATIC_BROKER);
        set(&config.broker, CONFIG_RESOURCE_BROKER, "log.segment.bytes", "2000000", CONFIG_SOURCE_STATIC_BROKER);
        config_topic_log(&config, &topic, &log);
        cr_assert(log.cleanup_delete && log.cleanup_compact && log.message_timestamp_log_append);
        cr_assert(log.segment_ms == 3600000 && log.segment_bytes == 2000000 && log.producers_max == 100000);
        config_map_deinit(&topic);
        config_map_deinit(&config.broker);
}

Test(config, compaction_lags_must_not_cross) {
        Config config = { .broker = CONFIG_MAP_INIT };
        ConfigMap topic = CONFIG_MAP_INIT;
        char message[512];
        set(&topic, CONFIG_RESOURCE_TOPIC, "min.compaction.lag.ms", "100", CONFIG_SOURCE_TOPIC);
        cr_assert(config_validate_topic(&config, &topic, message, sizeof(message)));
        set(&topic, CONFIG_RESOURCE_TOPIC, "max.compaction.lag.ms", "50", CONFIG_SOURCE_TOPIC);
        cr_assert(!config_validate_topic(&config, &topic, message, sizeof(message)));
        cr_assert_str_eq(message, "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)");
        config_map_deinit(&topic);
}

/* Maps */

Test(config, maps_keep_tidy_values_and_forget_null_ones) {
        ConfigMap map = CONFIG_MAP_INIT, copy;
        const ConfigKey *key = config_find_key(CONFIG_RESOURCE_TOPIC, STR("retention.ms"));
        cr_assert_eq(config_map_set(&map, key, STR(" +5000 "), CONFIG_SOURCE_TOPIC), 0);
        cr_assert_str_eq(config_map_find(&map, key)->value, "5000");
        cr_assert_eq(config_map_copy(&map, &copy), 0);
        cr_assert_eq(config_map_set(&map, key, STR_NULL, CONFIG_SOURCE_TOPIC), 0);
        cr_assert(map.count == 0 && !config_map_find(&map, key));
        cr_assert_str_eq(config_map_find(&copy, key)->value, "5000");
        config_map_deinit(&map);
        config_map_deinit(&copy);
}

/* A value that is given in hours is read in milliseconds, and stays where it is while others are read. */
Test(config, values_in_hours_outlive_each_other) {
        Config hours = { .data_dir = NULL };
        ConfigMap topic = CONFIG_MAP_INIT;
        static const char *const keys[] = { "log.retention.hours", "log.roll.hours" };
        for (size_t i = 0; i < 2; i++)
                cr_assert_eq(config_map_set(&hours.broker, config_find_key(CONFIG_RESOURCE_BROKER, str_of(keys[i])), STR("2"),
                                            CONFIG_SOURCE_STATIC_BROKER), 0);
        Str retention = config_topic_str(&hours, &topic, "retention.ms", NULL);
        for (int i = 0; i < 10; i++)
                cr_assert(str_equal(config_topic_str(&hours, &topic, "segment.ms", NULL), STR("7200000")));
        cr_assert_eq(config_map_set(&hours.broker, config_find_key(CONFIG_RESOURCE_BROKER, STR("log.roll.hours")), STR("3"),
                                    CONFIG_SOURCE_STATIC_BROKER), 0);
        cr_assert(str_equal(config_topic_str(&hours, &topic, "segment.ms", NULL), STR("10800000")));
        cr_assert(str_equal(retention, STR("7200000")));
        config_map_deinit(&hours.broker);
}
