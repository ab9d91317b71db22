/* say.h - messages about records on standard error. */
#ifndef SAY_H
#define SAY_H

#include "buf.h"
#include "record.h"

#include <stddef.h>

/* Lines of text, with "<stage>: " before each; not torn by other writers. */
void say_lines(const char *stage, const char *text, size_t n);
/* One line "<stage>: file:17: <message>"; of a derived record its id. */
void say_where(const char *stage, const struct record *r, const char *message);
/* Append the bytes of a line as text: bad ones, and backslashes, as \xHH. */
void say_bytes(struct buf *b, const char *p, size_t n);
/* Append a text of any bytes as a JSON string: as it is where it is UTF-8, else by say_bytes. */
void say_json(struct buf *b, const char *message);
/* Set an empty `out` to the line of a reject: r with "reject": {stage, rule, value, limit, line};
 * value and limit are JSON or NULL. Of a line of more than `most` bytes there is only the
 * beginning, as "raw", with the id: of text[0..n), that r was made for, or if it is NULL of r. */
void say_reject(struct record *r, const char *text, size_t n, const char *stage, const char *rule,
                const char *value, const char *limit, size_t most, struct buf *out);

#endif
