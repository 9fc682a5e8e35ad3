/* How often each name occurs in a request: Kafka refuses, or merges, what is named twice. */
#pragma once

#include "broker/api/call.h"

typedef struct Names {
        Arena *arena; /* the call's */
        HashMap map;
} Names;

static inline void names_init(Names *names, Call *call) {
        *names = (Names){ .arena = &call->arena, .map = HASHMAP_INIT };
}

/* Counts one more occurrence (of any bytes that live as long as the call); false without memory. */
bool names_add(Names *names, Str name);
/* How often it was added. */
int32_t names_count(const Names *names, Str name);
/* Takes back one occurrence; false where there is none left. */
bool names_drop(Names *names, Str name);
/* True the first time it is asked for a name that was added. */
bool names_take(Names *names, Str name);
/* Whether any name was added just once. */
bool names_any_once(const Names *names);
void names_deinit(Names *names);

/* For each of the names the place of the first one that is the same; NULL without memory (in the call's arena otherwise). */
const int32_t *names_first(Call *call, const Str *names, int32_t count);
