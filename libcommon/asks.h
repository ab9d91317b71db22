/* asks.h - what the keywords of a set of schemas ask of a value.
 *
 * Each question (which types, how long, which members) is answered over all schemas of the set
 * together. What is not supported is refused here, with its JSON pointer; functions return -1
 * then.
 * Source: JSON Schema draft 2020-12, core 10 and validation 6. */
#ifndef ASKS_H
#define ASKS_H

#include "jsoncfg.h"
#include "wants.h"

enum { // types; every integer is a number
    WANTS_NULL = 1,
    WANTS_BOOL = 2,
    WANTS_INTEGER = 4,
    WANTS_NUMBER = 8,
    WANTS_STRING = 16,
    WANTS_OBJECT = 32,
    WANTS_ARRAY = 64,
    WANTS_ALL = 127,
};

/* A regular expression of which every match is of a format; NULL: the format is not known. */
typedef const char *asks_format(const char *name);

/* The types that a value may have. Where none is said: those whose keywords are there, of strings
 * also by a known format. */
int asks_types(struct wants_text *t, const struct wants *w, asks_format *format, unsigned *types);

/* The values that one enum (*many: node is the list of them) or const names; *node -1: none. */
int asks_values(struct wants_text *t, const struct wants *w, int *node, bool *many);
/* Does the set allow this value of an enum or const? 1, 0 or -1 (cannot be told). */
int asks_allow(struct wants_text *t, const struct wants *w, asks_format *format, unsigned types,
               int value);

/* The largest minimum (0) and the smallest maximum (-1: none) of two keywords. */
int asks_lengths(struct wants_text *t, const struct wants *w, const char *min, const char *max,
                 int *lo, int *hi);
/* The ends of numbers; *integer is set when multipleOf asks for them. */
int asks_range(struct wants_text *t, const struct wants *w, struct jsoncfg_end *lo,
               struct jsoncfg_end *hi, bool *integer);

/* Members that are named, in the order of the schemas; caller frees. */
struct asks_name {
    const char *s;
    size_t n;
    bool required, barred; // barred: by an unevaluatedProperties
};
int asks_names(struct wants_text *t, const struct wants *w, struct asks_name **name, size_t *n);
/* What the value of a member that is named must satisfy. */
int asks_member(struct wants_text *t, const struct wants *w, const char *name, size_t n,
                struct wants *out);
/* 1 and what others must satisfy, or 0 when there are none; named: some member is. */
int asks_more_members(struct wants_text *t, const struct wants *w, bool named, struct wants *out);

/* How many items prefixItems describes. */
int asks_prefix(struct wants_text *t, const struct wants *w);
/* 1 and what item i (-1: those behind prefixItems) must satisfy, or 0 when there are none; needed:
 * some must be there. */
int asks_item(struct wants_text *t, const struct wants *w, int i, bool needed, struct wants *out);

#endif
