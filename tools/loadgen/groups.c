/* Group coordination: each group has one member of the classic protocol. */
#include "storage/base/endian.h"
#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

#define JOIN_VERSION 3 /* the last that admits a member without an id at once */
#define SYNC_VERSION 3
#define HEARTBEAT_VERSION 4
#define COMMIT_VERSION 9
#define METADATA_VERSION 9
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
        arena_reset(&groups->arena);
        frame_decode(&JoinGroupResponse_message, JOIN_VERSION, answer, size, &groups->arena, &response);
        if (response.error_code || response.members_count != 1 || !str_equal(response.leader, response.member_id))
                die("JoinGroup was answered with error %d", response.error_code);
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
        Groups *groups = userdata;
        SyncGroupResponse response;
        arena_reset(&groups->arena);
        frame_decode(&SyncGroupResponse_message, SYNC_VERSION, answer, size, &groups->arena, &response);
        if (response.error_code)
                die("SyncGroup was answered with error %d", response.error_code);
}

static void append_heartbeat(Groups *groups, Ring *ring, Str group, const Member *member) {
        HeartbeatRequest request = HeartbeatRequest_INIT;
        request.group_id = group;
        request.generation_id = member->generation_id;
        request.member_id = member->id;
        frame_append(&ring->bytes, &HeartbeatRequest_message, HEARTBEAT_VERSION, ring_mark(ring), &request);
}

static void check_heartbeat(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        Groups *groups = userdata;
        HeartbeatResponse response;
        arena_reset(&groups->arena);
        frame_decode(&HeartbeatResponse_message, HEARTBEAT_VERSION, answer, size, &groups->arena, &response);
        if (response.error_code)
                die("Heartbeat was answered with error %d", response.error_code);
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
        Groups *groups = userdata;
        OffsetCommitResponse response;
        arena_reset(&groups->arena);
        frame_decode(&OffsetCommitResponse_message, COMMIT_VERSION, answer, size, &groups->arena, &response);
        if (response.topics_count != 1 || response.topics[0].partitions_count != 1)
                die("an answer to OffsetCommit for %d topics", response.topics_count);
        if (response.topics[0].partitions[0].error_code)
                die("OffsetCommit was answered with error %d", response.topics[0].partitions[0].error_code);
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

/* The first answer is decoded; the others have to be the same. */
typedef struct Metadata {
        const Options *options;
        Buffer first;
} Metadata;

static void check_metadata(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        Metadata *metadata = userdata;
        if (metadata->first.size == size - 4 && memcmp(metadata->first.data, answer + 4, size - 4) == 0)
                return;
        MetadataResponse response;
        Arena arena = ARENA_INIT(0);
        frame_decode(&MetadataResponse_message, METADATA_VERSION, answer, size, &arena, &response);
        int64_t found = 0;
        for (int32_t i = 0; i < response.topics_count; i++)
                if (response.topics[i].error_code)
                        die("Metadata was answered with error %d", response.topics[i].error_code);
                else if (str_starts_with(response.topics[i].name, str_of(metadata->options->topic)))
                        found += response.topics[i].partitions_count;
        if (found != metadata->options->topics * metadata->options->partitions)
                die("Metadata told of %lld partitions", (long long)found);
        metadata->first.size = 0;
        buffer_append(&metadata->first, answer + 4, size - 4);
        arena_deinit(&arena);
}

void workload_metadata(const Options *options) {
        static PumpResult result;
        Metadata metadata = { .options = options, .first = BUFFER_INIT };
        Ring ring = { .count = 0 };
        MetadataRequest request = MetadataRequest_INIT;
        request.topics_count = -1; /* null: all */
        frame_append(&ring.bytes, &MetadataRequest_message, METADATA_VERSION, ring_mark(&ring), &request);
        ring_end(&ring);
        PumpPlan plan = { .options = options, .ring = &ring, .check = check_metadata, .userdata = &metadata };
        pump_run(&plan, &result);
        print_result("", &result);
        ring_deinit(&ring);
        buffer_deinit(&metadata.first);
}
