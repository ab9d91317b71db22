/* json.h - JSON: strict parse into spans, unescape. Writing: json_put.h, included here.
 *
 * A parsed text is an array of nodes in document order; node 0 is the root. A
 * node is a span of the text, so that what is not touched can be copied byte
 * for byte. The accepted language is RFC 8259's and nothing else: commas,
 * colons, numbers, escapes, surrogates, UTF-8, depth and duplicate keys are all
 * checked. Time is linear in the text. */
#ifndef JSON_H
#define JSON_H

#include "arena.h"
#include "buf.h"
#include "err.h"
#include "json_put.h"
#include "mem.h"

#include <stdbool.h>
#include <stdint.h>

enum { JSON_DEPTH = 128 };

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_node {
    uint8_t type;        // enum json_type
    bool escaped;        // a string with a backslash in it
    uint32_t start, end; // span in the text; a string's lies inside its quotes
    uint32_t size;       // items of an array; members of an object
    uint32_t next;       // node after this one and all below it
};

struct json {
    const char *text; // borrowed
    size_t n_text;
    struct json_node *node; // (n_node), in the arena given to json_parse
    uint32_t n_node;
    bool torn; // json_parse failed, and more bytes behind the text could mend it
};

/* Parse exactly one JSON text of n bytes (n < 4 GiB), which must outlive j.
 * Nodes go to the arena. Errors: ERR_DATA "byte 17: expected ',' or '}'". */
int json_parse(struct json *j, struct arena *a, const char *text, size_t n, struct err *e);

/* An upper bound of the nodes a text of n bytes can have, for a caller that
 * limits memory before it parses (20 bytes a node). */
size_t json_bound(const char *text, size_t n);

/* Object members: a member is two nodes, its key (a string) and its value.
 * First child of node i is i + 1; the sibling after node k is node[k].next;
 * children end at node[i].next. json_get: value of member `key` of object node
 * obj (compared unescaped), or -1 when obj < 0, not an object or without it. */
int json_get(const struct json *j, int obj, const char *key);
int json_find(const struct json *j, int obj, const char *key, size_t n); // key[0..n)

/* Item k of array node arr, or -1. Linear. */
int json_at(const struct json *j, int arr, uint32_t k);

/* One of 64 bits for the name of a member, by its length and its ends. */
static inline uint64_t json_name_bit(const char *s, size_t n)
{
    return n ? 1ull << ((n * 7 + (unsigned char)s[0] + (unsigned char)s[n - 1] * 3u) & 63) : 1;
}

enum json_type json_type(const struct json *j, int node);       // JSON_NULL for node -1
bool json_is(const struct json *j, int node, enum json_type t); // false for node -1

/* The value of a string node, unescaped, in the arena (NUL-terminated, may hold
 * NULs); *n gets its length when n is not NULL. NULL when node is no string. */
char *json_str(const struct json *j, int node, struct arena *a, size_t *n);
/* The same without a NUL behind it, and where nothing is escaped in the text itself. */
const char *json_text(const struct json *j, int node, struct arena *a, size_t *n);
bool json_str_is(const struct json *j, int node, const char *s);

/* Numbers: 0, or -1 when the node is no number, too large for a double, or not
 * an integer within +-2^63 for json_int (1.0 and 1e3 are no integers). */
int json_num(const struct json *j, int node, double *out);
int json_int(const struct json *j, int node, int64_t *out);
bool json_true(const struct json *j, int node); // node is the literal true

/* True for a string that is the key of a member, in a walk over all nodes. */
bool json_is_key(const struct json *j, int node);

/* The node's own bytes in the text, quotes included. */
const char *json_raw(const struct json *j, int node, size_t *n);

#endif
