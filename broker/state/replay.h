/* A walk over the records of an internal topic, at start-up, or of one of its partitions. */
#pragma once

#include "broker/state/state.h"
#include "storage/batch.h"

typedef struct ReplayedRecord {
        Partition *partition;
        const BatchHeader *batch;
        const Record *record; /* NULL: the batch is an end marker, of the transaction of its producer */
        bool is_commit;       /* of the marker */
} ReplayedRecord;

/* Calls each() for every record and end marker of the partition, or the topic's partitions, in their order. 0, or the first negative result. */
int replay_partition(State *state, Partition *partition, int (*each)(State *state, const ReplayedRecord *replayed, void *data), void *data);
int replay_topic(State *state, Topic *topic, int (*each)(State *state, const ReplayedRecord *replayed, void *data), void *data);
