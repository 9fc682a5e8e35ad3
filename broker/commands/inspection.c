/* First the directory itself, then every log that the metadata log names. */
#include "broker/commands/inspection.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "broker/state/checkpoints.h"
#include "broker/state/last_stop.h"
#include "broker/state/metadata/metadata_replay.h"
#include "storage/base/ballast.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/checkpoint.h"

static const char *remedy_of(CheckKind kind) {
        switch (kind) {
        case CHECK_TORN:
                return "the next start moves it aside";
        case CHECK_ROT:
                return "restore the file from a copy, or cut there with odradek repair";
        case CHECK_DERIVED:
                return "odradek repair makes it anew";
        default:
                return "look at it";
        }
}

static void pass_on(const CheckFinding *finding, void *data) {
        Inspection *inspection = data;
        inspection->counts[finding->kind]++;
        inspection->found(inspection, finding, remedy_of(finding->kind));
}

static void report(Inspection *inspection, CheckKind kind, const char *path, const char *remedy, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

static void report(Inspection *inspection, CheckKind kind, const char *path, const char *remedy, const char *format, ...) {
        char what[256];
        va_list args;
        va_start(args, format);
        vsnprintf(what, sizeof(what), format, args);
        va_end(args);
        CheckFinding finding = { kind, path, -1, -1, -1, what };
        inspection->counts[kind]++;
        inspection->found(inspection, &finding, remedy);
}

static int make_path(const Inspection *inspection, const char *name, char path[static PATH_MAX]) {
        return snprintf(path, PATH_MAX, "%s/%s", inspection->config->data_dir, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- logs */

static int check_one(Inspection *inspection, CheckLog *how, Partition *partition) {
        CheckedLog checked;
        how->clean_shutdown = inspection->clean_shutdown;
        how->found = pass_on;
        how->data = inspection;
        int r = check_log(how, &checked);
        if (r) {
                trace_error("cannot read '%s': %s", how->path, strerror(-r));
                return r;
        }
        inspection->partition_count++;
        inspection->segment_count += checked.segment_count;
        inspection->batch_count += checked.batch_count;
        inspection->record_count += checked.record_count;
        inspection->size_bytes += checked.size_bytes;
        return inspection->checked ? inspection->checked(inspection, how->path, partition, &checked) : 0;
}

/* Whose the directory says it is. */
static void check_owner(Inspection *inspection, const char *path, const Topic *topic) {
        char name[PATH_MAX + 32], ours[UUID_TEXT_SIZE], theirs[UUID_TEXT_SIZE];
        Uuid id;
        int r = checkpoint_read_partition_metadata(path, &id);
        snprintf(name, sizeof(name), "%s/partition.metadata", path);
        if (r == -ENOENT)
                report(inspection, CHECK_ODD, name, "odradek graduate writes it", "is missing");
        else if (r)
                report(inspection, CHECK_ROT, name, "put the partition's own file there, or remove this one", "cannot be read: %s",
                       r == -EUCLEAN ? "malformed" : strerror(-r));
        else if (!uuid_equal(&id, &topic->id))
                report(inspection, CHECK_ROT, name, "put the directory of this topic there", "names topic id %s, the metadata log %s",
                       uuid_to_text(&id, theirs), uuid_to_text(&topic->id, ours));
}

static int check_missing(Inspection *inspection, const char *path, Partition *partition) {
        static const CheckedLog nothing = { .good_base = -1, .start_offset = -1, .is_empty = true, .rot_count = 1 };
        int64_t lost = partition->recovery_point > partition->checkpoint_start_offset ? partition->recovery_point
                                                                                      : partition->checkpoint_start_offset;
        inspection->partition_count++;
        if (lost == 0) {
                report(inspection, CHECK_ODD, path, "the next start makes it", "is missing; it was empty as far as is known");
                return 0;
        }
        report(inspection, CHECK_ROT, path, "put it back, or let odradek repair begin it anew", "is missing, with the records below offset %lld",
               (long long)lost);
        return inspection->checked ? inspection->checked(inspection, path, partition, &nothing) : 0;
}

static int check_partition(Inspection *inspection, const Topic *topic, Partition *partition) {
        char name[TOPIC_NAME_LENGTH_MAX + 16], path[PATH_MAX];
        struct stat st;
        LogConfig config = LOG_CONFIG_INIT;
        snprintf(name, sizeof(name), "%s-%d", topic->name, partition->index);
        int r = make_path(inspection, name, path);
        if (r)
                return r;
        if (lstat(path, &st))
                return errno == ENOENT ? check_missing(inspection, path, partition) : -errno;
        if (!S_ISDIR(st.st_mode)) {
                report(inspection, CHECK_ROT, path, "put the directory itself there", "is %s",
                       file_alien(st.st_mode, S_IFDIR));
                return 0;
        }
        check_owner(inspection, path, topic);
        config_topic_log(inspection->config, &topic->config, &config);
        CheckLog how = { .path = path, .recovery_point = partition->recovery_point,
                         .compacted_offset = config.cleanup_compact ? INT64_MAX : partition->cleaner_offset,
                         .log_start_offset = partition->checkpoint_start_offset };
        return check_one(inspection, &how, partition);
}

static int check_partitions(Inspection *inspection) {
        int r = 0;
        HASHMAP_FOREACH(&inspection->state->topics, node) {
                const Topic *topic = container_of(node, Topic, by_name);
                for (int32_t i = 0; i < topic->partition_count && r == 0; i++)
                        r = check_partition(inspection, topic, topic->partitions[i]);
        }
        return r;
}

static int check_metadata(Inspection *inspection, bool damaged) {
        char path[PATH_MAX];
        struct stat st;
        int r = make_path(inspection, TOPIC_NAME_METADATA "-0", path);
        if (r)
                return r;
        if (lstat(path, &st)) {
                report(inspection, CHECK_ODD, path, "the first start makes it", "is not there yet");
                return 0;
        }
        CheckLog how = { .path = path, .recovery_point = inspection->state->metadata_recovery_point, .metadata = true };
        r = check_one(inspection, &how, NULL);
        if (r == 0 && damaged)
                report(inspection, CHECK_ROT, path, "restore it from a copy: without it nobody knows what topics there are",
                       "cannot be replayed");
        return r;
}

/* ---- the directory */

static const char *const checkpoint_names[] = { CHECKPOINT_RECOVERY_NAME, CHECKPOINT_START_NAME, CHECKPOINT_CLEANER_NAME,
                                                CHECKPOINT_REPLICATION_NAME };

static void ignore_row(const CheckpointRow *row, void *data) {
}

static void check_checkpoint(Inspection *inspection, const char *name) {
        char path[PATH_MAX];
        if (make_path(inspection, name, path) == 0 && checkpoint_read(inspection->config->data_dir, name, ignore_row, NULL) == -EUCLEAN)
                report(inspection, CHECK_DERIVED, path, "the next start does without it", "is malformed");
}

static bool ends_with(const char *name, const char *end) {
        size_t len = strlen(name), end_len = strlen(end);
        return len > end_len && strcmp(name + len - end_len, end) == 0;
}

static bool is_known(const char *name) {
        static const char *const names[] = { ".", "..", ".lock", BALLAST_NAME, CLEAN_STOP_NAME, FAILED_SYNC_NAME, "meta.properties", "lost+found",
                                             "bootstrap.checkpoint", TOPIC_NAME_METADATA "-0" };
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        for (size_t i = 0; i < sizeof(checkpoint_names) / sizeof(checkpoint_names[0]); i++)
                if (strcmp(name, checkpoint_names[i]) == 0)
                        return true;
        return ends_with(name, ".tmp") || ends_with(name, "-delete");
}

/* A directory that is named as a partition's, or something else. */
static void check_entry(Inspection *inspection, const char *name) {
        char path[PATH_MAX];
        struct stat st;
        int64_t index;
        const char *dash = strrchr(name, '-');
        if (is_known(name) || make_path(inspection, name, path) || lstat(path, &st))
                return;
        bool partition = dash && dash != name && str_to_int64(str_of(dash + 1), 0, INT32_MAX, &index);
        if (partition && partition_find(inspection->state, (Str){ name, (size_t)(dash - name) }, (int32_t)index))
                return;
        if (S_ISDIR(st.st_mode) && (partition || ends_with(name, "-stray")))
                report(inspection, CHECK_ODD, path,
                       inspection->metadata_ends_early ? "the damaged part of the metadata log may know it: leave it there"
                                                       : "remove it if nothing in it is missed",
                       "is a partition that no topic of the metadata log has");
        else
                report(inspection, CHECK_ODD, path, "remove it if it is not wanted", "is nothing that a data directory has");
}

static void check_failed_sync(Inspection *inspection) {
        char path[PATH_MAX];
        if (make_path(inspection, FAILED_SYNC_NAME, path) == 0 && last_stop_failed_sync(inspection->config->data_dir))
                report(inspection, CHECK_ODD, path, "check the disk, then start odradek and stop it: that writes it again",
                       "a sync failed: what was written last may be in memory only, though it can be read");
}

static int check_directory(Inspection *inspection) {
        struct stat st;
        const char *path = inspection->config->data_dir;
        DIR *dir = opendir(path);
        if (!dir)
                return -errno;
        if (fstat(dirfd(dir), &st) == 0 && st.st_mode & S_IWOTH)
                report(inspection, CHECK_ODD, path, "chmod o-w closes it", "can be written to by anybody");
        check_failed_sync(inspection);
        for (size_t i = 0; i < sizeof(checkpoint_names) / sizeof(checkpoint_names[0]); i++)
                check_checkpoint(inspection, checkpoint_names[i]);
        for (struct dirent *entry; (entry = readdir(dir));)
                check_entry(inspection, entry->d_name);
        closedir(dir);
        return 0;
}

int inspection_run(Inspection *inspection, int64_t now_ms) {
        bool damaged = false;
        int r = state_inspect(inspection->config, now_ms, &inspection->state, &inspection->clean_shutdown, &damaged);
        if (r)
                return r;
        r = check_metadata(inspection, damaged);
        inspection->metadata_ends_early = inspection->counts[CHECK_ROT] > 0;
        if (r == 0)
                r = check_directory(inspection);
        if (r == 0)
                r = check_partitions(inspection);
        if (r == 0 && inspection->done)
                r = inspection->done(inspection);
        state_abandon(inspection->state);
        inspection->state = NULL;
        return r;
}
