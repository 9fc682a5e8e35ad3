/* Catch-up: one connection that reads logs from their beginning, one fetch after the other. */
#include <errno.h>

#include "storage/base/endian.h"
#include "storage/batch.h"
#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

typedef struct Fetch {
        const Options *options;
        int fd;
        Arena arena;
        uint8_t *frame;
        size_t frame_capacity;
        int64_t records, batches, bytes, requests;
        int64_t offset, high_watermark; /* of the partition being read */
} Fetch;

static void take_batches(Fetch *fetch, Str records) {
        const uint8_t *data = (const uint8_t *)records.data;
        BatchHeader header;
        for (size_t at = 0; at < records.len; at += batch_size(&header)) {
                int r = batch_read_header(data + at, records.len - at, &header);
                if (r == -EAGAIN && at > 0)
                        return; /* cut by max_bytes; it comes again */
                if (r != 0)
                        die("a batch at offset %lld does not read", (long long)fetch->offset);
                if (header.base_offset != fetch->offset)
                        die("offset %lld came where %lld was next", (long long)header.base_offset, (long long)fetch->offset);
                if (fetch->batches++ % fetch->options->check_every == 0 && !batch_check_crc(data + at, &header))
                        die("the CRC of the batch at offset %lld is wrong", (long long)fetch->offset);
                fetch->records += header.record_count;
                fetch->offset = batch_next_offset(&header);
        }
}

static void receive(Fetch *fetch) {
        uint8_t length[4];
        if (!client_receive_all(fetch->fd, length, sizeof(length)))
                die("the broker closed the connection");
        size_t size = load_be32(length);
        if (size > fetch->frame_capacity) {
                free(fetch->frame);
                fetch->frame_capacity = size + (size >> 2);
                fetch->frame = malloc(fetch->frame_capacity);
        }
        if (!fetch->frame || !client_receive_all(fetch->fd, fetch->frame, size))
                die("the broker closed the connection");
        FetchResponse response;
        arena_reset(&fetch->arena);
        frame_decode(&FetchResponse_message, FETCH_VERSION, fetch->frame, size, &fetch->arena, &response);
        if (response.error_code || response.responses_count != 1 || response.responses[0].partitions_count != 1)
                die("Fetch was answered with error %d, %d topics", response.error_code, response.responses_count);
        const FetchResponsePartition *partition = response.responses[0].partitions;
        if (partition->error_code)
                die("Fetch was answered with error %d", partition->error_code);
        int64_t before = fetch->offset;
        fetch->high_watermark = partition->high_watermark;
        take_batches(fetch, partition->records.bytes);
        if (fetch->offset == before && before < fetch->high_watermark)
                die("nothing came from offset %lld, where the log ends at %lld", (long long)before, (long long)fetch->high_watermark);
        fetch->bytes += (int64_t)partition->records.bytes.len;
        fetch->requests++;
}

static void read_partition(Fetch *fetch, Str topic, int32_t partition) {
        size_t offset_at;
        Buffer request = fetch_frame(fetch->options, topic, partition, 0, &offset_at);
        fetch->offset = 0;
        do {
                store_be64(request.data + offset_at, (uint64_t)fetch->offset);
                if (!client_send_all(fetch->fd, request.data, request.size))
                        die("the broker closed the connection");
                receive(fetch);
        } while (fetch->offset < fetch->high_watermark);
        buffer_deinit(&request);
}

static void read_all(Fetch *fetch) {
        const Options *options = fetch->options;
        int64_t before = fetch->records;
        for (int64_t topic = 0; topic < options->topics; topic++)
                for (int32_t partition = 0; partition < options->partitions; partition++) {
                        char name[256];
                        read_partition(fetch, topic_name(options, topic, name), partition);
                }
        if (options->expect >= 0 && fetch->records - before != options->expect)
                die("%lld records were read of %lld", (long long)(fetch->records - before), (long long)options->expect);
}

void workload_fetch(const Options *options) {
        Fetch fetch = { .options = options, .fd = client_connect(options), .arena = ARENA_INIT(0) };
        int64_t broker_cpu = cpu_ns(options->pid), own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), begin = now_ns();
        for (int64_t i = 0; i < options->rounds; i++)
                read_all(&fetch);
        double seconds = (double)(now_ns() - begin) / NS_PER_S;
        printf("{\"requests\": %lld, \"records\": %lld, \"batches\": %lld, \"bytes_in\": %lld, \"seconds\": %.6f, \"own_cpu_s\": %.6f, "
               "\"broker_cpu_s\": %.6f}\n",
               (long long)fetch.requests, (long long)fetch.records, (long long)fetch.batches, (long long)fetch.bytes, seconds,
               (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own_cpu) / NS_PER_S, (double)(cpu_ns(options->pid) - broker_cpu) / NS_PER_S);
        free(fetch.frame);
        arena_deinit(&fetch.arena);
}
