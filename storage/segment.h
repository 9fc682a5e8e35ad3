/* One .log file and its indexes. The last segment of a log is active: it alone is written.
 *
 * Readers hold references, so a file that was deleted stays readable until the last span is released. The
 * descriptor, the mapping and the indexes come lazily: an idle segment is this struct and nothing else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "storage/base/list.h"
#include "storage/batch.h"
#include "storage/index.h"
#include "storage/log.h"
#include "storage/txn_index.h"

#define SEGMENT_PATH_MAX 4096
#define SEGMENT_TIMESTAMP_UNKNOWN INT64_MIN
#define SEGMENT_SWAP_SUFFIX ".swap"

/* Whether the next segment goes on where this one ends. */
typedef enum SegmentSeam {
        SEGMENT_SEAM_UNKNOWN,
        SEGMENT_SEAM_FITS,
        SEGMENT_SEAM_GAP,     /* a segment between the two is missing */
        SEGMENT_SEAM_OVERLAP,
} SegmentSeam;

typedef struct Segment {
        const char *dir; /* the log's, valid while the log is open */
        int refs, passive_refs; /* the passive ones are among refs */
        int fd; /* -1: not opened yet */
        int64_t base_offset;
        int64_t size;         /* true end of the batches */
        int64_t reserved_end; /* extents are there up to here */
        int64_t created_ms;
        int64_t first_timestamp;      /* largest in the first batch; SEGMENT_TIMESTAMP_UNKNOWN */
        int64_t max_timestamp;        /* -1: none; SEGMENT_TIMESTAMP_UNKNOWN: in the time index */
        int64_t max_timestamp_offset; /* last offset of its batch */
        int64_t indexed_position;     /* of the batch last indexed, 0 at first */
        Index offsets, times;
        TxnIndex txns;
        SegmentSeam seam;    /* with the segment that follows */
        bool sealed;         /* no longer written */
        bool unsaved;        /* sealed, but its indexes are in memory only: the next sync writes them */
        bool busy;           /* another thread works on its files: they stay */
        bool swapping;       /* that thread gives them their names: each may still end in SEGMENT_SWAP_SUFFIX */
        bool indexes_loaded; /* offsets and times hold all there is */
        bool unsynced;       /* written since the last sync */
        bool entry_unsynced; /* its name may not be on disk: the next sync sees to it */
        bool torn;           /* behind size is what a failed write left */
        const uint8_t *map;
        size_t map_size;
        char *retired;       /* dir/NNN of files to be unlinked with the last reference, or NULL */
        Reaper *reaper;      /* gets what is left then; NULL: it is let go at once */
        ListNode opened, mapped; /* segment_files.c: by when they were used */
} Segment;

/* dir/NNN.suffix; "log", "index", "timeindex", "snapshot" ... */
void segment_path(const char *dir, int64_t base_offset, const char *suffix, char ret_path[static SEGMENT_PATH_MAX]);

/* A segment over a file that exists and has size bytes. NULL without memory. */
Segment *segment_new(const char *dir, int64_t base_offset, int64_t size);

/* Creates the file (it must not exist), or takes an empty one of another name for it, unless that is NULL or not there; its name becomes
 * durable with the next sync. 0 or -errno. */
int segment_create(const char *dir, int64_t base_offset, int64_t now_ms, const char *prepared, Segment **ret_segment);

Segment *segment_ref(Segment *segment);
/* Also a FileSpan's release. NULL is fine. */
void segment_unref(void *segment);

/* For a sync: a reference, that has use for the descriptor only if *ret_fd is not -1. Then there was one, and not too many are kept like
 * that: the others can be closed meanwhile. */
Segment *segment_keep(Segment *segment, int *ret_fd);
/* Ends that; fd as it was given. */
void segment_let_go(Segment *segment, int fd);

/* The descriptor, opened if need be, or -errno. */
int segment_open(Segment *segment);

/* Maps the file for reading; bytes_expected is how long it will become. No mapping is no error. */
void segment_map(Segment *segment, int64_t bytes_expected);

/* To be called after a segment was used, by the loop's thread only: those that were not used for longest lose their
 * descriptors and mappings when there are too many. Whoever keeps one of these in use (a FileSpan, a worker) holds a
 * reference; then they stay. */
void segment_used(Segment *segment);
/* Closes and unmaps, unless others hold references. */
void segment_close_files(Segment *segment);
/* What would be closed and unmapped is the caller's. */
SegmentRemains segment_take_files(Segment *segment);
/* How many segments may have a descriptor, and how many a mapping; by default a share of the process's limit of
 * descriptors, and a fixed number. */
void segment_files_limit(int opened_max, int mapped_max);
/* How many have one. */
void segment_files_count(int *ret_opened, int *ret_mapped);

/* Renames the files to NNN.*.deleted and unlinks them. 0 or -errno; the segment still has to be released. */
int segment_delete(Segment *segment);
/* Renames them only; the reaper gets them when the segment is released for the last time. 0 or -errno. */
int segment_retire(Segment *segment, Reaper *reaper);

/* What a failed commit goes back to. */
typedef struct SegmentMark {
        int64_t size, first_timestamp, max_timestamp, max_timestamp_offset, indexed_position;
        uint32_t offset_count, time_count;
} SegmentMark;

/* Where the segment is now, before something is tried that may fail. */
SegmentMark segment_mark(const Segment *segment);
/* Cuts file and indexes back to mark. */
void segment_reset(Segment *segment, const SegmentMark *mark);

/* Tries again where segment_reset() could not cut the file: nothing may follow before that. 0 or -errno. */
int segment_cut_tail(Segment *segment);

/* Writes parts, bytes in all, at position. bytes_expected is how long the segment will become. 0 or -errno: then
 * segment_reset() must follow. */
int segment_write(Segment *segment, struct iovec *parts, int count, int64_t position, int64_t bytes,
                  int64_t bytes_expected);

/* Whether the batch has offsets that the segment's indexes can express; the checksum covers but the number of them. */
static inline bool segment_admits(const Segment *segment, const BatchHeader *header) {
        return header->base_offset >= segment->base_offset && header->last_offset_delta >= 0 &&
               header->base_offset - segment->base_offset <= INT32_MAX - header->last_offset_delta;
}

/* Accounts for the next batch, written or about to be; index_interval_bytes lie between two index entries. */
void segment_note(Segment *segment, const BatchHeader *header, int64_t index_interval_bytes);

/* Whether the batch belongs into a new segment. */
bool segment_is_full(const Segment *segment, const BatchHeader *header, int64_t segment_bytes, int64_t segment_ms,
                     int64_t index_bytes, int64_t now_ms);

/* The segment is no longer written: its indexes are complete, with the largest timestamp as the last entry, in memory. */
void segment_end(Segment *segment);

/* What is left to do then, which takes the file system a while. */
typedef struct SegmentEnd {
        Index offsets, times; /* the segment's own entries */
        int64_t size;
        bool trims; /* extents were reserved behind it */
        int result;
} SegmentEnd;

/* The segment is busy until segment_end_finish(), and has what it needs in memory. */
SegmentEnd segment_end_begin(Segment *segment);
/* Any thread: writes the indexes of dir/NNN, and gives back reserved extents. After an error there are none; they are rebuilt when next
 * needed. fd may be -1. */
void segment_end_run(SegmentEnd *end, const char *dir, int64_t base_offset, int fd);
/* From now on the files serve. */
void segment_end_finish(Segment *segment, const SegmentEnd *end);
/* All of it at once. 0 or -errno. */
int segment_seal(Segment *segment);
/* The same for an active segment whose log closes: the indexes stay in memory. */
int segment_flush(Segment *segment);

/* Saves what is new in the indexes of an active segment, a block at a time, so that a recovery need not read all of it. Where
 * the position of a batch is on disk its time has to be: segment_save_times() says how many entries may be passed to
 * segment_save_offsets() once the time index was synced (0: none). What fails here only makes a recovery slower. */
uint32_t segment_save_times(Segment *segment);
void segment_save_offsets(Segment *segment, uint32_t count);

/* Makes the indexes available: from their files if these are sane, otherwise from the log. 0 or -errno. */
int segment_load_indexes(Segment *segment, int64_t index_interval_bytes);
/* Loads what the index files say about batches that end below offset, and returns the position of the last batch they know,
 * from which the indexes can be continued with segment_note(); 0 when the files are of no use. */
int64_t segment_resume_indexes(Segment *segment, int64_t offset);
/* Builds them from the log. 0; -EUCLEAN when the log has a hole; -errno. */
int segment_rebuild_indexes(Segment *segment, int64_t index_interval_bytes);

/* The header of the batch at position. 0; -EUCLEAN when there is no whole batch; -errno. */
int segment_read_header(Segment *segment, int64_t position, BatchHeader *ret_header);

/* The first batch whose last offset is >= offset: its position, or the segment's size when all are below. 0 or -errno.
 * The indexes must be loaded. */
int segment_find(Segment *segment, int64_t offset, int64_t *ret_position);

/* The largest batch boundary in [from, limit]; from is one. 0 or -errno. */
int segment_find_boundary(Segment *segment, int64_t from, int64_t limit, int64_t *ret_position);

/* Largest timestamp in the segment, or -1. */
int64_t segment_max_timestamp(Segment *segment, int64_t index_interval_bytes);
/* Largest timestamp of the first batch, or -1. */
int64_t segment_first_timestamp(Segment *segment);
