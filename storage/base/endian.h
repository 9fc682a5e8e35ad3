/* Big-endian loads and stores at any alignment: the byte order of Kafka's protocol and files. */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define ENDIAN_PAIR(bits)                                                      \
        static inline uint##bits##_t load_be##bits(const void *from) {         \
                uint##bits##_t value;                                          \
                memcpy(&value, from, sizeof(value));                           \
                return be##bits##toh(value);                                   \
        }                                                                      \
        static inline void store_be##bits(void *to, uint##bits##_t value) {    \
                value = htobe##bits(value);                                    \
                memcpy(to, &value, sizeof(value));                             \
        }

ENDIAN_PAIR(16)
ENDIAN_PAIR(32)
ENDIAN_PAIR(64)
#undef ENDIAN_PAIR
