/* Assignors: what Apache Kafka decides, replayed; and what must hold of every decision. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state/groups/assignor.h"

#define MEMBERS_MAX 64
#define TOPICS_MAX 16

static AssignorTopic topics[TOPICS_MAX];
static int32_t places[TOPICS_MAX]; /* number in the file -> position in order of ids */
static AssignorMember members[MEMBERS_MAX];
static int32_t subscriptions[MEMBERS_MAX][TOPICS_MAX];
static PartitionSet currents[MEMBERS_MAX], expected[MEMBERS_MAX];
static char texts[MEMBERS_MAX][2][64];
static AssignorSpec spec;
static Arena arena;

static void forget(void) {
        for (int32_t m = 0; m < spec.member_count; m++) {
                partition_set_deinit(&currents[m]);
                partition_set_deinit(&expected[m]);
                partition_set_deinit(&members[m].target);
        }
        spec = (AssignorSpec){ .topics = topics, .members = members };
        arena_reset(&arena);
}

static void add_topic(const char *id, int32_t partitions) {
        Uuid uuid;
        cr_assert(uuid_from_text(str_of(id), &uuid));
        int32_t at = spec.topic_count++;
        places[at] = at;
        for (; at > 0 && memcmp(topics[at - 1].id.bytes, uuid.bytes, 16) > 0; at--) {
                topics[at] = topics[at - 1];
                for (int32_t t = 0; t < spec.topic_count; t++)
                        if (places[t] == at - 1)
                                places[t] = at;
                places[spec.topic_count - 1] = at - 1;
        }
        topics[at] = (AssignorTopic){ uuid, partitions };
}

static void read_set(char *text, PartitionSet *set) {
        char *outer = NULL, *inner = NULL;
        for (char *topic = strcmp(text, "-") ? strtok_r(text, ";", &outer) : NULL; topic; topic = strtok_r(NULL, ";", &outer)) {
                char *partitions = strchr(topic, ':') + 1;
                for (char *p = strtok_r(partitions, ",", &inner); p; p = strtok_r(NULL, ",", &inner))
                        partition_set_add(set, &topics[places[atoi(topic)]].id, atoi(p), 0);
        }
}

static void add_member(const char *id, const char *instance, char *names, char *current, char *target) {
        int32_t m = spec.member_count++;
        snprintf(texts[m][0], sizeof(texts[m][0]), "%s", id);
        snprintf(texts[m][1], sizeof(texts[m][1]), "%s", instance);
        members[m] = (AssignorMember){ .id = str_of(texts[m][0]), .instance_id = strcmp(instance, "-") ? str_of(texts[m][1]) : STR_NULL,
                                       .topics = subscriptions[m], .current = &currents[m] };
        for (int32_t place = 0; place < spec.topic_count; place++) {
                char *rest = NULL, copy[256];
                snprintf(copy, sizeof(copy), "%s", names);
                for (char *name = strcmp(names, "-") ? strtok_r(copy, ",", &rest) : NULL; name; name = strtok_r(NULL, ",", &rest))
                        if (places[atoi(name)] == place)
                                subscriptions[m][members[m].topic_count++] = place;
        }
        members[m].name_count = members[m].topic_count;
        read_set(current, &currents[m]);
        read_set(target, &expected[m]);
}

static void check_case(const char *assignor, int number) {
        cr_assert_eq(assignor_find(str_of(assignor))->assign(&spec, &arena), 0);
        for (int32_t m = 0; m < spec.member_count; m++)
                cr_assert(partition_set_equal(&members[m].target, &expected[m], false), "case %d (%s), member %s: %d partitions, not %d",
                          number, assignor, texts[m][0], members[m].target.count, expected[m].count);
}

Test(assignors, decide_as_apache_kafka_does) {
        FILE *file = fopen("tests/golden/assignors.txt", "r");
        cr_assert(file);
        static char line[65536];
        char name[16] = "", kind[16];
        int cases = 0;
        while (fgets(line, sizeof(line), file)) {
                char *words[8] = { NULL }, *rest = NULL;
                int n = 0;
                for (char *w = strtok_r(line, " \n", &rest); w && n < 8; w = strtok_r(NULL, " \n", &rest))
                        words[n++] = w;
                if (n == 3 && strcmp(words[0], "case") == 0) {
                        forget();
                        snprintf(name, sizeof(name), "%s", words[1]);
                        snprintf(kind, sizeof(kind), "%s", words[2]);
                        spec.is_homogeneous = strcmp(kind, "homogeneous") == 0;
                } else if (n == 3) {
                        add_topic(words[1], atoi(words[2]));
                } else if (n == 6) {
                        add_member(words[1], words[2], words[3], words[4], words[5]);
                } else {
                        check_case(name, ++cases);
                }
        }
        fclose(file);
        forget();
        arena_deinit(&arena);
        cr_assert_eq(cases, 240);
}
