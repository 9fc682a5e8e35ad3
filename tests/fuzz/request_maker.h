/* Requests that mean something, made of the fuzzer's bytes: fields take most values from what the broker knows or has said. */
#pragma once

#include "broker/api/api.h"

/* Where bytes have run out, zeros follow. */
typedef struct Maker {
        const uint8_t *at, *end;
        Arena *arena;
        State *state;
        int16_t version;
        /* as the broker said last */
        char member_id[64];
        int32_t generation;
        int64_t producer_id;
        int16_t producer_epoch;
} Maker;

uint8_t maker_byte(Maker *maker);

/* Fills the fields of a message of maker->version. */
void maker_fill(Maker *maker, const StructSchema *schema, void *ret_value);

/* Remembers what later requests can use of an answer. */
void maker_learn(Maker *maker, const MessageSchema *response, const void *value);
