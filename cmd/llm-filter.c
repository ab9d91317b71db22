/* llm-filter.c - drop records by rules, each drop with its reason. See llm-filter(1). */
#include "cli.h"
#include "fault.h"
#include "file.h"
#include "hash.h"
#include "mem.h"
#include "near.h"
#include "where.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { BLACKLIST_MAX = 16 << 20 };

struct filter {
    struct stream_opt io;
    struct cli_notes notes;
    const char *field, *blacklist;
    int min_words, max_words, min_chars, max_chars;
    float min_score, max_repeat, near_sim;
    bool refusals, leaks, exact, explain;
    struct opt_list where_text;
    const struct cli *cli;
    struct stream *s;
    struct where *where; // (where_text.n)
    struct buf *phrase;  // (n_phrases) folded, of --blacklist
    int n_phrases;
    struct hash_table seen; // exact: hash -> number of the kept record
    struct near *near;
    char **id; // (n_kept) of kept records, when duplicates are looked for
    size_t n_kept, cap_kept;
    struct source {
        char *name; // meta.source of what is kept
        int64_t n;
    } * source; // (n_sources)
    size_t n_sources, cap_sources;
    int64_t n_scores, n_out;
    double scores, words;
};

/* Why a record is dropped. */
struct verdict {
    const char *rule;
    struct buf value, limit; // JSON
};

static int drop_int(struct verdict *v, const char *rule, int64_t value, int64_t limit)
{
    v->rule = rule;
    json_put_int(&v->value, value);
    json_put_int(&v->limit, limit);
    return 1;
}

static int drop_num(struct verdict *v, const char *rule, double value, float limit)
{
    v->rule = rule;
    json_put_num(&v->value, value);
    json_put_float(&v->limit, limit);
    return 1;
}

static int drop_text(struct verdict *v, const char *rule, const char *value)
{
    v->rule = rule;
    json_put_str(&v->value, value, strlen(value));
    return 1;
}

static int64_t count_chars(const char *s, size_t n)
{
    int64_t k = 0;

    for (size_t i = 0; i < n; i++)
        k += ((unsigned char)s[i] & 0xC0) != 0x80;
    return k;
}

static int by_length(const struct filter *g, const char *s, size_t n, struct verdict *v)
{
    int64_t k;

    if (g->min_words || g->max_words) {
        k = words_count(s, n);
        if (k < g->min_words)
            return drop_int(v, "min-words", k, g->min_words);
        if (g->max_words && k > g->max_words)
            return drop_int(v, "max-words", k, g->max_words);
    }
    if (g->min_chars || g->max_chars) {
        k = count_chars(s, n);
        if (k < g->min_chars)
            return drop_int(v, "min-chars", k, g->min_chars);
        if (g->max_chars && k > g->max_chars)
            return drop_int(v, "max-chars", k, g->max_chars);
    }
    return 0;
}

static int by_where(const struct filter *g, struct record *r, struct verdict *v)
{
    double x;

    if (g->min_score != 0) {
        if (record_num(r, "score", &x)) {
            v->rule = "min-score";
            json_put_float(&v->limit, g->min_score);
            return 1;
        }
        if (x < (double)g->min_score)
            return drop_num(v, "min-score", x, g->min_score);
    }
    for (int i = 0; i < g->where_text.n; i++) {
        const struct where *w = &g->where[i];
        const char *raw;
        size_t n = 0;

        if (where_holds(w, r))
            continue;
        v->rule = "where";
        raw = where_get(r, w->field, &n);
        if (raw)
            buf_add(&v->value, raw, n);
        json_put_str(&v->limit, w->text, strlen(w->text));
        return 1;
    }
    return 0;
}

static const char *listed(const struct filter *g, const char *s, size_t n)
{
    struct buf text = {0};
    const char *found = NULL;

    words_fold(s, n, &text);
    for (int i = 0; i < g->n_phrases && !found; i++)
        if (words_hold(&text, &g->phrase[i]))
            found = g->phrase[i].p;
    buf_free(&text);
    return found;
}

/* The texts of a record that say what it is. */
static const char *const own_fields[] = {"messages", "conversations", "system", "instruction",
                                         "input",    "prompt",        "output", NULL};

static int by_words(const struct filter *g, struct record *r, struct verdict *v)
{
    const char *const names[] = {"instruction", "input", g->field};
    const char *found;
    size_t n;

    for (int i = 0; i < 3; i++) {
        const char *s = record_str(r, names[i], &n);

        if (s && g->leaks && i != 1 && (found = fault_leak(s, n)))
            return drop_text(v, "leaks", found);
        if (s && g->n_phrases && (found = listed(g, s, n))) {
            v->rule = "blacklist";
            json_put_str(&v->value, found + 1, strlen(found) - 2); // without the spaces around it
            return 1;
        }
    }
    return 0;
}

/* Composed, lower-cased, one space between words: what two writings of the same text share. */
static void normalize(const char *s, size_t n, struct buf *out)
{
    utf8proc_uint8_t *u = NULL;
    utf8proc_ssize_t k = -1;
    bool ascii = true;

    for (size_t i = 0; i < n; i++)
        ascii = ascii && !((unsigned char)s[i] & 0x80);
    if (!ascii)
        k = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &u,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
    const char *p = k < 0 ? s : (const char *)u;
    size_t len = k < 0 ? n : (size_t)k;
    bool space = false;

    for (size_t i = 0; i < len; i++) {
        if (p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r') {
            space = true;
            continue;
        }
        if (space && out->n)
            buf_char(out, ' ');
        space = false;
        buf_char(out, ascii && p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i]);
    }
    free(u);
}

/* A record's texts: hashed field by field, and joined. */
static struct hash128 texts(struct record *r, struct buf *all)
{
    struct hash128 h = {0, 0};
    struct buf b = {0};

    for (int i = 0; own_fields[i]; i++) {
        size_t n = 0;
        const char *s = record_str(r, own_fields[i], &n);

        s = s ? s : record_raw(r, own_fields[i], &n); // messages
        buf_reset(&b);
        if (s)
            normalize(s, n, &b);
        h = hash_add(h, buf_cstr(&b), b.n);
        buf_add(all, buf_cstr(&b), b.n);
        buf_char(all, '\n');
    }
    buf_free(&b);
    return h;
}

/* Duplicates of what was kept. The index holds kept records only, so that an
 * interrupted run can be taken up from its output. */
static int by_duplicates(struct filter *g, struct record *r, struct verdict *v)
{
    struct buf all = {0};
    struct hash128 h;
    int64_t at = -1;
    double sim = 1;
    const int *seen;

    if (!g->exact && !g->near)
        return 0;
    h = texts(r, &all);
    seen = g->exact ? hash_find(&g->seen, &h, sizeof(h)) : NULL;
    if (seen) {
        drop_text(v, "exact", g->id[*seen]);
    } else if (g->near && (at = near_add(g->near, all.p, all.n, &sim)) >= 0) {
        v->rule = "near";
        buf_fmt(&v->value, "{\"id\":");
        json_put_str(&v->value, g->id[at], strlen(g->id[at]));
        buf_str(&v->value, ",\"similarity\":");
        json_put_num(&v->value, sim);
        buf_char(&v->value, '}');
        json_put_float(&v->limit, g->near_sim);
    } else {
        if (g->exact)
            hash_put(&g->seen, &h, sizeof(h), (int)g->n_kept);
        mem_grow(&g->id, &g->cap_kept, g->n_kept + 1, sizeof(*g->id));
        g->id[g->n_kept++] = mem_dup(r->id, strlen(r->id));
    }
    buf_free(&all);
    return seen || at >= 0;
}

/* Rules are tried cheap ones first. 1 = dropped for the reason in v, 0 = kept, -1 = the field is
 * not there. */
static int judge(struct filter *g, struct record *r, struct verdict *v)
{
    size_t n = 0;
    const char *s = record_str(r, g->field, &n), *found;
    double share;

    if (!s && (g->min_words || g->max_words || g->min_chars || g->max_chars || g->refusals ||
               g->max_repeat < 1))
        return -1;
    if ((s && by_length(g, s, n, v)) || by_where(g, r, v))
        return 1;
    if (g->max_repeat < 1 && (share = fault_repetition(s, n)) > (double)g->max_repeat)
        return drop_num(v, "max-repeat", share, g->max_repeat);
    if (g->refusals && (found = fault_refusal(s, n)))
        return drop_text(v, "refusals", found);
    return by_words(g, r, v) || by_duplicates(g, r, v);
}

static void count_source(struct filter *g, const char *s, size_t n)
{
    size_t i = 0;

    while (i < g->n_sources && (strlen(g->source[i].name) != n || memcmp(g->source[i].name, s, n)))
        i++;
    if (i == g->n_sources) {
        mem_grow(&g->source, &g->cap_sources, i + 1, sizeof(*g->source));
        g->source[g->n_sources++] = (struct source){mem_dup(s, n), 0};
    }
    g->source[i].n++;
}

/* What --stats and --explain say about the kept records. */
static void count_kept(struct filter *g, struct record *r)
{
    size_t n = 0;
    const char *s = where_get(r, "meta.source", &n);
    double x;

    if (s && n > 2 && n < 100 && *s == '"' && !memchr(s + 1, '\\', n - 1))
        count_source(g, s + 1, n - 2);
    else
        count_source(g, "none", 4);
    if (!record_num(r, "score", &x)) {
        g->scores += x;
        g->n_scores++;
    }
    s = record_str(r, g->field, &n);
    g->words += s ? words_count(s, n) : 0;
    g->n_out++;
}

static int filter(struct filter *g, struct err *e)
{
    struct cli_progress progress;
    struct record r;
    int rc;

    cli_progress_begin(&progress, g->cli);
    while ((rc = stream_read(g->s, &r, true, e)) == 1) {
        struct verdict v = {0};
        int drop = judge(g, &r, &v);

        if (drop < 0) {
            struct err why;

            err_set(&why, ERR_DATA, "no field '%s'", g->field);
            rc = stream_reject(g->s, &r, "field", NULL, NULL, why.msg, e);
        } else if (drop) {
            rc = stream_drop(g->s, &r, v.rule, v.value.p, v.limit.p, e);
        } else {
            count_kept(g, &r);
            rc = stream_write(g->s, &r, e);
        }
        buf_free(&v.value);
        buf_free(&v.limit);
        record_reset(&r);
        if (rc)
            break;
        cli_progress(&progress, g->cli, stream_counts(g->s), 0);
    }
    cli_progress_end(&progress);
    return rc;
}

/* Fill the index of duplicates from what an earlier run kept. */
static int recall(struct filter *g, struct err *e)
{
    const char *path = stream_output_path(g->s);
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    FILE *f = g->io.resume && path && (g->exact || g->near) ? fopen(path, "r") : NULL;

    while (f && !rc && (n = getline(&line, &cap, f)) > 0) {
        struct verdict v = {0};
        struct record r;

        rc = record_parse(&r, line, (size_t)n, e) || record_identify(&r, own_fields, e);
        if (!rc)
            by_duplicates(g, &r, &v);
        else
            err_wrap(e, "%s", path);
        record_reset(&r);
        buf_free(&v.value);
        buf_free(&v.limit);
    }
    if (f)
        fclose(f);
    free(line);
    return rc ? -1 : 0;
}

static int read_blacklist(struct filter *g, struct err *e)
{
    char *text = file_text(g->blacklist, BLACKLIST_MAX, NULL, e), *save = NULL;

    if (!text)
        return err_wrap(e, "--blacklist");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct buf b = {0};

        words_fold(line, strlen(line), &b);
        if (b.n <= 1) { // no word in it
            buf_free(&b);
            continue;
        }
        g->phrase = mem_resize(g->phrase, (size_t)g->n_phrases + 1, sizeof(*g->phrase));
        g->phrase[g->n_phrases++] = b;
    }
    free(text);
    return 0;
}

/* Rule against count, for people. */
static void explain(struct filter *g, const struct stream_counts *c)
{
    fprintf(stderr, "%-12s %9s  share\n", "rule", "dropped");
    for (int i = 0; i < STREAM_RULES && c->rule[i].name; i++)
        fprintf(stderr, "%-12s %9lld  %5.1f%%\n", c->rule[i].name, (long long)c->rule[i].n,
                100 * (double)c->rule[i].n / (double)c->read);
    fprintf(stderr, "%-12s %9lld  %5.1f%%\n", "kept", (long long)g->n_out,
            c->read ? 100 * (double)g->n_out / (double)c->read : 0);
    for (size_t i = 0; i < g->n_sources; i++)
        fprintf(stderr, "  %-10s %9lld  %5.1f%%\n", g->source[i].name, (long long)g->source[i].n,
                100 * (double)g->source[i].n / (double)g->n_out);
}

/* Records by rule and by source; what is neither a seed's nor of unknown origin was made. */
static void put_stats(const struct filter *g, struct buf *b)
{
    int64_t made = 0;

    buf_str(b, "\"sources\":{");
    for (size_t i = 0; i < g->n_sources; i++) {
        const struct source *s = &g->source[i];

        made += strcmp(s->name, "seed") && strcmp(s->name, "none") ? s->n : 0;
        json_put_key(b, s->name);
        json_put_int(b, s->n);
    }
    buf_str(b, "},\"synthetic_share\":");
    json_put_num(b, g->n_out ? (double)made / (double)g->n_out : 0);
    buf_str(b, ",\"mean_score\":");
    if (g->n_scores)
        json_put_num(b, g->scores / (double)g->n_scores);
    else
        buf_str(b, "null");
    buf_str(b, ",\"mean_words\":");
    json_put_num(b, g->n_out ? g->words / (double)g->n_out : 0);
    if (g->near)
        buf_fmt(b, ",\"near\":{\"bands\":%d,\"rows\":%d,\"recall\":%.4f}", near_bands(g->near),
                near_rows(g->near), near_recall(g->near));
}

static int prepare(struct filter *g, struct err *e)
{
    g->where = mem_zero((size_t)g->where_text.n, sizeof(*g->where));
    for (int i = 0; i < g->where_text.n; i++)
        if (where_parse(&g->where[i], g->where_text.v[i], e))
            return err_wrap(e, "--where");
    if (g->blacklist && read_blacklist(g, e))
        return -1;
    if (g->near_sim > 0) {
        g->near = near_open((double)g->near_sim);
        cli_note(g->cli, "near duplicates: %d bands x %d rows, %.4f of pairs at %g are met",
                 near_bands(g->near), near_rows(g->near), near_recall(g->near),
                 (double)g->near_sim);
    }
    return 0;
}

static int run(struct filter *g, int n, char **file, int *status, struct err *e)
{
    struct stream_conf conf = {
        .stage = g->cli->name, .fields = own_fields, .group = 1, .quiet = g->notes.quiet};
    struct buf b = {0};

    if (prepare(g, e))
        return -1;
    for (int i = 0; i < g->n_phrases; i++) // the file's content counts, not its name
        buf_add(&b, g->phrase[i].p, g->phrase[i].n);
    struct hash128 list = hash_bytes(b.p, b.n);
    char hex[33];
    hash_hex(list, hex);
    buf_reset(&b);
    buf_fmt(&b, "\"blacklist\":\"%s\"", hex);
    struct buf print = {0};
    cli_fingerprint(g->cli, NULL, b.p, &print);
    conf.fingerprint = print.p;
    g->s = stream_open(&g->io, &conf, n, file, e);
    buf_free(&print);
    buf_reset(&b);
    if (!g->s || recall(g, e) || filter(g, e)) {
        buf_free(&b);
        return -1;
    }
    if (g->explain)
        explain(g, stream_counts(g->s));
    put_stats(g, &b);
    *status = stream_close(g->s, b.p, e);
    g->s = NULL;
    buf_free(&b);
    return *status < 0 ? -1 : 0;
}

static void release(struct filter *g)
{
    stream_abandon(g->s);
    near_close(g->near);
    hash_free(&g->seen);
    for (int i = 0; i < g->where_text.n && g->where; i++)
        where_free(&g->where[i]);
    for (int i = 0; i < g->n_phrases; i++)
        buf_free(&g->phrase[i]);
    for (size_t i = 0; i < g->n_kept; i++)
        free(g->id[i]);
    for (size_t i = 0; i < g->n_sources; i++)
        free(g->source[i].name);
    free(g->where);
    free(g->phrase);
    free(g->id);
    free(g->source);
}

int main(int argc, char **argv)
{
    struct filter g = {
        .io = cli_io_default, .notes = cli_notes_default, .field = "output", .max_repeat = 1};
    // clang-format off
    const struct opt opts[] = {
        OPT_HEAD("Rules, in the order in which they are tried"),
        OPT_STR(0, "field", &g.field, "name", "field that the rules for a text look at"),
        OPT_INT(0, "min-words", &g.min_words, "n", 0, 1 << 30, "drop texts with fewer words"),
        OPT_INT(0, "max-words", &g.max_words, "n", 0, 1 << 30, "drop texts with more words, 0 for no limit"),
        OPT_INT(0, "min-chars", &g.min_chars, "n", 0, 1 << 30, "drop texts with fewer characters"),
        OPT_INT(0, "max-chars", &g.max_chars, "n", 0, 1 << 30, "drop texts with more characters, 0 for no limit"),
        OPT_FLOAT(0, "min-score", &g.min_score, "x", -100, 100, "drop records whose score is lower or absent, 0 for no limit"),
        OPT_LIST(0, "where", &g.where_text, "expr", "drop records for which this does not hold, such as score>=0.6; may be given several times"),
        OPT_FLOAT(0, "max-repeat", &g.max_repeat, "x", 0, 1, "drop texts in which a larger share of the runs of 3 words stood before, 1 for no limit"),
        OPT_FLAG(0, "refusals", &g.refusals, "drop texts that refuse to answer"),
        OPT_FLAG(0, "leaks", &g.leaks, "drop records in which words of a prompt or template are left over"),
        OPT_STR(0, "blacklist", &g.blacklist, "file", "drop records with any of these words or phrases, one a line"),
        OPT_FLAG(0, "exact", &g.exact, "drop records whose instruction, input and output were met before"),
        OPT_FLOAT(0, "near", &g.near_sim, "x", 0, 1, "drop records at least this similar (Jaccard, runs of 3 words) to a kept one, 0 for off"),
        OPT_FLAG(0, "explain", &g.explain, "at the end, print a table of rule against count on standard error"),
        CLI_IO(&g.io), CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-filter", "[file ...]", "drop records by rules", opts, &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.cli = &cli;
    if (run(&g, n, argv, &status, &e))
        status = cli_fail(&cli, &e);
    release(&g);
    return cli_end(&cli, status);
}
