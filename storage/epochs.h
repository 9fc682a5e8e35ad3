/* The leader epochs of a log and the offset at which each began; the file leader-epoch-checkpoint. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/buffer.h"

typedef struct Epoch {
        int32_t epoch;
        int64_t start_offset;
} Epoch;

typedef struct Epochs {
        Epoch *rows; /* both columns rise */
        int32_t count, capacity;
} Epochs;

#define EPOCHS_INIT ((Epochs){ .rows = NULL, .count = 0, .capacity = 0 })

void epochs_deinit(Epochs *epochs);

/* -1 when there is none. */
int32_t epochs_latest(const Epochs *epochs);

/* Begins epoch at start_offset; false when the latest is not below it. -ENOMEM is false too. */
bool epochs_begin(Epochs *epochs, int32_t epoch, int64_t start_offset);

/* Forgets epochs that begin at or past end_offset; whether there were any. */
bool epochs_cut_end(Epochs *epochs, int64_t end_offset);
/* Forgets what lies before start_offset; the epoch it falls into begins there now. Whether anything changed. */
bool epochs_cut_start(Epochs *epochs, int64_t start_offset);

/* See log_epoch_end(). */
void epochs_end(const Epochs *epochs, int32_t epoch, int64_t log_end_offset, int32_t *ret_epoch,
                int64_t *ret_end_offset);

/* The file's content; without memory the buffer has failed. */
Buffer epochs_encode(const Epochs *epochs);
/* Syncing is left to others. 0 or -errno. */
int epochs_save(const Buffer *text, const char *dir);
/* Both. */
int epochs_write(const Epochs *epochs, const char *dir);
/* No file is better than one that has not all epochs: without, a recovery finds them all. 0 or -errno. */
int epochs_remove(const char *dir);
/* 0; -ENOENT; -EUCLEAN (no rows are kept); -errno. */
int epochs_read(Epochs *epochs, const char *dir);
