/* Followers and clients ask where an epoch ended, to find where their log and ours part ways. */
#include "storage/epochs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/file.h"
#include "storage/checkpoint.h"

#define FILE_NAME "leader-epoch-checkpoint"

void epochs_deinit(Epochs *epochs) {
        free(epochs->rows);
        *epochs = EPOCHS_INIT;
}

int32_t epochs_latest(const Epochs *epochs) {
        return epochs->count ? epochs->rows[epochs->count - 1].epoch : -1;
}

static bool append_row(Epochs *epochs, Epoch row) {
        if (epochs->count == epochs->capacity) {
                int32_t capacity = epochs->capacity ? epochs->capacity * 2 : 1;
                Epoch *rows = realloc(epochs->rows, (size_t)capacity * sizeof(*rows));
                if (!rows)
                        return false;
                epochs->rows = rows;
                epochs->capacity = capacity;
        }
        epochs->rows[epochs->count++] = row;
        return true;
}

bool epochs_begin(Epochs *epochs, int32_t epoch, int64_t start_offset) {
        if (epoch <= epochs_latest(epochs))
                return false;
        epochs_cut_end(epochs, start_offset); /* an epoch without records never was */
        return append_row(epochs, (Epoch){ .epoch = epoch, .start_offset = start_offset });
}

bool epochs_cut_end(Epochs *epochs, int64_t end_offset) {
        int32_t count = epochs->count;
        while (epochs->count && epochs->rows[epochs->count - 1].start_offset >= end_offset)
                epochs->count--;
        return epochs->count != count;
}

bool epochs_cut_start(Epochs *epochs, int64_t start_offset) {
        int32_t below = 0;
        while (below < epochs->count && epochs->rows[below].start_offset < start_offset)
                below++;
        if (below == 0)
                return false;
        epochs->rows[below - 1].start_offset = start_offset;
        epochs->count -= below - 1;
        memmove(epochs->rows, epochs->rows + below - 1, (size_t)epochs->count * sizeof(*epochs->rows));
        if (epochs->count > 1 && epochs->rows[1].start_offset == start_offset) {
                epochs->count--;
                memmove(epochs->rows, epochs->rows + 1, (size_t)epochs->count * sizeof(*epochs->rows));
        }
        return true;
}

void epochs_end(const Epochs *epochs, int32_t epoch, int64_t log_end_offset, int32_t *ret_epoch,
                int64_t *ret_end_offset) {
        *ret_epoch = -1;
        *ret_end_offset = -1;
        if (epoch == -1 || epochs->count == 0 || epoch > epochs_latest(epochs))
                return;
        if (epoch < epochs->rows[0].epoch) { /* older than all that is left: it ended where they begin */
                *ret_epoch = epoch;
                *ret_end_offset = epochs->rows[0].start_offset;
                return;
        }
        for (int32_t i = 0; i < epochs->count && epochs->rows[i].epoch <= epoch; i++) {
                *ret_epoch = epochs->rows[i].epoch;
                *ret_end_offset = i + 1 < epochs->count ? epochs->rows[i + 1].start_offset : log_end_offset;
        }
}

Buffer epochs_encode(const Epochs *epochs) {
        Buffer out = BUFFER_INIT;
        buffer_printf(&out, "0\n%" PRId32 "\n", epochs->count);
        for (int32_t i = 0; i < epochs->count; i++)
                buffer_printf(&out, "%" PRId32 " %" PRId64 "\n", epochs->rows[i].epoch, epochs->rows[i].start_offset);
        return out;
}

int epochs_save(const Buffer *text, const char *dir) {
        return checkpoint_write_unsynced(dir, FILE_NAME, (Str){ (const char *)text->data, text->size });
}

int epochs_write(const Epochs *epochs, const char *dir) {
        Buffer text = epochs_encode(epochs);
        int r = text.failed ? -ENOMEM : epochs_save(&text, dir);
        buffer_deinit(&text);
        return r;
}

int epochs_remove(const char *dir) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
        return n < (int)sizeof(path) ? file_unlink(path) : -ENAMETOOLONG;
}

static int read_row(Str line, void *data) {
        Epochs *epochs = data;
        const char *space = line.len ? memchr(line.data, ' ', line.len) : NULL;
        int64_t epoch, start;
        if (!space)
                return -EUCLEAN;
        Str first = { line.data, (size_t)(space - line.data) };
        Str second = { space + 1, line.len - first.len - 1 };
        if (!str_to_int64(first, 0, INT32_MAX, &epoch) || !str_to_int64(second, 0, INT64_MAX, &start))
                return -EUCLEAN;
        if (epochs->count && (epoch <= epochs_latest(epochs) || start <= epochs->rows[epochs->count - 1].start_offset))
                return -EUCLEAN;
        return append_row(epochs, (Epoch){ .epoch = (int32_t)epoch, .start_offset = start }) ? 0 : -ENOMEM;
}

int epochs_read(Epochs *epochs, const char *dir) {
        epochs->count = 0;
        int r = checkpoint_read_rows(dir, FILE_NAME, read_row, epochs);
        if (r)
                epochs->count = 0;
        return r;
}
