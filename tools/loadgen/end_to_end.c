/* A producer in an open loop, and a consumer whose fetch is parked whenever it has caught up. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/base/endian.h"
#include "storage/batch.h"
#include "tools/loadgen/common.h"
#include "tools/loadgen/workloads.h"

typedef struct EndToEnd {
        const Options *options;
        ProduceLayout layout;
        Ring ring;
        int fd;
        Buffer request, received;
        size_t offset_at;
        int64_t acknowledged, offset, fetches; /* offset: the next to come */
        Arena arena;
        Histogram latency_ns;
} EndToEnd;

static void check(void *userdata, int32_t slot, const uint8_t *answer, size_t size) {
        EndToEnd *run = userdata;
        int64_t offset = produce_check(&run->layout, 0, answer, size);
        if (offset != run->acknowledged++)
                die("batch %lld got offset %lld", (long long)run->acknowledged - 1, (long long)offset);
}

static void send_fetch(EndToEnd *run) {
        store_be64(run->request.data + run->offset_at, (uint64_t)run->offset);
        if (send(run->fd, run->request.data, run->request.size, MSG_NOSIGNAL) != (ssize_t)run->request.size)
                die("sending a fetch failed: %m");
        run->fetches++;
}

/* Batch i of one record has offset i. */
static void take_answer(Pump *pump, EndToEnd *run, const uint8_t *frame, size_t size) {
        FetchResponse response;
        arena_reset(&run->arena);
        frame_decode(&FetchResponse_message, FETCH_VERSION, frame, size, &run->arena, &response);
        if (response.error_code || response.responses_count != 1 || response.responses[0].partitions[0].error_code)
                die("Fetch was answered with error %d", response.responses_count == 1 ? response.responses[0].partitions[0].error_code : response.error_code);
        Str records = response.responses[0].partitions[0].records.bytes;
        int64_t now = now_ns();
        BatchHeader header;
        for (size_t at = 0; at < records.len; at += batch_size(&header)) {
                const uint8_t *data = (const uint8_t *)records.data + at;
                int r = batch_read_header(data, records.len - at, &header);
                if (r == -EAGAIN && at > 0)
                        break;
                if (r != 0 || header.base_offset != run->offset || header.record_count != 1 || !batch_check_crc(data, &header))
                        die("a wrong batch where offset %lld was next", (long long)run->offset);
                histogram_add(&run->latency_ns, now - pump_scheduled_ns(pump, run->offset));
                run->offset++;
        }
}

static int64_t completed(void *userdata) {
        const EndToEnd *run = userdata;
        return run->offset;
}

static void ready(Pump *pump, void *userdata) {
        EndToEnd *run = userdata;
        size_t before = run->received.size, room = 256 << 10;
        uint8_t *to = buffer_extend(&run->received, room);
        if (!to)
                die("out of memory");
        ssize_t got = recv(run->fd, to, room, MSG_DONTWAIT);
        run->received.size = before + (size_t)(got > 0 ? got : 0);
        if (got == 0 || (got < 0 && errno != EAGAIN))
                die("the broker closed the consumer's connection");
        if (run->received.size < 4 || run->received.size - 4 < load_be32(run->received.data))
                return;
        take_answer(pump, run, run->received.data + 4, run->received.size - 4);
        run->received.size = 0;
        if (run->offset < run->options->requests)
                send_fetch(run);
}

void workload_end_to_end(const Options *options) {
        static PumpResult result;
        static EndToEnd run;
        if (options->rate == 0 || options->records != 1 || options->connections != 1)
                die("end-to-end takes a rate, one connection and one record a request");
        run = (EndToEnd){ .options = options, .layout = produce_layout(str_of(options->topic)), .fd = client_connect(options), .arena = ARENA_INIT(0) };
        Buffer batch = make_batch(1, options->record_bytes);
        do
                produce_append(&run.ring, options, str_of(options->topic), 0, &batch);
        while (run.ring.bytes.size < 64 << 10);
        ring_end(&run.ring);
        run.request = fetch_frame(options, str_of(options->topic), 0, (int32_t)options->wait_ms, &run.offset_at);
        send_fetch(&run);
        PumpSide side = { .fd = run.fd, .ready = ready, .completed = completed };
        PumpPlan plan = { .options = options, .ring = &run.ring, .check = check, .userdata = &run, .side = &side };
        pump_run(&plan, &result);
        char more[160];
        snprintf(more, sizeof(more), "\"fetches\": %lld, \"produce_p50_us\": %.1f, \"produce_p99_us\": %.1f, ", (long long)run.fetches,
                 (double)histogram_quantile(&result.latency_ns, .5) / 1e3, (double)histogram_quantile(&result.latency_ns, .99) / 1e3);
        result.latency_ns = run.latency_ns;
        print_result(more, &result);
        buffer_deinit(&batch);
        ring_deinit(&run.ring);
}
