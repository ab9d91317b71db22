/* record.c - one JSONL record: fields, id, append and replace. */
#include "record.h"

#include "arena.h"

#include <assert.h>
#include <string.h>

/* Nodes may take this much and twice the line's own bytes, so that a hostile line
 * of "[1,1,1,..." cannot ask for ten times its size. */
enum { NODE_BYTES = 32 << 20 };

enum { KEEP = 1 << 16 }; // bytes of memory that record_clear leaves at most

struct record_set {
    const char *field; // (n_field)
    const char *raw;   // (n) one JSON value
    size_t n_field, n;
    int at; // node of the value that it replaces, or -1: appended
};

/* Newlines in JSON that parsed are space between tokens. */
static void join_lines(char *s, size_t n)
{
    char *end = s + n;

    while ((s = memchr(s, '\n', (size_t)(end - s))))
        *s++ = ' ';
}

/* An escape may be any letter. */
static void note_names(struct record *r)
{
    const struct json_node *x = r->json.node;

    r->names = 0;
    for (uint32_t k = 1; k < x->next; k = x[k + 1].next) {
        const char *p = r->line + x[k].start;

        r->names |= x[k].escaped ? ~0ull : json_name_bit(p, x[k].end - x[k].start);
    }
}

static int parse(struct record *r, const char *line, size_t n, struct err *e)
{
    size_t most = (NODE_BYTES + 2 * n) / sizeof(struct json_node);

    if (n > most && json_bound(line, n) > most)
        return err_set(e, ERR_DATA, "more than %zu values in a line of %zu bytes", most, n);
    r->line = line;
    r->n = n;
    if (json_parse(&r->json, &r->mem, line, n, e))
        return -1;
    if (!json_is(&r->json, 0, JSON_OBJECT))
        return err_set(e, ERR_DATA, "not a JSON object");
    note_names(r);
    return 0;
}

int record_borrow(struct record *r, const char *line, size_t n, struct err *e)
{
    if (!parse(r, line, n, e))
        return 0;
    record_reset(r);
    return -1;
}

int record_read(struct record *r, const char *line, size_t n, struct err *e)
{
    char *own = arena_dup(&r->mem, line, n);

    if (record_borrow(r, own, n, e))
        return -1;
    join_lines(own, n);
    return 0;
}

int record_parse(struct record *r, const char *line, size_t n, struct err *e)
{
    *r = (struct record){0};
    return record_read(r, line, n, e);
}

void record_new(struct record *r)
{
    struct err e;
    int bad = record_parse(r, "{}", 2, &e);

    assert(!bad);
    (void)bad;
}

void record_reset(struct record *r)
{
    arena_free(&r->mem);
    *r = (struct record){0};
}

void record_clear(struct record *r)
{
    if (r->mem.total > KEEP) {
        record_reset(r);
        return;
    }
    arena_reset(&r->mem);
    *r = (struct record){.mem = r->mem};
}

static struct record_set *find_set(const struct record *r, const char *field, size_t n)
{
    for (int i = 0; i < r->n_set; i++)
        if (r->set[i].n_field == n && !memcmp(r->set[i].field, field, n))
            return &r->set[i];
    return NULL;
}

int record_member(struct record *r, const char *field, size_t n, struct json *j)
{
    const struct record_set *s = find_set(r, field, n);
    struct err e;

    if (!s) {
        *j = r->json;
        return r->names & json_name_bit(field, n) ? json_find(j, 0, field, n) : -1;
    }
    return json_parse(j, &r->mem, s->raw, s->n, &e) ? -1 : 0;
}

int record_find(struct record *r, const char *field, size_t n, struct json *j)
{
    int at = record_member(r, field, n, j);

    return json_is(j, at, JSON_NULL) ? -1 : at;
}

int record_node(struct record *r, const char *field, struct json *j)
{
    return record_find(r, field, strlen(field), j);
}

const char *record_str(struct record *r, const char *field, size_t *n)
{
    struct json j;
    int at = record_node(r, field, &j);

    return json_str(&j, at, &r->mem, n);
}

int record_text(struct record *r, const char *field, const char **s, size_t *n, struct err *e)
{
    struct json j;
    int at = record_node(r, field, &j);

    *n = 0;
    *s = json_str(&j, at, &r->mem, n);
    if (at >= 0 && !*s)
        return err_set(e, ERR_DATA, "field '%s' is not a string", field);
    return *s != NULL;
}

int record_num(struct record *r, const char *field, double *out)
{
    struct json j;
    int at = record_node(r, field, &j);

    return json_num(&j, at, out);
}

bool record_has(struct record *r, const char *field)
{
    size_t n;

    return record_raw(r, field, &n) != NULL;
}

const char *record_raw(struct record *r, const char *field, size_t *n)
{
    const struct record_set *s = find_set(r, field, strlen(field));
    struct json j;

    if (!s)
        return json_raw(&r->json, record_node(r, field, &j), n);
    *n = s->n;
    return *s->raw == 'n' ? NULL : s->raw; // null
}

/* The node of a member of `meta` in *j, or -1. */
static int find_meta(struct record *r, const char *key, struct json *j)
{
    int at = json_get(j, record_node(r, "meta", j), key);

    return json_is(j, at, JSON_NULL) ? -1 : at;
}

const char *record_meta(struct record *r, const char *key, size_t *n)
{
    struct json j;
    int at = find_meta(r, key, &j);

    return at < 0 ? NULL : json_raw(&j, at, n);
}

const char *record_meta_str(struct record *r, const char *key, size_t *n)
{
    struct json j;
    int at = find_meta(r, key, &j);

    return json_str(&j, at, &r->mem, n);
}

int record_meta_num(struct record *r, const char *key, double *out)
{
    struct json j;
    int at = find_meta(r, key, &j);

    return json_num(&j, at, out);
}

/* Room for one more set, in the arena. */
static struct record_set *add_set(struct record *r)
{
    if (r->n_set == r->cap_set) {
        struct record_set *more;

        r->cap_set = r->cap_set ? 2 * r->cap_set : 8;
        more = arena_new(&r->mem, (size_t)r->cap_set * sizeof(*more));
        if (r->n_set)
            memcpy(more, r->set, (size_t)r->n_set * sizeof(*more));
        r->set = more;
    }
    return &r->set[r->n_set++];
}

void record_set(struct record *r, const char *field, const char *raw, size_t n)
{
    size_t n_field = strlen(field);
    struct record_set *s = find_set(r, field, n_field);
    char *own = arena_dup(&r->mem, raw, n);

    join_lines(own, n);
    if (!s) {
        s = add_set(r);
        s->field = arena_dup(&r->mem, field, n_field);
        s->n_field = n_field;
        s->at = json_get(&r->json, 0, field);
    }
    s->raw = own;
    s->n = n;
}

static void set_buf(struct record *r, const char *field, struct buf *b)
{
    record_set(r, field, b->p, b->n);
    buf_free(b);
}

void record_set_str(struct record *r, const char *field, const char *s, size_t n)
{
    struct buf b = {0};

    json_put_str(&b, s, n);
    set_buf(r, field, &b);
}

void record_set_num(struct record *r, const char *field, double x)
{
    struct buf b = {0};

    json_put_num(&b, x);
    set_buf(r, field, &b);
}

void record_set_int(struct record *r, const char *field, int64_t x)
{
    struct buf b = {0};

    json_put_int(&b, x);
    set_buf(r, field, &b);
}

void record_set_meta(struct record *r, const char *key, const char *raw, size_t n)
{
    struct record meta;
    struct buf b = {0};
    struct err e;
    size_t n_old;
    const char *old = record_raw(r, "meta", &n_old);

    if (!old || *old != '{' || record_parse(&meta, old, n_old, &e)) {
        record_new(&meta);
        if (old)
            record_set(&meta, "value", old, n_old);
    }
    record_set(&meta, key, raw, n);
    record_write(&meta, &b);
    record_reset(&meta);
    b.n--; // the newline
    set_buf(r, "meta", &b);
}

void record_set_meta_str(struct record *r, const char *key, const char *s)
{
    struct buf b = {0};

    json_put_str(&b, s, strlen(s));
    record_set_meta(r, key, b.p, b.n);
    buf_free(&b);
}

void record_copy(struct record *to, struct record *from)
{
    struct buf b = {0};
    struct err e;
    int bad;

    record_write(from, &b);
    bad = record_parse(to, b.p, b.n - 1, &e);
    assert(!bad); // a record's own text is a record
    (void)bad;
    buf_free(&b);
    to->file = from->file;
    to->line_no = from->line_no;
    to->seq = from->seq;
    to->key = from->key;
    if (from->id)
        to->id = arena_dup(&to->mem, from->id, strlen(from->id));
}

/* ---- ids ---- */

static void set_id(struct record *r, const char *id, size_t n)
{
    r->id = arena_dup(&r->mem, id, n);
    r->key = hash_bytes(id, n);
}

void record_set_id(struct record *r, const char *id)
{
    set_id(r, id, strlen(id));
    record_set_str(r, "id", id, strlen(id));
}

int record_hash(struct record *r, const char *const *fields, struct hash128 *h)
{
    int found = 0;

    *h = (struct hash128){0};
    for (; fields && *fields; fields++) {
        struct json j;
        size_t n;
        int at = record_member(r, *fields, strlen(*fields), &j);
        const char *raw = json_raw(&j, at, &n); // null too: ids are for ever

        if (!raw)
            continue;
        *h = hash_add(hash_add(*h, *fields, strlen(*fields)), raw, n);
        found++;
    }
    if (!found) {
        struct buf b = {0};

        record_write(r, &b);
        *h = hash_add(*h, b.p, b.n - 1);
        buf_free(&b);
    }
    return found;
}

const char **record_fields(const char *const *fields, const char *own)
{
    const char **list;
    size_t n = 0;

    for (; fields && fields[n]; n++)
        own = own && !strcmp(own, fields[n]) ? NULL : own;
    list = mem_zero(n + 2, sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = fields[i];
    list[n] = own;
    return list;
}

int record_identify(struct record *r, const char *const *fields, struct err *e)
{
    struct json j;
    int at = record_node(r, "id", &j);
    const char *s;
    size_t n;

    if (at < 0) {
        struct hash128 h;
        char hex[33];

        record_hash(r, fields, &h);
        hash_hex(h, hex);
        record_set_id(r, hex);
        return 0;
    }
    s = json_str(&j, at, &r->mem, &n);
    if (s && memchr(s, 0, n))
        return err_set(e, ERR_DATA, "the id holds a NUL character");
    if (!s && json_is(&j, at, JSON_NUMBER)) {
        s = json_raw(&j, at, &n);
        if (memchr(s, '.', n) || memchr(s, 'e', n) || memchr(s, 'E', n))
            s = NULL;
    }
    if (!s)
        return err_set(e, ERR_DATA, "the id is neither a string nor an integer");
    set_id(r, s, n);
    return 0;
}

void record_derive_id(struct record *r, const char *parent, const char *stage, int64_t number)
{
    struct hash128 h = {0};
    struct buf b = {0};
    char hex[33];

    json_put_int(&b, number);
    h = hash_add(h, parent, strlen(parent));
    h = hash_add(h, stage, strlen(stage));
    h = hash_add(h, b.p, b.n);
    buf_free(&b);
    hash_hex(h, hex);
    record_set_id(r, hex);
}

/* ---- writing ---- */

/* The record's text from *done up to the value of node `at`, then what replaces it. */
static void put_replaced(struct record *r, struct buf *out, size_t *done, int at)
{
    for (int i = 0; i < r->n_set; i++) {
        const char *old;
        size_t n, start;

        if (r->set[i].at != at)
            continue;
        old = json_raw(&r->json, at, &n);
        start = (size_t)(old - r->line);
        buf_add(out, r->line + *done, start - *done);
        buf_add(out, r->set[i].raw, r->set[i].n);
        *done = start + n;
        return;
    }
}

void record_write(struct record *r, struct buf *out)
{
    const struct json_node *node = r->json.node;
    size_t done = node[0].start, last = done + 1, n;

    for (uint32_t k = 1; r->n_set && k < node[0].next; k = node[k + 1].next) {
        const char *raw = json_raw(&r->json, (int)k + 1, &n);

        last = (size_t)(raw - r->line) + n;
        put_replaced(r, out, &done, (int)k + 1);
    }
    if (r->n_set) {
        bool first = node[0].size == 0;

        buf_add(out, r->line + done, last - done);
        done = last;
        for (int i = 0; i < r->n_set; i++) {
            if (r->set[i].at >= 0)
                continue;
            if (!first)
                buf_char(out, ',');
            first = false;
            json_put_str(out, r->set[i].field, r->set[i].n_field);
            buf_char(out, ':');
            buf_add(out, r->set[i].raw, r->set[i].n);
        }
    }
    buf_add(out, r->line + done, node[0].end - done);
    buf_char(out, '\n');
}
