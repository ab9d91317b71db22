/* json_put.h - JSON: append strings, numbers and keys. */
#ifndef JSON_PUT_H
#define JSON_PUT_H

#include "buf.h"

#include <stdint.h>

/* Append to b: a quoted string of n bytes of UTF-8 (controls, quotes and
 * backslashes escaped, all else as it is); the shortest decimal that reads back
 * as the same double (float for json_put_float); NaN and infinities as null. */
void json_put_str(struct buf *b, const char *s, size_t n);
void json_put_num(struct buf *b, double x);
void json_put_float(struct buf *b, float x);
void json_put_int(struct buf *b, int64_t x);

/* Append `,"key":` (or `"key":` right after an opening brace or bracket). */
void json_put_key(struct buf *b, const char *key);

#endif
