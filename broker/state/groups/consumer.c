/* Groups of the consumer protocol: the group, what its members read together, and who has what. */
#include "broker/state/groups/consumer.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/consumer_regex.h"
#include "storage/base/endian.h"
#include "storage/base/trace.h"
#include "storage/base/xxh3.h"

ConsumerGroup *consumer_new(Group *group) {
        ConsumerGroup *consumer = calloc(1, sizeof(*consumer));
        if (!consumer)
                return NULL;
        consumer->group = group;
        consumer->epoch = consumer->target_epoch = CONSUMER_GROUP_FIRST_EPOCH;
        consumer->metadata_version = -1;
        list_init(&consumer->members);
        return consumer;
}

static void free_topics(ConsumerGroup *consumer) {
        HASHMAP_FOREACH(&consumer->topics, node) {
                SubscribedTopic *topic = container_of(node, SubscribedTopic, node);
                free(topic->name);
                free(topic);
        }
        hashmap_deinit(&consumer->topics);
}

static void free_regexes(ConsumerGroup *consumer) {
        HASHMAP_FOREACH(&consumer->regexes, node) {
                GroupRegex *regex = container_of(node, GroupRegex, node);
                name_set_deinit(&regex->topics);
                free(regex->pattern);
                free(regex);
        }
        hashmap_deinit(&consumer->regexes);
}

static void free_holders(ConsumerGroup *consumer) {
        HASHMAP_FOREACH(&consumer->holders, node) {
                TopicHolders *holders = container_of(node, TopicHolders, node);
                free(holders->holders);
                free(holders);
        }
        hashmap_deinit(&consumer->holders);
}

void consumer_free(State *state, ConsumerGroup *consumer) {
        if (!consumer)
                return;
        regex_scan_stop(state, consumer);
        LIST_FOREACH(&consumer->members, node)
                consumer_remove(state, container_of(node, ConsumerMember, node));
        hashmap_deinit(&consumer->by_id);
        free_topics(consumer);
        free_regexes(consumer);
        free_holders(consumer);
        free(consumer);
}

void consumer_attach(Group *group, ConsumerGroup *consumer) {
        group->consumer = consumer;
        group_set_text(&group->protocol_type, STR("consumer"));
        group_set_text(&group->protocol, STR_NULL);
        consumer_update_state(consumer);
}

void consumer_detach(State *state, Group *group) {
        consumer_free(state, group->consumer);
        group->consumer = NULL;
        group_set_text(&group->protocol_type, STR_NULL);
        group->state = GROUP_EMPTY;
        group->state_since_ms = state->now_ms;
        group->generation = 0;
}

void consumer_update_state(ConsumerGroup *consumer) {
        Group *group = consumer->group;
        if (group->consumer != consumer)
                return;
        group->state = consumer->member_count == 0                   ? GROUP_EMPTY
                       : consumer->epoch > consumer->target_epoch ? GROUP_ASSIGNING
                                                                  : GROUP_STABLE;
        if (group->state != GROUP_STABLE)
                return;
        LIST_FOREACH(&consumer->members, node)
                if (!consumer_is_reconciled(container_of(node, ConsumerMember, node), consumer->target_epoch))
                        group->state = GROUP_RECONCILING;
}

int32_t consumer_classic_count(const ConsumerGroup *consumer) {
        int32_t count = 0;
        LIST_FOREACH(&consumer->members, node)
                count += container_of(node, ConsumerMember, node)->classic != NULL;
        return count;
}

/* ---- what is read */

static bool is_regex_homogeneous(const ConsumerGroup *consumer) {
        int32_t patterns = 0, members = 0;
        HASHMAP_FOREACH(&consumer->regexes, node) {
                int32_t count = container_of(node, GroupRegex, node)->member_count;
                patterns += count > 0;
                members += count;
        }
        if (patterns != 1 || members != consumer->member_count)
                return false;
        HASHMAP_FOREACH(&consumer->topics, node) {
                const SubscribedTopic *topic = container_of(node, SubscribedTopic, node);
                if (topic->by_regex != 1 || topic->by_name > 0)
                        return false;
        }
        return true;
}

bool consumer_is_homogeneous(const ConsumerGroup *consumer) {
        HASHMAP_FOREACH(&consumer->regexes, node)
                if (container_of(node, GroupRegex, node)->member_count > 0)
                        return is_regex_homogeneous(consumer);
        HASHMAP_FOREACH(&consumer->topics, node)
                if (container_of(node, SubscribedTopic, node)->by_name != consumer->member_count)
                        return false;
        return true;
}

static SubscribedTopic *get_topic(ConsumerGroup *consumer, Str name) {
        HashNode *node = hashmap_find(&consumer->topics, name);
        if (node)
                return container_of(node, SubscribedTopic, node);
        SubscribedTopic *topic = calloc(1, sizeof(*topic));
        if (!topic || !(topic->name = str_dup(name)) || hashmap_insert(&consumer->topics, str_of(topic->name), &topic->node) < 0) {
                trace_error("out of memory");
                if (topic)
                        free(topic->name);
                free(topic);
                return NULL;
        }
        return topic;
}

static void count_topics(ConsumerGroup *consumer, const NameSet *names, int32_t by_name, int32_t by_regex) {
        for (int32_t i = 0; i < names->count; i++) {
                SubscribedTopic *topic = get_topic(consumer, str_of(names->names[i]));
                if (!topic)
                        continue;
                topic->by_name += by_name;
                topic->by_regex += by_regex;
                if (topic->by_name > 0 || topic->by_regex > 0)
                        continue;
                hashmap_remove(&consumer->topics, &topic->node);
                free(topic->name);
                free(topic);
        }
}

bool consumer_set_topics(ConsumerMember *member, NameSet *topics) {
        if (name_set_equal(&member->topics, topics)) {
                name_set_deinit(topics);
                return false;
        }
        count_topics(member->consumer, topics, 1, 0);
        count_topics(member->consumer, &member->topics, -1, 0);
        name_set_deinit(&member->topics);
        member->topics = *topics;
        *topics = NAME_SET_INIT;
        return true;
}

bool consumer_reads(const ConsumerMember *member, Str topic) {
        if (name_set_has(&member->topics, topic))
                return true;
        const GroupRegex *regex = member->regex[0] ? consumer_regex(member->consumer, str_of(member->regex)) : NULL;
        return regex && regex->is_resolved && name_set_has(&regex->topics, topic);
}

/* ---- patterns */

GroupRegex *consumer_regex(const ConsumerGroup *consumer, Str pattern) {
        HashNode *node = hashmap_find(&consumer->regexes, pattern);
        return node ? container_of(node, GroupRegex, node) : NULL;
}

int32_t consumer_regex_members(const ConsumerGroup *consumer, Str pattern) {
        const GroupRegex *regex = consumer_regex(consumer, pattern);
        return regex ? regex->member_count : 0;
}

static GroupRegex *get_regex(ConsumerGroup *consumer, Str pattern) {
        GroupRegex *regex = consumer_regex(consumer, pattern);
        if (regex || !(regex = calloc(1, sizeof(*regex))))
                return regex;
        regex->pattern = str_dup(pattern);
        if (regex->pattern && hashmap_insert(&consumer->regexes, str_of(regex->pattern), &regex->node) == 0)
                return regex;
        free(regex->pattern);
        free(regex);
        return NULL;
}

static void drop_unused(ConsumerGroup *consumer, GroupRegex *regex) {
        if (regex->member_count > 0 || regex->is_resolved)
                return;
        hashmap_remove(&consumer->regexes, &regex->node);
        free(regex->pattern);
        free(regex);
}

bool consumer_set_regex(ConsumerMember *member, Str pattern) {
        ConsumerGroup *consumer = member->consumer;
        if (str_equal(str_of(member->regex), pattern))
                return false;
        GroupRegex *before = member->regex[0] ? consumer_regex(consumer, str_of(member->regex)) : NULL;
        GroupRegex *after = pattern.len ? get_regex(consumer, pattern) : NULL;
        char *text = str_dup(pattern);
        if (!text || (pattern.len && !after)) {
                trace_error("out of memory");
                free(text);
                return false;
        }
        if (after)
                after->member_count++;
        if (before) {
                before->member_count--;
                drop_unused(consumer, before);
        }
        free(member->regex);
        member->regex = text;
        return true;
}

int consumer_resolve(ConsumerGroup *consumer, Str pattern, NameSet *topics, int64_t version, int64_t resolved_ms) {
        GroupRegex *regex = get_regex(consumer, pattern);
        if (!regex) {
                name_set_deinit(topics);
                return -ENOMEM;
        }
        count_topics(consumer, topics, 0, 1);
        if (regex->is_resolved)
                count_topics(consumer, &regex->topics, 0, -1);
        name_set_deinit(&regex->topics);
        regex->topics = *topics;
        *topics = NAME_SET_INIT;
        regex->is_resolved = true;
        regex->version = version;
        regex->resolved_ms = resolved_ms;
        return 0;
}

void consumer_unresolve(ConsumerGroup *consumer, Str pattern) {
        GroupRegex *regex = consumer_regex(consumer, pattern);
        if (!regex || !regex->is_resolved)
                return;
        count_topics(consumer, &regex->topics, 0, -1);
        name_set_deinit(&regex->topics);
        regex->is_resolved = false;
        drop_unused(consumer, regex);
}

/* ---- the hash of what is read: Kafka's bytes, so that a Kafka that takes over sees no change */

static void put_le(Buffer *out, uint64_t value, int size) {
        uint8_t *to = buffer_extend(out, (size_t)size);
        for (int i = 0; to && i < size; i++)
                to[i] = (uint8_t)(value >> (8 * i));
}

/* In units of UTF-16, and then how many there are; names and racks are ASCII. */
static void put_text(Buffer *out, Str text) {
        for (size_t i = 0; i < text.len; i++)
                put_le(out, (uint8_t)text.data[i], 2);
        put_le(out, text.len, 4);
}

static uint64_t hash_topic(const State *state, const Topic *topic, Buffer *scratch) {
        Str rack = config_str(state->config, "broker.rack");
        buffer_clear(scratch);
        put_le(scratch, 0, 1);
        put_le(scratch, load_be64(topic->id.bytes), 8);
        put_le(scratch, load_be64(topic->id.bytes + 8), 8);
        put_text(scratch, str_of(topic->name));
        put_le(scratch, (uint32_t)topic->partition_count, 4);
        for (int32_t i = 0; i < topic->partition_count; i++) {
                put_le(scratch, (uint32_t)i, 4);
                if (str_is_null(rack))
                        continue;
                put_le(scratch, rack.len, 4);
                put_text(scratch, rack);
        }
        return xxh3_64(scratch->data, scratch->size);
}

static int compare_names(const void *left, const void *right) {
        return strcmp((*(const Topic *const *)left)->name, (*(const Topic *const *)right)->name);
}

uint64_t consumer_metadata_hash(const State *state, const ConsumerGroup *consumer) {
        const Topic **known = calloc(consumer->topics.count + 1, sizeof(*known));
        Buffer scratch = BUFFER_INIT, hashes = BUFFER_INIT;
        size_t count = 0;
        HASHMAP_FOREACH(&consumer->topics, node) {
                const Topic *topic = known ? topic_find(state, str_of(container_of(node, SubscribedTopic, node)->name)) : NULL;
                if (topic)
                        known[count++] = topic;
        }
        if (count)
                qsort(known, count, sizeof(*known), compare_names);
        for (size_t i = 0; i < count; i++)
                put_le(&hashes, hash_topic(state, known[i], &scratch), 8);
        uint64_t hash = count ? xxh3_64(hashes.data, hashes.size) : 0;
        buffer_deinit(&scratch);
        buffer_deinit(&hashes);
        free(known);
        return hash;
}
