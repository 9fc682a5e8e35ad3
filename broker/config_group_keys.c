/* Configs of groups and of client metrics, as Apache Kafka 4.3 names them. They are described with their defaults, which for groups
 * are the broker's; none can be set yet. */
#include "broker/config.h"

const ConfigKey group_config_keys[] = {
        { "consumer.assignment.interval.ms", CONFIG_TYPE_INT, "1000", .min = 0, .max = INT32_MAX, .synonym = "group.consumer.assignment.interval.ms" },
        { "consumer.heartbeat.interval.ms", CONFIG_TYPE_INT, "5000", .min = 0, .max = INT32_MAX, .synonym = "group.consumer.heartbeat.interval.ms" },
        { "consumer.session.timeout.ms", CONFIG_TYPE_INT, "45000", .min = 0, .max = INT32_MAX, .synonym = "group.consumer.session.timeout.ms" },
        { "share.assignment.interval.ms", CONFIG_TYPE_INT, "1000", .min = 0, .max = INT32_MAX, .synonym = "group.share.assignment.interval.ms" },
        { "share.auto.offset.reset", CONFIG_TYPE_STRING, "latest" },
        { "share.delivery.count.limit", CONFIG_TYPE_INT, "5", .min = 0, .max = INT32_MAX, .synonym = "group.share.delivery.count.limit" },
        { "share.heartbeat.interval.ms", CONFIG_TYPE_INT, "5000", .min = 0, .max = INT32_MAX, .synonym = "group.share.heartbeat.interval.ms" },
        { "share.isolation.level", CONFIG_TYPE_STRING, "read_uncommitted" },
        { "share.partition.max.record.locks", CONFIG_TYPE_INT, "2000", .min = 0, .max = INT32_MAX, .synonym = "group.share.partition.max.record.locks" },
        { "share.record.lock.duration.ms", CONFIG_TYPE_INT, "30000", .min = 0, .max = INT32_MAX, .synonym = "group.share.record.lock.duration.ms" },
        { "share.renew.acknowledge.enable", CONFIG_TYPE_BOOLEAN, "true" },
        { "share.session.timeout.ms", CONFIG_TYPE_INT, "45000", .min = 0, .max = INT32_MAX, .synonym = "group.share.session.timeout.ms" },
        { "streams.assignment.interval.ms", CONFIG_TYPE_INT, "1000", .min = 0, .max = INT32_MAX, .synonym = "group.streams.assignment.interval.ms" },
        { "streams.heartbeat.interval.ms", CONFIG_TYPE_INT, "5000", .min = 0, .max = INT32_MAX, .synonym = "group.streams.heartbeat.interval.ms" },
        { "streams.initial.rebalance.delay.ms", CONFIG_TYPE_INT, "3000", .min = 0, .max = INT32_MAX, .synonym = "group.streams.initial.rebalance.delay.ms" },
        { "streams.num.standby.replicas", CONFIG_TYPE_INT, "0", .min = 0, .max = INT32_MAX, .synonym = "group.streams.num.standby.replicas" },
        { "streams.session.timeout.ms", CONFIG_TYPE_INT, "45000", .min = 0, .max = INT32_MAX, .synonym = "group.streams.session.timeout.ms" },
};
const size_t group_config_key_count = sizeof(group_config_keys) / sizeof(group_config_keys[0]);

const ConfigKey client_metrics_config_keys[] = {
        { "interval.ms", CONFIG_TYPE_INT, "300000", .min = 0, .max = INT32_MAX },
        { "match", CONFIG_TYPE_LIST, "" },
        { "metrics", CONFIG_TYPE_LIST, "" },
};
const size_t client_metrics_config_key_count = sizeof(client_metrics_config_keys) / sizeof(client_metrics_config_keys[0]);
