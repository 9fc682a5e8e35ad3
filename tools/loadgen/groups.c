/* Group coordination: each group has one member of the classic protocol. */
#include "storage/base/endian.h"
#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

#define JOIN_VERSION 3 /* the last that admits a member without an id at once */
#define SYNC_VERSION 3
#define HEARTBEAT_VERSION 4
#define COMMIT_VERSION 9
#define SESSION_TIMEOUT_MS 300000

typedef struct Member {
        Str id;
        int32_t generation_id;
} Member;

typedef struct Groups {
        const Options *options;
        Member *members; /* by group, which is the slot */
        Arena kept, arena;
} Groups;

static Str group_id(const Options *options, int64_t index, char name[static 256]) {
        snprintf(name, 256, "%s-%05d", options->group, (int)index);
        return str_of(name);
}

/* Into memory that lasts until the next answer. */
static void decode(Groups *groups, const MessageSchema *message, int16_t version, const uint8_t *answer, size_t size, void *ret_response) {
        arena_reset(&groups->arena);
        frame_decode(message, version, answer, size, &groups->arena, ret_response);
}

static void expect_success(const char *api, int16_t code) {
        if (code)
                die("%s was answered with error %d", api, code);
}

static void append_join(Groups *groups, Ring *ring, Str group, const Member *member) {
        JoinGroupRequestProtocol protocol = JoinGroupRequestProtocol_INIT;
        protocol.name = STR("range");
        protocol.metadata = STR("\0\0\0\0\0\0\0\0\0\0"); /* version 0, no topics, no user data */
        JoinGroupRequest request = JoinGroupRequest_INIT;
        request.group_id = group;
        request.session_timeout_ms = SESSION_TIMEOUT_MS;
        request.rebalance_timeout_ms = SESSION_TIMEOUT_MS;
        request.member_id = STR("");
        request.protocol_type = STR("consumer");
        request.protocols = &protocol;
        request.protocols_count = 1;
        frame_append(&ring->bytes, &JoinGroupRequest_message, JOIN_VERSION, ring_mark(ring), &request);
}

static void check_join(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        Groups *groups = userdata;
        JoinGroupResponse response;
        decode(userdata, &JoinGroupResponse_message, JOIN_VERSION, answer, size, &response);
        expect_success("JoinGroup", response.error_code);
        if (response.members_count != 1 || !str_equal(response.leader, response.member_id))
                die("JoinGroup was answered with %d members", response.members_count);
        groups->members[slot] = (Member){ arena_str(&groups->kept, response.member_id), response.generation_id };
}

static void append_sync(Groups *groups, Ring *ring, Str group, const Member *member) {
        SyncGroupRequestAssignment assignment = SyncGroupRequestAssignment_INIT;
        assignment.member_id = member->id;
        assignment.assignment = STR("\0\0\0\0\0\0\0\0\0\0");
        SyncGroupRequest request = SyncGroupRequest_INIT;
        request.group_id = group;
        request.generation_id = member->generation_id;
        request.member_id = member->id;
        request.assignments = &assignment;
        request.assignments_count = 1;
        frame_append(&ring->bytes, &SyncGroupRequest_message, SYNC_VERSION, ring_mark(ring), &request);
}

static void check_sync(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        SyncGroupResponse response;
        decode(userdata, &SyncGroupResponse_message, SYNC_VERSION, answer, size, &response);
        expect_success("SyncGroup", response.error_code);
}

static void append_heartbeat(Groups *groups, Ring *ring, Str group, const Member *member) {
        HeartbeatRequest request = HeartbeatRequest_INIT;
        request.group_id = group;
        request.generation_id = member->generation_id;
        request.member_id = member->id;
        frame_append(&ring->bytes, &HeartbeatRequest_message, HEARTBEAT_VERSION, ring_mark(ring), &request);
}

static void check_heartbeat(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        HeartbeatResponse response;
        decode(userdata, &HeartbeatResponse_message, HEARTBEAT_VERSION, answer, size, &response);
        expect_success("Heartbeat", response.error_code);
}

static void append_commit(Groups *groups, Ring *ring, Str group, const Member *member) {
        OffsetCommitRequestPartition partition = OffsetCommitRequestPartition_INIT;
        partition.committed_offset = 1;
        partition.committed_metadata = STR("");
        OffsetCommitRequestTopic topic = OffsetCommitRequestTopic_INIT;
        topic.name = str_of(groups->options->topic);
        topic.partitions = &partition;
        topic.partitions_count = 1;
        OffsetCommitRequest request = OffsetCommitRequest_INIT;
        request.group_id = group;
        request.generation_id_or_member_epoch = member->generation_id;
        request.member_id = member->id;
        request.topics = &topic;
        request.topics_count = 1;
        frame_append(&ring->bytes, &OffsetCommitRequest_message, COMMIT_VERSION, ring_mark(ring), &request);
}

static void check_commit(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        OffsetCommitResponse response;
        decode(userdata, &OffsetCommitResponse_message, COMMIT_VERSION, answer, size, &response);
        if (response.topics_count != 1 || response.topics[0].partitions_count != 1)
                die("an answer to OffsetCommit for %d topics", response.topics_count);
        expect_success("OffsetCommit", response.topics[0].partitions[0].error_code);
}

typedef struct Phase {
        const char *name;
        void (*append)(Groups *groups, Ring *ring, Str group, const Member *member);
        void (*check)(void *userdata, int32_t slot, const uint8_t *answer, size_t size);
        bool once_a_group; /* or --requests in all */
} Phase;

static const Phase phases[] = {
        { "join", append_join, check_join, true },
        { "sync", append_sync, check_sync, true },
        { "heartbeat", append_heartbeat, check_heartbeat, false },
        { "commit", append_commit, check_commit, false },
};

static void run_phase(Groups *groups, const Phase *phase) {
        static PumpResult result;
        Options options = *groups->options;
        Ring ring = { .count = 0 };
        char name[256];
        for (int64_t i = 0; i < options.groups; i++)
                phase->append(groups, &ring, group_id(&options, i, name), &groups->members[i]);
        ring_end(&ring);
        if (phase->once_a_group) {
                options.requests = options.groups;
                options.connections = 1;
        }
        PumpPlan plan = { .options = &options, .ring = &ring, .check = phase->check, .userdata = groups };
        pump_run(&plan, &result);
        printf("\"%s\": ", phase->name);
        print_result("", &result);
        ring_deinit(&ring);
}

void workload_groups(const Options *options) {
        Groups groups = { .options = options, .members = calloc((size_t)options->groups, sizeof(Member)), .kept = ARENA_INIT(0), .arena = ARENA_INIT(0) };
        if (!groups.members)
                die("out of memory");
        for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
                printf(i == 0 ? "{" : ", ");
                run_phase(&groups, &phases[i]);
        }
        printf("}\n");
        free(groups.members);
        arena_deinit(&groups.kept);
        arena_deinit(&groups.arena);
}
