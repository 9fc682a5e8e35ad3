/* Counting names. */
#include "broker/api/names.h"

typedef struct Name {
        HashNode node;
        int32_t count;
        bool is_taken;
} Name;

static Name *find(const Names *names, Str name) {
        HashNode *node = hashmap_find(&names->map, name);
        return node ? container_of(node, Name, node) : NULL;
}

bool names_add(Names *names, Str name) {
        Name *found = find(names, name);
        if (!found) {
                found = arena_alloc(names->arena, sizeof(*found));
                if (!found || hashmap_insert(&names->map, name, &found->node) < 0)
                        return false;
        }
        found->count++;
        return true;
}

int32_t names_count(const Names *names, Str name) {
        Name *found = find(names, name);
        return found ? found->count : 0;
}

bool names_take(Names *names, Str name) {
        Name *found = find(names, name);
        if (!found || found->is_taken)
                return false;
        return found->is_taken = true;
}

bool names_any_once(const Names *names) {
        HASHMAP_FOREACH(&names->map, node)
                if (container_of(node, Name, node)->count == 1)
                        return true;
        return false;
}

void names_deinit(Names *names) {
        hashmap_deinit(&names->map);
}
