/* OffsetDelete: v0
 * Forgets committed offsets of topics that the group does not read, and those that wait for the end of a transaction (KIP-496). */
#include "broker/api/api.h"
#include "broker/state/groups/groups.h"
#include "broker/state/groups/offsets_pending.h"
#include "broker/state/journal.h"

static int16_t check(Group *group) {
        if (!group)
                return KAFKA_GROUP_ID_NOT_FOUND;
        if (group->state == GROUP_EMPTY || (group->protocol_type && strcmp(group->protocol_type, "consumer") == 0))
                return 0;
        return KAFKA_NON_EMPTY_GROUP;
}

static bool delete_topic(Call *call, Group *group, Journal *journal, const OffsetDeleteRequestTopic *want,
                         OffsetDeleteResponseTopic *answer) {
        bool subscribed = group_subscribes(group, want->name);
        answer->name = want->name;
        answer->partitions = call_array(call, OffsetDeleteResponsePartition, want->partitions_count);
        if (!answer->partitions)
                return false;
        answer->partitions_count = want->partitions_count;
        for (int32_t i = 0; i < want->partitions_count; i++) {
                int32_t index = want->partitions[i].partition_index;
                OffsetDeleteResponsePartition *row = &answer->partitions[i];
                row->partition_index = index;
                if (!partition_find(call->state, want->name, index))
                        row->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
                else if (subscribed)
                        row->error_code = KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
                else if (offset_find(group, want->name, index) ||
                         offsets_pending_has(call->state, str_of(group->id), want->name, index))
                        journal_add_offset_tombstone(journal, str_of(group->id), want->name, index);
        }
        return true;
}

/* After the tombstones are written. */
static void forget(State *state, const OffsetDeleteResponse *response, Group *group) {
        for (int32_t i = 0; i < response->topics_count; i++) {
                const OffsetDeleteResponseTopic *topic = &response->topics[i];
                for (int32_t k = 0; k < topic->partitions_count; k++)
                        if (!topic->partitions[k].error_code) {
                                offset_forget(group, topic->name, topic->partitions[k].partition_index);
                                offsets_pending_forget(state, str_of(group->id), topic->name, topic->partitions[k].partition_index);
                        }
        }
}

void api_offset_delete(Call *call) {
        const OffsetDeleteRequest *request = call->request;
        OffsetDeleteResponse response = OffsetDeleteResponse_INIT;
        Group *group = request->group_id.len ? group_find(call->state, request->group_id) : NULL;
        response.error_code = request->group_id.len ? check(group) : KAFKA_INVALID_GROUP_ID;
        if (response.error_code) {
                call_reply(call, &response);
                return;
        }
        Journal journal;
        state_commit(call->state); /* no commit may overtake the deletion */
        journal_begin(&journal, call->state->now_ms);
        response.topics = call_array(call, OffsetDeleteResponseTopic, request->topics_count);
        bool ok = response.topics != NULL;
        for (int32_t i = 0; ok && i < request->topics_count; i++)
                ok = delete_topic(call, group, &journal, &request->topics[i], &response.topics[response.topics_count++]);
        if (!ok || journal.batch.header.record_count == 0)
                batch_builder_deinit(&journal.batch);
        else if (journal_write(call->state, &journal, request->group_id))
                response = (OffsetDeleteResponse){ .error_code = KAFKA_COORDINATOR_NOT_AVAILABLE };
        else
                forget(call->state, &response, group);
        if (ok)
                call_reply(call, &response);
        else
                call_close(call);
}
