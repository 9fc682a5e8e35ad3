/* A few rows per segment at most, so they are kept and searched as they are. */
#include "storage/txn_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "storage/base/buffer.h"
#include "storage/base/endian.h"
#include "storage/base/file.h"

#define ROW_BYTES 34
#define ROW_VERSION 0
#define FILE_BYTES_MAX (64 << 20)

void txn_index_deinit(TxnIndex *index) {
        free(index->rows);
        *index = TXN_INDEX_INIT;
}

void txn_index_reset(TxnIndex *index) {
        txn_index_deinit(index);
        index->loaded = index->rewrite = true;
}

int txn_index_append(TxnIndex *index, const AbortedTxn *txn) {
        if (index->count && index->rows[index->count - 1].last_offset >= txn->last_offset)
                return -EINVAL;
        if (index->count == index->capacity) {
                uint32_t capacity = index->capacity ? index->capacity * 2 : 4;
                AbortedTxn *rows = realloc(index->rows, capacity * sizeof(*rows));
                if (!rows)
                        return -ENOMEM;
                index->rows = rows;
                index->capacity = capacity;
        }
        index->rows[index->count++] = *txn;
        return 0;
}

static int decode(TxnIndex *index, const uint8_t *data, size_t size, int64_t base_offset) {
        if (size % ROW_BYTES)
                return -EUCLEAN;
        for (size_t at = 0; at < size; at += ROW_BYTES) {
                const uint8_t *row = data + at;
                AbortedTxn txn = {
                        .producer_id = (int64_t)load_be64(row + 2),
                        .first_offset = (int64_t)load_be64(row + 10),
                        .last_offset = (int64_t)load_be64(row + 18),
                        .last_stable_offset = (int64_t)load_be64(row + 26),
                };
                if (load_be16(row) != ROW_VERSION || txn.producer_id < 0 || txn.first_offset < 0 ||
                    txn.first_offset > txn.last_offset || txn.last_offset < base_offset)
                        return -EUCLEAN;
                int r = txn_index_append(index, &txn);
                if (r)
                        return r == -EINVAL ? -EUCLEAN : r;
        }
        return 0;
}

static int read_rows(TxnIndex *index, int fd, int64_t base_offset) {
        int64_t size = file_size(fd);
        if (size < 0 || size > FILE_BYTES_MAX)
                return size < 0 ? (int)size : -EUCLEAN;
        Buffer data = BUFFER_INIT;
        int r = size && !buffer_extend(&data, (size_t)size) ? -ENOMEM : 0;
        ssize_t got = r ? 0 : file_read(fd, data.data, (size_t)size, 0);
        if (!r)
                r = got < 0 ? (int)got : decode(index, data.data, (size_t)got, base_offset);
        buffer_deinit(&data);
        return r;
}

int txn_index_load(TxnIndex *index, const char *path, int64_t base_offset) {
        if (index->loaded)
                return 0;
        int fd = file_open(path, O_RDONLY);
        if (fd < 0 && fd != -ENOENT)
                return fd;
        int r = fd < 0 ? 0 : read_rows(index, fd, base_offset);
        file_close(fd);
        if (r) {
                txn_index_deinit(index);
                return r;
        }
        index->saved_count = index->count;
        index->loaded = true;
        return 0;
}

void txn_index_truncate(TxnIndex *index, int64_t offset) {
        while (index->count && index->rows[index->count - 1].last_offset >= offset)
                index->count--;
        if (index->count < index->saved_count)
                index->rewrite = true;
}

bool txn_index_is_dirty(const TxnIndex *index) {
        return index->rewrite || index->count > index->saved_count;
}

static void encode(const TxnIndex *index, uint32_t first, Buffer *out) {
        for (uint32_t i = first; i < index->count; i++) {
                uint8_t *row = buffer_extend(out, ROW_BYTES);
                if (!row)
                        return;
                store_be16(row, ROW_VERSION);
                store_be64(row + 2, (uint64_t)index->rows[i].producer_id);
                store_be64(row + 10, (uint64_t)index->rows[i].first_offset);
                store_be64(row + 18, (uint64_t)index->rows[i].last_offset);
                store_be64(row + 26, (uint64_t)index->rows[i].last_stable_offset);
        }
}

/* Rows that follow saved ones are added; else the file is replaced. */
static int write_rows(const TxnIndex *index, const char *path, uint32_t first) {
        Buffer out = BUFFER_INIT;
        encode(index, first, &out);
        int r = out.failed ? -ENOMEM : 0;
        if (!r && first == 0)
                r = file_replace(path, out.data, out.size);
        int fd = r || first == 0 ? r : file_open(path, O_WRONLY);
        if (fd > 0) {
                r = file_write(fd, out.data, out.size, (int64_t)first * ROW_BYTES);
                if (!r)
                        r = file_sync_data(fd);
                file_close(fd);
        }
        buffer_deinit(&out);
        return fd < 0 ? fd : r;
}

int txn_index_save(TxnIndex *index, const char *path) {
        if (!txn_index_is_dirty(index))
                return 0;
        int r = index->count ? write_rows(index, path, index->rewrite ? 0 : index->saved_count) : file_unlink(path);
        if (r)
                return r;
        index->saved_count = index->count;
        index->rewrite = false;
        return 0;
}

int txn_index_copy(const TxnIndex *index, TxnIndex *ret_copy) {
        *ret_copy = *index;
        ret_copy->capacity = index->count;
        ret_copy->rows = malloc(((size_t)index->count + 1) * sizeof(*index->rows));
        if (!ret_copy->rows)
                return -ENOMEM;
        if (index->count)
                memcpy(ret_copy->rows, index->rows, (size_t)index->count * sizeof(*index->rows));
        return 0;
}

void txn_index_note_saved(TxnIndex *index, const TxnIndex *copy) {
        index->saved_count = copy->saved_count;
        index->rewrite = copy->rewrite;
}

bool txn_index_collect(const TxnIndex *index, int64_t from_offset, int64_t to_offset, TxnIndexEach *each, void *data) {
        for (uint32_t i = 0; i < index->count; i++) {
                const AbortedTxn *txn = &index->rows[i];
                if (txn->last_offset >= from_offset && txn->first_offset < to_offset)
                        each(txn, data);
                if (txn->last_stable_offset >= to_offset)
                        return true;
        }
        return false;
}
