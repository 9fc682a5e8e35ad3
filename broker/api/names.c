/* Counting names. */
#include "broker/api/names.h"

typedef struct Name {
        HashNode node;
        int32_t count;
        int32_t first; /* names_first(): its place */
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

bool names_drop(Names *names, Str name) {
        Name *found = find(names, name);
        return found && found->count > 0 && found->count--;
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

const int32_t *names_first(Call *call, const Str *wanted, int32_t count) {
        Names names;
        names_init(&names, call);
        int32_t *first = arena_alloc_array(&call->arena, (size_t)count, sizeof(*first));
        for (int32_t i = 0; first && i < count; i++) {
                if (!names_add(&names, wanted[i])) {
                        first = NULL;
                        break;
                }
                Name *name = find(&names, wanted[i]);
                if (name->count == 1)
                        name->first = i;
                first[i] = name->first;
        }
        names_deinit(&names);
        return first;
}
