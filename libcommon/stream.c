/* stream.c - files of records: read, write, rejects, resume, shard, counts.
 *
 * Puts together what has its own modules: stop (signals), lines (inputs), sink
 * (output files), resume (what is done), tally (ids met), order (rejects in input order). */
#include "stream.h"

#include "attempt.h"
#include "json.h"
#include "lines.h"
#include "mem.h"
#include "order.h"
#include "resume.h"
#include "say.h"
#include "shard.h"
#include "sink.h"
#include "stop.h"
#include "tally.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Bytes written together: a file takes as long for two writes of 64 KiB as for one of 256.
 * Records between two looks. */
enum { GATHER = 1 << 18, LOOK = 64 };

struct stream {
    struct stream_opt opt;
    struct stream_conf conf;
    struct stop stop;
    const char **fields; // ids are made of
    struct lines in;
    struct sink out, rejects;
    struct order order;
    struct tally ids;
    char *own_output, *own_rejects; // of this attempt
    struct attempt_list others, other_rejects;
    struct shard shard;
    bool ended;   // the input came to its end
    int since;    // records since signals were looked for
    int64_t held; // lines of counts.written that are not in the output yet
    struct stats counts;
    struct timespec began;
    struct buf text; // of the lines written
};

static void say(struct stream *s, const char *text, size_t n)
{
    if (!s->conf.quiet)
        say_lines(s->conf.stage, text, n);
}

/* ---- counts ---- */

const struct stats *stream_counts(struct stream *s)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    s->counts.seconds =
        (double)(now.tv_sec - s->began.tv_sec) + (double)(now.tv_nsec - s->began.tv_nsec) * 1e-9;
    s->counts.bytes_in = s->in.bytes;
    s->counts.bytes_total = s->in.total;
    return &s->counts;
}

static int put_stats(struct stream *s, int status, const char *stopped, struct err *e)
{
    struct buf more = {0};
    int rc;

    if (s->opt.stats && s->opt.figures)
        s->opt.figures(s->opt.with, &more);
    rc = stats_write(s->opt.stats, s->conf.stage, status, stopped, stream_counts(s), more.p, e);
    buf_free(&more);
    return rc;
}

/* What was done until then; that it cannot be written either is no second error. What is refused
 * before it began leaves the figures of an earlier run alone. */
static void end_early(struct stream *s, const struct err *why)
{
    bool begun = s->in.bytes || s->counts.written;
    struct err more;

    if (err_status(why) == 2 && !begun)
        return;
    if (put_stats(s, err_status(why), why->msg, &more))
        say(s, more.msg, strlen(more.msg));
}

static void release(struct stream *s)
{
    order_free(&s->order);
    lines_close(&s->in);
    sink_abandon(&s->out);
    sink_abandon(&s->rejects);
    stop_close(&s->stop);
    free(s->fields);
    tally_free(&s->ids);
    attempt_free(&s->others);
    attempt_free(&s->other_rejects);
    free(s->own_output);
    free(s->own_rejects);
    buf_free(&s->text);
    free(s);
}

/* ---- opening ---- */

/* This attempt's files instead of the shard's, and which others there are. */
static int take_attempt(struct stream *s, struct err *e)
{
    struct stream_opt *o = &s->opt;
    int k;

    if (!o->attempt)
        return 0;
    if (o->no_attempt)
        return err_set(e, ERR_ARG,
                       "--attempt: this work depends on all that was written before; use --resume");
    if (attempt_parse(o->attempt, &k, e))
        return -1;
    if (!o->output || !strcmp(o->output, "-"))
        return err_set(e, ERR_ARG, "--attempt needs -o FILE");
    attempt_find(o->output, k, &s->others);
    o->output = s->own_output = attempt_path(o->output, k);
    if (o->rejects) {
        attempt_find(o->rejects, k, &s->other_rejects);
        o->rejects = s->own_rejects = attempt_path(o->rejects, k);
    }
    return 0;
}

static bool is_file(const struct sink *k, const struct stat *st)
{
    return k->fd >= 0 && k->regular && k->dev == st->st_dev && k->ino == st->st_ino;
}

/* What is read may not be what is written; roles.h sees to all other files. */
static int check_files(struct stream *s, struct err *e)
{
    struct stat st;

    for (int i = 0; i < s->in.n; i++) {
        const char *name = s->in.file[i];

        if (strcmp(name, "-") ? stat(name, &st) : fstat(0, &st))
            continue;
        if (is_file(&s->out, &st) || is_file(&s->rejects, &st))
            return err_set(e, ERR_ARG, "'%s' is both input and output",
                           strcmp(name, "-") ? name : "<stdin>");
    }
    return 0;
}

int stream_meta(const struct stream_opt *o, const struct stream_conf *c, struct buf *b,
                struct err *e)
{
    const char *f = c->fingerprint ? c->fingerprint : "{}";
    struct record r;

    if (record_parse(&r, f, strlen(f), e))
        return err_wrap(e, "fingerprint");
    if (!record_has(&r, "stage"))
        record_set_str(&r, "stage", c->stage, strlen(c->stage));
    if (!record_has(&r, "seed")) {
        struct buf n = {0};

        buf_fmt(&n, "%" PRIu64, o->seed);
        record_set(&r, "seed", n.p, n.n);
        buf_free(&n);
    }
    if (!record_has(&r, "shard"))
        record_set_str(&r, "shard", o->shard ? o->shard : "1/1", o->shard ? strlen(o->shard) : 3);
    if (!record_has(&r, "group"))
        record_set_int(&r, "group", c->group);
    record_write(&r, b);
    record_reset(&r);
    return 0;
}

/* What was done before, and by which command; then what is not whole is cut off and FILE.meta
 * written. Nothing is touched until all has been looked at. */
static int take_up(struct stream *s, struct buf *note, struct err *e)
{
    struct buf path = {0}, ours = {0};
    struct resume_end out = {0}, rej = {0};
    bool has_meta = s->out.durable && s->out.path, begun = s->out.size || s->rejects.size;
    const int group = s->conf.group;
    int known = 0, rc = 0;

    if (has_meta) {
        buf_fmt(&path, "%s.meta", s->out.path);
        rc = stream_meta(&s->opt, &s->conf, &ours, e);
        if (!rc && begun)
            known = resume_same(path.p, ours.p, ours.n, e);
        rc = rc || known < 0 || attempt_scan(&s->others, group, 1, &s->stop, &s->ids, &ours, e) ||
             attempt_scan(&s->other_rejects, 1, (uint32_t)group, &s->stop, &s->ids, NULL, e);
        if (!rc && !known && !s->out.size && s->rejects.size) // by what options is not known
            rc = err_set(e, ERR_ARG,
                         "cannot resume: '%s' holds records, of another run than '%s', which has "
                         "none; remove it, or name another file",
                         s->rejects.path, s->out.path);
    }
    if (!rc && s->opt.resume) // another run's rejects may be named beside its FILE.meta
        rc = resume_scan(&s->out, group, 1, known, &s->ids, &out, e) ||
             resume_scan(&s->rejects, 1, (uint32_t)group, false, &s->ids, &rej, e);
    if (!rc && has_meta)
        rc = resume_meta(path.p, ours.p, ours.n, begun, note, e);
    if (!rc && s->opt.resume)
        rc = resume_cut(&s->out, &out, note, e) || resume_cut(&s->rejects, &rej, note, e);
    buf_free(&path);
    buf_free(&ours);
    return rc ? -1 : 0;
}

static int open_files(struct stream *s, int n, char **file, struct buf *note, struct err *e)
{
    const struct stream_opt *o = &s->opt;

    if (o->rejects && !strcmp(o->rejects, "-"))
        return err_set(e, ERR_ARG, "--rejects needs a file: standard output is for records");
    sink_hold_standard();
    if (take_attempt(s, e) || shard_parse(&s->shard, s->opt.shard, e) || stop_open(&s->stop, e) ||
        lines_open(&s->in, n, file, &s->stop, e) ||
        sink_open(&s->out, o->output, o->resume, &s->stop, e))
        return -1;
    if (o->rejects) {
        struct stat st; // its lock would not tell whose it is

        if (!stat(o->rejects, &st) && is_file(&s->out, &st))
            return err_set(e, ERR_ARG, "--rejects: '%s' is the output", o->rejects);
        if (sink_open(&s->rejects, o->rejects, o->resume, &s->stop, e))
            return -1;
    }
    if (check_files(s, e) || take_up(s, note, e))
        return -1;
    s->out.gather = s->rejects.gather = s->conf.gather;
    order_init(&s->order, s->rejects.fd >= 0 ? &s->rejects : NULL, o->unordered);
    return 0;
}

struct stream *stream_open(const struct stream_opt *o, const struct stream_conf *c, int n,
                           char **file, struct err *e)
{
    struct stream *s = mem_zero(1, sizeof(*s));
    struct buf note = {0};
    int rc;

    s->opt = *o;
    s->conf = *c;
    s->conf.group = c->group > 0 ? c->group : 1;
    s->fields = record_fields(c->fields, o->field);
    s->stop.fd = s->in.fd = s->out.fd = s->rejects.fd = -1;
    clock_gettime(CLOCK_MONOTONIC, &s->began);
    rc = open_files(s, n, file, &note, e);
    say(s, note.p, note.n);
    buf_free(&note);
    if (!rc)
        return s;
    end_early(s, e);
    release(s);
    return NULL;
}

/* ---- lines held to be written together ---- */

/* Rejects first: a run that is taken up again then finds all drops before the last line of its
 * output, and decides about no record twice with later ones in an index. Without them the lines
 * of the output are not written either, now or later. */
static int flush(struct stream *s, struct err *e)
{
    int rc = sink_flush(&s->rejects, e) || sink_flush(&s->out, e) ? -1 : 0;

    if (rc) {
        buf_reset(&s->out.held);
        s->counts.written -= s->held;
    }
    s->held = 0;
    return rc;
}

static int flush_full(struct stream *s, struct err *e)
{
    return s->out.held.n + s->rejects.held.n >= GATHER ? flush(s, e) : 0;
}

/* ---- rejects ---- */

/* r with "reject" to the rejects, when its turn has come. x: the line that r was made for and that
 * is no record, or NULL. */
static int put_reject(struct stream *s, struct record *r, const struct lines_line *x,
                      const char *rule, const char *value, const char *limit, struct err *e)
{
    struct buf *b = &s->text;

    if (s->rejects.fd < 0)
        return order_finish(&s->order, r->seq, NULL, 0, e);
    buf_reset(b);
    say_reject(r, x ? x->p : NULL, x ? x->n : 0, s->conf.stage, rule, value, limit, STREAM_LINE_MAX,
               b);
    return order_finish(&s->order, r->seq, b->p, b->n, e) ? -1 : flush_full(s, e);
}

static int fail(struct stream *s, struct record *r, const struct lines_line *x, const char *rule,
                const char *value, const char *limit, const char *message, struct err *e)
{
    struct buf said = {0};
    int rc;

    s->counts.rejected++;
    if (!s->conf.quiet)
        say_where(s->conf.stage, r, message);
    say_json(&said, message);
    rc = put_reject(s, r, x, rule, value ? value : said.p, limit, e);
    buf_free(&said);
    return rc;
}

int stream_reject(struct stream *s, struct record *r, const char *rule, const char *value,
                  const char *limit, const char *message, struct err *e)
{
    return fail(s, r, NULL, rule, value, limit, message, e);
}

int stream_drop(struct stream *s, struct record *r, const char *rule, const char *value,
                const char *limit, struct err *e)
{
    stats_drop(&s->counts, rule);
    return put_reject(s, r, NULL, rule, value, limit, e);
}

/* ---- reading ---- */

/* Number a repeated id, then: is the record this run's to do? */
static bool is_ours(struct stream *s, struct record *r)
{
    struct hash128 part = s->opt.part ? s->opt.part(s->opt.with, r) : r->key;
    struct tally_entry *t = tally_at(&s->ids, r->key);

    // an id that reads like a number given here is itself given a number
    while (t->seen++) {
        struct buf id = {0};

        buf_fmt(&id, "%s#%" PRIu32, r->id, t->seen);
        record_set_id(r, id.p);
        buf_free(&id);
        t = tally_at(&s->ids, r->key);
    }
    if (!shard_has(&s->shard, part)) {
        s->counts.other++;
        return false;
    }
    if (t->done >= (uint32_t)s->conf.group) {
        s->counts.skipped++;
        r->done = true;
        return s->opt.whole;
    }
    return true;
}

/* A line that is no record: its text as "raw" in a record of its own. */
static int reject_line(struct stream *s, const struct lines_line *x, const char *rule,
                       const char *message, struct err *e)
{
    size_t bad = utf8_check(x->p, x->n);
    struct hash128 h = hash_bytes(x->p, x->n);
    struct buf raw = {0}, value = {0};
    bool cut = x->size != x->n, bytes = cut || bad < x->n;
    struct record r;
    char limit[32], hex[33];
    int rc = 0;

    if (cut)
        h = hash_add(h, &x->size, sizeof(x->size));
    hash_hex(h, hex);
    record_new(&r);
    if (bytes)
        say_bytes(&raw, x->p, x->n);
    record_set_str(&r, "raw", bytes ? buf_cstr(&raw) : x->p, bytes ? raw.n : x->n);
    record_set_id(&r, hex);
    if (is_ours(s, &r) && !r.done) {
        r.file = x->file;
        r.line_no = x->no;
        if (bytes)
            json_put_int(&value, (int64_t)(cut ? x->size : bad));
        snprintf(limit, sizeof(limit), "%d", STREAM_LINE_MAX);
        rc = order_begin(&s->order, &r.seq, e) ||
             fail(s, &r, x, bytes && !cut ? "utf8" : rule, value.p, cut ? limit : NULL, message, e);
    }
    record_reset(&r);
    buf_free(&raw);
    buf_free(&value);
    return rc ? -1 : 0;
}

enum stream_made stream_make(const struct stream *s, const struct lines_line *x, struct record *r,
                             struct err *why)
{
    if (lines_blank(x))
        return STREAM_BLANK;
    if (x->size != x->n) {
        err_set(why, ERR_DATA, "line of %" PRIu64 " bytes exceeds %d", x->size, STREAM_LINE_MAX);
        return STREAM_LONG;
    }
    if (x->stays ? record_borrow(r, x->p, x->n, why) : record_read(r, x->p, x->n, why))
        return STREAM_NO_JSON;
    r->file = x->file;
    r->line_no = x->no;
    if (record_identify(r, s->fields, why)) {
        record_reset(r);
        return STREAM_NO_ID;
    }
    tally_soon(&s->ids, r->key);
    return STREAM_RECORD;
}

int stream_accept(struct stream *s, const struct lines_line *x, enum stream_made made,
                  struct record *r, const struct err *why, struct err *e)
{
    switch (made) {
    case STREAM_BLANK:
        s->counts.blank++;
        return 0;
    case STREAM_LONG:
        return reject_line(s, x, "line-length", why->msg, e);
    case STREAM_NO_JSON:
        return reject_line(s, x, "json", why->msg, e);
    case STREAM_NO_ID:
        return reject_line(s, x, "id", why->msg, e);
    default:
        break;
    }
    if (is_ours(s, r)) {
        if (r->done)
            return 1;
        s->counts.read++;
        return order_begin(&s->order, &r->seq, e) ? -1 : 1;
    }
    record_reset(r);
    return 0;
}

/* A look is a system call: one a record, unless lines are read by the thousand. */
static bool looks_stopped(struct stream *s)
{
    return s->conf.gather && ++s->since % LOOK ? s->stop.seen : stop_seen(&s->stop);
}

int stream_line(struct stream *s, struct lines_line *x, bool wait, struct err *e)
{
    int rc;

    if (s->ended || looks_stopped(s))
        return 0;
    rc = lines_next(&s->in, x, wait && !s->conf.gather, e);
    if (rc == 2 && wait) { // nothing to do meanwhile
        if (flush(s, e))
            return -1;
        rc = lines_next(&s->in, x, true, e);
    }
    if (!rc)
        s->ended = !s->stop.seen;
    return rc;
}

int stream_read(struct stream *s, struct record *r, bool wait, struct err *e)
{
    for (*r = (struct record){0};;) {
        struct lines_line x;
        struct err why;
        int rc = stream_line(s, &x, wait, e);

        if (rc != 1)
            return rc;
        rc = stream_accept(s, &x, stream_make(s, &x, r, &why), r, &why, e);
        if (rc)
            return rc;
    }
}

bool stream_stopped(struct stream *s)
{
    return stop_seen(&s->stop);
}

void stream_unfinished(struct stream *s)
{
    s->ended = false;
}

/* ---- writing ---- */

/* A record of n bytes, which nobody would read. */
static int reject_long(struct stream *s, struct record *r, size_t n, struct err *e)
{
    char value[32], limit[32];
    struct err why;

    snprintf(value, sizeof(value), "%zu", n);
    snprintf(limit, sizeof(limit), "%d", STREAM_LINE_MAX);
    err_set(&why, ERR_DATA, "a line of %s bytes, with what was added, exceeds %s", value, limit);
    return stream_reject(s, r, "line-length", value, limit, why.msg, e);
}

int stream_write_group(struct stream *s, struct record *r, int n, struct err *e)
{
    struct buf *b = s->conf.gather ? &s->out.held : &s->text;
    size_t from;

    if (!s->conf.gather)
        buf_reset(b);
    from = b->n;
    for (int i = 0; i < n; i++) {
        size_t at = b->n, size;

        record_write(&r[i], b);
        size = b->n - at - 1; // without the newline
        if (size > STREAM_LINE_MAX) {
            b->n = from;
            r[i].seq = r->seq;
            return reject_long(s, &r[i], size, e);
        }
    }
    if (!s->conf.gather && sink_write(&s->out, buf_cstr(b), b->n, e))
        return -1;
    s->counts.written += n;
    s->held += s->conf.gather ? n : 0;
    return n && (order_finish(&s->order, r->seq, NULL, 0, e) || flush_full(s, e)) ? -1 : 0;
}

int stream_write(struct stream *s, struct record *r, struct err *e)
{
    return stream_write_group(s, r, 1, e);
}

int stream_finish(struct stream *s, const struct record *r, struct err *e)
{
    return order_finish(&s->order, r->seq, NULL, 0, e);
}

const char *stream_output_path(const struct stream *s)
{
    return s->out.regular ? s->out.path : NULL;
}

int64_t stream_lines(const struct stream *s)
{
    return s->out.lines;
}

const char *stream_other(const struct stream *s, size_t i, uint64_t *bytes)
{
    if (i >= s->others.n)
        return NULL;
    *bytes = s->others.v[i].good;
    return s->others.v[i].path;
}

/* ---- the end ---- */

int stream_close(struct stream *s, struct err *e)
{
    bool left = stop_seen(&s->stop) && (!s->ended || order_open(&s->order));
    int status = left ? 75 : s->counts.rejected ? 1 : 0, rc = 0;

    // a run that will be resumed meets again what is held here, in its place
    if (!left || !s->out.durable)
        rc = order_flush(&s->order, e);
    if (!rc)
        rc = flush(s, e);
    if (!rc)
        rc = sink_close(&s->out, e);
    if (!rc)
        rc = sink_close(&s->rejects, e);
    if (rc)
        end_early(s, e);
    else
        rc = put_stats(s, status, left ? s->stop.name : NULL, e);
    release(s);
    return rc ? -1 : status;
}

void stream_abandon(struct stream *s, const struct err *why)
{
    struct err more;

    if (!s)
        return;
    flush(s, &more); // what was done before the error
    end_early(s, why);
    release(s);
}
