/* wants.h - what a JSON Schema asks of a value: sets of schemas that must all hold.
 *
 * A set holds a schema, the targets of its $ref and the parts of its allOf. What a set asks for is
 * found out by asks. */
#ifndef WANTS_H
#define WANTS_H

#include "arena.h"
#include "hash.h"
#include "json.h"

enum { WANTS_MAX = 4096, WANTS_DEPTH = 256 }; // schemas of a set; references behind each other

struct want {
    uint32_t node;
    uint32_t taken; // bit 0: a branch of its anyOf is in the set, bit 1: of its oneOf
};

/* Zeroed is the set without schemas, which any value satisfies. */
struct wants {
    struct want *w; // (n)
    size_t n, cap;
    bool never; // `false` is in it
};

struct wants_text {
    const struct json *json;
    struct arena *mem;          // of strings
    struct hash_table member;   // (object node, key) -> value node
    uint32_t path[WANTS_DEPTH]; // schemas whose $ref and allOf are being followed
    int64_t left;               // steps that comparing strings with patterns may still take
    struct err *e;
};

void wants_init(struct wants_text *t, const struct json *j, struct arena *mem, struct err *e);
void wants_done(struct wants_text *t);
void wants_free(struct wants *w);

/* ERR_DATA "<pointer of node>: ..."; returns -1. */
int wants_fail(const struct wants_text *t, int node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Add a schema with all that it refers to; on error -1, and w is freed. */
int wants_add(struct wants_text *t, struct wants *w, int node);
/* The same with all branches, and theirs: what is beneath a schema, whichever of it holds. */
int wants_beneath(struct wants_text *t, struct wants *w, int node);
void wants_sort(struct wants *w); // in order, each once: equal sets are equal bytes then

/* A list of branches of which none is taken yet, or -1 when there is none; -2 on error. */
int wants_branches(struct wants_text *t, const struct wants *w);
/* The set with one branch of that list; -1 on error. */
int wants_branch(struct wants_text *t, const struct wants *w, int list, int branch,
                 struct wants *out);

/* The value of a keyword of a schema, or -1. */
int wants_get(const struct wants_text *t, uint32_t node, const char *key);
/* The same for any member of any object. */
int wants_find(const struct wants_text *t, uint32_t node, const char *key, size_t n);

#endif
