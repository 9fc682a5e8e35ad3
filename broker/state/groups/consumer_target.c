/* The target assignment of a group of the consumer protocol. */
#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/assignor.h"
#include "broker/state/groups/consumer_heartbeat.h"
#include "broker/state/groups/consumer_journal.h"
#include "broker/state/groups/java_order.h"
#include "storage/base/trace.h"

#define ASSIGNORS_MAX 8

static bool may_compute(const State *state, const ConsumerGroup *consumer) {
        int32_t interval_ms = group_consumer_setting(state, consumer->group, "consumer.assignment.interval.ms");
        bool went_back = state->now_ms < consumer->target_ms; /* the clock, and until it is there again is too long */
        return consumer->target_ms == 0 || interval_ms == 0 || went_back || state->now_ms >= consumer->target_ms + interval_ms;
}

typedef struct Vote {
        Str name;
        int32_t votes;
} Vote;

/* The assignor that most members ask for; of several the one that Kafka's table has first; without any the configured one. */
static const Assignor *preferred(const State *state, const ConsumerGroup *consumer) {
        Vote votes[ASSIGNORS_MAX];
        uint32_t hashes[ASSIGNORS_MAX];
        int32_t count = 0, order[ASSIGNORS_MAX];
        LIST_FOREACH(&consumer->members, node) {
                const char *name = container_of(node, ConsumerMember, node)->assignor;
                int32_t i = 0;
                while (name && i < count && !str_equal(votes[i].name, str_of(name)))
                        i++;
                if (name && i == count && count < ASSIGNORS_MAX) {
                        hashes[count] = java_hash_string(str_of(name));
                        votes[count++] = (Vote){ .name = str_of(name) };
                }
                if (name && i < count)
                        votes[i].votes++;
        }
        const Vote *best = NULL;
        java_order(hashes, count, java_buckets_grown(count), order);
        for (int32_t i = 0; i < count; i++)
                if (!best || votes[order[i]].votes > best->votes)
                        best = &votes[order[i]];
        const Assignor *found = best ? assignor_find(best->name) : NULL;
        return found ? found : assignor_find(consumer_default_assignor(state->config));
}

Str consumer_default_assignor(const Config *config) {
        Str list = config_str(config, "group.consumer.assignors"), item;
        while (config_next_item(&list, &item))
                if (assignor_find(item))
                        return item;
        return STR("uniform");
}

Str consumer_preferred_assignor(const State *state, const ConsumerGroup *consumer) {
        return str_of(preferred(state, consumer)->name);
}

/* ---- what the assignor is given */

static int compare_topics(const void *left, const void *right) {
        return memcmp(((const AssignorTopic *)left)->id.bytes, ((const AssignorTopic *)right)->id.bytes, 16);
}

static bool list_topics(const State *state, const ConsumerGroup *consumer, Arena *arena, AssignorSpec *spec) {
        AssignorTopic *topics = arena_alloc_array(arena, consumer->topics.count, sizeof(*topics));
        if (!topics)
                return false;
        HASHMAP_FOREACH(&consumer->topics, node) {
                const Topic *topic = topic_find(state, str_of(container_of(node, SubscribedTopic, node)->name));
                if (topic)
                        topics[spec->topic_count++] = (AssignorTopic){ topic->id, topic->partition_count };
        }
        if (spec->topic_count)
                qsort(topics, (size_t)spec->topic_count, sizeof(*topics), compare_topics);
        spec->topics = topics;
        return true;
}

static int compare_places(const void *left, const void *right) {
        return *(const int32_t *)left - *(const int32_t *)right;
}

static void add_names(const State *state, const AssignorSpec *spec, const NameSet *names, int32_t *places, int32_t *count) {
        for (int32_t i = 0; i < names->count; i++) {
                const Topic *topic = topic_find(state, str_of(names->names[i]));
                int32_t place = topic ? assignor_topic(spec, &topic->id) : -1;
                if (place >= 0)
                        places[(*count)++] = place;
        }
}

/* The topics that a member reads, by name and by pattern. */
static bool list_member_topics(const State *state, const AssignorSpec *spec, const ConsumerMember *member, Arena *arena,
                               AssignorMember *out) {
        const GroupRegex *regex = member->regex[0] ? consumer_regex(member->consumer, str_of(member->regex)) : NULL;
        int32_t by_regex = regex && regex->is_resolved ? regex->topics.count : 0, count = 0, kept = 0;
        int32_t *places = arena_alloc_array(arena, (size_t)member->topics.count + (size_t)by_regex, sizeof(*places));
        if (!places)
                return false;
        add_names(state, spec, &member->topics, places, &count);
        if (by_regex)
                add_names(state, spec, &regex->topics, places, &count);
        if (count)
                qsort(places, (size_t)count, sizeof(*places), compare_places);
        for (int32_t i = 0; i < count; i++)
                if (kept == 0 || places[kept - 1] != places[i])
                        places[kept++] = places[i];
        out->topics = places;
        out->topic_count = kept;
        out->name_count = member->topics.count + by_regex;
        return true;
}

/* The target so far, without what no longer exists. */
static bool copy_current(const AssignorSpec *spec, const ConsumerMember *member, PartitionSet *ret_set) {
        for (int32_t i = 0; i < member->target.count; i++) {
                const SetPartition *item = &member->target.items[i];
                int32_t topic = assignor_topic(spec, &item->topic);
                if (topic >= 0 && item->index >= 0 && item->index < spec->topics[topic].partition_count)
                        partition_set_add(ret_set, &item->topic, item->index, 0);
        }
        return !ret_set->failed;
}

static bool list_members(const State *state, const ConsumerGroup *consumer, Arena *arena, AssignorSpec *spec, PartitionSet *currents) {
        LIST_FOREACH(&consumer->members, node) {
                const ConsumerMember *member = container_of(node, ConsumerMember, node);
                AssignorMember *out = &spec->members[spec->member_count];
                *out = (AssignorMember){ .id = str_of(member->id), .instance_id = str_of(member->instance_id),
                                         .current = &currents[spec->member_count] };
                if (!list_member_topics(state, spec, member, arena, out) || !copy_current(spec, member, &currents[spec->member_count++]))
                        return false;
        }
        return true;
}

/* ---- */

static void take_targets(ConsumerGroup *consumer, AssignorSpec *spec, Journal *journal) {
        int32_t i = 0;
        LIST_FOREACH(&consumer->members, node) {
                ConsumerMember *member = container_of(node, ConsumerMember, node);
                PartitionSet *target = &spec->members[i++].target;
                if (member->has_target && partition_set_equal(&member->target, target, false))
                        continue;
                partition_set_deinit(&member->target);
                member->target = *target;
                *target = PARTITION_SET_INIT;
                member->has_target = true;
                consumer_journal_target(journal, member);
        }
}

static int compute(State *state, ConsumerGroup *consumer, Arena *arena, AssignorSpec *spec, Journal *journal) {
        PartitionSet *currents = arena_alloc_array(arena, (size_t)consumer->member_count, sizeof(*currents));
        spec->members = arena_alloc_array(arena, (size_t)consumer->member_count, sizeof(*spec->members));
        int r = currents && spec->members && list_topics(state, consumer, arena, spec) &&
                                list_members(state, consumer, arena, spec, currents)
                        ? preferred(state, consumer)->assign(spec, arena)
                        : -ENOMEM;
        if (r == 0) {
                take_targets(consumer, spec, journal);
                consumer->target_epoch = consumer->epoch;
                consumer->target_ms = state->now_ms;
                consumer_journal_target_epoch(journal, consumer);
        }
        for (int32_t i = 0; i < spec->member_count; i++) {
                partition_set_deinit(&spec->members[i].target);
                partition_set_deinit(&currents[i]);
        }
        return r;
}

int group_consumer_update_target(State *state, ConsumerGroup *consumer, Journal *journal) {
        if (consumer->target_epoch >= consumer->epoch || !may_compute(state, consumer))
                return 0;
        Arena arena = ARENA_INIT(0);
        AssignorSpec spec = { .is_homogeneous = consumer_is_homogeneous(consumer) };
        int r = compute(state, consumer, &arena, &spec, journal);
        arena_deinit(&arena);
        return r;
}
