/* How long a start takes is measured from outside: this tries until the broker has done its first work. */
#include <unistd.h>

#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

#define PAUSE_US 50
#define GIVE_UP_NS (300 * NS_PER_S)

enum { UNKNOWN_TOPIC_OR_PARTITION = 3, LEADER_NOT_AVAILABLE = 5, NOT_LEADER_OR_FOLLOWER = 6, TOPIC_ALREADY_EXISTS = 36 };

static bool create(const Options *options, int fd, Arena *arena) {
        CreateTopicsRequestTopic topic = CreateTopicsRequestTopic_INIT;
        topic.name = str_of(options->topic);
        topic.num_partitions = (int32_t)options->partitions;
        topic.replication_factor = 1;
        CreateTopicsRequest request = CreateTopicsRequest_INIT;
        request.topics = &topic;
        request.topics_count = 1;
        CreateTopicsResponse response;
        return CLIENT_CALL(fd, CreateTopics, 5, &request, arena, &response) && response.topics_count == 1 &&
               (response.topics[0].error_code == 0 || response.topics[0].error_code == TOPIC_ALREADY_EXISTS);
}

/* True when it is acknowledged, false when it is to be tried again. */
static bool produce(const Options *options, int fd, const Buffer *batch, Arena *arena) {
        ProduceOne one;
        const ProduceRequest *request = produce_one(&one, options, str_of(options->topic), 0, batch);
        ProduceResponse response;
        if (!CLIENT_CALL(fd, Produce, PRODUCE_VERSION, request, arena, &response))
                return false;
        int16_t error = response.responses[0].partition_responses[0].error_code;
        if (error && error != UNKNOWN_TOPIC_OR_PARTITION && error != LEADER_NOT_AVAILABLE && error != NOT_LEADER_OR_FOLLOWER)
                die("the first Produce was answered with error %d", error);
        return error == 0;
}

void workload_first(const Options *options) {
        Buffer batch = make_batch(options->records, options->record_bytes);
        Arena arena = ARENA_INIT(0);
        bool created = !options->create, done = false;
        int64_t begin = now_ns();
        for (int fd = -1; !done; usleep(done ? 0 : PAUSE_US)) {
                if (now_ns() - begin > GIVE_UP_NS)
                        die("no produce was acknowledged");
                if (fd < 0 && (fd = client_try_connect(options)) < 0)
                        continue;
                arena_reset(&arena);
                created = created || create(options, fd, &arena);
                done = created && produce(options, fd, &batch, &arena);
        }
        printf("{\"acknowledged_ns\": %lld}\n", (long long)now_ns());
        buffer_deinit(&batch);
        arena_deinit(&arena);
}
