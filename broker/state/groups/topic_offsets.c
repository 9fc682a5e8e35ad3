/* Dropping the offsets of a topic, of all groups. */
#include "broker/state/groups/topic_offsets.h"

#include <errno.h>

#include "broker/state/groups/offsets_pending.h"
#include "broker/state/journal.h"

#define BATCH_BYTES_MAX 65536 /* far below max.message.bytes */

/* Whether the group's records can be read back, and so would its offsets. */
static bool has_journal(const State *state, Str group) {
        const Partition *partition = journal_partition(state, group);
        return partition && partition->log;
}

static int commit_error(const State *state, Str group) {
        return has_journal(state, group) ? journal_partition(state, group)->commit_error : 0;
}

static int append(State *state, Journal *journal, Str group) {
        int r = journal_append(state, journal, group, NULL, NULL);
        return r > 0 ? -EIO : r;
}

static OffsetTopic *find(const State *state, Str topic) {
        HashNode *node = hashmap_find(&state->groups->offset_topics, topic);
        return node ? container_of(node, OffsetTopic, node) : NULL;
}

static CommittedOffset *next_of(OffsetTopic *of, const ListNode *node) {
        ListNode *next = node ? node->next : of->offsets.head.next;
        return next == &of->offsets.head ? NULL : container_of(next, CommittedOffset, by_topic);
}

/* Tombstones for the group of *offset, as many as follow each other and fit a batch; *offset is the next one then. */
static int end_run(State *state, OffsetTopic *of, CommittedOffset **offset) {
        const Group *group = (*offset)->group;
        Journal journal;
        journal_begin(&journal, state->now_ms);
        for (; *offset && (*offset)->group == group && journal.batch.out.size < BATCH_BYTES_MAX; *offset = next_of(of, &(*offset)->by_topic))
                journal_add_offset_tombstone(&journal, str_of(group->id), str_of((*offset)->topic), (*offset)->partition);
        if (has_journal(state, str_of(group->id)))
                return append(state, &journal, str_of(group->id));
        batch_builder_deinit(&journal.batch);
        return 0;
}

/* Or the end of a transaction would bring the offset back. */
static void end_pending(State *state, Str group, Str topic, int32_t partition, void *data) {
        int *result = data;
        Journal journal;
        if (*result || !has_journal(state, group))
                return;
        journal_begin(&journal, state->now_ms);
        journal_add_offset_tombstone(&journal, group, topic, partition);
        *result = append(state, &journal, group);
}

int topic_offsets_end(State *state, Str topic) {
        int r = 0;
        if (str_equal(topic, STR(TOPIC_NAME_OFFSETS)))
                return 0;
        OffsetTopic *of = find(state, topic);
        for (CommittedOffset *offset = of ? next_of(of, NULL) : NULL; offset && r == 0;)
                r = end_run(state, of, &offset);
        offsets_pending_each(state, STR_NULL, topic, end_pending, &r);
        return r;
}

static void forget_pending(State *state, Str group, Str topic, int32_t partition, void *data) {
        int r = commit_error(state, group);
        if (r)
                *(int *)data = r;
        else
                offsets_pending_forget(state, group, topic, partition);
}

int topic_offsets_forget(State *state, Str topic) {
        int r = 0;
        OffsetTopic *of = find(state, topic);
        for (CommittedOffset *offset = of ? next_of(of, NULL) : NULL, *next; offset; offset = next) {
                next = next_of(of, &offset->by_topic);
                int failed = commit_error(state, str_of(offset->group->id));
                if (failed) {
                        r = failed;
                        continue;
                }
                hashmap_remove(&offset->group->offsets, &offset->node);
                offset_free(offset);
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
        HASHMAP_FOREACH(&state->groups->offset_topics, node)
                if (!topic_find(state, node->key))
                        each(state, node->key);
        offsets_pending_each(state, STR_NULL, STR_NULL, note_pending, &each);
}
