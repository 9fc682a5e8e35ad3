/* Dropping the offsets of a topic, of all groups. */
#include "broker/state/groups/topic_offsets.h"

#include <errno.h>

#include "broker/state/groups/offsets_pending.h"
#include "broker/state/journal.h"

#define BATCH_BYTES_MAX 65536 /* far below max.message.bytes */

/* Where the group's records are; NULL: nothing can be known of them before a repair. */
static Partition *journal_partition(const State *state, Str group) {
        const Topic *topic = topic_find(state, STR(TOPIC_NAME_OFFSETS));
        Partition *partition = topic ? topic->partitions[journal_partition_index(group, topic->partition_count)] : NULL;
        return partition && partition->log ? partition : NULL;
}

static int append(State *state, Journal *journal, Str group) {
        int r = journal_append(state, journal, group, NULL, NULL);
        return r > 0 ? -EIO : r;
}

static int end_offsets(State *state, Group *group, Str topic) {
        Journal journal;
        int r = 0;
        journal_begin(&journal, state->now_ms);
        HASHMAP_FOREACH(&group->offsets, node) {
                const CommittedOffset *offset = container_of(node, CommittedOffset, node);
                if (r || !str_equal(str_of(offset->topic), topic))
                        continue;
                journal_add_offset_tombstone(&journal, str_of(group->id), topic, offset->partition);
                if (journal.batch.out.size < BATCH_BYTES_MAX)
                        continue;
                r = append(state, &journal, str_of(group->id));
                journal_begin(&journal, state->now_ms);
        }
        if (r == 0 && journal_count(&journal))
                return append(state, &journal, str_of(group->id));
        batch_builder_deinit(&journal.batch);
        return r;
}

/* Or the end of a transaction would bring the offset back. */
static void end_pending(State *state, Str group, Str topic, int32_t partition, void *data) {
        int *result = data;
        Journal journal;
        if (*result || !journal_partition(state, group))
                return;
        journal_begin(&journal, state->now_ms);
        journal_add_offset_tombstone(&journal, group, topic, partition);
        *result = append(state, &journal, group);
}

int topic_offsets_end(State *state, Str topic) {
        int r = 0;
        if (str_equal(topic, STR(TOPIC_NAME_OFFSETS)))
                return 0;
        HASHMAP_FOREACH(&state->groups->by_id, node) {
                Group *group = container_of(node, Group, node);
                if (r == 0 && group->offsets.count && journal_partition(state, str_of(group->id)))
                        r = end_offsets(state, group, topic);
        }
        offsets_pending_each(state, STR_NULL, topic, end_pending, &r);
        return r;
}

static void forget_pending(State *state, Str group, Str topic, int32_t partition, void *data) {
        const Partition *journal = journal_partition(state, group);
        if (journal && journal->commit_error)
                *(int *)data = journal->commit_error;
        else
                offsets_pending_forget(state, group, topic, partition);
}

int topic_offsets_forget(State *state, Str topic) {
        int r = 0;
        HASHMAP_FOREACH(&state->groups->by_id, group_node) {
                Group *group = container_of(group_node, Group, node);
                const Partition *journal = group->offsets.count ? journal_partition(state, str_of(group->id)) : NULL;
                HASHMAP_FOREACH(&group->offsets, node) {
                        CommittedOffset *offset = container_of(node, CommittedOffset, node);
                        if (!str_equal(str_of(offset->topic), topic))
                                continue;
                        if (journal && journal->commit_error) {
                                r = journal->commit_error;
                                break;
                        }
                        hashmap_remove(&group->offsets, node);
                        offset_free(offset);
                }
        }
        offsets_pending_each(state, STR_NULL, topic, forget_pending, &r);
        return r;
}

static void note_pending(State *state, Str group, Str topic, int32_t partition, void *data) {
        void (*const *each)(State *state, Str topic) = data;
        if (!topic_find(state, topic))
                (*each)(state, topic);
}

void topic_offsets_each_orphan(State *state, void (*each)(State *state, Str topic)) {
        HASHMAP_FOREACH(&state->groups->by_id, group_node) {
                HASHMAP_FOREACH(&container_of(group_node, Group, node)->offsets, node) {
                        const char *topic = container_of(node, CommittedOffset, node)->topic;
                        if (!topic_find(state, str_of(topic)))
                                each(state, str_of(topic));
                }
        }
        offsets_pending_each(state, STR_NULL, STR_NULL, note_pending, &each);
}
