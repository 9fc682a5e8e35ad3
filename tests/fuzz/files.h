/* Directories out of a fuzzer's input: some bytes that choose, then files, each as its name up to a NUL, two bytes of length
 * (big-endian) and its content. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/buffer.h"

#define FILES_PATH_MAX 256

/* A new directory for the run, in memory where that can be; gone at exit. */
const char *files_root(void);

/* Empties the directory and writes the files there; directories in their names are made. With seal the checksums of record batches
 * (*.log, *.checkpoint) and of producers' snapshots are put right, which no fuzzer finds. */
void files_unpack(const char *dir, const uint8_t *data, size_t size, bool seal);

/* The other way: appends the files of the directory to out, .lock and .ballast left out. */
void files_pack(const char *dir, Buffer *out);

/* Puts the checksum of each batch right that has a length which can be. */
void files_seal_batches(uint8_t *data, size_t size);

/* A number that stands for all that is in the directory, .lock left out; only_logs: for the .log files. */
uint64_t files_digest(const char *dir, bool only_logs);

/* Removes all that is in the directory. */
void files_clear(const char *dir);
