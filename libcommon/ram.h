/* ram.h - memory that this process may still take. */
#ifndef RAM_H
#define RAM_H

#include <stdint.h>

/* Bytes: what the machine has available (page cache that can be dropped counts), cut down
 * to what the memory limits of our control group and of those above it leave, version 1
 * or 2, and to what ulimit -v does. -1 when the system does not say. root: "" or, for tests, where
 * proc and sys stand. */
int64_t ram_available(const char *root);

#endif
