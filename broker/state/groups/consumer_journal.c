/* Writing the records of a group of the consumer protocol. */
#include "broker/state/groups/consumer_journal.h"

#include "broker/protocol/messages.h"

static Str id_of(const ConsumerGroup *consumer) {
        return str_of(consumer->group->id);
}

static Str member_group(const ConsumerMember *member) {
        return str_of(member->consumer->group->id);
}

#define ADD(journal, Name, key, value) journal_add((journal), &Name##Key_message, (key), &Name##Value_message, 0, (value))

void consumer_journal_group(Journal *journal, const ConsumerGroup *consumer) {
        ConsumerGroupMetadataKey key = { .group_id = id_of(consumer) };
        ConsumerGroupMetadataValue value = { .epoch = consumer->epoch, .metadata_hash = (int64_t)consumer->metadata_hash };
        ADD(journal, ConsumerGroupMetadata, &key, &value);
}

static void end_group(Journal *journal, const ConsumerGroup *consumer) {
        ConsumerGroupMetadataKey key = { .group_id = id_of(consumer) };
        ADD(journal, ConsumerGroupMetadata, &key, NULL);
}

void consumer_journal_no_partition_metadata(Journal *journal, const ConsumerGroup *consumer) {
        ConsumerGroupPartitionMetadataKey key = { .group_id = id_of(consumer) };
        ADD(journal, ConsumerGroupPartitionMetadata, &key, NULL);
}

void consumer_journal_target_epoch(Journal *journal, const ConsumerGroup *consumer) {
        ConsumerGroupTargetAssignmentMetadataKey key = { .group_id = id_of(consumer) };
        ConsumerGroupTargetAssignmentMetadataValue value = { .assignment_epoch = consumer->target_epoch,
                                                             .assignment_timestamp = consumer->target_ms };
        ADD(journal, ConsumerGroupTargetAssignmentMetadata, &key, &value);
}

static void end_target_epoch(Journal *journal, const ConsumerGroup *consumer) {
        ConsumerGroupTargetAssignmentMetadataKey key = { .group_id = id_of(consumer) };
        ADD(journal, ConsumerGroupTargetAssignmentMetadata, &key, NULL);
}

/* ---- members */

static bool fill_classic(const ClassicSide *classic, Arena *arena, ConsumerGroupMemberMetadataValueClassicMember *ret) {
        ret->session_timeout_ms = classic->session_timeout_ms;
        ret->supported_protocols = arena_alloc_array(arena, (size_t)classic->protocol_count, sizeof(*ret->supported_protocols));
        ret->supported_protocols_count = classic->protocol_count;
        for (int32_t i = 0; ret->supported_protocols && i < classic->protocol_count; i++) {
                ret->supported_protocols[i].name = str_of(classic->protocols[i].name);
                ret->supported_protocols[i].metadata = classic->protocols[i].metadata;
        }
        return ret->supported_protocols;
}

void consumer_journal_member(Journal *journal, const ConsumerMember *member) {
        Arena arena = ARENA_INIT(0);
        ConsumerGroupMemberMetadataKey key = { .group_id = member_group(member), .member_id = str_of(member->id) };
        ConsumerGroupMemberMetadataValueClassicMember classic = ConsumerGroupMemberMetadataValueClassicMember_INIT;
        Str *topics = arena_alloc_array(&arena, (size_t)member->topics.count, sizeof(*topics));
        for (int32_t i = 0; topics && i < member->topics.count; i++)
                topics[i] = str_of(member->topics.names[i]);
        ConsumerGroupMemberMetadataValue value = {
                .instance_id = str_of(member->instance_id),
                .rack_id = str_of(member->rack_id),
                .client_id = str_of(member->client_id),
                .client_host = str_of(member->client_host),
                .subscribed_topic_names = topics,
                .subscribed_topic_names_count = member->topics.count,
                .subscribed_topic_regex = str_of(member->regex),
                .rebalance_timeout_ms = member->rebalance_timeout_ms,
                .server_assignor = str_of(member->assignor),
                .classic_member_metadata = member->classic ? &classic : NULL,
        };
        if (!topics || (member->classic && !fill_classic(member->classic, &arena, &classic)))
                journal->batch.out.failed = true;
        else
                ADD(journal, ConsumerGroupMemberMetadata, &key, &value);
        arena_deinit(&arena);
}

static int32_t *take_numbers(Arena *arena, const SetPartition *items, int32_t count, bool epochs) {
        int32_t *numbers = arena_alloc_array(arena, (size_t)count, sizeof(*numbers));
        for (int32_t i = 0; numbers && i < count; i++)
                numbers[i] = epochs ? items[i].epoch : items[i].index;
        return numbers;
}

void consumer_journal_target(Journal *journal, const ConsumerMember *member) {
        Arena arena = ARENA_INIT(0);
        const PartitionSet *set = &member->target;
        ConsumerGroupTargetAssignmentMemberKey key = { .group_id = member_group(member), .member_id = str_of(member->id) };
        ConsumerGroupTargetAssignmentMemberValue value = ConsumerGroupTargetAssignmentMemberValue_INIT;
        value.topic_partitions = arena_alloc_array(&arena, (size_t)partition_set_topics(set), sizeof(*value.topic_partitions));
        bool ok = value.topic_partitions != NULL;
        for (int32_t at = 0, run; ok && at < set->count; at += run) {
                ConsumerGroupTargetAssignmentMemberValueTopicPartition *row = &value.topic_partitions[value.topic_partitions_count++];
                run = partition_set_run(set, at);
                row->topic_id = set->items[at].topic;
                row->partitions_count = run;
                ok = (row->partitions = take_numbers(&arena, &set->items[at], run, false)) != NULL;
        }
        if (ok)
                ADD(journal, ConsumerGroupTargetAssignmentMember, &key, &value);
        journal->batch.out.failed |= !ok;
        arena_deinit(&arena);
}

/* The two fields have the same form, under two names. */
static bool fill_current(Arena *arena, const PartitionSet *set, ConsumerGroupCurrentMemberAssignmentValueTopicPartitions **ret_rows,
                         int32_t *ret_count) {
        ConsumerGroupCurrentMemberAssignmentValueTopicPartitions *rows =
                arena_alloc_array(arena, (size_t)partition_set_topics(set), sizeof(*rows));
        int32_t count = 0;
        for (int32_t at = 0, run; rows && at < set->count; at += run) {
                run = partition_set_run(set, at);
                rows[count].topic_id = set->items[at].topic;
                rows[count].partitions = take_numbers(arena, &set->items[at], run, false);
                rows[count].assignment_epochs = take_numbers(arena, &set->items[at], run, true);
                if (!rows[count].partitions || !rows[count].assignment_epochs)
                        return false;
                rows[count].partitions_count = rows[count].assignment_epochs_count = run;
                count++;
        }
        *ret_rows = rows;
        *ret_count = count;
        return rows;
}

void consumer_journal_current(Journal *journal, const ConsumerMember *member) {
        Arena arena = ARENA_INIT(0);
        ConsumerGroupCurrentMemberAssignmentKey key = { .group_id = member_group(member), .member_id = str_of(member->id) };
        ConsumerGroupCurrentMemberAssignmentValue value = ConsumerGroupCurrentMemberAssignmentValue_INIT;
        ConsumerGroupCurrentMemberAssignmentValueTopicPartitions *revoking = NULL;
        value.member_epoch = member->epoch;
        value.previous_member_epoch = member->previous_epoch;
        value.state = (int8_t)member->state;
        bool ok = fill_current(&arena, &member->assigned, &value.assigned_partitions, &value.assigned_partitions_count) &&
                  fill_current(&arena, &member->revoking, &revoking, &value.partitions_pending_revocation_count);
        value.partitions_pending_revocation =
                arena_alloc_array(&arena, (size_t)value.partitions_pending_revocation_count, sizeof(*value.partitions_pending_revocation));
        ok = ok && value.partitions_pending_revocation;
        for (int32_t i = 0; ok && i < value.partitions_pending_revocation_count; i++)
                value.partitions_pending_revocation[i] = (ConsumerGroupCurrentMemberAssignmentValuePendingPartitions){
                        .topic_id = revoking[i].topic_id,
                        .partitions = revoking[i].partitions,
                        .partitions_count = revoking[i].partitions_count,
                        .assignment_epochs = revoking[i].assignment_epochs,
                        .assignment_epochs_count = revoking[i].assignment_epochs_count,
                };
        if (ok)
                ADD(journal, ConsumerGroupCurrentMemberAssignment, &key, &value);
        journal->batch.out.failed |= !ok;
        arena_deinit(&arena);
}

static void end_current(Journal *journal, const ConsumerMember *member) {
        ConsumerGroupCurrentMemberAssignmentKey key = { .group_id = member_group(member), .member_id = str_of(member->id) };
        ADD(journal, ConsumerGroupCurrentMemberAssignment, &key, NULL);
}

static void end_target(Journal *journal, const ConsumerMember *member) {
        ConsumerGroupTargetAssignmentMemberKey key = { .group_id = member_group(member), .member_id = str_of(member->id) };
        ADD(journal, ConsumerGroupTargetAssignmentMember, &key, NULL);
}

static void end_member(Journal *journal, const ConsumerMember *member) {
        ConsumerGroupMemberMetadataKey key = { .group_id = member_group(member), .member_id = str_of(member->id) };
        ADD(journal, ConsumerGroupMemberMetadata, &key, NULL);
}

void consumer_journal_member_end(Journal *journal, const ConsumerMember *member) {
        end_current(journal, member);
        end_target(journal, member);
        end_member(journal, member);
}

/* ---- patterns */

void consumer_journal_regex(Journal *journal, const ConsumerGroup *consumer, const GroupRegex *regex) {
        Arena arena = ARENA_INIT(0);
        ConsumerGroupRegularExpressionKey key = { .group_id = id_of(consumer), .regular_expression = str_of(regex->pattern) };
        Str *topics = arena_alloc_array(&arena, (size_t)regex->topics.count, sizeof(*topics));
        for (int32_t i = 0; topics && i < regex->topics.count; i++)
                topics[i] = str_of(regex->topics.names[i]);
        ConsumerGroupRegularExpressionValue value = { .topics = topics, .topics_count = regex->topics.count,
                                                      .version = regex->version, .timestamp = regex->resolved_ms };
        if (topics)
                ADD(journal, ConsumerGroupRegularExpression, &key, &value);
        else
                journal->batch.out.failed = true;
        arena_deinit(&arena);
}

void consumer_journal_regex_end(Journal *journal, const ConsumerGroup *consumer, Str pattern) {
        ConsumerGroupRegularExpressionKey key = { .group_id = id_of(consumer), .regular_expression = pattern };
        ADD(journal, ConsumerGroupRegularExpression, &key, NULL);
}

/* ---- whole groups */

static void each_member(Journal *journal, const ConsumerGroup *consumer, void (*add)(Journal *journal, const ConsumerMember *member)) {
        LIST_FOREACH(&consumer->members, node)
                add(journal, container_of(node, ConsumerMember, node));
}

void consumer_journal_all(Journal *journal, const ConsumerGroup *consumer) {
        each_member(journal, consumer, consumer_journal_member);
        consumer_journal_group(journal, consumer);
        each_member(journal, consumer, consumer_journal_target);
        consumer_journal_target_epoch(journal, consumer);
        each_member(journal, consumer, consumer_journal_current);
}

void consumer_journal_end(Journal *journal, const ConsumerGroup *consumer) {
        each_member(journal, consumer, end_current);
        each_member(journal, consumer, end_target);
        end_target_epoch(journal, consumer);
        each_member(journal, consumer, end_member);
        HASHMAP_FOREACH(&consumer->regexes, node)
                if (container_of(node, GroupRegex, node)->is_resolved)
                        consumer_journal_regex_end(journal, consumer, str_of(container_of(node, GroupRegex, node)->pattern));
        consumer_journal_no_partition_metadata(journal, consumer);
        end_group(journal, consumer);
}
