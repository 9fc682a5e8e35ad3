/* Every API and every version, cut at every byte: a request that ends early costs its sender the connection, as Kafka does it, and
 * nobody else anything.
 *
 * A frame says its own length, so each cut goes out as a correct frame that holds too little. Connections come in bunches: all are
 * opened and written to, then all are looked at. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/api/api.h"
#include "storage/base/endian.h"
#include "tests/lib/filler.h"
#include "tests/lib/requests.h"

#define BUNCH 200

static BrokerFixture broker;
static TestClient witness; /* connected before, and served after, everything else */

static void start(void) {
        broker = BROKER_FIXTURE_INIT;
        fixture_start(&broker, NULL);
        witness = client_connect(&broker);
}

static void stop(void) {
        client_close(&witness);
        fixture_remove(&broker);
}

TestSuite(truncation, .init = start, .fini = stop, .timeout = 240);

static Buffer filled_frame(const MessageSchema *request, int16_t version, uint64_t seed) {
        Arena arena = ARENA_INIT(0);
        Filler filler = { .arena = &arena, .seed = seed, .version = version };
        void *value = arena_alloc(&arena, request->body->size);
        cr_assert_not_null(value);
        filler_fill(&filler, request->body, value);
        Buffer frame = client_frame(request, version, 1, value);
        arena_deinit(&arena);
        return frame;
}

/* Sends the frame cut to each of these sizes (length included) and waits until all are closed. */
static void expect_cuts_closed(const MessageSchema *request, int16_t version, Buffer frame, size_t from, size_t to) {
        TestClient clients[BUNCH];
        for (size_t size = from; size < to; size++) {
                clients[size - from] = client_connect(&broker);
                store_be32(frame.data, (uint32_t)size - 4);
                client_send_bytes(&clients[size - from], frame.data, size);
        }
        for (size_t size = from; size < to; size++) {
                cr_expect(client_is_closed(&clients[size - from]), "%s v%d cut to %zu of %zu bytes", request->name, version, size,
                          frame.size);
                client_close(&clients[size - from]);
        }
}

static void expect_served(void) {
        cr_assert_geq(request_metadata(&witness, 9, "nowhere").error_code, 0);
}

static void cut(const Api *api, int16_t version) {
        Buffer frame = filled_frame(api->request, version, (uint64_t)version);
        for (size_t from = 4; from < frame.size; from += BUNCH)
                expect_cuts_closed(api->request, version, frame, from, from + BUNCH < frame.size ? from + BUNCH : frame.size);
        expect_served();
        buffer_deinit(&frame);
}

Test(truncation, every_request_may_end_after_every_byte) {
        size_t cuts = 0;
        for (const Api *api = api_table; api < api_table + api_count; api++)
                for (int16_t version = api->request->version_min; version <= api->request->version_max; version++, cuts++)
                        cut(api, version);
        cr_expect_gt(cuts, 150);
}

/* The same requests whole: made-up values get some answer, or none, but the broker goes on. Their clients leave at once. */
Test(truncation, made_up_requests_are_survived) {
        for (const Api *api = api_table; api < api_table + api_count; api++) {
                for (int16_t version = api->request->version_min; version <= api->request->version_max; version++) {
                        TestClient clients[8];
                        for (size_t i = 0; i < 8; i++) {
                                Buffer frame = filled_frame(api->request, version, 1000 * (i + 1) + (uint64_t)version);
                                clients[i] = client_connect(&broker);
                                client_send_bytes(&clients[i], frame.data, frame.size);
                                buffer_deinit(&frame);
                        }
                        expect_served();
                        for (size_t i = 0; i < 8; i++)
                                client_close(&clients[i]);
                }
        }
        expect_served();
}

/* Of this process, so of the broker, too. */
static long address_space_pages(void) {
        long pages = -1;
        FILE *file = fopen("/proc/self/statm", "re");
        cr_assert_not_null(file);
        cr_assert_eq(fscanf(file, "%ld", &pages), 1);
        fclose(file);
        return pages;
}

Test(truncation, promised_bytes_cost_nothing_until_they_come) {
        enum { COUNT = 100 };
        static const uint8_t promise[] = { 0x06, 0x3f, 0xff, 0xff, 0, 3, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 7 };
        TestClient clients[COUNT];
        expect_served();
        long before = address_space_pages();
        for (int i = 0; i < COUNT; i++) {
                clients[i] = client_connect(&broker);
                client_send_bytes(&clients[i], promise, sizeof(promise));
        }
        expect_served();
        cr_expect(client_is_silent(&clients[COUNT - 1], 20));
        long grown = address_space_pages() - before;
        cr_expect_lt(grown * sysconf(_SC_PAGESIZE), COUNT << 20, "%ld pages for %d promises of 100 MB", grown, COUNT);
        for (int i = 0; i < COUNT; i++)
                client_close(&clients[i]);
        expect_served();
}

/* Three bytes each, and more than a hundred of the answer. */
Test(truncation, a_request_whose_answer_would_be_huge_is_given_up) {
        enum { COUNT = 3000000 };
        DescribeGroupsRequest request = DescribeGroupsRequest_INIT;
        request.groups = malloc(COUNT * sizeof(*request.groups));
        request.groups_count = COUNT;
        for (int i = 0; i < COUNT; i++)
                request.groups[i] = STR("g");
        TestClient client = client_connect(&broker);
        client_send(&client, &DescribeGroupsRequest_message, 4, &request);
        free(request.groups);
        cr_expect(client_is_closed(&client));
        expect_served();
        client_close(&client);
}
