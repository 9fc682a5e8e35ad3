/* Idempotence: a producer numbers its records, the log remembers the last numbers. */
#include "storage/producers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "storage/base/crc32c.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/list.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_HEADER_BYTES 10
#define SNAPSHOT_CRC_FROM 6
#define SNAPSHOT_ROW_BYTES 46
#define SNAPSHOT_BYTES_MAX (1 << 30)
#define UNDO_KEPT 4 /* more room than this is given back when idle */

struct ProducerUndo {
        int64_t id;
        int64_t base_offset; /* of the batch to be taken back */
        ProducerState before;
};

static Str id_key(const int64_t *id) {
        return (Str){ .data = (const char *)id, .len = sizeof(*id) };
}

Producer *producers_find(const Producers *producers, int64_t id) {
        HashNode *node = producers->map.count ? hashmap_find(&producers->map, id_key(&id)) : NULL;
        return node ? container_of(node, Producer, node) : NULL;
}

static ProducerList *list_of(Producers *producers, const Producer *producer) {
        return producer->is_open ? &producers->open : &producers->idle;
}

static void list_take(ProducerList *list, Producer *producer) {
        *(producer->previous ? &producer->previous->next : &list->first) = producer->next;
        *(producer->next ? &producer->next->previous : &list->last) = producer->previous;
}

static void list_put(ProducerList *list, Producer *producer, Producer *previous) {
        producer->previous = previous;
        producer->next = previous ? previous->next : list->first;
        *(previous ? &previous->next : &list->first) = producer;
        *(producer->next ? &producer->next->previous : &list->last) = producer;
}

static void producer_remove(Producers *producers, Producer *producer) {
        list_take(list_of(producers, producer), producer);
        hashmap_remove(&producers->map, &producer->node);
        free(producer);
}

static bool is_full(const Producers *producers) {
        return producers->count_max && producers->map.count >= producers->count_max;
}

static Producer *producer_add(Producers *producers, int64_t id) {
        while (is_full(producers) && producers->idle.first)
                producer_remove(producers, producers->idle.first);
        Producer *producer = calloc(1, sizeof(*producer));
        if (!producer)
                return NULL;
        producer->id = id;
        producer->state = (ProducerState){ .epoch = -1, .absent = true, .coordinator_epoch = -1,
                                           .last_timestamp_ms = -1, .txn_start_offset = -1 };
        if (hashmap_insert(&producers->map, id_key(&producer->id), &producer->node) < 0) {
                free(producer);
                return NULL;
        }
        list_put(&producers->idle, producer, producers->idle.last);
        return producer;
}

/* Brings the lists in line with the producer's state, which just changed. A new transaction is the last but when read back. */
static void place(Producers *producers, Producer *producer) {
        int64_t start = producer->state.txn_start_offset;
        if (start < 0 && producer == producers->idle.last)
                return;
        list_take(list_of(producers, producer), producer);
        producer->is_open = start >= 0;
        ProducerList *list = list_of(producers, producer);
        Producer *previous = list->last;
        while (producer->is_open && previous && previous->state.txn_start_offset > start)
                previous = previous->previous;
        list_put(list, producer, previous);
}

void producers_clear(Producers *producers) {
        HASHMAP_FOREACH(&producers->map, node)
                producer_remove(producers, container_of(node, Producer, node));
        producers->undo_count = 0;
}

void producers_deinit(Producers *producers) {
        producers_clear(producers);
        hashmap_deinit(&producers->map);
        free(producers->undo);
        *producers = PRODUCERS_INIT;
}

/* Sequences count from 0 to INT32_MAX and start again. */
static int32_t sequence_add(int32_t sequence, int32_t delta) {
        return (int32_t)(((uint32_t)sequence + (uint32_t)delta) & INT32_MAX);
}

static int32_t batch_last_sequence(const BatchHeader *header) {
        return header->base_sequence < 0 ? -1 : sequence_add(header->base_sequence, header->last_offset_delta);
}

bool producers_find_duplicate(const Producers *producers, const BatchHeader *header, int64_t *ret_base_offset,
                              int64_t *ret_last_offset, int64_t *ret_timestamp_ms) {
        const Producer *producer = producers_find(producers, header->producer_id);
        if (!producer || producer->state.epoch != header->producer_epoch)
                return false;
        for (int i = 0; i < producer->state.batch_count; i++) {
                const ProducerBatch *seen = &producer->state.batches[i];
                if (seen->last_sequence == batch_last_sequence(header) &&
                    seen->offset_delta == header->last_offset_delta) {
                        *ret_base_offset = seen->last_offset - seen->offset_delta;
                        *ret_last_offset = seen->last_offset;
                        *ret_timestamp_ms = seen->timestamp_ms;
                        return true;
                }
        }
        return false;
}

int producers_check(const Producers *producers, const BatchHeader *header) {
        const Producer *producer = producers_find(producers, header->producer_id);
        if (!producer) /* its records may all have been deleted: any sequence is a start */
                return is_full(producers) && !producers->idle.first ? KAFKA_POLICY_VIOLATION : 0;
        const ProducerState *state = &producer->state;
        if (header->producer_epoch < state->epoch)
                return KAFKA_INVALID_PRODUCER_EPOCH;
        int32_t last = header->producer_epoch == state->epoch ? producer_last_sequence(state) : -1;
        if (header->base_sequence != (last < 0 ? 0 : sequence_add(last, 1)))
                return KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
        if (state->txn_start_offset >= 0 && !(header->attributes & BATCH_TRANSACTIONAL))
                return KAFKA_INVALID_TXN_STATE;
        return 0;
}

int producers_check_broker(const Producers *producers, const BatchHeader *header, const uint8_t *data,
                           bool transactions_v2) {
        static const ProducerState unknown = { .epoch = -1, .txn_start_offset = -1, .coordinator_epoch = -1 };
        const Producer *producer = producers_find(producers, header->producer_id);
        const ProducerState *state = producer ? &producer->state : &unknown;
        bool open = state->txn_start_offset >= 0, control = header->attributes & BATCH_CONTROL;
        bool stale = header->producer_epoch < state->epoch ||
                     (control && transactions_v2 && open && header->producer_epoch == state->epoch);
        if (stale)
                return KAFKA_INVALID_PRODUCER_EPOCH;
        if (!control)
                return open && !(header->attributes & BATCH_TRANSACTIONAL) ? KAFKA_INVALID_TXN_STATE : 0;
        BatchMarker marker;
        int r = batch_read_marker(data, header, &marker);
        if (r != 1)
                return r < 0 ? r : KAFKA_INVALID_RECORD;
        return marker.coordinator_epoch < state->coordinator_epoch ? KAFKA_TRANSACTION_COORDINATOR_FENCED : 0;
}

bool producers_find_aborted(const Producers *producers, const BatchHeader *header, const uint8_t *data, AbortedTxn *ret_txn) {
        const Producer *producer = producers_find(producers, header->producer_id);
        BatchMarker marker;
        if (!producer || !producer->is_open || !(header->attributes & BATCH_CONTROL) ||
            batch_read_marker(data, header, &marker) != 1 || marker.commit)
                return false;
        const Producer *oldest = producers->open.first == producer ? producer->next : producers->open.first;
        *ret_txn = (AbortedTxn){
                .producer_id = producer->id,
                .first_offset = producer->state.txn_start_offset,
                .last_offset = batch_last_offset(header),
                .last_stable_offset = oldest ? oldest->state.txn_start_offset : batch_next_offset(header),
        };
        return true;
}

static void state_set_epoch(ProducerState *state, int16_t epoch) {
        if (epoch != state->epoch)
                state->batch_count = 0;
        state->epoch = epoch;
}

static ProducerBatch batch_of(const BatchHeader *header) {
        return (ProducerBatch){
                .last_offset = batch_last_offset(header),
                .timestamp_ms = header->max_timestamp,
                .last_sequence = batch_last_sequence(header),
                .offset_delta = header->last_offset_delta,
        };
}

static void state_add_batch(ProducerState *state, const BatchHeader *header) {
        state_set_epoch(state, header->producer_epoch);
        if (state->batch_count == PRODUCER_BATCHES_MAX)
                memmove(state->batches, state->batches + 1, --state->batch_count * sizeof(*state->batches));
        state->batches[state->batch_count++] = batch_of(header);
        state->last_timestamp_ms = header->max_timestamp;
        if (header->attributes & BATCH_TRANSACTIONAL && state->txn_start_offset < 0)
                state->txn_start_offset = header->base_offset;
}

static int state_end_transaction(ProducerState *state, const BatchHeader *header, const uint8_t *data) {
        BatchMarker marker;
        int r = batch_read_marker(data, header, &marker);
        if (r != 1)
                return r == -ENOMEM ? r : 0;
        state_set_epoch(state, header->producer_epoch);
        state->coordinator_epoch = marker.coordinator_epoch;
        state->last_timestamp_ms = marker.timestamp_ms;
        state->txn_start_offset = -1;
        return 0;
}

static ProducerUndo *undo_add(Producers *producers) {
        if (producers->undo_count == producers->undo_capacity) {
                uint32_t capacity = producers->undo_capacity ? producers->undo_capacity * 2 : UNDO_KEPT;
                ProducerUndo *undo = realloc(producers->undo, capacity * sizeof(*undo));
                if (!undo)
                        return NULL;
                producers->undo = undo;
                producers->undo_capacity = capacity;
        }
        return &producers->undo[producers->undo_count++];
}

int producers_update(Producers *producers, const BatchHeader *header, const uint8_t *data, bool undo) {
        bool control = header->attributes & BATCH_CONTROL;
        if (header->producer_id < 0 || (control && !header->record_count))
                return 0; /* the latter is what compaction leaves of a marker whose transaction is gone */
        Producer *producer = producers_find(producers, header->producer_id);
        if (!producer)
                producer = producer_add(producers, header->producer_id);
        if (!producer)
                return -ENOMEM;
        if (undo) {
                ProducerUndo *entry = undo_add(producers);
                if (!entry) {
                        if (producer->state.absent)
                                producer_remove(producers, producer);
                        return -ENOMEM;
                }
                *entry = (ProducerUndo){ .id = producer->id, .base_offset = header->base_offset,
                                         .before = producer->state };
        }
        producer->state.absent = false;
        int r = 0;
        if (control)
                r = state_end_transaction(&producer->state, header, data);
        else
                state_add_batch(&producer->state, header);
        place(producers, producer);
        if (r && undo)
                producers_revert(producers, producers->undo_count - 1);
        return r;
}

void producers_recall(Producers *producers, const BatchHeader *header) {
        Producer *producer = header->attributes & BATCH_CONTROL ? NULL : producers_find(producers, header->producer_id);
        if (!producer || producer->state.epoch != header->producer_epoch)
                return;
        ProducerState *state = &producer->state;
        int at = state->batch_count;
        while (at && state->batches[at - 1].last_offset > batch_last_offset(header))
                at--;
        bool known = at && state->batches[at - 1].last_offset == batch_last_offset(header);
        if (known || at == state->batch_count || (!at && state->batch_count == PRODUCER_BATCHES_MAX))
                return;
        if (state->batch_count == PRODUCER_BATCHES_MAX)
                memmove(state->batches, state->batches + 1, --at * sizeof(*state->batches));
        else
                memmove(state->batches + at + 1, state->batches + at, (state->batch_count++ - at) * sizeof(*state->batches));
        state->batches[at] = batch_of(header);
}

void producers_revert(Producers *producers, uint32_t count) {
        while (producers->undo_count > count) {
                ProducerUndo *entry = &producers->undo[--producers->undo_count];
                Producer *producer = producers_find(producers, entry->id);
                if (!producer)
                        continue;
                producer->state = entry->before;
                place(producers, producer);
                if (producer->state.absent)
                        producer_remove(producers, producer);
        }
}

void producers_keep(Producers *producers) {
        producers->undo_count = 0;
        if (producers->undo_capacity > UNDO_KEPT) {
                free(producers->undo);
                producers->undo = NULL;
                producers->undo_capacity = 0;
        }
}

/* Timestamps are what clients say. */
static bool has_expired(const ProducerState *state, int64_t now_ms, int64_t expiration_ms) {
        int64_t age_ms;
        if (__builtin_sub_overflow(now_ms, state->last_timestamp_ms, &age_ms))
                return state->last_timestamp_ms < 0;
        return age_ms >= expiration_ms;
}

void producers_expire(Producers *producers, int64_t now_ms, int64_t expiration_ms) {
        HASHMAP_FOREACH(&producers->map, node) {
                Producer *producer = container_of(node, Producer, node);
                if (producer->state.txn_start_offset < 0 && has_expired(&producer->state, now_ms, expiration_ms))
                        producer_remove(producers, producer);
        }
}

static void swap_state(Producers *producers, ProducerUndo *entry) {
        Producer *producer = producers_find(producers, entry->id);
        if (!producer)
                return;
        ProducerState now = producer->state;
        producer->state = entry->before;
        entry->before = now;
}

static void write_row(uint8_t *row, int64_t id, const ProducerState *state) {
        const ProducerBatch *last = state->batch_count ? &state->batches[state->batch_count - 1] : NULL;
        store_be64(row, (uint64_t)id);
        store_be16(row + 8, (uint16_t)state->epoch);
        store_be32(row + 10, last ? (uint32_t)last->last_sequence : UINT32_MAX);
        store_be64(row + 14, last ? (uint64_t)last->last_offset : UINT64_MAX);
        store_be32(row + 22, last ? (uint32_t)last->offset_delta : 0);
        store_be64(row + 26, (uint64_t)state->last_timestamp_ms);
        store_be32(row + 34, (uint32_t)state->coordinator_epoch);
        store_be64(row + 38, (uint64_t)state->txn_start_offset);
}

static uint32_t encode_rows(const Producer *producer, Buffer *out) {
        uint32_t count = 0;
        for (; producer; producer = producer->next) {
                uint8_t *row = producer->state.absent ? NULL : buffer_extend(out, SNAPSHOT_ROW_BYTES);
                if (!row)
                        continue;
                write_row(row, producer->id, &producer->state);
                count++;
        }
        return count;
}

/* In the order of the lists, so that a restart does not change who is idle for longest. */
static void encode_snapshot(const Producers *producers, Buffer *out) {
        buffer_extend(out, SNAPSHOT_HEADER_BYTES);
        uint32_t count = encode_rows(producers->idle.first, out);
        count += encode_rows(producers->open.first, out);
        if (out->failed)
                return;
        store_be16(out->data, SNAPSHOT_VERSION);
        store_be32(out->data + SNAPSHOT_CRC_FROM, count);
        store_be32(out->data + 2, crc32c(0, out->data + SNAPSHOT_CRC_FROM, out->size - SNAPSHOT_CRC_FROM));
}

Buffer producers_encode_snapshot(Producers *producers, int64_t end_offset) {
        uint32_t first = producers->undo_count;
        while (first && producers->undo[first - 1].base_offset >= end_offset)
                swap_state(producers, &producers->undo[--first]);
        Buffer out = BUFFER_INIT;
        encode_snapshot(producers, &out);
        for (uint32_t i = first; i < producers->undo_count; i++)
                swap_state(producers, &producers->undo[i]);
        return out;
}

int producers_save_snapshot(const Buffer *snapshot, const char *path) {
        int r = snapshot->failed ? -ENOMEM : file_open(path, O_WRONLY | O_CREAT | O_TRUNC);
        if (r >= 0) {
                int fd = r;
                r = file_write(fd, snapshot->data, snapshot->size, 0);
                file_close(fd);
        }
        return r;
}

int producers_write_snapshot(Producers *producers, int64_t end_offset, const char *path) {
        Buffer snapshot = producers_encode_snapshot(producers, end_offset);
        int r = producers_save_snapshot(&snapshot, path);
        buffer_deinit(&snapshot);
        return r;
}

static int read_row(Producers *producers, const uint8_t *row) {
        int64_t id = (int64_t)load_be64(row);
        if (id < 0 || producers_find(producers, id))
                return -EUCLEAN;
        Producer *producer = producer_add(producers, id);
        if (!producer)
                return -ENOMEM;
        ProducerState *state = &producer->state;
        state->absent = false;
        state->epoch = (int16_t)load_be16(row + 8);
        state->last_timestamp_ms = (int64_t)load_be64(row + 26);
        state->coordinator_epoch = (int32_t)load_be32(row + 34);
        state->txn_start_offset = (int64_t)load_be64(row + 38);
        ProducerBatch last = { .last_sequence = (int32_t)load_be32(row + 10),
                               .last_offset = (int64_t)load_be64(row + 14),
                               .offset_delta = (int32_t)load_be32(row + 22),
                               .timestamp_ms = state->last_timestamp_ms };
        if (last.last_offset >= 0)
                state->batches[state->batch_count++] = last;
        place(producers, producer);
        return 0;
}

static int decode_snapshot(Producers *producers, const uint8_t *data, size_t size) {
        if (size < SNAPSHOT_HEADER_BYTES || load_be16(data) != SNAPSHOT_VERSION ||
            load_be32(data + 2) != crc32c(0, data + SNAPSHOT_CRC_FROM, size - SNAPSHOT_CRC_FROM) ||
            (uint64_t)load_be32(data + SNAPSHOT_CRC_FROM) * SNAPSHOT_ROW_BYTES != size - SNAPSHOT_HEADER_BYTES)
                return -EUCLEAN;
        int r = 0;
        for (size_t at = SNAPSHOT_HEADER_BYTES; !r && at < size; at += SNAPSHOT_ROW_BYTES)
                r = read_row(producers, data + at);
        return r;
}

int producers_read_snapshot(Producers *producers, const char *path) {
        producers_clear(producers);
        int fd = file_open(path, O_RDONLY);
        if (fd < 0)
                return fd;
        int64_t size = file_size(fd);
        Buffer data = BUFFER_INIT;
        int r = size < 0 ? (int)size : size > SNAPSHOT_BYTES_MAX ? -EUCLEAN : 0;
        if (!r && !buffer_extend(&data, (size_t)size))
                r = -ENOMEM;
        if (!r) {
                ssize_t got = file_read(fd, data.data, (size_t)size, 0);
                r = got < 0 ? (int)got : decode_snapshot(producers, data.data, (size_t)got);
        }
        file_close(fd);
        buffer_deinit(&data);
        if (r)
                producers_clear(producers);
        return r;
}
