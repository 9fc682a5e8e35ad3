/* Uniform, for members that all name the same topics: everybody gets the same number of partitions, give or take one, and keeps as
 * many of its old ones as that allows. */
#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/assignor.h"
#include "broker/state/groups/java_order.h"

typedef struct Free {
        int32_t topic, partition;
} Free;

typedef struct Uniform {
        AssignorSpec *spec;
        int32_t **owners;
        Free *free;          /* partitions to give away, in the order of giving */
        int32_t free_count;
        int32_t *unfilled, *room; /* members, and how many more each takes */
        int32_t unfilled_count;
        int32_t quota, extra;     /* extra: how many members take one more */
        uint32_t *hashes;
        int32_t *order;
} Uniform;

/* The position of a topic that the members read, or -1. */
static int32_t find_topic(const AssignorSpec *spec, const Uuid *id) {
        int32_t topic = assignor_topic(spec, id);
        return topic >= 0 && assignor_is_subscribed(&spec->members[0], topic) ? topic : -1;
}

static int64_t count_partitions(const AssignorSpec *spec) {
        int64_t count = 0;
        for (int32_t i = 0; i < spec->members[0].topic_count; i++)
                count += spec->topics[spec->members[0].topics[i]].partition_count;
        return count;
}

static int32_t longest(int32_t a, int32_t b) {
        return a > b ? a : b;
}

static bool prepare(Uniform *u, AssignorSpec *spec, Arena *arena) {
        int64_t total = count_partitions(spec);
        int32_t widest = longest(spec->topic_count, spec->member_count);
        for (int32_t t = 0; t < spec->topic_count; t++)
                widest = longest(widest, spec->topics[t].partition_count);
        *u = (Uniform){
                .spec = spec,
                .owners = assignor_owners(spec, arena),
                .free = arena_alloc_array(arena, (size_t)total, sizeof(Free)),
                .unfilled = arena_alloc_array(arena, (size_t)spec->member_count, sizeof(int32_t)),
                .room = arena_alloc_array(arena, (size_t)spec->member_count, sizeof(int32_t)),
                .quota = (int32_t)(total / spec->member_count),
                .extra = (int32_t)(total % spec->member_count),
                .hashes = arena_alloc_array(arena, (size_t)widest, sizeof(uint32_t)),
                .order = arena_alloc_array(arena, (size_t)widest, sizeof(int32_t)),
        };
        return u->owners && u->free && u->unfilled && u->room && u->hashes && u->order;
}

static void take_old_owners(Uniform *u) {
        for (int32_t m = 0; m < u->spec->member_count; m++) {
                const PartitionSet *current = u->spec->members[m].current;
                for (int32_t i = 0; i < current->count; i++) {
                        int32_t topic = find_topic(u->spec, &current->items[i].topic);
                        if (topic >= 0)
                                u->owners[topic][current->items[i].index] = m;
                }
        }
}

static void list_free(Uniform *u) {
        const AssignorSpec *spec = u->spec;
        const AssignorMember *any = &spec->members[0];
        for (int32_t i = 0; i < any->topic_count; i++)
                u->hashes[i] = java_hash_uuid(&spec->topics[any->topics[i]].id);
        java_order(u->hashes, any->topic_count, java_buckets_copied(any->name_count), u->order);
        for (int32_t i = 0; i < any->topic_count; i++)
                for (int32_t t = any->topics[u->order[i]], p = 0; p < spec->topics[t].partition_count; p++)
                        if (u->owners[t][p] < 0)
                                u->free[u->free_count++] = (Free){ t, p };
}

/* Takes from a member what it has of one topic beyond its quota. */
static void give_up(Uniform *u, const SetPartition *items, int32_t count, int32_t topic, int32_t quota, int32_t *order) {
        for (int32_t i = 0; i < count; i++)
                u->hashes[i] = (uint32_t)items[i].index;
        java_order(u->hashes, count, java_buckets_copied(count), order);
        for (int32_t i = quota; i < count; i++) {
                int32_t partition = items[order[i]].index;
                u->owners[topic][partition] = -1;
                u->free[u->free_count++] = (Free){ topic, partition };
        }
}

/* What is left of the quota after the member's old partitions. */
static int32_t keep_old(Uniform *u, const PartitionSet *current, int32_t quota, Arena *arena) {
        int32_t topics = partition_set_topics(current), widest = longest(topics, current->count), n = 0;
        int32_t *starts = arena_alloc_array(arena, (size_t)widest, sizeof(int32_t));
        int32_t *walk = arena_alloc_array(arena, (size_t)widest, sizeof(int32_t));
        int32_t *order = arena_alloc_array(arena, (size_t)widest, sizeof(int32_t));
        uint32_t *hashes = arena_alloc_array(arena, (size_t)widest, sizeof(uint32_t));
        if (!starts || !walk || !order || !hashes)
                return -ENOMEM;
        for (int32_t at = 0; at < current->count; at += partition_set_run(current, at)) {
                hashes[n] = java_hash_uuid(&current->items[at].topic);
                starts[n++] = at;
        }
        java_order(hashes, n, java_buckets_grown(n), walk);
        for (int32_t i = 0; i < n; i++) {
                int32_t at = starts[walk[i]], count = partition_set_run(current, at);
                int32_t topic = find_topic(u->spec, &current->items[at].topic);
                if (topic < 0)
                        continue;
                if (count > quota)
                        give_up(u, &current->items[at], count, topic, quota, order);
                quota -= count < quota ? count : quota;
        }
        return quota;
}

/* Each member keeps what its quota allows. Those that have room line up for the rest. */
static int revoke(Uniform *u, Arena *arena) {
        int32_t count = u->spec->member_count;
        int32_t *order = arena_alloc_array(arena, (size_t)count, sizeof(int32_t));
        if (!order)
                return -ENOMEM;
        for (int32_t m = 0; m < count; m++)
                u->hashes[m] = java_hash_string(u->spec->members[m].id);
        java_order(u->hashes, count, java_buckets_grown(count), order);
        for (int32_t i = 0; i < count; i++) {
                bool has_extra = u->extra > 0;
                int32_t quota = keep_old(u, u->spec->members[order[i]].current, u->quota + has_extra, arena);
                if (quota < 0)
                        return quota;
                if (quota > 0 && has_extra && count - i > u->extra) {
                        quota--;
                        has_extra = false;
                }
                if (quota > 0) {
                        u->room[u->unfilled_count] = quota;
                        u->unfilled[u->unfilled_count++] = order[i];
                }
                u->extra -= has_extra;
        }
        return 0;
}

int assign_uniform(AssignorSpec *spec, Arena *arena) {
        Uniform u;
        if (spec->member_count == 0 || spec->topic_count == 0)
                return 0;
        if (!spec->is_homogeneous)
                return assign_heterogeneous(spec, arena);
        if (!prepare(&u, spec, arena))
                return -ENOMEM;
        take_old_owners(&u);
        list_free(&u);
        int r = revoke(&u, arena);
        if (r)
                return r;
        for (int32_t i = 0, next = 0; i < u.unfilled_count; i++)
                for (int32_t k = 0; k < u.room[i] && next < u.free_count; k++, next++)
                        u.owners[u.free[next].topic][u.free[next].partition] = u.unfilled[i];
        return assignor_take_owners(spec, u.owners);
}
