/* bytes.h - a checked walk over the bytes of a file.
 *
 * The one place where a length from a file meets the size of the file. Bounds
 * are subtractions from what is left, so that no sum can wrap. Errors: ERR_DATA
 * "x.gguf: byte 24: key length 99 exceeds the 12 bytes left". */
#ifndef BYTES_H
#define BYTES_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *p;
    size_t n, at;     // all bytes, and how many were taken
    const char *path; // for messages
    struct err *e;
};

size_t bytes_left(const struct bytes *b);

/* "<path>: byte <at>: <message>" as ERR_DATA. Always -1. */
int bytes_fail(const struct bytes *b, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The next n bytes, or NULL. `what` names them in the message. */
const uint8_t *bytes_take(struct bytes *b, uint64_t n, const char *what);

/* The next number, little-endian as the machine's. */
int bytes_u32(struct bytes *b, uint32_t *out, const char *what);
int bytes_u64(struct bytes *b, uint64_t *out, const char *what);

/* A string of min..max bytes after its u64 length; s points into the file. */
int bytes_str(struct bytes *b, uint64_t min, uint64_t max, const char *what, const char **s,
              size_t *n);

/* The same for a name that may be printed: 1..max bytes of UTF-8 without control characters. */
int bytes_name(struct bytes *b, uint64_t max, const char *what, const char **s, size_t *n);

#endif
