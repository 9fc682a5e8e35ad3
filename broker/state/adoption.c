/* What counts is what is true at the end of the log: a broker that was unregistered, a topic that was deleted, is in nobody's way. So
 * the records are gathered into an image first. */
#include "broker/state/adoption.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/metadata/metadata_files.h"
#include "broker/state/metadata/metadata_image.h"
#include "storage/base/endian.h"
#include "storage/base/file.h"
#include "storage/base/trace.h"
#include "storage/base/varint.h"

#define NEWEST_KAFKA "4.3"
#define QUORUM_STATE_BYTES_MAX (64 << 10)

typedef struct Adoption {
        const char *dir;
        const MetaProperties *meta;
        MetadataImage image;
        int (*gather)(MetadataReplay *replay, const MetadataFrame *frame); /* into the image */
        bool refused; /* on the way */
        char topic[TOPIC_NAME_LENGTH_MAX * 4 + 1]; /* that the partitions to come belong to, escaped */
} Adoption;

static int refuse(const Adoption *adoption, const char *file, const char *what, const char *remedy) {
        trace_error("'%s/%s' %s; %s. Nothing was changed", adoption->dir, file, what, remedy);
        return STATE_OPEN_FOREIGN;
}

static int refuse_record(const Adoption *adoption, const char *what, const char *remedy) {
        return refuse(adoption, TOPIC_NAME_METADATA "-0", what, remedy);
}

#define ONE_NODE "only a directory of one node, which is broker and controller, can be opened"
#define NEWER "run a newer release, or lower it with kafka-features while Apache Kafka runs"

/* Kinds of records up to that release, and the newest version of each. */
static const struct {
        uint32_t type, version_max;
} known[] = {
        { 0, 4 },  { 1, 0 },  { 2, 0 },  { 3, 2 },  { 4, 0 },  { 5, 2 },  { 7, 0 },  { 8, 0 },  { 9, 0 },
        { 10, 0 }, { 11, 0 }, { 12, 0 }, { 14, 0 }, { 15, 0 }, { 17, 3 }, { 18, 0 }, { 19, 0 }, { 20, 0 },
        { 21, 0 }, { 22, 0 }, { 23, 0 }, { 24, 0 }, { 25, 0 }, { 26, 0 }, { 27, 0 }, { 28, 0 },
};

static const struct {
        const char *name;
        int16_t level_max;
} features[] = {
        { "metadata.version", 30 }, { "kraft.version", 1 }, { "transaction.version", 2 }, { "group.version", 1 },
        { "eligible.leader.replicas.version", 1 }, { "share.version", 1 }, { "streams.version", 1 },
};

static int check_feature(Adoption *adoption, const void *message) {
        const FeatureLevelRecord *record = message;
        char name[64], what[256];
        for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
                if (str_equal(record->name, str_of(features[i].name)) && record->feature_level <= features[i].level_max)
                        return 0;
        snprintf(what, sizeof(what), "has %s %d, which is newer than Kafka " NEWEST_KAFKA, str_escape(record->name, name, sizeof(name)),
                 record->feature_level);
        return refuse_record(adoption, what, NEWER);
}

static int check_broker(Adoption *adoption, const void *message) {
        const RegisterBrokerRecord *record = message;
        char what[256];
        if (record->broker_id != adoption->meta->node_id) {
                snprintf(what, sizeof(what), "has broker %d registered beside node %d", record->broker_id, adoption->meta->node_id);
                return refuse_record(adoption, what, ONE_NODE "; kafka-cluster unregister removes a broker that is gone");
        }
        if (record->log_dirs_count > 1)
                return refuse_record(adoption, "tells of several log directories",
                                     "move all partitions to one with kafka-reassign-partitions, and let Apache Kafka run with that one alone");
        return 0;
}

static int check_topic(Adoption *adoption, const void *message) {
        str_escape(((const TopicRecord *)message)->name, adoption->topic, sizeof(adoption->topic));
        return 0;
}

/* Kafka's ids below 100 don't name a directory. */
static bool is_reserved(const Uuid *id) {
        for (size_t i = 0; i < sizeof(id->bytes) - 1; i++)
                if (id->bytes[i])
                        return false;
        return id->bytes[sizeof(id->bytes) - 1] < 100;
}

static int check_partition(Adoption *adoption, const void *message) {
        const PartitionRecord *record = message;
        char what[sizeof(adoption->topic) + 128];
        if (record->replicas_count != 1 || record->replicas[0] != adoption->meta->node_id) {
                snprintf(what, sizeof(what), "keeps %s-%d on %s", adoption->topic, record->partition_id,
                         record->replicas_count == 1 ? "another node" : "several nodes");
                return refuse_record(adoption, what, ONE_NODE "; kafka-reassign-partitions moves it here");
        }
        for (int32_t i = 0; i < record->directories_count; i++)
                if (!uuid_equal(&record->directories[i], &adoption->meta->directory_id) && !is_reserved(&record->directories[i])) {
                        snprintf(what, sizeof(what), "keeps %s-%d in another log directory", adoption->topic, record->partition_id);
                        return refuse_record(adoption, what,
                                             "move all partitions to one with kafka-reassign-partitions, while Apache Kafka runs");
                }
        return 0;
}

static int check_config(Adoption *adoption, const void *message) {
        const ConfigRecord *record = message;
        char name[TOPIC_NAME_LENGTH_MAX * 4 + 1], what[sizeof(name) + 64];
        if (record->resource_type != CONFIG_RESOURCE_TOPIC || !str_equal(record->name, STR("remote.storage.enable")) ||
            !str_equal(record->value, STR("true")))
                return 0;
        snprintf(what, sizeof(what), "has a topic with remote storage, %s", str_escape(record->resource_name, name, sizeof(name)));
        return refuse_record(adoption, what, "bring it back with remote.storage.enable=false, while Apache Kafka runs");
}

static const struct {
        const MessageSchema *message;
        int (*check)(Adoption *adoption, const void *message);
} checks[] = {
        { &RegisterBrokerRecord_message, check_broker }, { &TopicRecord_message, check_topic },
        { &PartitionRecord_message, check_partition },   { &ConfigRecord_message, check_config },
        { &FeatureLevelRecord_message, check_feature },
};

static int check_kind(const Adoption *adoption, const MetadataFrame *frame) {
        char what[128];
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (known[i].type == frame->type && frame->version <= known[i].version_max)
                        return 0;
        snprintf(what, sizeof(what), "holds a record of type %u, version %u, which Kafka " NEWEST_KAFKA " doesn't know", frame->type,
                 frame->version);
        return refuse_record(adoption, what, "run a newer release");
}

/* In a ZooKeeper migration that is under way ZooKeeper has a say as well. */
static int check_migration(const Adoption *adoption, const MetadataFrame *frame) {
        if (frame->type != 21 || frame->body.len < 1 || (frame->body.data[0] != 1 && frame->body.data[0] != 2))
                return 0;
        return refuse_record(adoption, "is in the middle of a migration from ZooKeeper", "finish it with Apache Kafka 3.9 first");
}

/* Ends the walk through -ECANCELED: results above 0 don't. */
static int check_record(Str value, void *data) {
        Adoption *adoption = data;
        MetadataFrame frame;
        int r = metadata_read_frame(value, &frame) ? check_migration(adoption, &frame) : -EUCLEAN;
        for (size_t i = 0; r == 0 && i < sizeof(checks) / sizeof(checks[0]); i++) {
                const MessageSchema *message = checks[i].message;
                if ((uint32_t)message->key != frame.type)
                        continue;
                Arena arena = ARENA_INIT(0);
                void *record = arena_alloc(&arena, message->body->size);
                r = record ? codec_decode(message, (int16_t)frame.version, frame.body, &arena, record, NULL) : -ENOMEM;
                r = r > 0 ? -EUCLEAN : r ? r : checks[i].check(adoption, record);
                arena_deinit(&arena);
        }
        return r > 0 ? -ECANCELED : r;
}

/* What is not known cannot be gathered. */
static int screen_record(MetadataReplay *replay, const MetadataFrame *frame) {
        Adoption *adoption = container_of(container_of(replay, MetadataImage, replay), Adoption, image);
        adoption->refused = check_kind(adoption, frame) != 0;
        return adoption->refused ? -ECANCELED : adoption->gather(replay, frame);
}

/* Control record: int16 version, compact array of voters. */
static int check_voters(const Adoption *adoption) {
        Str voters = adoption->image.voters;
        const uint8_t *at = (const uint8_t *)voters.data;
        uint32_t count = 0;
        if (voters.len < 3 || varuint32_read(at + 2, at + voters.len, &count) == 0 || count <= 2)
                return 0;
        return refuse_record(adoption, "names several controllers as voters", ONE_NODE);
}

/* KRaft's own file. Before kraft.version 1 the voters stand in it: [{"voterId":1}, ...] */
static int check_quorum_state(const Adoption *adoption) {
        char path[PATH_MAX], what[128], *text;
        FileMap file;
        if (snprintf(path, sizeof(path), "%s/" TOPIC_NAME_METADATA "-0/quorum-state", adoption->dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        if (file_map(path, &file))
                return 0;
        text = file.size <= QUORUM_STATE_BYTES_MAX ? strndup((const char *)file.data, file.size) : NULL;
        file_unmap(&file);
        const char *at = text ? strstr(text, "\"currentVoters\"") : NULL;
        int count = 0, own = 0;
        while (at && (at = strstr(at, "\"voterId\""))) {
                at += strlen("\"voterId\"");
                count++;
                own += strtol(at + strspn(at, ": "), NULL, 10) == adoption->meta->node_id;
        }
        free(text);
        if (count == 0 || (count == 1 && own == 1))
                return 0;
        snprintf(what, sizeof(what), count > 1 ? "names %d voters" : "names %d voter, which is not node %d", count, adoption->meta->node_id);
        return refuse(adoption, TOPIC_NAME_METADATA "-0/quorum-state", what, ONE_NODE);
}

static int is_partition(const struct dirent *entry, void *data) {
        int64_t index;
        const char *name = entry->d_name, *dash = strrchr(name, '-');
        return dash && dash != name && str_to_int64(str_of(dash + 1), 0, INT32_MAX, &index) &&
               strcmp(name, TOPIC_NAME_METADATA "-0") != 0;
}

/* Without a metadata log nobody knows whose the partitions are. */
static int check_partitions(const Adoption *adoption) {
        int r = file_each_entry(adoption->dir, is_partition, NULL);
        return r < 0 ? r : r ? refuse_record(adoption, "has no log, but there are directories of partitions",
                                     "copy that directory, too, from where the others are from")
                     : 0;
}

static int check_log(Adoption *adoption, const char *path) {
        int64_t end;
        metadata_image_init(&adoption->image);
        adoption->gather = adoption->image.replay.each;
        adoption->image.replay.each = screen_record;
        int r = metadata_files_replay(&adoption->image.replay, path, &end);
        if (r == 0)
                r = check_voters(adoption);
        if (r == 0)
                r = metadata_image_each(&adoption->image, check_record, adoption);
        metadata_image_deinit(&adoption->image);
        if (r == -ENOENT)
                return check_partitions(adoption);
        return r == -ECANCELED || adoption->refused ? STATE_OPEN_FOREIGN : r == -EUCLEAN ? 0 : r;
}

int adoption_check(const char *dir, const MetaProperties *meta) {
        Adoption adoption = { .dir = dir, .meta = meta };
        char path[PATH_MAX];
        if (snprintf(path, sizeof(path), "%s/" TOPIC_NAME_METADATA "-0", dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        int r = check_quorum_state(&adoption);
        return r ? r : check_log(&adoption, path);
}
