/* Which record replaces which. Keys are a letter for the kind, and what names the thing. */
#include "broker/state/metadata/metadata_image.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/protocol/codec.h"
#include "broker/protocol/messages.h"
#include "broker/state/metadata/metadata.h"
#include "storage/base/endian.h"
#include "storage/base/varint.h"

#define KEY_PART_BYTES_MAX ((size_t)1 << 20)

enum { CONTROL_KRAFT_VERSION = 5, CONTROL_VOTERS = 6 };

/* A record, or (value null) a thing that only holds others: its members go with it. */
typedef struct Entry {
        HashNode by_key; /* in the image, when it has a key */
        ListNode node;   /* in records, or in the owner's members */
        List members;
        Str value;
        char *key;
} Entry;

static void free_entry(MetadataImage *image, Entry *entry);

static void clear_members(MetadataImage *image, Entry *entry) {
        for (ListNode *node; (node = list_pop(&entry->members));)
                free_entry(image, container_of(node, Entry, node));
}

static void free_entry(MetadataImage *image, Entry *entry) {
        clear_members(image, entry);
        list_remove(&entry->node);
        if (entry->key)
                hashmap_remove(&image->by_key, &entry->by_key);
        free(entry->key);
        free((char *)(uintptr_t)entry->value.data);
        free(entry);
}

static Entry *find(const MetadataImage *image, Str key) {
        HashNode *node = hashmap_find(&image->by_key, key);
        return node ? container_of(node, Entry, by_key) : NULL;
}

static int copy(Str from, Str *ret) {
        char *data = malloc(from.len + 1);
        if (!data)
                return -ENOMEM;
        memcpy(data, from.data ? from.data : "", from.len);
        free((char *)(uintptr_t)ret->data);
        *ret = (Str){ .data = data, .len = from.len };
        return 0;
}

/* Adds an entry to a list; key may be null. */
static int add(MetadataImage *image, List *list, Str key, Str value, Entry **ret_entry) {
        Entry *entry = calloc(1, sizeof(*entry));
        if (!entry)
                return -ENOMEM;
        list_init(&entry->members);
        Str owned = STR_NULL;
        int r = str_is_null(value) ? 0 : copy(value, &entry->value);
        if (r == 0 && !str_is_null(key))
                r = copy(key, &owned);
        if (r == 0 && !str_is_null(key))
                r = hashmap_insert(&image->by_key, owned, &entry->by_key);
        if (r) {
                free((char *)(uintptr_t)owned.data);
                free((char *)(uintptr_t)entry->value.data);
                free(entry);
                return r;
        }
        entry->key = (char *)(uintptr_t)owned.data;
        list_append(list, &entry->node);
        if (ret_entry)
                *ret_entry = entry;
        return 0;
}

/* The newest of its key stays where the first one was; what the old one held is gone. */
static int put(MetadataImage *image, List *list, Str key, Str value) {
        Entry *entry = find(image, key);
        if (str_is_null(key))
                return -ENOMEM;
        if (!entry)
                return add(image, list, key, value, NULL);
        clear_members(image, entry);
        return copy(value, &entry->value);
}

static int drop(MetadataImage *image, Str key) {
        Entry *entry = find(image, key);
        if (entry)
                free_entry(image, entry);
        return str_is_null(key) ? -ENOMEM : 0;
}

/* kind, then the bytes of name, then those of rest. */
static Str make_key(Arena *arena, char kind, Str name, Str rest) {
        char *key = arena_alloc(arena, 1 + name.len + rest.len);
        if (!key)
                return STR_NULL;
        key[0] = kind;
        memcpy(key + 1, name.data ? name.data : "", name.len);
        memcpy(key + 1 + name.len, rest.data ? rest.data : "", rest.len);
        return (Str){ .data = key, .len = 1 + name.len + rest.len };
}

static Str uuid_bytes(const Uuid *id) {
        return (Str){ .data = (const char *)id->bytes, .len = sizeof(id->bytes) };
}

static Str partition_key(Arena *arena, const Uuid *topic_id, int32_t index) {
        char bytes[4];
        store_be32(bytes, (uint32_t)index);
        return make_key(arena, 'P', uuid_bytes(topic_id), (Str){ bytes, sizeof(bytes) });
}

/* Configs of one resource are the members of an entry without a record. */
static Str resource_key(Arena *arena, int8_t type, Str name) {
        return make_key(arena, 'C', (Str){ (const char *)&type, 1 }, name);
}

static void *decode(const MessageSchema *message, const MetadataFrame *frame, Arena *arena, int *ret_error) {
        void *record = arena_alloc(arena, message->body->size);
        if (frame->version > (uint32_t)message->version_max)
                *ret_error = -EUCLEAN;
        else
                *ret_error = record ? codec_decode(message, (int16_t)frame->version, frame->body, arena, record, NULL) : -ENOMEM;
        *ret_error = *ret_error > 0 ? -EUCLEAN : *ret_error;
        return record;
}

/* A topic's entry holds its partitions. */
static int apply_topic(MetadataImage *image, const MetadataFrame *frame, Arena *arena) {
        int r;
        TopicRecord *record = decode(&TopicRecord_message, frame, arena, &r);
        return r ? r : put(image, &image->records, make_key(arena, 'T', uuid_bytes(&record->topic_id), STR("")), frame->whole);
}

static int apply_partition(MetadataImage *image, const MetadataFrame *frame, Arena *arena) {
        int r;
        PartitionRecord *record = decode(&PartitionRecord_message, frame, arena, &r);
        if (r)
                return r;
        Entry *topic = find(image, make_key(arena, 'T', uuid_bytes(&record->topic_id), STR("")));
        return topic ? put(image, &topic->members, partition_key(arena, &record->topic_id, record->partition_id), frame->whole)
                     : -EUCLEAN;
}

/* As Kafka does it: a change of leader, or losing it, is a new leader epoch, and every change is a new partition epoch. */
static void merge(PartitionRecord *to, const PartitionChangeRecord *change) {
#define MERGE(field) if (change->field##_count >= 0) to->field = change->field, to->field##_count = change->field##_count
        MERGE(isr);
        MERGE(replicas);
        MERGE(removing_replicas);
        MERGE(adding_replicas);
        MERGE(eligible_leader_replicas);
        MERGE(last_known_elr);
        MERGE(directories);
#undef MERGE
        if (change->leader != -2) {
                to->leader = change->leader;
                to->leader_epoch++;
        }
        if (change->leader_recovery_state >= 0)
                to->leader_recovery_state = change->leader_recovery_state;
        to->partition_epoch++;
}

static int apply_partition_change(MetadataImage *image, const MetadataFrame *frame, Arena *arena) {
        int r;
        PartitionChangeRecord *change = decode(&PartitionChangeRecord_message, frame, arena, &r);
        if (r)
                return r;
        Entry *entry = find(image, partition_key(arena, &change->topic_id, change->partition_id));
        MetadataFrame old;
        if (!entry || !metadata_read_frame(entry->value, &old))
                return -EUCLEAN;
        PartitionRecord *record = decode(&PartitionRecord_message, &old, arena, &r);
        if (r)
                return r;
        merge(record, change);
        Reply reply = REPLY_INIT;
        metadata_encode_record(&PartitionRecord_message, (int16_t)(old.version > frame->version ? old.version : frame->version), record,
                               &reply);
        r = reply.bytes.failed ? -ENOMEM : copy((Str){ (const char *)reply.bytes.data, reply.bytes.size }, &entry->value);
        reply_deinit(&reply);
        return r;
}

/* With its partitions and configs. */
static int apply_remove_topic(MetadataImage *image, const MetadataFrame *frame, Arena *arena) {
        int r;
        RemoveTopicRecord *record = decode(&RemoveTopicRecord_message, frame, arena, &r);
        if (r)
                return r;
        Entry *entry = find(image, make_key(arena, 'T', uuid_bytes(&record->topic_id), STR("")));
        MetadataFrame topic_frame;
        if (!entry || !metadata_read_frame(entry->value, &topic_frame))
                return -EUCLEAN;
        TopicRecord *topic = decode(&TopicRecord_message, &topic_frame, arena, &r);
        if (r)
                return r;
        drop(image, resource_key(arena, CONFIG_RESOURCE_TOPIC, topic->name));
        free_entry(image, entry);
        return 0;
}

static int apply_config(MetadataImage *image, const MetadataFrame *frame, Arena *arena) {
        int r;
        ConfigRecord *record = decode(&ConfigRecord_message, frame, arena, &r);
        if (r)
                return r;
        Str resource = resource_key(arena, record->resource_type, record->resource_name), end = { "", 1 };
        Str key = make_key(arena, 'c', make_key(arena, 'C', resource, end), record->name);
        if (str_is_null(record->value))
                return drop(image, key);
        Entry *owner = find(image, resource);
        if (!owner && (r = add(image, &image->records, resource, STR_NULL, &owner)))
                return r;
        return put(image, &owner->members, key, frame->whole);
}

static int apply_feature(MetadataImage *image, const MetadataFrame *frame, Arena *arena) {
        int r;
        FeatureLevelRecord *record = decode(&FeatureLevelRecord_message, frame, arena, &r);
        if (r)
                return r;
        Str key = make_key(arena, 'F', record->name, STR(""));
        return record->feature_level ? put(image, &image->records, key, frame->whole) : drop(image, key);
}

/* The first size bytes of a message that name what it is about. */
static Str leading(const MetadataFrame *frame, size_t size) {
        return frame->body.len < size ? STR_NULL : (Str){ frame->body.data, size };
}

/* A compact string and a byte. */
static Str leading_name(const MetadataFrame *frame) {
        uint32_t size;
        const uint8_t *at = (const uint8_t *)frame->body.data;
        size_t n = frame->body.len ? varuint32_read(at, at + frame->body.len, &size) : 0;
        return n == 0 || size > KEY_PART_BYTES_MAX ? STR_NULL : leading(frame, n + size);
}

/* Kinds whose message begins with what names the thing. */
static const struct {
        uint32_t type;
        char kind;
        enum { PUT, DROP, JOIN } action; /* JOIN: the record becomes a member of that thing */
        size_t size; /* of the name; 0: a string and a byte */
} by_name[] = {
        { 0, 'B', PUT, 4 },    /* RegisterBroker */
        { 1, 'B', DROP, 4 },   /* UnregisterBroker */
        { 7, 'B', JOIN, 4 },   /* FenceBroker */
        { 8, 'B', JOIN, 4 },   /* UnfenceBroker */
        { 17, 'B', JOIN, 4 },  /* BrokerRegistrationChange */
        { 27, 'K', PUT, 4 },   /* RegisterController */
        { 11, 'S', PUT, 0 },   /* UserScramCredential */
        { 22, 'S', DROP, 0 },  /* RemoveUserScramCredential */
        { 18, 'A', PUT, 16 },  /* AccessControlEntry */
        { 19, 'A', DROP, 16 }, /* RemoveAccessControlEntry */
};

static int apply_named(MetadataImage *image, const MetadataFrame *frame, Arena *arena, size_t row) {
        Str name = by_name[row].size ? leading(frame, by_name[row].size) : leading_name(frame);
        if (str_is_null(name))
                return -EUCLEAN;
        Str key = make_key(arena, by_name[row].kind, name, STR(""));
        if (str_is_null(key))
                return -ENOMEM;
        if (by_name[row].action == PUT)
                return put(image, &image->records, key, frame->whole);
        if (by_name[row].action == DROP)
                return drop(image, key);
        Entry *entry = find(image, key);
        return add(image, entry ? &entry->members : &image->records, STR_NULL, frame->whole, NULL);
}

static int apply(MetadataImage *image, const MetadataFrame *frame, Arena *arena) {
        switch (frame->type) {
        case 2:
                return apply_topic(image, frame, arena);
        case 3:
                return apply_partition(image, frame, arena);
        case 4:
                return apply_config(image, frame, arena);
        case 5:
                return apply_partition_change(image, frame, arena);
        case 9:
                return apply_remove_topic(image, frame, arena);
        case 12:
                return apply_feature(image, frame, arena);
        case 15: /* ProducerIds */
                return put(image, &image->records, STR("I"), frame->whole);
        case 20: /* NoOp */
                return 0;
        case 21: /* ZkMigrationState */
                return put(image, &image->records, STR("Z"), frame->whole);
        }
        for (size_t row = 0; row < sizeof(by_name) / sizeof(by_name[0]); row++)
                if (by_name[row].type == frame->type)
                        return apply_named(image, frame, arena, row);
        return add(image, &image->records, STR_NULL, frame->whole, NULL);
}

static int on_record(MetadataReplay *replay, const MetadataFrame *frame) {
        Arena arena = ARENA_INIT(0);
        int r = apply(container_of(replay, MetadataImage, replay), frame, &arena);
        arena_deinit(&arena);
        return r;
}

static int on_control(MetadataReplay *replay, int16_t type, Str value) {
        MetadataImage *image = container_of(replay, MetadataImage, replay);
        return type == CONTROL_KRAFT_VERSION ? copy(value, &image->kraft_version)
               : type == CONTROL_VOTERS      ? copy(value, &image->voters)
                                             : 0;
}

void metadata_image_init(MetadataImage *image) {
        *image = (MetadataImage){ .by_key = HASHMAP_INIT, .kraft_version = STR_NULL, .voters = STR_NULL };
        metadata_replay_init(&image->replay, NULL);
        image->replay.each = on_record;
        image->replay.control = on_control;
        list_init(&image->records);
}

void metadata_image_deinit(MetadataImage *image) {
        for (ListNode *node; (node = list_first(&image->records));)
                free_entry(image, container_of(node, Entry, node));
        hashmap_deinit(&image->by_key);
        metadata_replay_deinit(&image->replay);
        free((char *)(uintptr_t)image->kraft_version.data);
        free((char *)(uintptr_t)image->voters.data);
}

static int each_in(const List *list, int (*each)(Str record, void *data), void *data) {
        int r = 0;
        for (const ListNode *node = list->head.next; r >= 0 && node != &list->head; node = node->next) {
                const Entry *entry = container_of(node, Entry, node);
                if (!str_is_null(entry->value))
                        r = each(entry->value, data);
                if (r >= 0)
                        r = each_in(&entry->members, each, data);
        }
        return r;
}

int metadata_image_each(const MetadataImage *image, int (*each)(Str record, void *data), void *data) {
        return each_in(&image->records, each, data);
}
