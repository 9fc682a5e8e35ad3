/* The verifying walk over a whole data directory, which changes nothing. */
#pragma once

#include "broker/state/state.h"
#include "storage/check.h"

typedef struct Inspection Inspection;
struct Inspection {
        Config *config;
        bool clean_shutdown; /* the last stop was */
        bool metadata_ends_early; /* there may be topics that nobody knows of */
        State *state;        /* while it runs: what the directory says of itself */
        int64_t partition_count, segment_count, batch_count, record_count, size_bytes;
        int64_t counts[CHECK_ODD + 1]; /* findings of each CheckKind */
        /* Each finding, with what can be done (static text). */
        void (*found)(Inspection *inspection, const CheckFinding *finding, const char *remedy);
        /* After each log; partition is NULL for the metadata log. NULL: nothing. Negative results end the walk. */
        int (*checked)(Inspection *inspection, const char *path, Partition *partition, const CheckedLog *checked);
        /* At the end, while state is still there. NULL: nothing. */
        int (*done)(Inspection *inspection);
        void *data;
};

/* 0; STATE_OPEN_FOREIGN (traced); -errno (traced). The caller holds the lock. */
int inspection_run(Inspection *inspection, int64_t now_ms);

static inline bool inspection_is_fine(const Inspection *inspection) {
        return inspection->counts[CHECK_ROT] == 0 && inspection->counts[CHECK_DERIVED] == 0;
}
