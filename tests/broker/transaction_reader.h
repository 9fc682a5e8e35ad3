/* What a reader finds in a partition that transactions write to, apart from the broker's own code for it: every record's value is the
 * serial number of its transaction. */
#pragma once

#include <criterion/criterion.h>
#include <stdlib.h>

#include "broker/state/state.h"
#include "storage/batch.h"

#define SERIALS 4000

typedef enum Outcome { OPEN, COMMITTED, ABORTED } Outcome;

static void read_all(Partition *partition, Buffer *ret_bytes) {
        int64_t offset = log_start_offset(partition->log), end = log_end_offset(partition->log);
        *ret_bytes = BUFFER_INIT;
        while (offset < end) {
                FileSpan span;
                BatchHeader header;
                size_t from = ret_bytes->size;
                cr_assert_eq(log_read(partition->log, offset, end, 1 << 20, true, &span), 0);
                cr_assert_eq(file_span_copy(&span, ret_bytes), 0);
                file_span_release(&span);
                for (size_t at = from; at < ret_bytes->size; at += batch_size(&header)) {
                        cr_assert_eq(batch_read_header(ret_bytes->data + at, ret_bytes->size - at, &header), 0);
                        offset = batch_next_offset(&header);
                }
        }
}

/* The serial number in the one record, or what the marker says. */
static int read_serial(const uint8_t *data, const BatchHeader *header) {
        BatchReader reader;
        Record record;
        cr_assert_eq(batch_reader_init(&reader, data, header, 1000), 0);
        cr_assert_eq(batch_reader_next(&reader, &record), 1);
        int serial = atoi(record.value.data);
        batch_reader_deinit(&reader);
        return serial;
}

typedef struct Write {
        int64_t offset, producer_id;
        int serial;
        Outcome outcome;
} Write;

typedef struct Aborted {
        int64_t producer_id, first_offset;
} Aborted;

typedef struct Contents {
        Write writes[SERIALS];
        int count;
        Aborted aborted[SERIALS]; /* as a Fetch tells them */
        int aborted_count;
} Contents;

static void add_aborted(int64_t producer_id, int64_t first_offset, void *data) {
        Contents *c = data;
        c->aborted[c->aborted_count++] = (Aborted){ producer_id, first_offset };
}

static void read_contents(Partition *partition, Contents *c) {
        Buffer bytes;
        BatchHeader header;
        c->count = c->aborted_count = 0;
        read_all(partition, &bytes);
        for (size_t at = 0; at < bytes.size; at += batch_size(&header)) {
                BatchMarker marker;
                batch_read_header(bytes.data + at, bytes.size - at, &header);
                cr_assert(batch_check_crc(bytes.data + at, &header));
                if (!(header.attributes & BATCH_CONTROL)) {
                        c->writes[c->count++] = (Write){ header.base_offset, header.producer_id, read_serial(bytes.data + at, &header), OPEN };
                        continue;
                }
                cr_assert_eq(batch_read_marker(bytes.data + at, &header, &marker), 1);
                for (int i = 0; i < c->count; i++)
                        if (c->writes[i].producer_id == header.producer_id && c->writes[i].outcome == OPEN)
                                c->writes[i].outcome = marker.commit ? COMMITTED : ABORTED;
        }
        buffer_deinit(&bytes);
        cr_assert_eq(log_aborted_transactions(partition->log, 0, log_last_stable_offset(partition->log), add_aborted, c), 0);
}

/* Whether a consumer drops the write: its producer's transaction is in the list, and began at or before it, and had not ended. */
static bool is_dropped(const Contents *c, const Write *write) {
        for (int i = 0; i < c->aborted_count; i++) {
                if (c->aborted[i].producer_id != write->producer_id || c->aborted[i].first_offset > write->offset)
                        continue;
                /* the transaction that began there goes on up to its marker: all its writes have one outcome */
                for (int k = 0; k < c->count; k++)
                        if (c->writes[k].offset == c->aborted[i].first_offset && c->writes[k].serial == write->serial)
                                return true;
        }
        return false;
}
