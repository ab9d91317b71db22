/* buf.h - growable byte strings. Zeroed is empty; always NUL-terminated once written. */
#ifndef BUF_H
#define BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
    char *p; // (n + 1) bytes, or NULL while nothing was written
    size_t n, cap;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The bytes as a C string; "" while nothing was written. */
const char *buf_cstr(const struct buf *b);

void buf_reset(struct buf *b); // empty, memory kept
void buf_free(struct buf *b);

#endif
