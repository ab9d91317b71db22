/* resume.c - what is done already: reading the files of an earlier run. */
#include "resume.h"

#include "arena.h"
#include "json.h"
#include "lines.h"
#include "record.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Where a scan stands. */
struct scan {
    struct lines in;
    int group;
    uint32_t each;
    struct tally *tally;
    uint64_t good;      // the file up to here is whole lines
    int64_t lines;      // as many
    long bad_no;        // line of a damaged line, or 0
    struct err why;     // what is wrong with it
    int in_group;       // lines of the group that is not complete, or 0
    uint64_t group_at;  // where it begins
    struct hash128 key; // its id
    bool torn;          // no line is whole, but there is the beginning of one
};

/* One whole line: its id into the tally. */
static int take(struct scan *c, const struct lines_line *x, struct err *e)
{
    static const char *const none[] = {NULL};
    struct record r;
    struct hash128 key;

    if (!x->ended)
        return err_set(e, ERR_DATA, "no newline at the end");
    if (lines_blank(x)) {
        c->good = c->in_group ? c->good : x->end;
        return 0;
    }
    if (x->size != x->n)
        return err_set(e, ERR_DATA, "longer than %d bytes", LINES_MAX);
    if (record_parse(&r, x->p, x->n, e))
        return -1;
    if (!record_has(&r, "id")) {
        record_reset(&r);
        return err_set(e, ERR_DATA, "no field 'id'");
    }
    if (record_identify(&r, none, e)) {
        record_reset(&r);
        return -1;
    }
    key = r.key;
    record_reset(&r);
    if (c->in_group && (key.lo != c->key.lo || key.hi != c->key.hi))
        return err_set(e, ERR_DATA, "a group of %d records ends after %d", c->group, c->in_group);
    if (!c->in_group)
        c->group_at = x->at;
    c->key = key;
    c->in_group = (c->in_group + 1) % c->group;
    tally_at(c->tally, key)->done += c->each;
    c->good = x->end;
    c->lines++;
    return 0;
}

/* May more bytes have followed, of a word (true) or an escape of which this is a part? */
static bool is_part(const char *p, size_t n)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < 3; i++)
        if (n < strlen(words[i]) && !memcmp(p, words[i], n))
            return true;
    return p[0] == '\\' && n < 12 && strspn(p, "\\u0123456789abcdefABCDEF") >= n;
}

/* A record of which the end may be missing, or no more than the newline. */
static bool is_torn(const char *p, size_t n)
{
    struct arena mem = {0};
    struct json j = {0};
    struct err why;
    size_t whole = utf8_whole(p, n), k = 0;
    bool good = n && *p == '{' && !json_parse(&j, &mem, p, n, &why);

    if (good)
        good = json_get(&j, 0, "id") >= 0;
    for (; n && *p == '{' && !good && !j.torn && k < 12 && k < whole; k++)
        if (!k || is_part(p + whole - k, k))
            json_parse(&j, &mem, p, whole - k, &why);
    arena_free(&mem);
    return good || j.torn;
}

/* All lines of the file, which is closed. What a signal has cut short is not the file's end. */
static int scan_lines(struct scan *c, int fd, const char *name, struct stop *stop, struct err *e)
{
    struct lines_line x;
    int rc;

    lines_open_fd(&c->in, fd, name, stop);
    while ((rc = lines_next(&c->in, &x, true, e)) == 1) {
        if (c->bad_no) {
            rc = err_set(e, ERR_DATA, "%s:%ld: %s", x.file, c->bad_no, c->why.msg);
            break;
        }
        if (take(c, &x, &c->why)) {
            c->bad_no = x.no;
            c->torn = !c->lines && !x.ended && x.size == x.n && is_torn(x.p, x.n);
        }
    }
    lines_close(&c->in);
    if (!rc && stop && stop_seen(stop))
        rc = err_set(e, ERR_STOP, "stopped while '%s' was read", name);
    return rc;
}

/* What is not whole at the end does not count. */
static void drop_group(struct scan *c)
{
    if (!c->in_group)
        return;
    tally_at(c->tally, c->key)->done -= c->each * (uint32_t)c->in_group;
    c->good = c->group_at;
    c->lines -= c->in_group;
    if (!c->bad_no)
        err_set(&c->why, ERR_DATA, "its group is not whole");
}

int resume_scan(struct sink *s, int group, uint32_t each, bool known, struct tally *t,
                struct resume_end *end, struct err *e)
{
    struct scan c = {.group = group, .each = each, .tally = t};
    int fd;

    *end = (struct resume_end){.good = s->size};
    if (!s->regular || !s->size)
        return 0;
    fd = sink_reader(s, e);
    if (fd < 0)
        return -1;
    if (scan_lines(&c, fd, sink_name(s), s->stop, e))
        return -1;
    drop_group(&c);
    if (!c.lines && c.good < s->size && !known && !c.torn)
        return err_set(e, ERR_ARG,
                       "'%s' holds no record of an earlier run (%s); it is left as it is",
                       sink_name(s), c.why.msg);
    s->lines = c.lines;
    *end = (struct resume_end){c.good, c.why};
    return 0;
}

int resume_cut(struct sink *s, const struct resume_end *end, struct buf *note, struct err *e)
{
    if (end->good == s->size)
        return 0;
    if (sink_cut(s, end->good, e))
        return -1;
    buf_fmt(note, "%s: cut off %llu bytes of an incomplete last record (%s)\n", sink_name(s),
            (unsigned long long)(s->size - end->good), end->why.msg);
    s->size = end->good;
    return 0;
}

int resume_read(const char *path, int group, uint32_t each, struct stop *stop, struct tally *t,
                uint64_t *good, struct err *e)
{
    struct scan c = {.group = group, .each = each, .tally = t};
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

    if (fd < 0)
        return err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    rc = scan_lines(&c, fd, path, stop, e);
    drop_group(&c);
    *good = c.good;
    return rc ? -1 : 0;
}

/* ---- fingerprints ---- */

static void put_value(struct buf *b, const struct json *j, int node)
{
    size_t n = 0;
    const char *raw = json_raw(j, node, &n);

    if (raw)
        buf_add(b, raw, n < 80 ? n : utf8_whole(raw, 80));
    else
        buf_str(b, "absent");
}

static bool same(const struct json *a, int x, const struct json *b, int y)
{
    size_t na = 0, nb = 0;
    const char *pa = json_raw(a, x, &na), *pb = json_raw(b, y, &nb);

    return pa && pb && na == nb && !memcmp(pa, pb, na);
}

static bool listed(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (!strcmp(*list, name))
            return true;
    return false;
}

/* The first member of object x of a that b's object y has not or not the same: its
 * name is appended to `name`. Objects are compared member by member, but for those in `skip`. */
static bool differs(const struct json *a, int x, const struct json *b, int y,
                    const char *const *skip, struct buf *name, int at[2])
{
    struct arena mem = {0};
    bool found = false;

    for (uint32_t k = (uint32_t)x + 1; !found && k < a->node[x].next; k = a->node[k + 1].next) {
        char *key = json_str(a, (int)k, &mem, NULL);
        int mine = (int)k + 1, other = json_get(b, y, key);
        size_t n = name->n;

        if (listed(skip, key) || same(a, mine, b, other))
            continue;
        buf_fmt(name, "%s%s", n ? "." : "", key);
        if (json_is(a, mine, JSON_OBJECT) && json_is(b, other, JSON_OBJECT)) {
            found = differs(a, mine, b, other, skip, name, at);
            if (!found) // written another way, or members that only b has
                name->n = n;
            continue;
        }
        found = true;
        at[0] = mine;
        at[1] = other;
    }
    arena_free(&mem);
    return found;
}

/* What the first member that is not the same is called and holds in a and in b. */
static bool difference(const struct json *a, const struct json *b, const char *const *skip,
                       struct buf *name, struct buf *in_a, struct buf *in_b)
{
    int at[2];

    if (differs(b, 0, a, 0, skip, name, at)) {
        put_value(in_b, b, at[0]);
        put_value(in_a, a, at[1]);
    } else if (differs(a, 0, b, 0, skip, name, at)) {
        put_value(in_a, a, at[0]);
        put_value(in_b, b, at[1]);
    }
    return in_a->n > 0;
}

static int compare(const char *path, const char *old, size_t n_old, const char *ours, size_t n,
                   struct err *e)
{
    struct arena mem = {0};
    struct buf name = {0}, was = {0}, is = {0};
    struct json a, b;
    int rc = 0;

    if (json_parse(&a, &mem, old, n_old, e))
        rc = err_wrap(e, "%s", path);
    else if (json_parse(&b, &mem, ours, n, e) || !json_is(&a, 0, JSON_OBJECT))
        rc = err_set(e, ERR_DATA, "%s: not a JSON object", path);
    else if (difference(&a, &b, NULL, &name, &was, &is))
        rc = err_set(e, ERR_ARG,
                     "cannot resume: %s was %s and is %s now (%s); use the same options and "
                     "model, or another output",
                     name.p, was.p, is.p, path);
    buf_free(&name);
    buf_free(&was);
    buf_free(&is);
    arena_free(&mem);
    return rc;
}

/* The file's text in b: 1, 0 when it is not there, -1. */
static int read_small(const char *path, struct buf *b, struct err *e)
{
    char chunk[4096];
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 0;
    while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0 && b->n < (1 << 24))
        buf_add(b, chunk, (size_t)n);
    if (n < 0)
        err_set(e, ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return n < 0 ? -1 : 1;
}

int resume_same(const char *path, const char *ours, size_t n, struct err *e)
{
    struct buf old = {0};
    int there = read_small(path, &old, e);

    if (there == 1 && compare(path, buf_cstr(&old), old.n, ours, n, e))
        there = -1;
    buf_free(&old);
    return there;
}

int resume_meta(const char *path, const char *ours, size_t n, bool begun, struct buf *note,
                struct err *e)
{
    int there = begun ? resume_same(path, ours, n, e) : 0;

    if (begun && !there)
        buf_fmt(note, "%s is not there: cannot check that model and options are the same\n", path);
    return there ? (there < 0 ? -1 : 0) : sink_replace(path, ours, n, e);
}

/* ---- shards ---- */

/* The fingerprint beside an output, whose text goes to b: is there one, of the stream's making? */
static bool read_print(const char *output, struct buf *b, struct json *j, struct arena *mem)
{
    struct buf path = {0};
    struct err why;
    bool good;

    buf_fmt(&path, "%s.meta", output);
    good = read_small(path.p, b, &why) == 1 && !json_parse(j, mem, buf_cstr(b), b->n, &why) &&
           json_is(j, 0, JSON_OBJECT) && json_get(j, 0, "stage") >= 0;
    buf_free(&path);
    return good;
}

static bool is_shard(const struct json *j)
{
    size_t n = 0;
    const char *s = json_raw(j, json_get(j, 0, "shard"), &n);

    return s && !(n == 5 && !memcmp(s, "\"1/1\"", 5));
}

int resume_alike(const char *a, const char *b, struct buf *note, struct err *e)
{
    static const char *const anywhere[] = {"shard", "version", "model", NULL};
    static const char *const shard[] = {"shard", NULL};
    struct buf ta = {0}, tb = {0}, name = {0}, va = {0}, vb = {0};
    struct arena mem = {0};
    struct json x, y;
    int rc = 0;

    if (!read_print(a, &ta, &x, &mem) || !read_print(b, &tb, &y, &mem) || !is_shard(&x) ||
        !is_shard(&y) || !same(&x, json_get(&x, 0, "stage"), &y, json_get(&y, 0, "stage")))
        rc = 0;
    else if (difference(&x, &y, anywhere, &name, &va, &vb))
        rc = err_set(e, ERR_ARG, "shards of different runs: %s is %s in '%s' and %s in '%s'",
                     name.p, va.p, a, vb.p, b);
    else if (difference(&x, &y, shard, &name, &va, &vb))
        buf_fmt(note, "%s is %s in '%s' and %s in '%s'\n", name.p, va.p, a, vb.p, b);
    buf_free(&ta);
    buf_free(&tb);
    buf_free(&name);
    buf_free(&va);
    buf_free(&vb);
    arena_free(&mem);
    return rc;
}

bool resume_is_shard(const char *output)
{
    struct buf text = {0};
    struct arena mem = {0};
    struct json j;
    bool yes = read_print(output, &text, &j, &mem) && is_shard(&j);

    buf_free(&text);
    arena_free(&mem);
    return yes;
}

int resume_group(const char *output)
{
    struct buf text = {0};
    struct arena mem = {0};
    struct json j;
    double v = 1;

    if (read_print(output, &text, &j, &mem))
        json_num(&j, json_get(&j, 0, "group"), &v);
    buf_free(&text);
    arena_free(&mem);
    return v >= 1 && v <= 1 << 20 ? (int)v : 1;
}
