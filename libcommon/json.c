/* json.c - JSON: strict parse into spans, unescape.
 *
 * One pass over the text with a stack of open containers, so that depth costs
 * no C stack and a text costs linear time. The nodes of a short text grow as they
 * come; of a long one a scan before it bounds their number, which makes them one exact
 * allocation. */
#include "json.h"

#include "arena.h"
#include "decimal.h"
#include "escape.h"
#include "hash.h"
#include "stops.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 1 << 16, FIRST = 32, FEW = 16 }; // bytes of a text; nodes; members

struct parse {
    const char *s;
    size_t n, i; // text, its length, where we are
    struct json *j;
    uint32_t open[JSON_DEPTH]; // containers around us, outermost first
    int depth;
    size_t max; // nodes there is room for
    struct arena *mem;
    struct err *e;
    size_t from, marked;        // what strings must stop at, of s[from..from + marked)
    uint64_t stop[STOPS_WORDS]; // and a bit behind it
};

static int fail(struct parse *p, size_t at, const char *what)
{
    p->j->torn = at >= p->n;
    return err_set(p->e, ERR_DATA, "byte %zu: %s", at, at < p->n ? what : "text ends too early");
}

static inline void skip_space(struct parse *p)
{
    while (p->i < p->n && (unsigned char)p->s[p->i] <= ' ') {
        char c = p->s[p->i];

        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            break;
        p->i++;
    }
}

static void more_nodes(struct parse *p)
{
    struct json_node *more = arena_new(p->mem, 2 * p->max * sizeof(*more));

    memcpy(more, p->j->node, p->max * sizeof(*more));
    p->j->node = more;
    p->max *= 2;
}

static inline void add(struct parse *p, enum json_type type, bool escaped, size_t start)
{
    uint32_t at = p->j->n_node++;

    if (at == p->max)
        more_nodes(p);
    p->j->node[at] =
        (struct json_node){(uint8_t)type, escaped, (uint32_t)start, (uint32_t)p->i, 0, at + 1};
}

/* ---- strings ---- */

/* Go on to what a string stops at, or to the end of the text. */
static inline void next_stop(struct parse *p)
{
    for (;;) {
        size_t k = p->i - p->from, w = k / 64;
        uint64_t m;

        if (k < p->marked) {
            m = p->stop[w] & ~0ull << k % 64;
            while (!m)
                m = p->stop[++w];
            k = 64 * w + (size_t)__builtin_ctzll(m);
            p->i = p->from + k;
            if (k < p->marked)
                return;
        }
        if (p->i == p->n)
            return;
        p->from = p->i;
        p->marked = stops_mark(p->s + p->i, p->n - p->i, p->stop);
    }
}

/* Pass over a string from its opening quote to after its closing one. */
static int string(struct parse *p)
{
    size_t start = ++p->i, len;
    bool escaped = false;
    uint32_t cp;

    for (;;) {
        unsigned char c;

        next_stop(p);
        if (p->i == p->n)
            return fail(p, p->i, "");
        c = (unsigned char)p->s[p->i];
        if (c == '"')
            break;
        if (c < 0x20)
            return fail(p, p->i, "control character in a string");
        escaped = escaped || c == '\\';
        len = c == '\\' ? escape_get(p->s + p->i, p->n - p->i, &cp)
                        : utf8_run(p->s + p->i, p->n - p->i);
        if (!len)
            return fail(p, p->i,
                        c == '\\' ? "bad escape or half a surrogate pair" : "invalid UTF-8");
        p->i += len;
    }
    add(p, JSON_STRING, escaped, start);
    p->i++;
    return 0;
}

/* ---- numbers and words ---- */

static bool take(struct parse *p, char c)
{
    if (p->i == p->n || p->s[p->i] != c)
        return false;
    p->i++;
    return true;
}

static int number(struct parse *p)
{
    size_t start = p->i;
    bool good;

    p->i += decimal_span(p->s + start, p->n - start, &good);
    if (!good)
        return fail(p, p->i, "expected a digit");
    add(p, JSON_NUMBER, false, start);
    return 0;
}

static int word(struct parse *p, const char *w, enum json_type type)
{
    size_t start = p->i, len = strlen(w);

    if (p->n - p->i < len || memcmp(p->s + p->i, w, len))
        return fail(p, p->i, "expected a value");
    p->i += len;
    add(p, type, false, start);
    return 0;
}

/* ---- objects ---- */

static bool same_string(const struct json *j, const struct json_node *x, const struct json_node *y)
{
    const char *a = j->text + x->start, *b = j->text + y->start;
    size_t na = x->end - x->start, nb = y->end - y->start;
    bool same;
    char *ua, *ub;

    if (!x->escaped && !y->escaped)
        return na == nb && !memcmp(a, b, na);
    ua = mem_new(na);
    ub = mem_new(nb);
    na = escape_undo(a, na, ua);
    nb = escape_undo(b, nb, ub);
    same = na == nb && !memcmp(ua, ub, na);
    free(ua);
    free(ub);
    return same;
}

static uint64_t key_hash(const struct json *j, const struct json_node *x)
{
    const char *s = j->text + x->start;
    size_t n = x->end - x->start;
    struct hash128 h;
    char *u;

    if (!x->escaped)
        return hash_bytes(s, n).lo;
    u = mem_new(n);
    h = hash_bytes(u, escape_undo(s, n, u));
    free(u);
    return h.lo;
}

/* The first key of object `obj` that stands there a second time, or 0. Compared
 * unescaped, in a table of (node, 32 bits of hash) with at most half its places used. */
static uint32_t twice_of_many(const struct json *j, uint32_t obj)
{
    struct place {
        uint32_t node, tag;
    } few[64] = {0}, *t = few;
    size_t cap = 64;
    uint32_t twice = 0;

    while (cap < 2 * (size_t)j->node[obj].size)
        cap *= 2;
    if (cap > 64)
        t = mem_zero(cap, sizeof(*t));
    for (uint32_t k = obj + 1; k < j->n_node && !twice; k = j->node[k + 1].next) {
        const struct json_node *x = &j->node[k];
        uint64_t h = key_hash(j, x);
        uint32_t tag = (uint32_t)(h >> 32);
        size_t i = h & (cap - 1);

        for (; t[i].node && !twice; i = (i + 1) & (cap - 1))
            if (t[i].tag == tag && same_string(j, x, &j->node[t[i].node]))
                twice = k;
        t[i] = (struct place){k, tag}; // node 0 is the root, so 0 marks a free place
    }
    if (t != few)
        free(t);
    return twice;
}

/* The same for few keys: most differ in their length, their first or their last byte. */
static uint32_t twice_of_few(const struct json *j, uint32_t obj)
{
    uint64_t seen = 0;

    for (uint32_t k = obj + 1; k < j->n_node; k = j->node[k + 1].next) {
        const struct json_node *x = &j->node[k];
        uint64_t bit = json_name_bit(j->text + x->start, x->end - x->start);

        if (x->escaped)
            return twice_of_many(j, obj);
        for (uint32_t y = obj + 1; seen & bit && y < k; y = j->node[y + 1].next)
            if (same_string(j, x, &j->node[y]))
                return k;
        seen |= bit;
    }
    return 0;
}

static int key(struct parse *p)
{
    skip_space(p);
    if (p->i == p->n || p->s[p->i] != '"')
        return fail(p, p->i, "expected a key in double quotes");
    if (string(p))
        return -1;
    skip_space(p);
    if (!take(p, ':'))
        return fail(p, p->i, "expected ':'");
    return 0;
}

static int close_container(struct parse *p)
{
    uint32_t at = p->open[--p->depth], twice;
    struct json_node *x = &p->j->node[at];
    size_t shown;

    p->i++;
    x->end = (uint32_t)p->i;
    x->next = p->j->n_node;
    if (x->type == JSON_ARRAY || x->size < 2)
        return 0;
    twice = x->size <= FEW ? twice_of_few(p->j, at) : twice_of_many(p->j, at);
    if (!twice)
        return 0;
    x = &p->j->node[twice];
    shown = x->end - x->start < 80 ? x->end - x->start : utf8_whole(p->s + x->start, 80);
    return err_set(p->e, ERR_DATA, "byte %u: duplicate key '%.*s'", x->start - 1, (int)shown,
                   p->s + x->start);
}

/* ---- the parser ---- */

/* A value that begins here; containers are only opened. */
static int value(struct parse *p)
{
    char c;

    skip_space(p);
    if (p->i == p->n)
        return fail(p, p->i, "");
    if (p->depth)
        p->j->node[p->open[p->depth - 1]].size++;
    c = p->s[p->i];
    if (c == '"')
        return string(p);
    if (c == '-' || (c >= '0' && c <= '9'))
        return number(p);
    if (c == 'n')
        return word(p, "null", JSON_NULL);
    if (c == 't' || c == 'f')
        return word(p, c == 't' ? "true" : "false", JSON_BOOL);
    if (c != '{' && c != '[')
        return fail(p, p->i, "expected a value");
    if (p->depth == JSON_DEPTH)
        return err_set(p->e, ERR_DATA, "byte %zu: nesting deeper than %d", p->i, JSON_DEPTH);
    p->open[p->depth++] = p->j->n_node;
    add(p, c == '{' ? JSON_OBJECT : JSON_ARRAY, false, p->i);
    p->i++;
    return 0;
}

/* After a value: close what ends here. 1 = another item of the container
 * around us follows, 0 = the root is complete. */
static int after(struct parse *p)
{
    while (p->depth) {
        bool object = p->j->node[p->open[p->depth - 1]].type == JSON_OBJECT;

        skip_space(p);
        if (take(p, ','))
            return 1;
        if (p->i == p->n || p->s[p->i] != (object ? '}' : ']'))
            return fail(p, p->i, object ? "expected ',' or '}'" : "expected ',' or ']'");
        if (close_container(p))
            return -1;
    }
    return 0;
}

/* Is this the container just opened, and does it end at once? */
static bool opened_empty(struct parse *p)
{
    const struct json_node *x;

    if (!p->depth || p->open[p->depth - 1] != p->j->n_node - 1)
        return false;
    x = &p->j->node[p->j->n_node - 1];
    skip_space(p);
    return p->i < p->n && p->s[p->i] == (x->type == JSON_OBJECT ? '}' : ']');
}

static int document(struct parse *p)
{
    int more;

    do {
        if (p->depth && p->j->node[p->open[p->depth - 1]].type == JSON_OBJECT && key(p))
            return -1;
        if (value(p))
            return -1;
        more = 1;
        if (p->depth && p->open[p->depth - 1] == p->j->n_node - 1 && !opened_empty(p))
            continue; // a container was opened and has a first item
        more = after(p);
        if (more < 0)
            return -1;
    } while (more);
    skip_space(p);
    return p->i == p->n ? 0 : fail(p, p->i, "text after the end of the value");
}

size_t json_bound(const char *text, size_t n)
{
    size_t count = 1;
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (quoted) {
            if (c == '\\')
                i++;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else {
            count += c == ',' || c == ':' || c == '{' || c == '[';
        }
    }
    return count;
}

int json_parse(struct json *j, struct arena *a, const char *text, size_t n, struct err *e)
{
    struct parse p; // the stack is left as it is

    p.s = text;
    p.n = n;
    p.i = 0;
    p.j = j;
    p.depth = 0;
    p.mem = a;
    p.e = e;
    p.from = p.marked = 0;

    *j = (struct json){.text = text, .n_text = n};
    if (n > UINT32_MAX - 1)
        return err_set(e, ERR_DATA, "text of %zu bytes exceeds 4 GiB", n);
    if (n >= 2 &&
        (!text[0] || !text[1] || !memcmp(text, "\xFF\xFE", 2) || !memcmp(text, "\xFE\xFF", 2)))
        return err_set(e, ERR_DATA, "byte 0: not UTF-8 text (it looks like UTF-16 or binary)");
    p.max = n < SHORT ? FIRST : json_bound(text, n);
    if (p.max > INT32_MAX)
        return err_set(e, ERR_DATA, "text of more than %d values", INT32_MAX);
    j->node = arena_new(a, p.max * sizeof(*j->node));
    return document(&p);
}

/* ---- reading a parsed text ---- */

static const struct json_node *at(const struct json *j, int node)
{
    return node >= 0 && (uint32_t)node < j->n_node ? &j->node[node] : NULL;
}

enum json_type json_type(const struct json *j, int node)
{
    const struct json_node *x = at(j, node);

    return x ? x->type : JSON_NULL;
}

bool json_is(const struct json *j, int node, enum json_type t)
{
    const struct json_node *x = at(j, node);

    return x && x->type == t;
}

/* Is the string s[0..n)? */
static bool is_string(const struct json *j, const struct json_node *x, const char *s, size_t n)
{
    const char *p = j->text + x->start;
    size_t len = x->end - x->start, i = 0, k = 0;
    uint32_t cp = 0;

    if (!x->escaped)
        return len == n && !memcmp(p, s, n);
    while (i < len && k < n) {
        char c[4] = {p[i]};
        size_t many = 1;

        if (p[i] == '\\') {
            i += escape_get(p + i, len - i, &cp) - 1;
            many = (size_t)utf8_put(c, cp);
        }
        i++;
        if (many > n - k || memcmp(c, s + k, many) != 0)
            return false;
        k += many;
    }
    return i == len && k == n;
}

int json_find(const struct json *j, int obj, const char *name, size_t n)
{
    if (!json_is(j, obj, JSON_OBJECT))
        return -1;
    for (uint32_t k = (uint32_t)obj + 1; k < j->node[obj].next; k = j->node[k + 1].next) {
        const struct json_node *x = &j->node[k];

        if ((x->end - x->start == n || x->escaped) && is_string(j, x, name, n))
            return (int)k + 1;
    }
    return -1;
}

int json_get(const struct json *j, int obj, const char *name)
{
    return json_find(j, obj, name, strlen(name));
}

int json_at(const struct json *j, int arr, uint32_t k)
{
    uint32_t x = (uint32_t)arr + 1;

    if (!json_is(j, arr, JSON_ARRAY) || k >= j->node[arr].size)
        return -1;
    while (k--)
        x = j->node[x].next;
    return (int)x;
}

char *json_str(const struct json *j, int node, struct arena *a, size_t *n)
{
    const struct json_node *x = at(j, node);
    size_t len;
    char *s;

    if (!x || x->type != JSON_STRING)
        return NULL;
    s = arena_new(a, (size_t)(x->end - x->start) + 1);
    len = escape_undo(j->text + x->start, x->end - x->start, s);
    s[len] = 0;
    if (n)
        *n = len;
    return s;
}

const char *json_text(const struct json *j, int node, struct arena *a, size_t *n)
{
    const struct json_node *x = at(j, node);

    if (!x || x->type != JSON_STRING || x->escaped)
        return json_str(j, node, a, n);
    *n = x->end - x->start;
    return j->text + x->start;
}

bool json_str_is(const struct json *j, int node, const char *s)
{
    const struct json_node *x = at(j, node);

    return x && x->type == JSON_STRING && is_string(j, x, s, strlen(s));
}

int json_num(const struct json *j, int node, double *out)
{
    const struct json_node *x = at(j, node);
    char few[64], *s = few;
    double v;

    if (!x || x->type != JSON_NUMBER)
        return -1;
    if (decimal_get(j->text + x->start, x->end - x->start, out))
        return 0;
    if (x->end - x->start < sizeof(few)) {
        memcpy(few, j->text + x->start, x->end - x->start);
        few[x->end - x->start] = 0;
    } else {
        s = mem_dup(j->text + x->start, x->end - x->start);
    }
    v = strtod(s, NULL); // the grammar was checked: nothing is left over
    if (s != few)
        free(s);
    if (isinf(v))
        return -1;
    *out = v;
    return 0;
}

int json_int(const struct json *j, int node, int64_t *out)
{
    const struct json_node *x = at(j, node);
    int64_t v = 0;
    bool minus;

    if (!x || x->type != JSON_NUMBER)
        return -1;
    minus = j->text[x->start] == '-';
    for (uint32_t i = x->start + minus; i < x->end; i++) {
        int d = j->text[i] - '0';

        // downwards, since -2^63 has no positive counterpart
        if (d < 0 || d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, d, &v))
            return -1;
    }
    if (!minus && v == INT64_MIN)
        return -1;
    *out = minus ? v : -v;
    return 0;
}

bool json_true(const struct json *j, int node)
{
    const struct json_node *x = at(j, node);

    return x && x->type == JSON_BOOL && j->text[x->start] == 't';
}

const char *json_raw(const struct json *j, int node, size_t *n)
{
    const struct json_node *x = at(j, node);
    uint32_t quote;

    if (!x)
        return NULL;
    quote = x->type == JSON_STRING;
    *n = x->end - x->start + 2 * (size_t)quote;
    return j->text + x->start - quote;
}

bool json_is_key(const struct json *j, int node)
{
    size_t at;

    if (!json_is(j, node, JSON_STRING))
        return false;
    at = (size_t)j->node[node].end + 1; // a colon comes after it
    while (at < j->n_text && strchr(" \t\r\n", j->text[at]))
        at++;
    return at < j->n_text && j->text[at] == ':';
}
