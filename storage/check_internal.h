/* What the files of the verifying walk share; nobody else includes this. */
#pragma once

#include "storage/base/buffer.h"
#include "storage/batch.h"
#include "storage/check.h"
#include "storage/epochs.h"
#include "storage/producers.h"
#include "storage/segment.h"

/* What the walk saw of a batch. */
typedef struct CheckMark {
        int64_t position, base_offset, last_offset, max_timestamp; /* the latter: of all batches up to this one */
} CheckMark;

typedef struct Check {
        const CheckLog *how;
        CheckedLog *checked;
        int64_t *bases; /* of the segments, rising */
        int32_t count, capacity;
        bool has_indexes;      /* there are some, of whatever segment */
        bool has_odd_segments; /* that are no files */
        int64_t expected_offset; /* of the next batch; -1: any */
        int32_t epoch;           /* of the last batch */
        Epochs epochs;           /* as the file says */
        bool epochs_known, epochs_told;
        bool is_thinned; /* a batch has lost some of its records: the log was compacted, whether or not that is known */
        Producers producers;
        bool stop; /* what follows the first bad batch was reported with it */
        /* of the segment that is walked */
        int64_t base;
        CheckMark *marks;
        size_t mark_count, mark_capacity;
        AbortedTxn *aborted;
        size_t aborted_count, aborted_capacity;
} Check;

/* Reports something about dir/NNN.suffix of the segment (suffix NULL: about path itself, taken as it is). */
void check_report(Check *check, CheckKind kind, const char *path, int64_t position, int64_t offset, int64_t bytes, const char *format, ...)
        __attribute__((format(printf, 7, 8)));

/* Whether a start would take the derived files of the segment at base for what they are. */
bool check_is_trusted(const Check *check, int32_t index);

/* Compares the files beside the segment with what the walk saw. 0 or -errno. */
int check_indexes(Check *check, int32_t index, int64_t log_size);
/* The leader epoch of a batch, as the file has it. */
void check_epoch(Check *check, const BatchHeader *header);
