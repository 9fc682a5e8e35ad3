/* CRC-32C (Castagnoli), the checksum of record batches and producer snapshots. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The CRC of what crc was computed over (0: nothing) followed by data. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same without special instructions; for machines that lack them, and to test the fast one. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);
