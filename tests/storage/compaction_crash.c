/* A compaction cut short at every operation on the disk, by death of the process and by power loss, also while what is left is
 * sorted out: each record that compaction has to keep is there afterwards, once, and nothing that was not there before. */
#include "tests/storage/compaction_model.h"

/* A disk's own caution with renamed files would take most of the time. */
static void setup_in_memory(void) {
        test_setup();
        test_teardown();
        snprintf(test_dir, sizeof(test_dir), "%s/storage-test-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
        cr_assert_not_null(mkdtemp(test_dir));
        snprintf(test_log_path, sizeof(test_log_path), "%s/topic-0", test_dir);
}

TestSuite(compaction_crash, .init = setup_in_memory, .fini = test_teardown);

/* ---- a disk that fails for ever after the n-th operation, and forgets names that were not synced ---- */

#define NAME_OPS_MAX 4000

typedef struct NameOp {
        char from[160], to[160]; /* from empty: to was created; to empty: from was unlinked */
        char saved[160];         /* what the operation took away, or "" */
} NameOp;

static int operations_left;
static NameOp name_ops[NAME_OPS_MAX];
static int name_op_count, saved_count;
static ino_t unsynced[NAME_OPS_MAX];
static int unsynced_count;

static int failure_in = -1; /* operations before one fails that is not the last */

static bool dead(void) {
        if (failure_in >= 0 && failure_in-- == 0)
                return errno = EIO, true;
        return operations_left-- <= 0 ? (errno = EIO, true) : false;
}

static void note_name(const char *from, const char *to, const char *lost) {
        NameOp *op = &name_ops[name_op_count++];
        cr_assert_lt(name_op_count, NAME_OPS_MAX);
        snprintf(op->from, sizeof(op->from), "%s", from);
        snprintf(op->to, sizeof(op->to), "%s", to);
        op->saved[0] = 0;
        if (lost && access(lost, F_OK) == 0) {
                snprintf(op->saved, sizeof(op->saved), "%s/saved-%d", test_dir, saved_count++);
                cr_assert_eq(link(lost, op->saved), 0);
        }
}

static void note_data(int fd, bool synced) {
        struct stat st;
        fstat(fd, &st);
        if (synced && S_ISDIR(st.st_mode))
                name_op_count = 0;
        for (int i = 0; i < unsynced_count; i++)
                if (unsynced[i] == st.st_ino)
                        unsynced[i--] = unsynced[--unsynced_count];
        if (!synced)
                unsynced[unsynced_count++] = st.st_ino;
}

static ssize_t disk_pwritev(int fd, const struct iovec *parts, int count, off_t position) {
        return dead() ? -1 : (note_data(fd, false), pwritev(fd, parts, count, position));
}
static int disk_fsync(int fd) {
        return dead() ? -1 : (note_data(fd, true), 0);
}
static int disk_ftruncate(int fd, off_t size) {
        return dead() ? -1 : (note_data(fd, false), ftruncate(fd, size));
}
static int disk_rename(const char *from, const char *to) {
        if (access(from, F_OK))
                return errno = ENOENT, -1;
        return dead() ? -1 : (note_name(from, to, to), rename(from, to));
}
static int disk_unlink(const char *path) {
        if (access(path, F_OK))
                return errno = ENOENT, -1;
        return dead() ? -1 : (note_name(path, "", path), unlink(path));
}
static int disk_open(const char *path, int flags, mode_t mode) {
        if (flags & O_CREAT && dead())
                return -1;
        if (flags & O_CREAT && access(path, F_OK))
                note_name("", path, NULL);
        return open(path, flags, mode);
}

static void die_after(int operations) {
        operations_left = operations;
        failure_in = -1;
        name_op_count = unsynced_count = 0;
        file_ops.open = disk_open;
        file_ops.pwritev = disk_pwritev;
        file_ops.fsync = file_ops.fdatasync = disk_fsync;
        file_ops.ftruncate = disk_ftruncate;
        file_ops.rename = disk_rename;
        file_ops.unlink = disk_unlink;
}

/* Forgets a name, or the change of one, unless something that is remembered stands on it. */
static void forget(const NameOp *op) {
        if (!*op->from) {
                unlink(op->to);
        } else if (!*op->to) {
                if (access(op->from, F_OK))
                        cr_assert_eq(rename(op->saved, op->from), 0);
        } else if (access(op->to, F_OK) == 0 && access(op->from, F_OK)) {
                cr_assert_eq(rename(op->to, op->from), 0);
                if (*op->saved)
                        cr_assert_eq(rename(op->saved, op->to), 0);
        }
}

static void cut_unsynced(void) {
        char command[256], path[300];
        snprintf(command, sizeof(command), "ls -i %s", test_log_path);
        FILE *list = popen(command, "r");
        unsigned long inode;
        char name[128];
        while (fscanf(list, "%lu %127s", &inode, name) == 2)
                for (int i = 0; i < unsynced_count; i++)
                        if (unsynced[i] == inode) {
                                snprintf(path, sizeof(path), "%s/%s", test_log_path, name);
                                int64_t size = size_of(path);
                                cr_assert_eq(truncate(path, size ? rand() % size : 0), 0);
                        }
        pclose(list);
}

static bool power_loss, fails_first;

static int no_sync(int fd) {
        return 0;
}

/* Back among the living. */
static bool restart_disk(void) {
        bool died = fails_first ? failure_in < 0 : operations_left <= 0;
        file_ops = FILE_OPS_SYSTEM;
        file_ops.fsync = file_ops.fdatasync = no_sync; /* takes time and tells nothing here */
        if (power_loss) {
                int keep = rand() % 3; /* nothing, some, nearly all */
                while (name_op_count--)
                        if (keep == 0 || rand() % (keep == 1 ? 2 : 8) == 0)
                                forget(&name_ops[name_op_count]);
                cut_unsynced();
        }
        char command[256];
        snprintf(command, sizeof(command), "rm -f %s/saved-*", test_dir);
        cr_assert_eq(system(command), 0);
        return died;
}

/* ---- */

static void copy_log(const char *from, const char *to) {
        char command[256];
        snprintf(command, sizeof(command), "rm -rf %s/%s && cp -rp %s/%s %s/%s", test_dir, to, test_dir, from, test_dir, to);
        cr_assert_eq(system(command), 0);
}

static void try_to_compact(LogOpen how, const Model *model) {
        Log *log;
        LogCompacted compacted;
        if (log_open(&how, &log))
                return;
        compact(log, model->cleaner_offset, MAP_BYTES, model->now_ms, &compacted);
        log_abandon(log);
}

/* before and after are the model's ideas of what was there and of what has to be. */
static void check_survivors(const Model *before, const Model *after, Log *log, int n) {
        Content *content = read_content(log);
        int i = 0;
        cr_assert_eq(log_end_offset(log), before->end_offset);
        for (int64_t offset = 0; offset < before->end_offset; offset++) {
                while (i < content->count && content->records[i].control)
                        i++;
                bool there = i < content->count && content->records[i].offset == offset;
                bool was = before->records[offset].batch >= 0 && !before->records[offset].gone;
                bool must = after->records[offset].batch >= 0 && !after->records[offset].gone;
                cr_assert(there ? was : !must, "operation %d, offset %" PRId64 ": there %d, was %d, must %d", n, offset, there, was, must);
                if (!there)
                        continue;
                compare_record(before, content, i++, offset);
                int64_t first, last;
                read_from(log, offset, 1, true, &first, &last);
                cr_assert(first <= offset && last >= offset);
        }
        free(content);
}

/* Lets it happen at every operation; returns how many there are. */
static int enumerate(LogOpen how, const Model *before, const Model *after, int recovery_deaths) {
        for (int n = 0;; n++) {
                copy_log("template", "topic-0");
                die_after(fails_first ? n + rand() % 25 : n);
                if (fails_first)
                        failure_in = n;
                try_to_compact(how, before);
                bool died = restart_disk();
                for (int i = 0; i < recovery_deaths; i++) {
                        Log *log;
                        die_after(rand() % 20);
                        if (log_open(&how, &log) == 0)
                                log_abandon(log);
                        restart_disk();
                }
                Log *log = open_log(how);
                check_survivors(before, after, log, n);
                compare_committed(before, log);
                LogCompacted compacted;
                assert_ok(compact(log, before->cleaner_offset, MAP_BYTES, before->now_ms, &compacted));
                compare_log(after, log);
                char command[256];
                snprintf(command, sizeof(command), "! ls %s | grep -q 'cleaned\\|swap\\|deleted\\|tmp\\|torn'", test_log_path);
                cr_assert_eq(system(command), 0);
                log_abandon(log);
                if (!died)
                        return n;
        }
}

static void run_enumeration(unsigned seed, int recovery_deaths, bool clean) {
        srand(seed);
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        Model *before = model_new(true), *after = model_new(true);
        log->config.segment_bytes = 900; /* to be merged */
        model_fill(before, log, 50);
        compact_both(before, log);
        before->now_ms += 3000;
        model_fill(before, log, 50);
        for (int i = 0; i < MODEL_PRODUCERS; i++)
                if (before->txn_start[i] >= 0)
                        model_end_transaction(before, log, i);
        model_fill(before, log, 20);
        *after = *before;
        LogDirt dirt;
        assert_ok(log_sync(log));
        log_dirt(log, before->cleaner_offset, before->now_ms, &dirt);
        cr_assert(dirt.due && log->segment_count > 4);
        model_compact(after, dirt.first_dirty_offset, dirt.first_uncleanable_offset, dirt.first_uncleanable_offset, how.config.delete_retention_ms);
        how.recovery_point = log_end_offset(log);
        how.clean_shutdown = clean;
        assert_ok(log_close(log, NOW));
        copy_log("topic-0", "template");
        int operations = enumerate(how, before, after, recovery_deaths);
        cr_assert_gt(operations, 50);
        free(before);
        free(after);
}

Test(compaction_crash, death_at_every_operation) {
        run_enumeration(21, 0, false);
}

Test(compaction_crash, death_at_every_operation_and_while_recovering) {
        run_enumeration(22, 3, false);
}

Test(compaction_crash, power_loss_at_every_operation) {
        power_loss = true;
        for (unsigned seed = 23; seed < 25; seed++) {
                run_enumeration(seed, 0, seed % 2);
                assert_ok(log_delete_directory(test_log_path));
        }
}

Test(compaction_crash, power_loss_after_a_failed_operation) {
        power_loss = fails_first = true;
        for (unsigned seed = 43; seed < 45; seed++) {
                run_enumeration(seed, 0, seed % 2);
                assert_ok(log_delete_directory(test_log_path));
        }
}

Test(compaction_crash, power_loss_at_every_operation_and_while_recovering) {
        power_loss = true;
        for (unsigned seed = 33; seed < 34; seed++) {
                run_enumeration(seed, 2, seed % 2);
                assert_ok(log_delete_directory(test_log_path));
        }
}

/* One operation fails, and the broker lives on: nothing is lost in memory either. */

static int operation_to_fail;

static bool fails(void) {
        return operation_to_fail-- == 0 ? (errno = EIO, true) : false;
}
static ssize_t failing_pwritev(int fd, const struct iovec *parts, int count, off_t position) {
        return fails() ? -1 : pwritev(fd, parts, count, position);
}
static int failing_rename(const char *from, const char *to) {
        return fails() ? -1 : rename(from, to);
}
static int failing_open(const char *path, int flags, mode_t mode) {
        return fails() ? -1 : open(path, flags, mode);
}
static int failing_unlink(const char *path) {
        return fails() ? -1 : unlink(path);
}
static int failing_fsync(int fd) {
        return fails() ? -1 : 0;
}

Test(compaction_crash, one_failed_operation_loses_nothing) {
        srand(41);
        LogOpen how = how_to_compact();
        Log *log = open_log(how);
        Model *before = model_new(true), *after = model_new(true);
        log->config.segment_bytes = 900;
        model_fill(before, log, 150);
        *after = *before;
        LogDirt dirt;
        assert_ok(log_sync(log));
        log_dirt(log, -1, before->now_ms, &dirt);
        model_compact(after, dirt.first_dirty_offset, dirt.first_uncleanable_offset, dirt.first_uncleanable_offset, how.config.delete_retention_ms);
        assert_ok(log_close(log, NOW));
        copy_log("topic-0", "template");
        bool failed = true;
        int refused = 0;
        for (int n = 0; failed; n++) {
                copy_log("template", "topic-0");
                file_ops.fsync = file_ops.fdatasync = no_sync;
                how.clean_shutdown = true;
                log = open_log(how);
                file_ops.open = failing_open;
                file_ops.pwritev = failing_pwritev;
                file_ops.rename = failing_rename;
                file_ops.unlink = failing_unlink;
                file_ops.fsync = file_ops.fdatasync = failing_fsync;
                operation_to_fail = n;
                LogCompacted compacted;
                int r = compact(log, -1, MAP_BYTES, before->now_ms, &compacted);
                failed = operation_to_fail < 0;
                file_ops = FILE_OPS_SYSTEM;
                file_ops.fsync = file_ops.fdatasync = no_sync;
                refused += r != 0;
                if (!r) {
                        compare_log(after, log);
                } else if (!log->failure) {
                        compare_log(before, log);
                        assert_ok(compact(log, -1, MAP_BYTES, before->now_ms, &compacted));
                        compare_log(after, log);
                }
                how.clean_shutdown = log->failure == 0;
                if (how.clean_shutdown)
                        assert_ok(log_close(log, NOW));
                else
                        log_abandon(log);
                log = open_log(how);
                check_survivors(before, after, log, n);
                compare_committed(before, log);
                log_abandon(log);
        }
        cr_assert_gt(refused, 50);
        free(before);
        free(after);
}
