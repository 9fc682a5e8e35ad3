/* Metadata of all topics at once, which is what many clients ask for. */
#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

#define METADATA_VERSION 9

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
