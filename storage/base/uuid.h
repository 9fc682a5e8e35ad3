/* Kafka's ids of topics, directories and clusters: 16 bytes, written as 22 characters of URL-safe base64. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "storage/base/str.h"

typedef struct Uuid {
        uint8_t bytes[16];
} Uuid;

#define UUID_TEXT_SIZE 23 /* with the NUL */
#define UUID_ZERO ((Uuid){ { 0 } })

static inline bool uuid_equal(const Uuid *a, const Uuid *b) {
        return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool uuid_is_zero(const Uuid *uuid) {
        return uuid_equal(uuid, &UUID_ZERO);
}

/* The id as a hash-map key; points into uuid. */
static inline Str uuid_key(const Uuid *uuid) {
        return (Str){ .data = (const char *)uuid->bytes, .len = sizeof(uuid->bytes) };
}

/* A random id of version 4 whose text never starts with '-', as Kafka's Uuid.randomUuid() makes them. */
Uuid uuid_random(void);

/* Writes 22 characters and a NUL; returns ret_text. */
const char *uuid_to_text(const Uuid *uuid, char ret_text[static UUID_TEXT_SIZE]);

/* False when text is not the base64 form of 16 bytes. */
bool uuid_from_text(Str text, Uuid *ret_uuid);
