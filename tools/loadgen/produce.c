/* Produce: encoding, judging, and the workload. */
#include "storage/base/endian.h"
#include "storage/batch.h"
#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

#define SAMPLE_OFFSET 0x1122334455667708

void print_result(const char *more, const PumpResult *result) {
        printf("{%s\"requests\": %lld, \"seconds\": %.6f, \"bytes_out\": %lld, \"bytes_in\": %lld, \"own_cpu_s\": %.6f, \"broker_cpu_s\": %.6f, "
               "\"unmeasured_cpu_s\": %.6f",
               more, (long long)result->requests, result->seconds, (long long)result->bytes_out, (long long)result->bytes_in,
               result->own_cpu_s, result->broker_cpu_s, result->unmeasured_cpu_s);
        static const struct { const char *name; double part; } quantiles[] = { { "p50", .5 }, { "p90", .9 }, { "p99", .99 }, { "p999", .999 } };
        for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
                printf(", \"%s_us\": %.1f", quantiles[i].name, (double)histogram_quantile(&result->latency_ns, quantiles[i].part) / 1e3);
        printf(", \"max_us\": %.1f}\n", (double)result->latency_ns.max / 1e3);
}

Buffer make_batch(int64_t records, int64_t record_bytes) {
        BatchBuilder builder;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        batch_builder_init(&builder, 0, -1, -1, -1);
        char *value = malloc((size_t)record_bytes + 1);
        if (!value)
                die("out of memory");
        for (int64_t i = 0; i < record_bytes; i++)
                value[i] = (char)('a' + i * 7 % 26);
        for (int64_t i = 0; i < records; i++)
                batch_builder_add(&builder, now.tv_sec * 1000, STR_NULL, (Str){ value, (size_t)record_bytes }, NULL, 0);
        free(value);
        if (batch_builder_finish(&builder, 0) != 0)
                die("out of memory");
        return builder.out;
}

static void encode_answer(Buffer *out, Str name) {
        ProduceResponsePartitionResponse partition = ProduceResponsePartitionResponse_INIT;
        partition.base_offset = SAMPLE_OFFSET;
        ProduceResponseResponse topic = ProduceResponseResponse_INIT;
        topic.name = name;
        topic.partition_responses = &partition;
        topic.partition_responses_count = 1;
        ProduceResponse response = ProduceResponse_INIT;
        response.responses = &topic;
        response.responses_count = 1;
        Reply reply = REPLY_INIT;
        if (codec_encode(&ProduceResponse_message, PRODUCE_VERSION, &response, &reply) != 0)
                die("out of memory");
        *out = reply.bytes;
}

ProduceLayout produce_layout(Str topic) {
        uint8_t mark[8];
        Buffer sample;
        store_be64(mark, SAMPLE_OFFSET);
        encode_answer(&sample, topic);
        size_t head = 5, at = (size_t)((uint8_t *)memmem(sample.data, sample.size, mark, sizeof(mark)) - sample.data) + head;
        ProduceLayout layout = { .size = head + sample.size, .index_at = at - 6, .error_at = at - 2, .offset_at = at };
        buffer_deinit(&sample);
        return layout;
}

const ProduceRequest *produce_one(ProduceOne *one, const Options *options, Str topic, int32_t partition, const Buffer *batch) {
        one->partition = ProduceRequestPartitionData_INIT;
        one->partition.index = partition;
        one->partition.records.bytes = (Str){ (const char *)batch->data, batch->size };
        one->topic = ProduceRequestTopicData_INIT;
        one->topic.name = topic;
        one->topic.partition_data = &one->partition;
        one->topic.partition_data_count = 1;
        one->request = ProduceRequest_INIT;
        one->request.acks = (int16_t)options->acks;
        one->request.timeout_ms = 30000;
        one->request.topic_data = &one->topic;
        one->request.topic_data_count = 1;
        return &one->request;
}

void produce_append(Ring *ring, const Options *options, Str topic, int32_t partition, const Buffer *batch) {
        ProduceOne one;
        frame_append(&ring->bytes, &ProduceRequest_message, PRODUCE_VERSION, ring_mark(ring),
                     produce_one(&one, options, topic, partition, batch));
}

/* An answer of another shape carries an error, or is none. */
static void explain(const uint8_t *answer, size_t size) {
        Arena arena = ARENA_INIT(0);
        ProduceResponse response;
        frame_decode(&ProduceResponse_message, PRODUCE_VERSION, answer, size, &arena, &response);
        if (response.responses_count == 1 && response.responses[0].partition_responses_count == 1)
                die("Produce was answered with error %d", response.responses[0].partition_responses[0].error_code);
        die("an answer to Produce for %d topics", response.responses_count);
}

int64_t produce_check(const ProduceLayout *layout, int32_t partition, const uint8_t *answer, size_t size) {
        if (size != layout->size || load_be16(answer + layout->error_at) != 0)
                explain(answer, size);
        int64_t offset = (int64_t)load_be64(answer + layout->offset_at);
        if ((int32_t)load_be32(answer + layout->index_at) != partition || offset < 0)
                die("Produce to partition %d was answered with offset %lld of partition %d", partition, (long long)offset,
                    (int)load_be32(answer + layout->index_at));
        return offset;
}

/* What was acknowledged, for each partition. */
typedef struct Acknowledged {
        int64_t count;
        uint64_t base_offsets; /* their sum */
} Acknowledged;

typedef struct Produce {
        const Options *options;
        ProduceLayout layout;
        Ring ring;
        Acknowledged *acknowledged;
        int32_t partitions; /* of all topics; slots repeat them */
} Produce;

static void check(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        Produce *produce = userdata;
        int32_t place = slot % produce->partitions;
        int64_t offset = produce_check(&produce->layout, place / (int32_t)produce->options->topics, answer, size);
        produce->acknowledged[place].count++;
        produce->acknowledged[place].base_offsets += (uint64_t)offset;
}

/* Partitions one after the other, repeated until there is enough to send at a time. */
static void build_ring(Produce *produce) {
        const Options *options = produce->options;
        Buffer batch = make_batch(options->records, options->record_bytes);
        do {
                for (int32_t place = 0; place < produce->partitions; place++) {
                        char name[256];
                        produce_append(&produce->ring, options, topic_name(options, place % options->topics, name),
                                       place / (int32_t)options->topics, &batch);
                }
        } while (produce->ring.bytes.size < 64 << 10);
        ring_end(&produce->ring);
        buffer_deinit(&batch);
}

/* Each batch got offsets of its own, without gaps: then the sum of base offsets is 0 + n + 2n ... */
static void check_offsets(const Produce *produce) {
        uint64_t records = (uint64_t)produce->options->records;
        for (int32_t i = 0; i < produce->partitions; i++) {
                uint64_t count = (uint64_t)produce->acknowledged[i].count;
                if (count > 0 && produce->acknowledged[i].base_offsets != records * (count * (count - 1) / 2))
                        die("the offsets of %llu batches in partition %d are not one after the other from 0", (unsigned long long)count, i);
        }
}

void workload_produce(const Options *options) {
        static PumpResult result;
        char name[256];
        Produce produce = { .options = options, .layout = produce_layout(topic_name(options, 0, name)) };
        produce.partitions = (int32_t)(options->topics * options->partitions);
        produce.acknowledged = calloc((size_t)produce.partitions, sizeof(Acknowledged));
        if (!produce.acknowledged)
                die("out of memory");
        build_ring(&produce);
        PumpPlan plan = { .options = options, .ring = &produce.ring, .check = check, .userdata = &produce };
        pump_run(&plan, &result);
        check_offsets(&produce);
        char more[64];
        snprintf(more, sizeof(more), "\"records\": %lld, ", (long long)((result.requests + options->unmeasured) * options->records));
        print_result(more, &result);
        ring_deinit(&produce.ring);
        free(produce.acknowledged);
}
