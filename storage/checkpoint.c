/* Small files that are replaced as a whole: a reader sees the old one or the new one, never a mixture. */
#include "storage/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/buffer.h"
#include "storage/base/file.h"

#define FILE_BYTES_MAX (256 << 20)

static int make_path(char path[static PATH_MAX], const char *dir, const char *name) {
        return snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int read_file(const char *dir, const char *name, Buffer *ret_text) {
        char path[PATH_MAX];
        int r = make_path(path, dir, name);
        int fd = r ? r : file_open(path, O_RDONLY);
        if (fd < 0)
                return fd;
        int64_t size = file_size(fd);
        r = size < 0 ? (int)size : size > FILE_BYTES_MAX ? -EUCLEAN : 0;
        if (!r && !buffer_extend(ret_text, (size_t)size))
                r = -ENOMEM;
        if (!r) {
                ssize_t got = file_read(fd, ret_text->data, (size_t)size, 0);
                r = got < 0 ? (int)got : 0;
                ret_text->size = got < 0 ? 0 : (size_t)got;
        }
        file_close(fd);
        return r;
}

/* The next line of *text without its end; false when there is none. */
static bool next_line(Str *text, Str *ret_line) {
        if (!text->len)
                return false;
        const char *newline = memchr(text->data, '\n', text->len);
        size_t len = newline ? (size_t)(newline - text->data) : text->len, taken = newline ? len + 1 : len;
        *ret_line = (Str){ text->data, len && text->data[len - 1] == '\r' ? len - 1 : len };
        text->data += taken;
        text->len -= taken;
        return true;
}

static int parse_rows(Str text, int (*each)(Str line, void *data), void *data) {
        Str line;
        int64_t version, count;
        if (!next_line(&text, &line) || !str_to_int64(line, 0, 0, &version) || !next_line(&text, &line) ||
            !str_to_int64(line, 0, INT32_MAX, &count))
                return -EUCLEAN;
        for (int64_t i = 0; i < count; i++) {
                int r = next_line(&text, &line) ? each(line, data) : -EUCLEAN;
                if (r < 0)
                        return r;
        }
        return next_line(&text, &line) ? -EUCLEAN : 0;
}

int checkpoint_read_rows(const char *dir, const char *name, int (*each)(Str line, void *data), void *data) {
        Buffer text = BUFFER_INIT;
        int r = read_file(dir, name, &text);
        if (!r)
                r = parse_rows((Str){ (const char *)text.data, text.size }, each, data);
        buffer_deinit(&text);
        return r;
}

int checkpoint_write_text(const char *dir, const char *name, Str text) {
        char path[PATH_MAX];
        int r = make_path(path, dir, name);
        return r ? r : file_replace(path, text.data, text.len);
}

int checkpoint_write_unsynced(const char *dir, const char *name, Str text) {
        char path[PATH_MAX];
        int r = make_path(path, dir, name);
        return r ? r : file_replace_unsynced(path, text.data, text.len);
}

void checkpoint_format(const CheckpointRow *rows, int32_t count, Buffer *out) {
        buffer_printf(out, "0\n%" PRId32 "\n", count);
        for (int32_t i = 0; i < count; i++)
                buffer_printf(out, "%s %" PRId32 " %" PRId64 "\n", rows[i].topic, rows[i].partition, rows[i].offset);
}

typedef struct RowReader {
        void (*each)(const CheckpointRow *row, void *data);
        void *data;
} RowReader;

static int read_offset_row(Str line, void *data) {
        RowReader *reader = data;
        char topic[256];
        const char *first = line.len ? memchr(line.data, ' ', line.len) : NULL;
        size_t len = first ? (size_t)(first - line.data) : 0;
        const char *second = first ? memchr(first + 1, ' ', line.len - len - 1) : NULL;
        if (!second || len == 0 || len >= sizeof(topic) || memchr(line.data, '\0', len))
                return -EUCLEAN;
        Str partition_text = { first + 1, (size_t)(second - first - 1) };
        Str offset_text = { second + 1, (size_t)(line.data + line.len - second - 1) };
        int64_t partition, offset;
        if (!str_to_int64(partition_text, 0, INT32_MAX, &partition) ||
            !str_to_int64(offset_text, 0, INT64_MAX, &offset))
                return -EUCLEAN;
        memcpy(topic, line.data, len);
        topic[len] = 0;
        reader->each(&(CheckpointRow){ .topic = topic, .partition = (int32_t)partition, .offset = offset },
                     reader->data);
        return 0;
}

int checkpoint_read(const char *dir, const char *name, void (*each)(const CheckpointRow *row, void *data), void *data) {
        RowReader reader = { .each = each, .data = data };
        return checkpoint_read_rows(dir, name, read_offset_row, &reader);
}

/* The value of "key<separator>value" in text; the null string when key is missing. */
static Str find_property(Str text, Str key, char separator) {
        Str line;
        while (next_line(&text, &line)) {
                if (!str_starts_with(line, key) || line.len <= key.len || line.data[key.len] != separator)
                        continue;
                Str value = { line.data + key.len + 1, line.len - key.len - 1 };
                while (value.len && value.data[0] == ' ')
                        value.data++, value.len--;
                return value;
        }
        return STR_NULL;
}

int checkpoint_write_partition_metadata(const char *dir, const Uuid *topic_id, bool is_synced) {
        char id[UUID_TEXT_SIZE], text[64];
        int n = snprintf(text, sizeof(text), "version: 0\ntopic_id: %s\n", uuid_to_text(topic_id, id));
        return (is_synced ? checkpoint_write_text : checkpoint_write_unsynced)(dir, "partition.metadata", (Str){ text, (size_t)n });
}

static bool is_blank(Str text) {
        for (size_t i = 0; i < text.len; i++)
                if (text.data[i])
                        return false;
        return true;
}

int checkpoint_read_partition_metadata(const char *dir, Uuid *ret_topic_id) {
        Buffer out = BUFFER_INIT;
        int r = read_file(dir, "partition.metadata", &out);
        Str text = { (const char *)out.data, out.size };
        Uuid id;
        if (!r && is_blank(text))
                r = -ENOENT;
        if (!r && (!str_equal(find_property(text, STR("version"), ':'), STR("0")) ||
                   !uuid_from_text(find_property(text, STR("topic_id"), ':'), &id)))
                r = -EUCLEAN;
        if (!r)
                *ret_topic_id = id;
        buffer_deinit(&out);
        return r;
}

int checkpoint_write_meta(const char *dir, const MetaProperties *meta) {
        char id[UUID_TEXT_SIZE];
        Buffer out = BUFFER_INIT;
        buffer_printf(&out, "version=1\nnode.id=%" PRId32 "\ncluster.id=%s\ndirectory.id=%s\n", meta->node_id,
                      meta->cluster_id, uuid_to_text(&meta->directory_id, id));
        int r = out.failed ? -ENOMEM
                           : checkpoint_write_text(dir, "meta.properties", (Str){ (const char *)out.data, out.size });
        buffer_deinit(&out);
        return r;
}

static int parse_meta(Str text, MetaProperties *ret_meta, const char **ret_reason) {
        MetaProperties meta = { 0 };
        int64_t node_id;
        Str cluster = find_property(text, STR("cluster.id"), '=');
        if (!str_equal(find_property(text, STR("version"), '='), STR("1")))
                *ret_reason = "its version is not 1, that of a KRaft directory";
        else if (!str_to_int64(find_property(text, STR("node.id"), '='), 0, INT32_MAX, &node_id))
                *ret_reason = "node.id is missing or no number";
        else if (!cluster.len || cluster.len >= sizeof(meta.cluster_id) || memchr(cluster.data, '\0', cluster.len))
                *ret_reason = "cluster.id is missing, too long or no text";
        else if (!uuid_from_text(find_property(text, STR("directory.id"), '='), &meta.directory_id))
                *ret_reason = "directory.id is missing or no id";
        else {
                meta.node_id = (int32_t)node_id;
                memcpy(meta.cluster_id, cluster.data, cluster.len);
                *ret_meta = meta;
                return 0;
        }
        return -EUCLEAN;
}

int checkpoint_read_meta(const char *dir, MetaProperties *ret_meta, const char **ret_reason) {
        Buffer text = BUFFER_INIT;
        *ret_reason = "it cannot be read";
        int r = read_file(dir, "meta.properties", &text);
        if (!r)
                r = parse_meta((Str){ (const char *)text.data, text.size }, ret_meta, ret_reason);
        buffer_deinit(&text);
        return r;
}
