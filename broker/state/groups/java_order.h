/* The order in which Java's HashMap and HashSet are walked, where Kafka's results depend on it. */
#pragma once

#include <stdint.h>

#include "storage/base/str.h"
#include "storage/base/uuid.h"

/* String.hashCode() of UTF-8 text, over its UTF-16 form. */
uint32_t java_hash_string(Str text);
/* hashCode() of Kafka's Uuid. */
uint32_t java_hash_uuid(const Uuid *uuid);

/* Buckets of a table that grew to so many elements, or was made as a copy of so many. */
uint32_t java_buckets_grown(int32_t count);
uint32_t java_buckets_copied(int32_t count);

/* Writes the positions of hashes in the order of the walk; ret_order has room for count. Elements of one bucket keep their order. */
void java_order(const uint32_t *hashes, int32_t count, uint32_t buckets, int32_t *ret_order);
