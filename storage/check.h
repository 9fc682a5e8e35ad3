/* A verifying walk over one partition's directory. Opens everything read-only and changes nothing.
 *
 * Every batch: its CRC, that offsets and epochs go on from the batch before, that it holds as many records as it says. The derived
 * files: that they say what the log says, as far as a start would trust them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum CheckKind {
        CHECK_TORN,    /* the end of a write that a crash cut short: the next start sets it aside */
        CHECK_ROT,     /* what was known to be on disk is not there, or is not what was written */
        CHECK_DERIVED, /* an index or the like that contradicts the log: can be made again */
        CHECK_ODD,     /* nothing that is lost, but nothing that belongs there either */
} CheckKind;

typedef struct CheckFinding {
        CheckKind kind;
        const char *path; /* of the file */
        int64_t position; /* in the file; -1: all of it */
        int64_t offset;   /* of the first record that is concerned; -1: none */
        int64_t bytes;    /* that lie behind there; -1: unknown */
        const char *what; /* in words */
} CheckFinding;

typedef struct CheckLog {
        const char *path;
        bool clean_shutdown;      /* as in LogOpen */
        int64_t recovery_point;
        int64_t log_start_offset;
        int64_t compacted_offset; /* below it gaps between offsets are as they should be; INT64_MAX: everywhere */
        bool metadata;            /* the metadata log: other files lie beside the segments */
        void (*found)(const CheckFinding *finding, void *data);
        void *data;
} CheckLog;

typedef struct CheckedLog {
        int64_t segment_count, batch_count, record_count, size_bytes;
        int64_t start_offset; /* of the first segment, or -1 without any */
        int64_t end_offset;   /* of the last batch, damaged ones left out */
        bool is_empty;        /* there is no segment, and nothing in the place of one */
        int64_t torn_count, rot_count, derived_count, odd_count;
        int64_t alien_count;  /* of rot_count: what is no file of its own in the place of one */
        /* Where the first bad batch is: the log is good up to there. good_base is -1 when all is. */
        int64_t good_base, good_position, good_offset;
} CheckedLog;

/* Calls found for each finding. 0 or -errno (something could not be read at all). */
int check_log(const CheckLog *how, CheckedLog *ret_checked);

/* Cuts the log at checked's good_base and good_position. What lies behind goes to files beside it, NNN.log.cut-POSITION, which
 * nothing reads; index files and snapshots that reach beyond go. *ret_bytes is what was cut. 0 or -errno. */
int check_cut(const char *path, const CheckedLog *checked, int64_t *ret_bytes);

/* Makes all derived files of a sound log anew: indexes, transaction indexes, the producers' snapshot, the leader epochs. 0; -EUCLEAN;
 * -errno. */
int check_rebuild(const char *path, int64_t log_start_offset, int64_t now_ms);
