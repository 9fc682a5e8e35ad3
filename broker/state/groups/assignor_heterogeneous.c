/* Uniform, for members that name different topics: old partitions stay, free ones go to the subscriber that has least, and then
 * partitions move from those that have most to those that have least until that helps no more. */
#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/assignor.h"
#include "broker/state/groups/java_order.h"

#define ROUNDS_MAX 16 /* over all topics; with overlapping subscriptions balance comes slowly */

typedef struct Balance {
        AssignorSpec *spec;
        int32_t **owners;
        int32_t *members;       /* rank -> member: Kafka numbers them in the order of a hash table */
        int32_t *ranks;         /* member -> rank */
        int32_t *sizes;         /* by rank: partitions assigned */
        int32_t **subscribers;  /* by topic: ranks, rising */
        int32_t *subscriber_counts;
        int32_t *topics;        /* by partitions a subscriber, falling */
        int32_t *partitions, *starts, *ends; /* of the topic being balanced: grouped by owner, and where each rank's are */
        /* The subscribers of one topic by size. Two ranges grow towards each other: those that have least, which have all the same
         * size when everybody got one, and those that have most. */
        int32_t *line;
        int32_t line_count;
        int32_t least_end, least_size, next_least;
        int32_t most_start, most_end, most_size, next_most;
} Balance;

static int compare_ranks(const void *left, const void *right, void *context) {
        const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right, *sizes = context;
        if (sizes[a] != sizes[b])
                return sizes[a] < sizes[b] ? -1 : 1;
        return a < b ? -1 : a > b;
}

/* Kafka's ids compare as two signed numbers. */
static int compare_ids(const Uuid *a, const Uuid *b) {
        for (int half = 0; half < 16; half += 8) {
                int by_sign = (b->bytes[half] >> 7) - (a->bytes[half] >> 7), by_bytes = memcmp(a->bytes + half, b->bytes + half, 8);
                if (by_bytes)
                        return by_sign ? by_sign : by_bytes;
        }
        return 0;
}

static int compare_topics(const void *left, const void *right, void *context) {
        const Balance *b = context;
        int32_t x = *(const int32_t *)left, y = *(const int32_t *)right;
        double x_share = (double)b->spec->topics[x].partition_count / b->subscriber_counts[x];
        double y_share = (double)b->spec->topics[y].partition_count / b->subscriber_counts[y];
        if (x_share > y_share || x_share < y_share)
                return x_share > y_share ? -1 : 1;
        if (b->subscriber_counts[x] != b->subscriber_counts[y])
                return b->subscriber_counts[x] < b->subscriber_counts[y] ? -1 : 1;
        return compare_ids(&b->spec->topics[x].id, &b->spec->topics[y].id);
}

static bool number_members(Balance *b, Arena *arena) {
        int32_t count = b->spec->member_count;
        uint32_t *hashes = arena_alloc_array(arena, (size_t)count, sizeof(*hashes));
        b->members = arena_alloc_array(arena, (size_t)count, sizeof(int32_t));
        b->ranks = arena_alloc_array(arena, (size_t)count, sizeof(int32_t));
        b->sizes = arena_alloc_array(arena, (size_t)count, sizeof(int32_t));
        b->line = arena_alloc_array(arena, (size_t)count, sizeof(int32_t));
        b->starts = arena_alloc_array(arena, (size_t)count, sizeof(int32_t));
        b->ends = arena_alloc_array(arena, (size_t)count, sizeof(int32_t));
        if (!hashes || !b->members || !b->ranks || !b->sizes || !b->line || !b->starts || !b->ends)
                return false;
        for (int32_t m = 0; m < count; m++)
                hashes[m] = java_hash_string(b->spec->members[m].id);
        java_order(hashes, count, java_buckets_grown(count), b->members);
        for (int32_t rank = 0; rank < count; rank++)
                b->ranks[b->members[rank]] = rank;
        return true;
}

static bool list_subscribers(Balance *b, Arena *arena) {
        AssignorSpec *spec = b->spec;
        b->subscribers = arena_alloc_array(arena, (size_t)spec->topic_count, sizeof(*b->subscribers));
        b->subscriber_counts = arena_alloc_array(arena, (size_t)spec->topic_count, sizeof(int32_t));
        b->topics = arena_alloc_array(arena, (size_t)spec->topic_count, sizeof(int32_t));
        if (!b->subscribers || !b->subscriber_counts || !b->topics)
                return false;
        for (int32_t m = 0; m < spec->member_count; m++)
                for (int32_t i = 0; i < spec->members[m].topic_count; i++)
                        b->subscriber_counts[spec->members[m].topics[i]]++;
        int32_t widest = 0;
        for (int32_t t = 0; t < spec->topic_count; t++) {
                b->subscribers[t] = arena_alloc_array(arena, (size_t)b->subscriber_counts[t], sizeof(int32_t));
                if (!b->subscribers[t])
                        return false;
                b->subscriber_counts[t] = 0;
                if (spec->topics[t].partition_count > widest)
                        widest = spec->topics[t].partition_count;
        }
        for (int32_t rank = 0; rank < spec->member_count; rank++) {
                const AssignorMember *member = &spec->members[b->members[rank]];
                for (int32_t i = 0; i < member->topic_count; i++) {
                        int32_t t = member->topics[i];
                        b->subscribers[t][b->subscriber_counts[t]++] = rank;
                }
        }
        b->partitions = arena_alloc_array(arena, (size_t)widest, sizeof(int32_t));
        return b->partitions;
}

static void keep_old(Balance *b) {
        for (int32_t m = 0; m < b->spec->member_count; m++) {
                const AssignorMember *member = &b->spec->members[m];
                for (int32_t i = 0; i < member->current->count; i++) {
                        const SetPartition *item = &member->current->items[i];
                        int32_t topic = assignor_topic(b->spec, &item->topic);
                        if (topic < 0 || !assignor_is_subscribed(member, topic) || item->index >= b->spec->topics[topic].partition_count)
                                continue;
                        b->owners[topic][item->index] = m;
                        b->sizes[b->ranks[m]]++;
                }
        }
}

/* ---- the line of subscribers */

/* Lines them up; returns by how much the most loaded one exceeds the least loaded one. */
static int32_t line_up(Balance *b, int32_t topic) {
        int32_t count = b->line_count = b->subscriber_counts[topic];
        memcpy(b->line, b->subscribers[topic], (size_t)count * sizeof(int32_t));
        qsort_r(b->line, (size_t)count, sizeof(int32_t), compare_ranks, b->sizes);
        int32_t least = b->sizes[b->line[0]], most = b->sizes[b->line[count - 1]];
        b->least_end = b->next_least = 0;
        b->least_size = least - 1;
        b->most_start = b->most_end = count;
        b->most_size = most + 1;
        b->next_most = count - 1;
        return most - least;
}

/* Who gets the next partition; it counts as given. */
static int32_t next_least(Balance *b) {
        if (b->next_least >= b->least_end) {
                b->least_size++;
                while (b->least_end < b->line_count && b->sizes[b->line[b->least_end]] == b->least_size)
                        b->least_end++;
                b->next_least = 0;
        }
        return b->line[b->next_least++];
}

/* Who gives the next partition, or -1; it counts as given. */
static int32_t next_most(Balance *b) {
        if (b->next_most < b->most_start) {
                if (b->most_end <= b->most_start && b->most_start > 0)
                        b->most_size = b->sizes[b->line[b->most_start - 1]]; /* everybody was left out: go on with whoever is next */
                else
                        b->most_size--;
                while (b->most_start > 0 && b->sizes[b->line[b->most_start - 1]] == b->most_size)
                        b->most_start--;
                b->next_most = b->most_end - 1;
        }
        return b->next_most < 0 ? -1 : b->line[b->next_most--];
}

/* The last one that next_most() named has nothing of this topic to give. */
static void leave_out(Balance *b) {
        int32_t rank = b->line[b->next_most + 1];
        b->line[b->next_most + 1] = b->line[b->most_end - 1];
        b->line[b->most_end - 1] = rank;
        b->most_end--;
}

static bool is_balanced(const Balance *b) {
        return b->most_size - b->least_size <= 1;
}

static void give(Balance *b, int32_t topic, int32_t partition, int32_t rank) {
        int32_t *owner = &b->owners[topic][partition];
        if (*owner >= 0)
                b->sizes[b->ranks[*owner]]--;
        *owner = b->members[rank];
        b->sizes[rank]++;
}

/* ---- the two passes */

static bool has_free(const Balance *b, int32_t topic) {
        for (int32_t p = 0; p < b->spec->topics[topic].partition_count; p++)
                if (b->owners[topic][p] < 0)
                        return true;
        return false;
}

static void give_free(Balance *b, int32_t topic_count) {
        for (int32_t i = 0; i < topic_count; i++) {
                int32_t topic = b->topics[i];
                if (!has_free(b, topic))
                        continue;
                line_up(b, topic);
                for (int32_t p = 0; p < b->spec->topics[topic].partition_count; p++)
                        if (b->owners[topic][p] < 0)
                                give(b, topic, p, next_least(b));
        }
}

/* Lists the topic's partitions by owner. */
static void group_partitions(Balance *b, int32_t topic) {
        int32_t count = b->spec->topics[topic].partition_count, at = 0;
        for (int32_t i = 0; i < b->line_count; i++)
                b->ends[b->line[i]] = 0;
        for (int32_t p = 0; p < count; p++)
                b->ends[b->ranks[b->owners[topic][p]]]++;
        for (int32_t i = 0; i < b->subscriber_counts[topic]; i++) {
                int32_t rank = b->subscribers[topic][i], size = b->ends[rank];
                b->starts[rank] = b->ends[rank] = at;
                at += size;
        }
        for (int32_t p = 0; p < count; p++)
                b->partitions[b->ends[b->ranks[b->owners[topic][p]]]++] = p;
}

static int32_t next_giver(Balance *b) {
        int32_t rank;
        while ((rank = next_most(b)) >= 0 && b->ends[rank] <= b->starts[rank])
                leave_out(b);
        return rank;
}

/* Moves partitions of one topic; returns how many. */
static int32_t balance_topic(Balance *b, int32_t topic) {
        int32_t moved = 0;
        if (line_up(b, topic) <= 1)
                return 0;
        group_partitions(b, topic);
        while (!is_balanced(b)) {
                int32_t from = next_giver(b);
                if (from < 0)
                        break;
                int32_t partition = b->partitions[--b->ends[from]], to = next_least(b);
                if (is_balanced(b))
                        break;
                give(b, topic, partition, to);
                moved++;
        }
        return moved;
}

static void balance(Balance *b, int32_t topic_count) {
        int32_t last_moved = -1;
        for (int round = 0; round < ROUNDS_MAX; round++)
                for (int32_t i = 0; i < topic_count; i++) {
                        if (i == last_moved)
                                return;
                        if (balance_topic(b, b->topics[i]) > 0 || last_moved == -1)
                                last_moved = i;
                }
}

int assign_heterogeneous(AssignorSpec *spec, Arena *arena) {
        Balance b = { .spec = spec, .owners = assignor_owners(spec, arena) };
        int32_t all = 0, shared = 0;
        if (!b.owners || !number_members(&b, arena) || !list_subscribers(&b, arena))
                return -ENOMEM;
        keep_old(&b);
        for (int32_t t = 0; t < spec->topic_count; t++)
                if (b.subscriber_counts[t] > 0)
                        b.topics[all++] = t;
        qsort_r(b.topics, (size_t)all, sizeof(int32_t), compare_topics, &b);
        give_free(&b, all);
        for (int32_t i = 0; i < all; i++)
                if (b.subscriber_counts[b.topics[i]] >= 2)
                        b.topics[shared++] = b.topics[i];
        balance(&b, shared);
        return assignor_take_owners(spec, b.owners);
}
