/* merge.c - files of records joined by id. */
#include "merge.h"

#include "lines.h"
#include "mem.h"
#include "naming.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTES = 10, LOOK = 64 }; // conflicts that are described; lines from one look to the next
static const uint32_t NONE = UINT32_MAX;

struct id {
    struct hash128 key;
    uint32_t line;              // first of its lines, by sample, or NONE
    uint32_t child, last, next; // records derived from it in the order met: first, last; among them
    bool wanted, rejected, done; // in the input; in the rejects; handed out
    uint32_t seen;               // in the input
};

struct line {
    uint64_t at, hash;
    uint32_t n, next; // next: of the same id
    uint32_t file, sample;
};

struct merge {
    struct stop *stop;
    size_t since;  // lines since a look at it, long ones count as several
    struct id *id; // (n_id)
    struct line *line;
    size_t n_id, cap_id, n_line, cap_line;
    struct place {
        uint32_t id, tag; // id + 1, 0: free; of its key
    } * place;            // (cap) open addressing, at most two thirds used
    size_t cap;
    uint32_t *order; // (n_order) ids of the input
    size_t n_order, cap_order;
    char **file; // (n_file) paths, owned
    int *fd;     // of the files
    int *group;  // lines of a record in them
    size_t n_file;
    int n_noted; // conflicts described
    struct naming naming;
    bool has_like;
    struct merge_counts counts;
    void (*tick)(void *with, const struct merge_counts *c); // or NULL
    void *with;
    struct buf text;
    char *line_text; // (cap_text) the line at hand
    size_t cap_text;
};

static bool is_there(const void *with, struct hash128 key);

struct merge *merge_open(struct stop *stop)
{
    struct merge *m = mem_zero(1, sizeof(*m));

    m->stop = stop;
    m->naming = (struct naming){.known = is_there, .with = m};
    return m;
}

void merge_close(struct merge *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_file; i++) {
        free(m->file[i]);
        close(m->fd[i]);
    }
    free(m->file);
    free(m->fd);
    free(m->group);
    naming_free(&m->naming);
    free(m->id);
    free(m->line);
    free(m->place);
    free(m->order);
    buf_free(&m->text);
    free(m->line_text);
    free(m);
}

const struct merge_counts *merge_counts(const struct merge *m)
{
    return &m->counts;
}

void merge_watch(struct merge *m, void (*tick)(void *with, const struct merge_counts *c),
                 void *with)
{
    m->tick = tick;
    m->with = with;
}

static void count(struct merge *m, uint64_t bytes)
{
    m->counts.bytes += bytes;
    if (m->tick)
        m->tick(m->with, &m->counts);
}

static bool stopped(const struct merge *m)
{
    return m->stop && stop_seen(m->stop);
}

/* ---- ids ---- */

static struct place *find(const struct merge *m, struct hash128 key)
{
    size_t i = key.hi & (m->cap - 1);

    for (; m->place[i].id; i = (i + 1) & (m->cap - 1)) {
        const struct id *x = &m->id[m->place[i].id - 1];

        if (m->place[i].tag == (uint32_t)key.lo && x->key.lo == key.lo && x->key.hi == key.hi)
            break;
    }
    return &m->place[i];
}

static uint32_t id_of(const struct merge *m, struct hash128 key)
{
    uint32_t id = m->cap ? find(m, key)->id : 0;

    return id ? id - 1 : NONE;
}

static uint32_t id_add(struct merge *m, struct hash128 key)
{
    if (3 * (m->n_id + 1) > 2 * m->cap) {
        free(m->place);
        m->cap = m->cap ? 2 * m->cap : 64;
        m->place = mem_zero(m->cap, sizeof(*m->place));
        for (size_t i = 0; i < m->n_id; i++)
            *find(m, m->id[i].key) = (struct place){(uint32_t)i + 1, (uint32_t)m->id[i].key.lo};
    }
    mem_grow(&m->id, &m->cap_id, m->n_id + 1, sizeof(*m->id));
    m->id[m->n_id] = (struct id){key, NONE, NONE, NONE, NONE, false, false, false, 0};
    *find(m, key) = (struct place){(uint32_t)m->n_id + 1, (uint32_t)key.lo};
    return (uint32_t)m->n_id++;
}

/* Is this the id of a line or a reject? */
static bool is_there(const void *with, struct hash128 key)
{
    const struct merge *m = with;
    uint32_t i = id_of(m, key);

    return i != NONE && (m->id[i].line != NONE || m->id[i].rejected);
}

/* ---- files ---- */

/* The number of the line that begins at a place of a file, for messages; after a signal, when there
 * will be none, any. */
static long line_no(const struct merge *m, uint32_t file, uint64_t at)
{
    char chunk[1 << 16];
    uint64_t done = 0;
    long no = 1;

    while (done < at && !stopped(m)) {
        size_t n = at - done < sizeof(chunk) ? (size_t)(at - done) : sizeof(chunk);
        ssize_t got = pread(m->fd[file], chunk, n, (off_t)done);

        if (got <= 0)
            break;
        for (ssize_t i = 0; i < got; i++)
            no += chunk[i] == '\n';
        done += (uint64_t)got;
    }
    return no;
}

static void conflict(struct merge *m, const struct record *r, uint32_t was,
                     const struct lines_line *x, struct buf *note)
{
    const struct line *l = &m->line[was];

    m->counts.conflicts++;
    if (m->n_noted++ < NOTES)
        buf_fmt(note, "record '%s': %s:%ld and %s:%ld differ\n", r->id, m->file[l->file],
                line_no(m, l->file, l->at), x->file, x->no);
}

/* A line into the chain of its id, unless it is there. */
static void put(struct merge *m, struct record *r, uint32_t i, uint32_t sample,
                const struct lines_line *x, struct buf *note)
{
    struct line fresh = {x->at, hash_bytes(x->p, x->n).lo, (uint32_t)x->n,
                         NONE,  (uint32_t)m->n_file - 1,   sample};
    uint32_t k = m->id[i].line, before = NONE;

    for (; k != NONE && m->line[k].sample <= sample; k = m->line[k].next) {
        before = k;
        if (m->line[k].sample != sample)
            continue;
        if (m->line[k].n == fresh.n && m->line[k].hash == fresh.hash)
            m->counts.same++;
        else
            conflict(m, r, k, x, note);
        m->counts.bytes += fresh.n + 1; // it is not read again
        return;
    }
    fresh.next = k;
    mem_grow(&m->line, &m->cap_line, m->n_line + 1, sizeof(*m->line));
    m->line[m->n_line] = fresh;
    if (before == NONE)
        m->id[i].line = (uint32_t)m->n_line++;
    else
        m->line[before].next = (uint32_t)m->n_line++;
}

/* The record comes after its parent, unless the input has a place for it. */
static void adopt(struct merge *m, struct record *r, uint32_t i)
{
    size_t n;
    const char *s = record_meta_str(r, "parent", &n);
    uint32_t up;
    struct hash128 key;

    if (!s)
        return;
    key = hash_bytes(s, n);
    up = id_of(m, key);
    if (up == NONE)
        up = id_add(m, key);
    if (up == i)
        return;
    if (m->id[up].child == NONE)
        m->id[up].child = i;
    else
        m->id[m->id[up].last].next = i;
    m->id[up].last = i;
}

static int add_line(struct merge *m, const struct lines_line *x, bool reject, struct buf *note,
                    struct err *e)
{
    static const char *const none[] = {NULL};
    struct record r;
    uint32_t i, sample = 0;
    double v;
    bool fresh;

    if (x->size != x->n || !x->ended)
        return err_set(e, ERR_DATA, x->ended ? "line too long" : "no newline at the end");
    if (record_parse(&r, x->p, x->n, e))
        return -1;
    if (!record_has(&r, "id") || record_identify(&r, none, e)) {
        if (!record_has(&r, "id"))
            err_set(e, ERR_DATA, "no field 'id'");
        record_reset(&r);
        return -1;
    }
    naming_learn(&m->naming, &r);
    i = id_of(m, r.key);
    fresh = i == NONE || (m->id[i].line == NONE && !m->id[i].rejected);
    if (i == NONE)
        i = id_add(m, r.key);
    if (!record_num(&r, "sample", &v) && v >= 0 && v < 1e9)
        sample = (uint32_t)v;
    if (reject)
        m->id[i].rejected = true;
    else
        put(m, &r, i, sample, x, note);
    if (!reject && fresh)
        adopt(m, &r, i);
    record_reset(&r);
    return m->n_id < NONE - 2 && m->n_line < NONE - 2
               ? 0
               : err_set(e, ERR_MEM, "more than %u records", NONE - 2);
}

static int open_file(struct merge *m, const char *path, int group, struct lines *in, struct err *e)
{
    // a FIFO nobody writes to is refused, not waited for
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), own;

    if (fd < 0 || lseek(fd, 0, SEEK_CUR) < 0) {
        err_set(e, ERR_IO, "cannot %s '%s': %s", fd < 0 ? "open" : "go back in", path,
                strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    m->file = mem_resize(m->file, m->n_file + 1, sizeof(*m->file));
    m->fd = mem_resize(m->fd, m->n_file + 1, sizeof(*m->fd));
    m->group = mem_resize(m->group, m->n_file + 1, sizeof(*m->group));
    m->group[m->n_file] = group;
    naming_file(&m->naming);
    m->file[m->n_file] = mem_dup(path, strlen(path));
    m->fd[m->n_file] = fd;
    own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        own = open(path, O_RDONLY | O_CLOEXEC);
    lines_open_fd(in, own, m->file[m->n_file++], m->stop);
    return own < 0 ? err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno)) : 0;
}

static int read_file(struct merge *m, const char *path, int group, bool reject, struct buf *note,
                     struct err *e)
{
    struct lines in = {.fd = -1};
    struct lines_line x;
    struct err why;
    uint64_t at = 0;
    long bad = 0;
    int rc = open_file(m, path, group, &in, e);

    while (!rc && (rc = lines_next(&in, &x, true, e)) == 1) {
        rc = 0;
        count(m, x.end - at);
        at = x.end;
        if (lines_blank(&x))
            continue;
        if (bad) // only the last line may be broken
            rc = err_set(e, ERR_DATA, "%s:%ld: %s", path, bad, why.msg);
        else if (add_line(m, &x, reject, note, &why))
            bad = x.no;
    }
    if (!rc && stopped(m))
        rc = err_set(e, ERR_STOP, "stopped while '%s' was read", path);
    if (!rc && bad)
        buf_fmt(note, "%s:%ld: left out an incomplete last record (%s)\n", path, bad, why.msg);
    lines_close(&in);
    return rc ? -1 : 0;
}

int merge_add(struct merge *m, const char *path, int group, struct buf *note, struct err *e)
{
    return read_file(m, path, group, false, note, e);
}

int merge_reject(struct merge *m, const char *path, struct buf *note, struct err *e)
{
    return read_file(m, path, 1, true, note, e);
}

int merge_settle(struct merge *m, struct buf *note, struct err *e)
{
    for (size_t i = 0; i < m->n_id; i++) {
        int have = 0, all = 1;
        uint32_t first = m->id[i].line;

        for (uint32_t k = first; k != NONE; k = m->line[k].next, have++)
            all = m->group[m->line[k].file] > all ? m->group[m->line[k].file] : all;
        if (!have || have >= all)
            continue;
        if (m->counts.incomplete++ < NOTES)
            buf_fmt(note, "%s:%ld: left out a record with %d of %d samples\n",
                    m->file[m->line[first].file],
                    line_no(m, m->line[first].file, m->line[first].at), have, all);
        for (uint32_t k = first; k != NONE; k = m->line[k].next) {
            m->counts.bytes += m->line[k].n + 1;
            m->line[k].n = 0; // no record is an empty line
        }
        m->id[i].line = NONE;
    }
    return stopped(m) ? err_set(e, ERR_STOP, "stopped before anything was written") : 0;
}

/* ---- the input ---- */

/* The place of the next record with this id: "#2" for the second, as stream numbers them. */
static uint32_t next_of_kind(struct merge *m, struct hash128 key, const char *id)
{
    struct buf name = {0};
    uint32_t i;

    buf_str(&name, id);
    for (;;) {
        i = id_of(m, key);
        if (i == NONE)
            i = id_add(m, key);
        if (!m->id[i].seen++)
            break;
        buf_fmt(&name, "#%u", m->id[i].seen);
        key = hash_bytes(name.p, name.n);
    }
    buf_free(&name);
    return i;
}

/* The record's id as a command would give it: of its own, or made of fields. */
static bool name_record(struct merge *m, struct record *r, const struct lines_line *x)
{
    const char *const *list = NULL;
    struct err why;

    if (record_parse(r, x->p, x->n, &why))
        return false;
    if (!record_has(r, "id"))
        list = naming_fields(&m->naming, r);
    if (!record_identify(r, list, &why))
        return true;
    record_reset(r);
    return false;
}

static uint32_t like_line(struct merge *m, const struct lines_line *x)
{
    struct record r;
    struct hash128 h;
    char hex[33];
    uint32_t i;

    if (x->size == x->n && name_record(m, &r, x)) {
        i = next_of_kind(m, r.key, r.id);
        record_reset(&r);
        return i;
    }
    h = hash_bytes(x->p, x->n); // a bad line, as stream names it
    if (x->size != x->n)
        h = hash_add(h, &x->size, sizeof(x->size));
    hash_hex(h, hex);
    return next_of_kind(m, hash_bytes(hex, 32), hex);
}

int merge_like(struct merge *m, const char *path, merge_take missing, void *with, struct err *e)
{
    char *file[] = {(char *)(uintptr_t)path};
    struct lines in;
    struct lines_line x;
    uint64_t at = 0;
    int rc = lines_open(&in, 1, file, m->stop, e);

    m->has_like = true;
    naming_file(&m->naming);
    while (!rc && (rc = lines_next(&in, &x, true, e)) == 1) {
        uint32_t i;

        rc = 0;
        count(m, in.total ? x.end - at : 0);
        at = x.end;
        if (lines_blank(&x))
            continue;
        i = like_line(m, &x);
        m->id[i].wanted = true;
        m->counts.wanted++;
        mem_grow(&m->order, &m->cap_order, m->n_order + 1, sizeof(*m->order));
        m->order[m->n_order++] = i;
        if (m->id[i].line != NONE)
            continue;
        if (m->id[i].rejected) {
            m->counts.rejected++;
            continue;
        }
        m->counts.missing++;
        buf_reset(&m->text);
        buf_add(&m->text, x.p, x.n);
        buf_char(&m->text, '\n');
        rc = missing ? missing(with, m->text.p, m->text.n, e) : 0;
    }
    if (!rc && stopped(m))
        rc = err_set(e, ERR_STOP, "stopped while '%s' was read", in.name ? in.name : path);
    lines_close(&in);
    return rc ? -1 : 0;
}

/* ---- writing ---- */

/* A look is a system call, which would be one more a line. */
static bool looks_stopped(struct merge *m, size_t n)
{
    m->since += 1 + n / 4096;
    if (m->since < LOOK)
        return false;
    m->since = 0;
    return stopped(m);
}

static int hand_out(struct merge *m, const struct line *l, merge_take take, void *with,
                    struct err *e)
{
    size_t done = 0;

    if (looks_stopped(m, l->n))
        return err_set(e, ERR_STOP, "stopped before all was written");
    mem_grow(&m->line_text, &m->cap_text, (size_t)l->n + 1, 1);
    while (done < l->n) {
        ssize_t got =
            pread(m->fd[l->file], m->line_text + done, l->n - done, (off_t)(l->at + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(e, ERR_IO, "cannot read '%s' again: %s", m->file[l->file],
                           got ? strerror(errno) : "it is shorter now");
        done += (size_t)got;
    }
    if (hash_bytes(m->line_text, l->n).lo != l->hash)
        return err_set(e, ERR_IO, "'%s' changed while it was read", m->file[l->file]);
    m->line_text[l->n] = '\n';
    m->counts.written++;
    count(m, (uint64_t)l->n + 1);
    return take(with, m->line_text, (size_t)l->n + 1, e);
}

static int hand_out_id(struct merge *m, uint32_t i, merge_take take, void *with, struct err *e)
{
    if (m->id[i].done)
        return 0;
    m->id[i].done = true;
    for (uint32_t k = m->id[i].line; k != NONE; k = m->line[k].next)
        if (hand_out(m, &m->line[k], take, with, e))
            return -1;
    return 0;
}

/* A record of the input and all that was derived from it, and from that: parents first, without
 * recursion, since the chain of parents may be as long as the file. */
static int hand_out_family(struct merge *m, uint32_t root, merge_take take, void *with,
                           struct err *e)
{
    uint32_t *stack = NULL, i = root;
    size_t n = 0, cap = 0;
    int rc = hand_out_id(m, root, take, with, e);

    for (i = m->id[root].child; !rc && (i != NONE || n);) {
        if (i == NONE) {
            i = stack[--n];
            continue;
        }
        mem_grow(&stack, &cap, n + 1, sizeof(*stack));
        if (!m->id[i].wanted && !m->id[i].done) {
            rc = hand_out_id(m, i, take, with, e);
            stack[n++] = m->id[i].next;
            i = m->id[i].child;
        } else {
            i = m->id[i].next;
        }
    }
    free(stack);
    return rc;
}

int merge_write(struct merge *m, merge_take take, void *with, struct err *e)
{
    int64_t before;

    if (!m->has_like) {
        for (size_t k = 0; k < m->n_line; k++)
            if (m->line[k].n && hand_out(m, &m->line[k], take, with, e))
                return -1;
        return 0;
    }
    for (size_t k = 0; k < m->n_order; k++)
        if (hand_out_family(m, m->order[k], take, with, e))
            return -1;
    before = m->counts.written;
    for (size_t i = 0; i < m->n_id; i++)
        if (hand_out_id(m, (uint32_t)i, take, with, e))
            return -1;
    m->counts.foreign = m->counts.written - before;
    return 0;
}
