/* Subscriptions to client metrics, and the clients that have them. */
#include "broker/state/telemetry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state/metadata/resource_configs.h"
#include "broker/state/regex.h"
#include "broker/state/state.h"
#include "storage/base/buffer.h"
#include "storage/base/crc32c.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/compress.h"

#define PATTERN_LENGTH_MAX 255 /* of a match, which was limited when it was set */
#define INTERVAL_MS_MAX 300000 /* of a client that no subscription asks for less */

typedef struct Instance {
        HashNode by_id;
        ListNode by_age;
        Uuid id;
        ListNode by_connection;
        int64_t version; /* of the subscriptions that the rest was computed from */
        int32_t subscription_id, push_interval_ms;
        int64_t seen_ms, subscribed_ms, pushed_ms; /* monotonic; INT64_MIN: never */
        bool is_terminating;
} Instance;

struct Telemetry {
        HashMap instances;
        List by_age; /* the one seen last at the end */
};

int telemetry_open(State *state) {
        state->telemetry = calloc(1, sizeof(*state->telemetry));
        if (!state->telemetry)
                return -ENOMEM;
        list_init(&state->telemetry->by_age);
        return 0;
}

static void forget(Telemetry *telemetry, Instance *instance) {
        hashmap_remove(&telemetry->instances, &instance->by_id);
        list_remove(&instance->by_age);
        list_remove(&instance->by_connection);
        free(instance);
}

void telemetry_close(State *state) {
        Telemetry *telemetry = state->telemetry;
        if (!telemetry)
                return;
        HASHMAP_FOREACH(&telemetry->instances, node)
                forget(telemetry, container_of(node, Instance, by_id));
        hashmap_deinit(&telemetry->instances);
        free(telemetry);
        state->telemetry = NULL;
}

void telemetry_forget(State *state, List *instances) {
        while (!list_is_empty(instances))
                forget(state->telemetry, container_of(list_first(instances), Instance, by_connection));
}

static Str trim(Str s) {
        while (s.len && s.data[0] == ' ')
                s = (Str){ .data = s.data + 1, .len = s.len - 1 };
        while (s.len && s.data[s.len - 1] == ' ')
                s.len--;
        return s;
}

/* NAME=PATTERN, with nothing behind a second '='. */
static bool split_match(Str item, Str *ret_name, Str *ret_pattern) {
        const char *sign = item.len ? memchr(item.data, '=', item.len) : NULL;
        if (!sign)
                return false;
        size_t before = (size_t)(sign - item.data);
        Str rest = { .data = sign + 1, .len = item.len - before - 1 };
        *ret_name = trim((Str){ .data = item.data, .len = before });
        *ret_pattern = trim(rest);
        return rest.len > 0 && !memchr(rest.data, '=', rest.len);
}

/* What the name stands for; false where it stands for nothing. The port and the id become text in the buffer. */
static bool value_of(const TelemetryClient *client, Str name, char buffer[static UUID_TEXT_SIZE], Str *ret_value) {
        if (str_equal(name, STR("client_instance_id")))
                *ret_value = str_of(uuid_to_text(&client->instance_id, buffer));
        else if (str_equal(name, STR("client_id")))
                *ret_value = client->client_id;
        else if (str_equal(name, STR("client_software_name")))
                *ret_value = client->software_name;
        else if (str_equal(name, STR("client_software_version")))
                *ret_value = client->software_version;
        else if (str_equal(name, STR("client_source_address")))
                *ret_value = client->source_address;
        else if (str_equal(name, STR("client_source_port")))
                *ret_value = (Str){ .data = buffer, .len = (size_t)snprintf(buffer, UUID_TEXT_SIZE, "%d", client->source_port) };
        else
                return false;
        return true;
}

/* Whether the item is sound; if so, *ret_matches whether the client matches it. */
static bool match_item(const TelemetryClient *client, Str item, bool *ret_matches) {
        Str name, text, value;
        char buffer[UUID_TEXT_SIZE], message[128];
        if (!split_match(item, &name, &text) || !value_of(client, name, buffer, &value) || text.len == 0 || text.len > PATTERN_LENGTH_MAX)
                return false;
        Regex *regex = regex_new(REGEX_JAVA, text, message, sizeof(message));
        if (!regex)
                return false;
        *ret_matches = regex_matches(regex, value, NULL);
        regex_free(regex);
        return true;
}

bool telemetry_check_match(Str match, Str *ret_item) {
        static const TelemetryClient nobody = { .source_port = 0 };
        bool matches;
        if (trim(match).len == 0)
                return true;
        while (config_next_item(&match, ret_item))
                if (!match_item(&nobody, *ret_item, &matches))
                        return false;
        return true;
}

static Str config_value(const ConfigMap *config, const char *name) {
        const ConfigEntry *entry = config_map_find(config, config_find_key(CONFIG_RESOURCE_CLIENT_METRICS, str_of(name)));
        return entry ? str_of(entry->value) : STR("");
}

static bool is_meant(const TelemetryClient *client, const ConfigMap *config) {
        Str match = config_value(config, "match"), item;
        bool matches = true;
        if (trim(match).len == 0)
                return true;
        while (matches && config_next_item(&match, &item))
                matches = match_item(client, item, &matches) && matches;
        return matches;
}

static int compare_metrics(const void *a, const void *b) {
        return str_compare(*(const Str *)a, *(const Str *)b);
}

/* In order, each once; one "*" stands for all. */
static void tidy_metrics(TelemetrySubscription *subscription) {
        int32_t kept = 0;
        qsort(subscription->metrics, (size_t)subscription->metric_count, sizeof(Str), compare_metrics);
        for (int32_t i = 0; i < subscription->metric_count; i++) {
                if (kept == 0 || !str_equal(subscription->metrics[kept - 1], subscription->metrics[i]))
                        subscription->metrics[kept++] = subscription->metrics[i];
                if (str_equal(subscription->metrics[i], STR("*"))) {
                        subscription->metrics[0] = subscription->metrics[i];
                        kept = 1;
                        break;
                }
        }
        subscription->metric_count = kept;
}

/* A checksum of what is asked for, mixed with the id of who is asked: the same after a restart. */
static int compute_id(TelemetrySubscription *subscription, const Uuid *instance_id) {
        Buffer text = BUFFER_INIT;
        buffer_append(&text, "[", 1);
        for (int32_t i = 0; i < subscription->metric_count; i++) {
                buffer_append_str(&text, i ? STR(", ") : STR(""));
                buffer_append_str(&text, subscription->metrics[i]);
        }
        buffer_printf(&text, "]%d", subscription->push_interval_ms);
        uint64_t mixed = load_be64(instance_id->bytes) ^ load_be64(instance_id->bytes + 8);
        int r = text.failed ? -ENOMEM : 0;
        if (r == 0)
                subscription->id = (int32_t)(crc32c(0, text.data, text.size) ^ (uint32_t)(mixed >> 32) ^ (uint32_t)mixed);
        buffer_deinit(&text);
        return r;
}

static int32_t count_items(Str list) {
        int32_t count = 0;
        for (Str item; trim(list).len && config_next_item(&list, &item);)
                count++;
        return count;
}

/* All subscriptions that are meant for the client, as one. */
static int compute_subscription(const State *state, const TelemetryClient *client, Arena *arena, TelemetrySubscription *ret_subscription) {
        const HashMap *all = resource_configs(state, CONFIG_RESOURCE_CLIENT_METRICS);
        TelemetrySubscription result = { .push_interval_ms = INTERVAL_MS_MAX };
        int64_t count = 0, interval_ms;
        HASHMAP_FOREACH(all, node)
                count += count_items(config_value(&container_of(node, ResourceConfig, by_name)->config, "metrics"));
        result.metrics = arena_alloc_array(arena, (size_t)count, sizeof(Str));
        if (!result.metrics)
                return -ENOMEM;
        HASHMAP_FOREACH(all, node) {
                const ConfigMap *config = &container_of(node, ResourceConfig, by_name)->config;
                Str metrics = config_value(config, "metrics"), item;
                if (!is_meant(client, config))
                        continue;
                while (trim(metrics).len && config_next_item(&metrics, &item))
                        result.metrics[result.metric_count++] = item;
                if (str_to_int64(config_value(config, "interval.ms"), 0, result.push_interval_ms, &interval_ms))
                        result.push_interval_ms = (int32_t)interval_ms;
        }
        tidy_metrics(&result);
        int r = compute_id(&result, &client->instance_id);
        *ret_subscription = result;
        return r;
}

static bool is_stale(const State *state, const Instance *instance) {
        int64_t idle_ms = 3 * (int64_t)instance->push_interval_ms;
        return instance->version != state->client_metrics_version ||
               state->mono_ms - instance->seen_ms > (idle_ms > TELEMETRY_IDLE_MS ? idle_ms : TELEMETRY_IDLE_MS);
}

/* The client's instance, made anew where there is none or where the subscriptions have changed. */
static int obtain(State *state, const TelemetryClient *client, const TelemetrySubscription *subscription, Instance **ret_instance) {
        Telemetry *telemetry = state->telemetry;
        HashNode *node = hashmap_find(&telemetry->instances, uuid_key(&client->instance_id));
        Instance *instance = node ? container_of(node, Instance, by_id) : NULL;
        if (instance && is_stale(state, instance)) {
                forget(telemetry, instance);
                instance = NULL;
        }
        if (!instance) {
                if ((int64_t)telemetry->instances.count >= config_int(state->config, "odradek.max.telemetry.instances"))
                        forget(telemetry, container_of(list_first(&telemetry->by_age), Instance, by_age));
                instance = calloc(1, sizeof(*instance));
                if (!instance)
                        return -ENOMEM;
                instance->id = client->instance_id;
                instance->version = state->client_metrics_version;
                instance->subscription_id = subscription->id;
                instance->push_interval_ms = subscription->push_interval_ms;
                instance->subscribed_ms = instance->pushed_ms = INT64_MIN;
                if (hashmap_insert(&telemetry->instances, uuid_key(&instance->id), &instance->by_id) < 0) {
                        free(instance);
                        return -ENOMEM;
                }
        }
        list_remove(&instance->by_age);
        list_append(&telemetry->by_age, &instance->by_age);
        list_remove(&instance->by_connection);
        if (client->instances)
                list_append(client->instances, &instance->by_connection);
        instance->seen_ms = state->mono_ms;
        *ret_instance = instance;
        return 0;
}

static bool is_due(const State *state, const Instance *instance, int64_t last_ms) {
        return last_ms == INT64_MIN || state->mono_ms - last_ms >= instance->push_interval_ms;
}

int telemetry_subscribe(State *state, const TelemetryClient *client, Arena *arena, TelemetrySubscription *ret_subscription) {
        Instance *instance;
        int r = compute_subscription(state, client, arena, ret_subscription);
        if (r == 0)
                r = obtain(state, client, ret_subscription, &instance);
        if (r)
                return r;
        int64_t last_ms = instance->subscribed_ms > instance->pushed_ms ? instance->subscribed_ms : instance->pushed_ms;
        if (!is_due(state, instance, last_ms))
                return KAFKA_THROTTLING_QUOTA_EXCEEDED;
        instance->subscribed_ms = state->mono_ms;
        return 0;
}

/* Right after it subscribed a client may push at any time: it spreads its first push. */
static int check_push(State *state, Instance *instance, const TelemetryPush *push) {
        if (instance->is_terminating)
                return KAFKA_INVALID_REQUEST;
        if (instance->subscribed_ms > instance->pushed_ms || is_due(state, instance, instance->pushed_ms))
                instance->pushed_ms = state->mono_ms;
        else if (!push->terminating)
                return KAFKA_THROTTLING_QUOTA_EXCEEDED;
        if (push->subscription_id != instance->subscription_id)
                return KAFKA_UNKNOWN_SUBSCRIPTION_ID;
        if (push->compression_type < 0 || push->compression_type >= CODEC_COUNT)
                return KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
        if ((int64_t)push->metrics.len > config_int(state->config, "telemetry.max.bytes"))
                return KAFKA_TELEMETRY_TOO_LARGE;
        return 0;
}

static int check_metrics(const TelemetryPush *push) {
        if (push->compression_type == CODEC_NONE || push->metrics.len == 0)
                return 0;
        Buffer inflated = BUFFER_INIT;
        int r = codec_decompress(push->compression_type, push->metrics.data, push->metrics.len, TELEMETRY_METRICS_BYTES_MAX, &inflated);
        buffer_deinit(&inflated);
        return r > 0 ? KAFKA_INVALID_RECORD : r;
}

int telemetry_push(State *state, const TelemetryClient *client, const TelemetryPush *push) {
        Arena arena = ARENA_INIT(0);
        TelemetrySubscription subscription;
        Instance *instance;
        int r = compute_subscription(state, client, &arena, &subscription);
        if (r == 0)
                r = obtain(state, client, &subscription, &instance);
        arena_deinit(&arena);
        if (r)
                return r;
        r = check_push(state, instance, push);
        instance->is_terminating = push->terminating;
        return r ? r : check_metrics(push);
}
