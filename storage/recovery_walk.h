/* The walk of a recovery over what a log holds: batch after batch is checked and noted in the log's derived state. */
#pragma once

#include "storage/base/file_window.h"
#include "storage/log_internal.h"

typedef struct WalkedBatch WalkedBatch;

/* Begins with the fields of the first paragraph; the others are zero. */
typedef struct Walk {
        Log *log;
        int64_t recovery_point;
        int64_t expected_offset;  /* of the next batch */
        int64_t producers_offset; /* up to which the producers are known */
        int32_t epoch;            /* of the last batch */
        bool writes_again;        /* as in LogOpen */

        int64_t again_position;   /* the next byte that is to be */
        FileWindow window;
        WalkedBatch *batches;     /* owned: those of the current stretch */
        int32_t batch_count, known_count; /* the known lie below the recovery point, and come first */
} Walk;

/* Walks the segment from position on, continuing its indexes in memory; *ret_good is where the last good batch ends. 0; -EUCLEAN when a bad one
 * follows there; -errno. The file may be shortened afterwards. */
int walk_segment(Walk *walk, Segment *segment, int64_t position, int64_t *ret_good);

void walk_deinit(Walk *walk);
