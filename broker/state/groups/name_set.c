/* Sets of names. */
#include "broker/state/groups/name_set.h"

#include <stdlib.h>

static int compare(const void *left, const void *right) {
        return strcmp(*(char *const *)left, *(char *const *)right);
}

bool name_set_of(const Str *names, int32_t count, NameSet *ret_set) {
        NameSet set = { .names = calloc((size_t)count + 1, sizeof(char *)) };
        if (!set.names)
                return false;
        for (int32_t i = 0; i < count; i++) {
                set.names[set.count] = str_dup(names[i]);
                if (!set.names[set.count++]) {
                        set.count--;
                        name_set_deinit(&set);
                        return false;
                }
        }
        if (set.count > 1)
                qsort(set.names, (size_t)set.count, sizeof(char *), compare);
        int32_t kept = 0;
        for (int32_t i = 0; i < set.count; i++)
                if (kept > 0 && strcmp(set.names[kept - 1], set.names[i]) == 0)
                        free(set.names[i]);
                else
                        set.names[kept++] = set.names[i];
        set.count = kept;
        *ret_set = set;
        return true;
}

bool name_set_has(const NameSet *set, Str name) {
        int32_t low = 0, high = set->count;
        while (low < high) {
                int32_t middle = low + (high - low) / 2;
                int r = str_compare(str_of(set->names[middle]), name);
                if (r == 0)
                        return true;
                if (r < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return false;
}

bool name_set_equal(const NameSet *a, const NameSet *b) {
        if (a->count != b->count)
                return false;
        for (int32_t i = 0; i < a->count; i++)
                if (strcmp(a->names[i], b->names[i]) != 0)
                        return false;
        return true;
}

void name_set_deinit(NameSet *set) {
        for (int32_t i = 0; i < set->count; i++)
                free(set->names[i]);
        free(set->names);
        *set = NAME_SET_INIT;
}
