/* Producers with transactions, two to a transactional id, that add, write, commit offsets, end, go silent and come back in random
 * order, while time runs out, writes fail, topics go and the broker restarts or crashes; the same seeds in every run. What holds is
 * read from the logs after each step, by a reader of their own: a transaction has one outcome in all its partitions, and the one
 * that its producer was told; readers of committed records get all of what was committed and nothing else, and never pass what is
 * open; who was fenced writes no more; committed offsets are those of the transactions that committed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state/groups/offsets_pending.h"
#include "broker/state/groups/offsets_write.h"
#include "broker/state/transactions/transactions.h"
#include "storage/base/endian.h"
#include "storage/base/error.h"
#include "tests/broker/transaction_reader.h"
#include "tests/lib/state_fixture.h"

#define ACTORS 6
#define IDS 3
#define PLACES 4 /* partitions that are written to */
#define STEPS 250
#define SEEDS 40

typedef struct Actor {
        TransactionWait wait;
        CommitWait written;
        OffsetsWait offsets;
        int id;             /* of the transactional ids */
        int16_t version;    /* 0, or 2 */
        int32_t timeout_ms;
        bool is_busy;       /* a request is under way */
        bool is_in;         /* has a producer id and epoch */
        bool is_broken;     /* something failed: it may only abort, or begin anew */
        int64_t producer_id;
        int16_t epoch;
        int32_t sequences[PLACES];
        int serial;         /* of its transaction; 0: none */
        int place;          /* that it adds or writes to */
        bool ends_with_commit;
        int64_t end_offset; /* of the batch under way */
} Actor;

/* What is known of a transaction from outside. */
typedef struct Known {
        Outcome told;            /* its producer was told */
        bool is_acked[PLACES];   /* a write was acknowledged */
        Outcome seen;            /* in the logs; never changes again */
} Known;

static StateFixture fixture;
static Actor actors[ACTORS];
static Known known[SERIALS];
static int serial_count, owner[IDS];
static uint64_t seed;
static bool is_failing;
static const char *const id_names[IDS] = { "x", "y", "z" };
static const struct {
        const char *topic;
        int32_t partition;
} places[PLACES] = { { "t", 0 }, { "t", 1 }, { "u", 0 }, { "gone", 0 } };

static void setup(void) {
        state_fixture_start(&fixture);
        state_fixture_set(&fixture, "transaction.state.log.num.partitions", "2");
}

static void teardown(void) {
        state_fixture_end(&fixture);
}

TestSuite(transaction_interleavings, .init = setup, .fini = teardown, .timeout = 300);

static uint32_t random_below(uint32_t limit) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (uint32_t)(seed >> 32) % limit;
}

static Partition *partition_at(int place) {
        return partition_find(fixture.state, str_of(places[place].topic), places[place].partition);
}

/* ---- what must hold */

static void check_outcome(const Write *write) {
        Known *k = &known[write->serial];
        cr_assert(write->serial > 0 && write->serial <= serial_count);
        if (write->outcome == OPEN)
                return;
        cr_assert(k->seen == OPEN || k->seen == write->outcome, "transaction %d has two outcomes, seed %llu", write->serial,
                  (unsigned long long)seed);
        cr_assert(k->told == OPEN || k->told == write->outcome, "transaction %d: the producer was told otherwise, seed %llu", write->serial,
                  (unsigned long long)seed);
        k->seen = write->outcome;
}

static void check_place(int place) {
        static Contents c;
        Partition *partition = partition_at(place);
        if (!partition)
                return;
        read_contents(partition, &c);
        int64_t stable = log_last_stable_offset(partition->log), first_open = log_end_offset(partition->log);
        bool is_there[SERIALS] = { false };
        for (int i = 0; i < c.count; i++) {
                const Write *write = &c.writes[i];
                check_outcome(write);
                is_there[write->serial] = true;
                if (write->outcome == OPEN && write->offset < first_open)
                        first_open = write->offset;
                if (write->offset < stable)
                        cr_assert_eq(is_dropped(&c, write), write->outcome == ABORTED, "read_committed, seed %llu", (unsigned long long)seed);
        }
        cr_assert_eq(stable, first_open, "the last stable offset is %lld, %lld is open, seed %llu", (long long)stable, (long long)first_open,
                     (unsigned long long)seed);
        for (int s = 1; s <= serial_count; s++)
                cr_assert(!known[s].is_acked[place] || is_there[s], "an acknowledged write is gone");
}

/* Markers are in all partitions before it is over. */
static void check_complete(void) {
        for (int i = 0; i < IDS; i++) {
                const Transaction *txn = transaction_find(fixture.state, str_of(id_names[i]));
                TransactionStatus status = txn ? txn->facts.status : TRANSACTION_DEAD;
                if (status != TRANSACTION_EMPTY && status != TRANSACTION_COMPLETE_COMMIT && status != TRANSACTION_COMPLETE_ABORT)
                        continue;
                cr_assert_eq(txn->partitions.count, 0);
                for (int p = 0; p < PLACES; p++)
                        for (int a = 0; partition_at(p) && a < ACTORS; a++)
                                cr_assert(actors[a].id != i || !actors[a].is_in ||
                                          !log_has_open_transaction(partition_at(p)->log, actors[a].producer_id, actors[a].epoch));
        }
}

/* Offsets as a reader of __consumer_offsets has them: the value is the serial of the transaction that it was committed in. */
static void check_offsets(void) {
        for (int i = 0; i < IDS; i++) {
                const Topic *topic = topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS));
                Partition *partition = topic ? topic->partitions[journal_partition_index(str_of(id_names[i]), topic->partition_count)] : NULL;
                Buffer bytes = BUFFER_INIT;
                BatchHeader header;
                int64_t committed = -1, pending_producer[IDS * 64];
                int pending[IDS * 64], count = 0;
                if (partition)
                        read_all(partition, &bytes);
                for (size_t at = 0; at < bytes.size; at += batch_size(&header)) {
                        BatchReader reader;
                        Record record;
                        batch_read_header(bytes.data + at, bytes.size - at, &header);
                        cr_assert_eq(batch_reader_init(&reader, bytes.data + at, &header, 1000), 0);
                        cr_assert_eq(batch_reader_next(&reader, &record), 1);
                        bool is_commit = header.attributes & BATCH_CONTROL && load_be16(record.key.data + 2) == 1;
                        if (header.attributes & BATCH_CONTROL) {
                                int kept = 0;
                                for (int k = 0; k < count; k++)
                                        if (pending_producer[k] != header.producer_id) {
                                                pending_producer[kept] = pending_producer[k];
                                                pending[kept++] = pending[k];
                                        } else {
                                                committed = is_commit ? pending[k] : committed;
                                                Outcome outcome = is_commit ? COMMITTED : ABORTED;
                                                Known *it = &known[pending[k]];
                                                cr_assert((it->seen == OPEN || it->seen == outcome) && (it->told == OPEN || it->told == outcome));
                                                it->seen = outcome;
                                        }
                                count = kept;
                        } else if (load_be16(record.key.data) == 1 && record.key.data[4] == id_names[i][0] && str_is_null(record.value)) {
                                committed = -1; /* the topic is gone */
                                count = 0;
                        } else if (load_be16(record.key.data) == 1 && record.key.data[4] == id_names[i][0]) {
                                cr_assert_lt(count, IDS * 64);
                                pending_producer[count] = header.producer_id;
                                pending[count++] = (int)load_be64(record.value.data + 2);
                        }
                        batch_reader_deinit(&reader);
                }
                buffer_deinit(&bytes);
                Group *group = group_find(fixture.state, str_of(id_names[i]));
                const CommittedOffset *offset = group ? offset_find(group, STR("t"), 0) : NULL;
                cr_assert_eq(offset ? offset->offset : -1, committed, "group %s, seed %llu", id_names[i], (unsigned long long)seed);
                cr_assert_eq(offsets_pending_has(fixture.state, str_of(id_names[i]), STR("t"), 0), count > 0);
        }
}

/* While nothing is under way: what is in memory then is what is in the logs. */
static void check(void) {
        if (!list_is_empty(&fixture.state->commit_waits) || !list_is_empty(&fixture.state->dirty_partitions))
                return;
        for (int p = 0; p < PLACES; p++)
                check_place(p);
        check_complete();
        check_offsets();
}

/* ---- requests, and what comes of them */

static void start_transaction(Actor *actor) {
        if (actor->serial)
                return;
        cr_assert_lt(serial_count + 1, SERIALS);
        actor->serial = ++serial_count;
}

static void on_init(TransactionWait *wait, State *state, const TransactionResult *result) {
        Actor *actor = container_of(wait, Actor, wait);
        actor->is_busy = false;
        if (result->code)
                return;
        owner[actor->id] = (int)(actor - actors);
        actor->is_in = true;
        actor->is_broken = false;
        actor->producer_id = result->producer_id;
        actor->epoch = result->producer_epoch;
        actor->serial = 0;
        memset(actor->sequences, 0, sizeof(actor->sequences));
}

static void init(Actor *actor) {
        bool recovers = actor->is_in && random_below(2);
        actor->is_busy = true;
        actor->wait.done = on_init;
        transaction_init(fixture.state, str_of(id_names[actor->id]), actor->timeout_ms, recovers ? actor->producer_id : -1,
                         recovers ? actor->epoch : -1, &actor->wait);
}

static void on_written(CommitWait *wait, State *state) {
        Actor *actor = container_of(wait, Actor, written);
        Partition *partition = partition_at(actor->place);
        actor->is_busy = false;
        if (!partition || !partition_is_written(partition, actor->end_offset)) {
                actor->is_broken = true;
                return;
        }
        actor->sequences[actor->place]++;
        known[actor->serial].is_acked[actor->place] = true;
}

static void make_batch(const Actor *actor, BatchBuilder *batch) {
        char value[16];
        snprintf(value, sizeof(value), "%d", actor->serial);
        batch_builder_init(batch, BATCH_TRANSACTIONAL, actor->producer_id, actor->epoch, actor->sequences[actor->place]);
        batch_builder_add(batch, fixture.state->now_ms, STR_NULL, (Str){ value, strlen(value) + 1 }, NULL, 0);
        cr_assert_eq(batch_builder_finish(batch, 0), 0);
}

static void append(Actor *actor) {
        BatchBuilder batch;
        LogAppend result;
        Partition *partition = partition_at(actor->place);
        actor->is_busy = false;
        make_batch(actor, &batch);
        int r = partition ? partition_append_owned(fixture.state, partition, &batch.out, LOG_ORIGIN_CLIENT, &result)
                          : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        batch_builder_deinit(&batch);
        if (r) {
                actor->is_broken = true;
                return;
        }
        cr_assert_eq(owner[actor->id], actor - actors, "a fenced producer wrote, seed %llu", (unsigned long long)seed);
        actor->end_offset = result.last_offset + 1;
        actor->is_busy = true;
        state_wait_commit(fixture.state, &actor->written, on_written);
}

static void on_added(TransactionWait *wait, State *state, const TransactionResult *result) {
        Actor *actor = container_of(wait, Actor, wait);
        actor->is_busy = false;
        actor->is_broken |= result->code && result->code != KAFKA_CONCURRENT_TRANSACTIONS;
}

static void on_added_for_write(TransactionWait *wait, State *state, const TransactionResult *result) {
        on_added(wait, state, result);
        if (!result->code)
                append(container_of(wait, Actor, wait));
}

static void add(Actor *actor, TransactionTarget target, void (*done)(TransactionWait *wait, State *state, const TransactionResult *result)) {
        actor->is_busy = true;
        actor->wait.done = done;
        transaction_add(fixture.state, str_of(id_names[actor->id]), actor->producer_id, actor->epoch, &target, 1, actor->version,
                        &actor->wait);
}

static TransactionTarget target_of(int place) {
        return (TransactionTarget){ str_of(places[place].topic), places[place].partition };
}

static void produce(Actor *actor) {
        BatchBuilder batch;
        actor->place = (int)random_below(PLACES);
        Partition *partition = partition_at(actor->place);
        if (!partition)
                return;
        start_transaction(actor);
        make_batch(actor, &batch);
        TransactionAdmission admission = transaction_admit(fixture.state, str_of(id_names[actor->id]), actor->version >= 2 ? 12 : 11, partition,
                                                           (Str){ (const char *)batch.out.data, batch.out.size });
        batch_builder_deinit(&batch);
        if (admission.has_to_add)
                add(actor, target_of(actor->place), on_added_for_write);
        else if (!admission.code)
                append(actor);
        else if (actor->version >= 2)
                actor->is_broken = true;
}

static void on_offsets(OffsetsWait *wait, State *state, int16_t code) {
        Actor *actor = container_of(wait, Actor, offsets);
        actor->is_busy = false;
        actor->is_broken |= code != 0;
}

static void write_offsets(Actor *actor) {
        OffsetToCommit offset = { .topic = STR("t"), .metadata = STR(""), .leader_epoch = -1, .offset = actor->serial,
                                  .commit_ms = fixture.state->now_ms, .expire_ms = -1 };
        OffsetsProducer producer = { actor->producer_id, actor->epoch };
        actor->offsets.done = on_offsets;
        actor->is_busy = true;
        if (offsets_write(fixture.state, str_of(id_names[actor->id]), &offset, 1, &producer, &actor->offsets)) {
                actor->is_busy = false;
                actor->is_broken = true;
                return;
        }
        cr_assert_eq(owner[actor->id], actor - actors, "a fenced producer committed offsets, seed %llu", (unsigned long long)seed);
}

static void on_added_for_offsets(TransactionWait *wait, State *state, const TransactionResult *result) {
        on_added(wait, state, result);
        if (!result->code)
                write_offsets(container_of(wait, Actor, wait));
}

/* As AddOffsetsToTxn and TxnOffsetCommit of either version do it. */
static void commit_offsets(Actor *actor) {
        Str id = str_of(id_names[actor->id]);
        if (groups_ensure_topic(fixture.state))
                return;
        TransactionTarget target = { STR(TOPIC_NAME_OFFSETS),
                                     journal_partition_index(id, topic_find(fixture.state, STR(TOPIC_NAME_OFFSETS))->partition_count) };
        start_transaction(actor);
        if (actor->version >= 2)
                add(actor, target, on_added_for_offsets);
        else if (transaction_verify(fixture.state, id, actor->producer_id, actor->epoch, target.topic, target.partition) == 0)
                write_offsets(actor);
        else
                add(actor, target, on_added);
}

static void on_ended(TransactionWait *wait, State *state, const TransactionResult *result) {
        Actor *actor = container_of(wait, Actor, wait);
        actor->is_busy = false;
        if (result->code) {
                actor->is_broken |= result->code != KAFKA_CONCURRENT_TRANSACTIONS && result->code != KAFKA_COORDINATOR_NOT_AVAILABLE;
                return;
        }
        Known *k = &known[actor->serial];
        Outcome outcome = actor->ends_with_commit ? COMMITTED : ABORTED;
        cr_assert(k->seen == OPEN || k->seen == outcome || !actor->serial, "transaction %d has ended otherwise, seed %llu", actor->serial,
                  (unsigned long long)seed);
        if (actor->serial)
                k->told = outcome;
        if (actor->version >= 2 && (actor->producer_id != result->producer_id || actor->epoch != result->producer_epoch)) {
                actor->producer_id = result->producer_id;
                actor->epoch = result->producer_epoch;
                memset(actor->sequences, 0, sizeof(actor->sequences));
        }
        actor->serial = 0;
        actor->is_broken = false;
}

/* One whose end was asked for asks for the same until it knows. */
static void end(Actor *actor) {
        actor->ends_with_commit = !actor->is_broken && actor->serial && random_below(3);
        actor->is_busy = true;
        actor->wait.done = on_ended;
        transaction_end(fixture.state, str_of(id_names[actor->id]), actor->producer_id, actor->epoch, actor->ends_with_commit, actor->version,
                        &actor->wait);
}

/* ---- steps */

/* The client went away, and what it asked for goes on without it. */
static void vanish(Actor *actor) {
        if (actor->wait.write)
                transaction_wait_cancel(&actor->wait);
        if (actor->offsets.write)
                offsets_wait_cancel(&actor->offsets);
        list_remove(&actor->written.node);
        actor->is_busy = actor->is_in = actor->is_broken = false;
        actor->serial = 0;
}

static void start_again(void) {
        for (int i = 0; i < ACTORS; i++) {
                Actor before = actors[i];
                bool was_busy = before.is_busy;
                vanish(&actors[i]);
                if (!was_busy && random_below(2)) { /* a client that reconnects */
                        actors[i].is_in = before.is_in;
                        actors[i].is_broken = before.is_broken;
                        actors[i].serial = before.serial;
                }
        }
        if (random_below(2) && !is_failing)
                state_fixture_reopen(&fixture);
        else
                state_fixture_crash(&fixture);
        is_failing = false;
}

static void change_topic(void) {
        Topic *topic = topic_find(fixture.state, STR("gone"));
        if (topic && random_below(4))
                return;
        if (!topic) {
                state_fixture_create(&fixture, STR("gone"), 1, NULL);
                return;
        }
        if (topic_delete(fixture.state, topic))
                return;
        for (int s = 1; s <= serial_count; s++)
                known[s].is_acked[3] = false;
}

static void step_of(Actor *actor) {
        uint32_t what = random_below(100);
        if (actor->is_busy) {
                if (what < 3)
                        vanish(actor);
        } else if (!actor->is_in) {
                init(actor);
        } else if (actor->is_broken) {
                if (what < 50)
                        init(actor);
                else
                        end(actor);
        } else if (what < 15 && actor->version < 2) {
                actor->place = (int)random_below(PLACES);
                start_transaction(actor);
                add(actor, target_of(actor->place), on_added);
        } else if (what < 55) {
                produce(actor);
        } else if (what < 65) {
                commit_offsets(actor);
        } else if (what < 90) {
                end(actor);
        } else if (what < 93) {
                init(actor);
        } else if (what < 96) {
                vanish(actor);
        }
}

/* Ends the turn, with or without the syncs that it began. */
static void commit(void) {
        if (random_below(2))
                state_drain(fixture.state);
        else
                state_commit(fixture.state);
}

static void step(void) {
        uint32_t what = random_below(130);
        if (what < 80)
                step_of(&actors[random_below(ACTORS)]);
        else if (what < 115)
                commit();
        else if (what < 122)
                state_fixture_advance(&fixture, random_below(random_below(4) ? 1500 : 30000));
        else if (what < 124)
                state_fixture_fail_writes(is_failing = !is_failing);
        else if (what < 126)
                change_topic();
        else if (what < 128)
                start_again();
}

static void start(void) {
        State *state = fixture.state;
        for (int p = 0; p < PLACES; p++)
                if (!topic_find(state, str_of(places[p].topic)))
                        cr_assert_eq(state_fixture_create(&fixture, str_of(places[p].topic), p == 0 ? 2 : 1, NULL), 0);
        for (int i = 0; i < ACTORS; i++) {
                vanish(&actors[i]);
                actors[i].id = i % IDS;
                actors[i].version = random_below(2) ? 2 : 0;
                actors[i].timeout_ms = 1000 + (int32_t)random_below(20000);
        }
}

/* Near their last epochs, now and then. */
static void age(void) {
        for (int i = 0; i < IDS; i++) {
                Transaction *txn = transaction_find(fixture.state, str_of(id_names[i]));
                bool is_idle = txn && !txn->is_changing && !txn->unwritten_count &&
                               (txn->facts.status == TRANSACTION_COMPLETE_COMMIT || txn->facts.status == TRANSACTION_COMPLETE_ABORT);
                if (is_idle && random_below(3) == 0 && txn->facts.producer_epoch < 32000)
                        txn->facts.producer_epoch = INT16_MAX - 3;
        }
}

static void settle(void) {
        state_fixture_fail_writes(is_failing = false);
        for (int i = 0; i < 60; i++) {
                state_fixture_advance(&fixture, 1000);
                state_drain(fixture.state);
        }
        check();
        for (int i = 0; i < ACTORS; i++)
                cr_assert(!actors[i].is_busy, "a producer waits for ever, seed %llu", (unsigned long long)seed);
        for (int p = 0; p < PLACES; p++)
                if (partition_at(p))
                        cr_assert_eq(log_last_stable_offset(partition_at(p)->log), log_end_offset(partition_at(p)->log));
        for (int s = 1; s <= serial_count; s++)
                for (int p = 0; p < PLACES; p++)
                        cr_assert(!known[s].is_acked[p] || known[s].told == OPEN || known[s].told == known[s].seen);
}

static void run(uint64_t first_seed) {
        for (uint64_t i = 0; i < SEEDS; i++) {
                seed = (first_seed + i) * 0x9e3779b97f4a7c15u + 1;
                start();
                for (int k = 0; k < STEPS; k++) {
                        step();
                        check();
                }
                settle();
                for (int a = 0; a < ACTORS; a++)
                        vanish(&actors[a]);
                age();
                for (int p = 0; p < PLACES; p++) { /* begin with empty logs, or the check of each step takes longer and longer */
                        Topic *topic = topic_find(fixture.state, str_of(places[p].topic));
                        if (topic)
                                cr_assert_eq(topic_delete(fixture.state, topic), 0);
                }
                memset(known, 0, sizeof(known));
        }
}

Test(transaction_interleavings, every_transaction_has_one_outcome) {
        run(1);
}

Test(transaction_interleavings, and_also_with_every_write_on_disk_first) {
        fixture.config.durable = true;
        run(5000);
}
