/* Writing commits, and putting them into force. */
#include "broker/state/groups/offsets_write.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/state/groups/offsets_pending.h"
#include "storage/base/arena.h"
#include "storage/base/error.h"

struct OffsetsWrite {
        JournalWrite journal;
        Arena arena;
        Str group_id;
        OffsetToCommit *offsets;
        int32_t count;
        OffsetsProducer producer; /* id -1: outside transactions */
        OffsetsWait *wait;
};

/* As Java counts: in units of UTF-16. */
static int64_t length_of(Str text) {
        int64_t count = 0;
        for (size_t i = 0; i < text.len; i++) {
                uint8_t byte = (uint8_t)text.data[i];
                count += (byte & 0xc0) == 0x80 ? 0 : byte >= 0xf0 ? 2 : 1;
        }
        return count;
}

bool offsets_metadata_fits(const State *state, Str metadata) {
        return length_of(metadata) <= config_int(state->config, "offset.metadata.max.bytes");
}

void offsets_wait_cancel(OffsetsWait *wait) {
        if (wait->write)
                wait->write->wait = NULL;
        wait->write = NULL;
}

static void write_free(OffsetsWrite *write) {
        arena_deinit(&write->arena);
        free(write);
}

static int store(State *state, const OffsetsWrite *write, const OffsetToCommit *offset) {
        Group *group = group_get(state, write->group_id);
        if (!group)
                return -ENOMEM;
        if (write->producer.id >= 0)
                return offsets_pending_add(state, write->journal.partition->index, write->producer.id,
                                           &(PendingCommit){ .group = write->group_id, .topic = offset->topic,
                                                             .metadata = offset->metadata, .partition = offset->partition,
                                                             .leader_epoch = offset->leader_epoch, .offset = offset->offset,
                                                             .commit_ms = offset->commit_ms });
        offsets_pending_supersede(state, write->group_id, offset->topic, offset->partition);
        return offset_store(group, offset->topic, offset->partition, offset->offset, offset->leader_epoch, offset->metadata,
                            offset->commit_ms, offset->expire_ms);
}

static void on_written(JournalWrite *journal, State *state, int16_t code) {
        OffsetsWrite *write = container_of(journal, OffsetsWrite, journal);
        for (int32_t i = 0; !code && i < write->count; i++)
                if (store(state, write, &write->offsets[i]) < 0)
                        code = KAFKA_COORDINATOR_NOT_AVAILABLE;
        if (write->wait) {
                write->wait->write = NULL;
                write->wait->done(write->wait, state, code);
        }
        write_free(write);
}

static bool copy(OffsetsWrite *write, Str group_id, const OffsetToCommit *offsets, int32_t count) {
        write->group_id = arena_str(&write->arena, group_id);
        write->offsets = arena_alloc_array(&write->arena, (size_t)count, sizeof(*offsets));
        write->count = count;
        bool ok = write->offsets && !str_is_null(write->group_id);
        for (int32_t i = 0; ok && i < count; i++) {
                write->offsets[i] = offsets[i];
                write->offsets[i].topic = arena_str(&write->arena, offsets[i].topic);
                write->offsets[i].metadata = arena_str(&write->arena, offsets[i].metadata);
                ok = !str_is_null(write->offsets[i].topic) && !str_is_null(write->offsets[i].metadata);
        }
        return ok;
}

static int append(State *state, OffsetsWrite *write) {
        Journal journal;
        if (write->producer.id >= 0)
                journal_begin_transactional(&journal, state->now_ms, write->producer.id, write->producer.epoch);
        else
                journal_begin(&journal, state->now_ms);
        for (int32_t i = 0; i < write->count; i++) {
                const OffsetToCommit *offset = &write->offsets[i];
                journal_add_offset(&journal, write->group_id,
                                   &(CommittedOffset){ .topic = (char *)(uintptr_t)offset->topic.data, .partition = offset->partition,
                                                       .offset = offset->offset, .leader_epoch = offset->leader_epoch,
                                                       .metadata = offset->metadata, .commit_timestamp_ms = offset->commit_ms,
                                                       .expire_timestamp_ms = offset->expire_ms });
        }
        return journal_append(state, &journal, write->group_id, &write->journal, on_written);
}

int offsets_write(State *state, Str group_id, const OffsetToCommit *offsets, int32_t count, const OffsetsProducer *producer,
                  OffsetsWait *wait) {
        OffsetsWrite *write = calloc(1, sizeof(*write));
        if (!write)
                return -ENOMEM;
        write->arena = ARENA_INIT(0);
        write->producer = producer ? *producer : (OffsetsProducer){ -1, -1 };
        int r = copy(write, group_id, offsets, count) ? append(state, write) : -ENOMEM;
        if (r) {
                write_free(write);
                return r;
        }
        write->wait = wait;
        wait->write = write;
        return 0;
}
