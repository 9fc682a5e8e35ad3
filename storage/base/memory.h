/* Memory in large blocks. */
#pragma once

#include <stddef.h>

/* free(), for a block of that many bytes that may be large: the kernel holds the address space of all threads while it takes pages back,
 * and for a few hundred MiB at once that is long enough to stall whoever maps or allocates something meanwhile; so they go step by step. */
void memory_free(void *data, size_t size);
