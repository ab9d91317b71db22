/* conf.c - YAML files into a small tree. */
#include "conf.h"

#include "arena.h"
#include "buf.h"
#include "hash.h"
#include "mem.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { FILE_MAX = 1 << 20, DEPTH = 32 };

/* A tree with the memory it lies in; the root comes first, so that conf_close finds the rest. */
struct tree {
    struct conf root;
    struct arena mem;
};

struct build {
    struct tree *t;
    yaml_parser_t parser;
    const char *file;
    struct open {
        struct conf *c;     // a mapping or sequence that is not closed
        struct conf **tail; // where its next item goes
        bool mapping;
        const char *key; // read, its value comes next
    } open[DEPTH];
    int depth;
    struct hash_table keys; // of all mappings: the mapping's address, then the key
    bool done;              // a document was read
    struct err *e;
};

static int fail(struct build *b, size_t line, const char *what)
{
    return err_set(b->e, ERR_DATA, "%s:%zu: %s", b->file, line + 1, what);
}

/* Names of keys are short in messages. */
static int fail_key(struct build *b, size_t line, const char *what, const char *key)
{
    return err_set(b->e, ERR_DATA, "%s:%zu: %s '%.80s'", b->file, line + 1, what, key);
}

/* A new node as the value of the key that waits, or the next item of the sequence. */
static struct conf *add(struct build *b, size_t line)
{
    struct open *o = b->depth ? &b->open[b->depth - 1] : NULL;
    struct conf *c = o ? arena_new(&b->t->mem, sizeof(*c)) : &b->t->root;

    *c = (struct conf){.line = (int)line + 1, .file = b->file};
    if (o) {
        c->key = o->key;
        o->key = NULL;
        *o->tail = c;
        o->tail = &c->next;
    }
    return c;
}

/* Was the key met in this mapping before? */
static bool is_twice(struct build *b, const struct conf *mapping, const char *key, size_t n)
{
    struct buf id = {0};
    bool twice;

    buf_add(&id, &mapping, sizeof(mapping));
    buf_add(&id, key, n);
    twice = (*hash_put(&b->keys, id.p, id.n, 0))++;
    buf_free(&id);
    return twice;
}

static int scalar(struct build *b, const yaml_event_t *ev)
{
    const char *s = (const char *)ev->data.scalar.value;
    size_t n = ev->data.scalar.length, line = ev->start_mark.line;
    struct open *o = b->depth ? &b->open[b->depth - 1] : NULL;

    if (ev->data.scalar.anchor || ev->data.scalar.tag)
        return fail(b, line, "anchors and tags are not allowed");
    if (memchr(s, 0, n))
        return fail(b, line, "a NUL character");
    if (!o || !o->mapping || o->key) {
        add(b, line)->value = arena_dup(&b->t->mem, s, n);
        return 0;
    }
    if (!strcmp(s, "<<"))
        return fail(b, line, "merge keys ('<<') are not allowed");
    if (is_twice(b, o->c, s, n))
        return fail_key(b, line, "duplicate key", s);
    o->key = arena_dup(&b->t->mem, s, n);
    return 0;
}

static int start(struct build *b, const yaml_event_t *ev)
{
    bool mapping = ev->type == YAML_MAPPING_START_EVENT;
    const struct open *o = b->depth ? &b->open[b->depth - 1] : NULL;
    size_t line = ev->start_mark.line;
    struct conf *c;

    if (mapping ? ev->data.mapping_start.anchor || ev->data.mapping_start.tag
                : ev->data.sequence_start.anchor || ev->data.sequence_start.tag)
        return fail(b, line, "anchors and tags are not allowed");
    if (o && o->mapping && !o->key)
        return fail(b, line, "a key must be a plain text");
    if (b->depth == DEPTH)
        return err_set(b->e, ERR_DATA, "%s:%zu: nesting deeper than %d", b->file, line + 1, DEPTH);
    c = add(b, line);
    b->open[b->depth++] = (struct open){.c = c, .tail = &c->child, .mapping = mapping};
    return 0;
}

static int event(struct build *b, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_ALIAS_EVENT:
        return fail(b, ev->start_mark.line, "aliases are not allowed");
    case YAML_SCALAR_EVENT:
        return scalar(b, ev);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return start(b, ev);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        if (ev->data.document_start.tag_directives.start !=
            ev->data.document_start.tag_directives.end)
            return fail(b, ev->start_mark.line, "tags are not allowed");
        if (b->done)
            return fail(b, ev->start_mark.line, "a second document");
        b->done = true;
        return 0;
    default:
        return 0;
    }
}

static int read_events(struct build *b)
{
    yaml_event_t ev;
    bool end = false;
    int rc = 0;

    while (!rc && !end) {
        if (!yaml_parser_parse(&b->parser, &ev)) {
            const yaml_parser_t *p = &b->parser;
            bool reader = p->error == YAML_READER_ERROR; // it knows the byte only

            if (reader)
                return err_set(b->e, ERR_DATA, "%s: byte %zu: %s", b->file, p->problem_offset,
                               p->problem);
            return fail(b, p->problem_mark.line, p->problem ? p->problem : "not YAML");
        }
        end = ev.type == YAML_STREAM_END_EVENT;
        rc = event(b, &ev);
        yaml_event_delete(&ev);
    }
    if (!rc && !b->done)
        return err_set(b->e, ERR_DATA, "%s: the file is empty", b->file);
    return rc;
}

/* The whole file in the arena; NULL with e set. */
static char *read_file(struct tree *t, const char *path, size_t *n, struct err *e)
{
    FILE *f = fopen(path, "rbe");
    char *p = arena_new(&t->mem, FILE_MAX + 1);
    const char *why = NULL;

    if (f) {
        *n = fread(p, 1, FILE_MAX + 1, f);
        if (ferror(f))
            why = strerror(errno);
        fclose(f);
    } else {
        why = strerror(errno);
    }
    if (why) {
        err_set(e, ERR_IO, "cannot read '%s': %s", path, why);
        return NULL;
    }
    if (*n > FILE_MAX) {
        err_set(e, ERR_DATA, "%s: larger than %d bytes", path, FILE_MAX);
        return NULL;
    }
    return p;
}

struct conf *conf_open(const char *path, struct err *e)
{
    struct tree *t = mem_zero(1, sizeof(*t));
    struct build b = {.t = t, .e = e};
    size_t n = 0;
    char *p;
    int rc = -1;

    b.file = arena_dup(&t->mem, path, strlen(path));
    p = read_file(t, path, &n, e);
    if (p && !yaml_parser_initialize(&b.parser)) {
        err_set(e, ERR_MEM, "%s: out of memory", path);
    } else if (p) {
        size_t bom =
            n >= 3 && !memcmp(p, "\xEF\xBB\xBF", 3) ? 3 : 0; // which libyaml would look for

        yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING); // instead of UTF-16
        yaml_parser_set_input_string(&b.parser, (const unsigned char *)p + bom, n - bom);
        rc = read_events(&b);
        yaml_parser_delete(&b.parser);
        hash_free(&b.keys);
    }
    if (!rc)
        return &t->root;
    conf_close(&t->root);
    return NULL;
}

void conf_close(struct conf *root)
{
    struct tree *t = (struct tree *)root;

    if (!t)
        return;
    arena_free(&t->mem);
    free(t);
}

const struct conf *conf_get(const struct conf *c, const char *key)
{
    for (c = c ? c->child : NULL; c; c = c->next)
        if (c->key && !strcmp(c->key, key))
            return c;
    return NULL;
}

const char *conf_str(const struct conf *c, const char *key, const char *otherwise)
{
    const struct conf *x = conf_get(c, key);

    return x && x->value ? x->value : otherwise;
}

/* Decimal digits as JSON writes them, so that 0x10, 1_000, .inf and 0o17 are none. */
static bool is_number(const char *s)
{
    const char *digits = "0123456789";
    size_t n;

    s += *s == '-' || *s == '+';
    n = strspn(s, digits);
    s += n;
    if (*s == '.') {
        size_t after = strspn(s + 1, digits);

        s += 1 + after;
        n = n && after ? n : 0;
    }
    if (!n)
        return false;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '-' || s[1] == '+');
        n = strspn(s, digits);
        s += n;
    }
    return n && !*s;
}

int conf_num(const struct conf *c, const char *key, double lo, double hi, double *out,
             struct err *e)
{
    const struct conf *x = conf_get(c, key);
    double v;

    if (!x)
        return 0;
    if (!x->value || !is_number(x->value))
        return err_set(e, ERR_DATA, "%s:%d: %s: '%.80s' is not a number", x->file, x->line, key,
                       x->value ? x->value : "a list or mapping");
    v = strtod(x->value, NULL);
    if (!(v >= lo && v <= hi))
        return err_set(e, ERR_DATA, "%s:%d: %s: %.80s is not in %.10g..%.10g", x->file, x->line,
                       key, x->value, lo, hi);
    *out = v;
    return 1;
}

int conf_int(const struct conf *c, const char *key, int lo, int hi, int *out, struct err *e)
{
    double v = 0;
    int rc = conf_num(c, key, lo, hi, &v, e);

    if (rc <= 0)
        return rc;
    if (v > (int)v || v < (int)v) {
        const struct conf *x = conf_get(c, key);

        return err_set(e, ERR_DATA, "%s:%d: %s: %.80s is not a whole number", x->file, x->line, key,
                       x->value);
    }
    *out = (int)v;
    return 1;
}

int conf_bool(const struct conf *c, const char *key, int *out, struct err *e)
{
    static const char *const word[] = {"false", "true", "no", "yes"};
    const struct conf *x = conf_get(c, key);

    if (!x)
        return 0;
    for (int i = 0; x->value && i < 4; i++) {
        if (!strcmp(x->value, word[i])) {
            *out = i & 1;
            return 1;
        }
    }
    return err_set(e, ERR_DATA, "%s:%d: %s: '%.80s' is neither yes nor no", x->file, x->line, key,
                   x->value ? x->value : "a list or mapping");
}

/* Is b what a becomes when one character is left out, put in, replaced or swapped? */
static bool one_slip(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), i = 0;

    while (a[i] && a[i] == b[i])
        i++;
    if (na == nb)
        return !strcmp(a + i + (na > i), b + i + (nb > i)) ||
               (i + 1 < na && a[i] == b[i + 1] && a[i + 1] == b[i] &&
                !strcmp(a + i + 2, b + i + 2));
    if (na + 1 == nb)
        return !strcmp(a + i, b + i + 1);
    return nb + 1 == na && !strcmp(a + i + 1, b + i);
}

int conf_only(const struct conf *c, const char *const *keys, struct err *e)
{
    for (const struct conf *x = c->child; x; x = x->next) {
        const char *meant = NULL;
        bool known = false;

        for (const char *const *k = keys; x->key && *k && !known; k++) {
            known = !strcmp(*k, x->key);
            if (one_slip(x->key, *k))
                meant = *k;
        }
        if (known)
            continue;
        if (!x->key)
            return err_set(e, ERR_DATA, "%s:%d: a list where keys are due", x->file, x->line);
        return err_set(e, ERR_DATA, "%s:%d: unknown key '%.80s'%s%s%s", x->file, x->line, x->key,
                       meant ? " (did you mean '" : "", meant ? meant : "", meant ? "'?)" : "");
    }
    return c->value ? err_set(e, ERR_DATA, "%s:%d: '%.80s' where keys are due", c->file, c->line,
                              c->value)
                    : 0;
}
