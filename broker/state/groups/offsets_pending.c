/* Pending offsets, by producer and by target: a producer's later commit for a target takes the place of its earlier one. */
#include "broker/state/groups/offsets_pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state/groups/groups.h"
#include "storage/base/error.h"
#include "storage/base/trace.h"

/* What one producer has pending in one partition of __consumer_offsets. */
typedef struct PendingProducer {
        HashNode node;
        struct {
                int64_t producer_id;
                int64_t partition; /* int64_t: no padding in the key */
        } key;
        List offsets; /* of PendingOffset.node */
} PendingProducer;

/* A group's partition, with what is pending for it. */
typedef struct PendingTarget {
        HashNode node;
        List offsets; /* of PendingOffset.by_target, oldest first */
        size_t topic_at;
        size_t size;
        char key[]; /* partition, group, '\0', topic */
} PendingTarget;

/* A producer's last commit for a target. */
typedef struct PendingOffset {
        HashNode by_both;
        ListNode node, by_target;
        struct {
                PendingProducer *producer;
                PendingTarget *target;
        } key;
        int64_t offset, commit_ms;
        int32_t leader_epoch;
        bool is_superseded;
        Str metadata; /* owned */
} PendingOffset;

struct PendingOffsets {
        HashMap producers, targets, offsets;
};

int offsets_pending_open(State *state) {
        state->pending_offsets = calloc(1, sizeof(*state->pending_offsets));
        if (!state->pending_offsets)
                return -ENOMEM;
        state->pending_offsets->producers = state->pending_offsets->targets = state->pending_offsets->offsets = HASHMAP_INIT;
        return 0;
}

static void target_drop_if_empty(State *state, PendingTarget *target) {
        if (!list_is_empty(&target->offsets))
                return;
        hashmap_remove(&state->pending_offsets->targets, &target->node);
        free(target);
}

static void offset_drop(State *state, PendingOffset *offset) {
        list_remove(&offset->node);
        list_remove(&offset->by_target);
        hashmap_remove(&state->pending_offsets->offsets, &offset->by_both);
        target_drop_if_empty(state, offset->key.target);
        free((char *)(uintptr_t)offset->metadata.data);
        free(offset);
}

static void producer_drop(State *state, PendingProducer *producer) {
        LIST_FOREACH(&producer->offsets, node)
                offset_drop(state, container_of(node, PendingOffset, node));
        hashmap_remove(&state->pending_offsets->producers, &producer->node);
        free(producer);
}

void offsets_pending_close(State *state) {
        PendingOffsets *pending = state->pending_offsets;
        if (!pending)
                return;
        HASHMAP_FOREACH(&pending->producers, node)
                producer_drop(state, container_of(node, PendingProducer, node));
        hashmap_deinit(&pending->producers);
        hashmap_deinit(&pending->targets);
        hashmap_deinit(&pending->offsets);
        free(pending);
        state->pending_offsets = NULL;
}

static PendingProducer *producer_find(const State *state, int32_t offsets_partition, int64_t producer_id) {
        PendingProducer like = { .key = { producer_id, offsets_partition } };
        HashNode *node = hashmap_find(&state->pending_offsets->producers, (Str){ (char *)&like.key, sizeof(like.key) });
        return node ? container_of(node, PendingProducer, node) : NULL;
}

static PendingProducer *producer_get(State *state, int32_t offsets_partition, int64_t producer_id) {
        PendingProducer *producer = producer_find(state, offsets_partition, producer_id);
        if (producer || !(producer = calloc(1, sizeof(*producer))))
                return producer;
        producer->key.producer_id = producer_id;
        producer->key.partition = offsets_partition;
        list_init(&producer->offsets);
        if (hashmap_insert(&state->pending_offsets->producers, (Str){ (char *)&producer->key, sizeof(producer->key) }, &producer->node)) {
                free(producer);
                return NULL;
        }
        return producer;
}

static PendingTarget *target_new(Str group, Str topic, int32_t partition) {
        PendingTarget *target = calloc(1, sizeof(*target) + sizeof(partition) + group.len + 1 + topic.len);
        if (!target)
                return NULL;
        memcpy(target->key, &partition, sizeof(partition));
        memcpy(target->key + sizeof(partition), group.data, group.len);
        target->topic_at = sizeof(partition) + group.len + 1;
        memcpy(target->key + target->topic_at, topic.data, topic.len);
        target->size = target->topic_at + topic.len;
        list_init(&target->offsets);
        return target;
}

static PendingTarget *target_find(const State *state, Str group, Str topic, int32_t partition) {
        if (!state->pending_offsets->targets.count)
                return NULL;
        PendingTarget *like = target_new(group, topic, partition);
        HashNode *node = like ? hashmap_find(&state->pending_offsets->targets, (Str){ like->key, like->size }) : NULL;
        free(like);
        return node ? container_of(node, PendingTarget, node) : NULL;
}

static PendingTarget *target_get(State *state, Str group, Str topic, int32_t partition) {
        PendingTarget *target = target_find(state, group, topic, partition);
        if (target || !(target = target_new(group, topic, partition)))
                return target;
        if (hashmap_insert(&state->pending_offsets->targets, (Str){ target->key, target->size }, &target->node)) {
                free(target);
                return NULL;
        }
        return target;
}

/* The producer's commit for the target, made where there is none; NULL without memory. */
static PendingOffset *offset_get(State *state, PendingProducer *producer, PendingTarget *target) {
        PendingOffset like = { .key = { producer, target } };
        HashNode *node = hashmap_find(&state->pending_offsets->offsets, (Str){ (char *)&like.key, sizeof(like.key) });
        if (node)
                return container_of(node, PendingOffset, by_both);
        PendingOffset *offset = calloc(1, sizeof(*offset));
        if (!offset)
                return NULL;
        offset->key = like.key;
        if (hashmap_insert(&state->pending_offsets->offsets, (Str){ (char *)&offset->key, sizeof(offset->key) }, &offset->by_both)) {
                free(offset);
                return NULL;
        }
        list_append(&producer->offsets, &offset->node);
        return offset;
}

int offsets_pending_add(State *state, int32_t offsets_partition, int64_t producer_id, const PendingCommit *commit) {
        char *metadata = str_dup(commit->metadata);
        PendingProducer *producer = metadata ? producer_get(state, offsets_partition, producer_id) : NULL;
        PendingTarget *target = producer ? target_get(state, commit->group, commit->topic, commit->partition) : NULL;
        PendingOffset *offset = target ? offset_get(state, producer, target) : NULL;
        if (!offset) {
                if (target)
                        target_drop_if_empty(state, target);
                if (producer && list_is_empty(&producer->offsets))
                        producer_drop(state, producer);
                free(metadata);
                return -ENOMEM;
        }
        free((char *)(uintptr_t)offset->metadata.data);
        offset->offset = commit->offset;
        offset->commit_ms = commit->commit_ms;
        offset->leader_epoch = commit->leader_epoch;
        offset->metadata = (Str){ metadata, commit->metadata.len };
        offset->is_superseded = false;
        list_remove(&offset->by_target);
        list_append(&target->offsets, &offset->by_target);
        return 0;
}

int16_t offsets_pending_check_room(const State *state, int32_t count) {
        int64_t limit = config_int(state->config, "odradek.max.pending.offsets");
        return (int64_t)state->pending_offsets->offsets.count + count > limit ? KAFKA_POLICY_VIOLATION : 0;
}

static Str target_group(const PendingTarget *target) {
        return str_of(target->key + sizeof(int32_t));
}

static Str target_topic(const PendingTarget *target) {
        return (Str){ target->key + target->topic_at, target->size - target->topic_at };
}

static int32_t target_partition(const PendingTarget *target) {
        int32_t partition;
        memcpy(&partition, target->key, sizeof(partition));
        return partition;
}

/* What was written before this one stays without effect. */
static void take_effect(State *state, const PendingOffset *offset) {
        const PendingTarget *target = offset->key.target;
        for (ListNode *earlier = offset->by_target.prev; earlier != &target->offsets.head; earlier = earlier->prev)
                container_of(earlier, PendingOffset, by_target)->is_superseded = true;
        Group *group = group_get(state, target_group(target));
        if (!group || offset_store(group, target_topic(target), target_partition(target), offset->offset, offset->leader_epoch,
                                   offset->metadata, offset->commit_ms, -1))
                trace_error("no memory for an offset that a transaction committed: a restart will find it");
}

void offsets_pending_end(State *state, int32_t offsets_partition, int64_t producer_id, bool commit) {
        PendingProducer *producer = producer_find(state, offsets_partition, producer_id);
        if (!producer)
                return;
        LIST_FOREACH(&producer->offsets, node) {
                PendingOffset *offset = container_of(node, PendingOffset, node);
                if (commit && !offset->is_superseded)
                        take_effect(state, offset);
        }
        producer_drop(state, producer);
}

void offsets_pending_supersede(State *state, Str group, Str topic, int32_t partition) {
        PendingTarget *target = target_find(state, group, topic, partition);
        if (target)
                LIST_FOREACH(&target->offsets, node)
                        container_of(node, PendingOffset, by_target)->is_superseded = true;
}

void offsets_pending_forget(State *state, Str group, Str topic, int32_t partition) {
        PendingTarget *target = target_find(state, group, topic, partition);
        for (bool more = target != NULL; more;) { /* the target goes with its last */
                ListNode *node = list_first(&target->offsets);
                more = node->next != &target->offsets.head;
                offset_drop(state, container_of(node, PendingOffset, by_target));
        }
}

void offsets_pending_each(State *state, Str group, Str topic,
                          void (*each)(State *state, Str group, Str topic, int32_t partition, void *data), void *data) {
        HASHMAP_FOREACH(&state->pending_offsets->targets, node) {
                const PendingTarget *target = container_of(node, PendingTarget, node);
                if ((str_is_null(group) || str_equal(group, target_group(target))) &&
                    (str_is_null(topic) || str_equal(topic, target_topic(target))))
                        each(state, target_group(target), target_topic(target), target_partition(target), data);
        }
}

bool offsets_pending_has(const State *state, Str group, Str topic, int32_t partition) {
        return target_find(state, group, topic, partition) != NULL;
}
