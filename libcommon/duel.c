/* duel.c - answers to one instruction against each other, two at a time. */
#include "duel.h"

#include "league.h"
#include "mem.h"
#include "past.h"
#include "prefer.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const places[] = {"winner"};
static const char *const choices[] = {"A", "B"};
static const char *const given[] = {"instruction", "input", "reference", "a", "b"};
static const struct quiz_form form = {places, 1, choices, 2, given, 5};

/* An answer. */
struct task {
    struct desk_item item;
    struct hash128 rank; // of its id: its place in the tournament
    int words, played;   // of the answer; matches
    double strength, sd;
    bool out; // its matches cannot be read:
    struct quiz_why why;
    char *message; // of the reject
};

/* The answers to one instruction. */
struct group {
    struct task **task; // (n) by rank
    size_t n, cap;
    struct league_match *match; // (n_matches); NULL before it begins
    int n_matches, at;          // the next reading is at % 2 of match at / 2
    int open;                   // readings that are waited for
    double (*first)[2];         // (n_matches) P(A), as asked in both orders
    bool failed;                // no match counts any more
    int bad;                    // the first reading that failed
    struct quiz_why why;        // why it did
    struct err err;
};

/* One order of a match, while it is asked. */
struct reading {
    struct group *group;
    int at;
    struct quiz_ask ask;
};

struct duel {
    struct quiz judge;
    struct hash_table index; // of groups, by key
    struct group *group;     // (n_groups) in the order of their first records
    size_t n_groups, cap_groups;
    size_t at;         // the group that is asked about
    struct tally past; // ids of an earlier run's output, with --pairs
    bool recalled;
    int64_t n_groups_done, n_matches, n_turned, n_unequal, n_longer; // for --stats
    double first;                                                    // sum of P(A)
    struct reading **reading;                                        // those that are asked
    size_t n_readings, cap_readings;
};

/* ---- groups ---- */

struct hash128 duel_part(void *with, struct record *r)
{
    static const char *const fields[] = {"messages", "conversations", "system", "instruction",
                                         "input",    "prompt",        NULL};
    const struct score *g = with;
    struct hash128 h = {0};
    size_t n;

    if (g->group) {
        bool meta = !strncmp(g->group, "meta.", 5);
        const char *raw = meta ? record_meta(r, g->group + 5, &n) : record_raw(r, g->group, &n);

        return raw ? hash_add(h, raw, n) : r->key;
    }
    for (int i = 0; fields[i]; i++) {
        const char *s = record_str(r, fields[i], &n);

        s = s ? s : record_raw(r, fields[i], &n);
        if (s) {
            h = hash_add(h, fields[i], strlen(fields[i]));
            h = hash_add(h, s, n);
        }
    }
    return h.lo || h.hi ? h : r->key;
}

static struct group *group_of(struct duel *w, struct hash128 key)
{
    int *at = hash_put(&w->index, &key, sizeof(key), -1);

    if (*at < 0) {
        mem_grow(&w->group, &w->cap_groups, w->n_groups + 1, sizeof(*w->group));
        *at = (int)w->n_groups;
        w->group[w->n_groups++] = (struct group){0};
    }
    return &w->group[*at];
}

static int start(struct score *g, void *task, struct err *e)
{
    struct duel *w = g->work;
    struct task *t = task;
    struct group *k;
    size_t n;
    const char *s;
    int rc = 1;

    if (!t->item.r.done)
        rc = score_check(g, &t->item, e);
    else if (score_lacks(g, &t->item.r, e))
        rc = desk_finish(&g->desk, &t->item, e); // was rejected
    if (rc != 1)
        return rc;
    score_reference(g, &t->item.r, &n); // noted, whichever of a pair is asked
    s = record_str(&t->item.r, g->field, &n);
    t->words = words_count(s, n);
    t->rank = hash_add((struct hash128){g->io.seed, 0}, t->item.r.id, strlen(t->item.r.id));
    k = group_of(w, duel_part(g, &t->item.r));
    mem_grow(&k->task, &k->cap, k->n + 1, sizeof(struct task *));
    k->task[k->n++] = t;
    return 0;
}

static int by_rank(const void *a, const void *b)
{
    const struct task *p = *(struct task *const *)a, *q = *(struct task *const *)b;

    if (p->rank.hi != q->rank.hi)
        return p->rank.hi < q->rank.hi ? -1 : 1;
    return (p->rank.lo > q->rank.lo) - (p->rank.lo < q->rank.lo);
}

/* ---- what an earlier run wrote ---- */

static int note(void *with, struct record *r, struct err *e)
{
    (void)e;
    past_note(with, r);
    return 0;
}

/* A pair is written in the place of all its group, so the output says which groups are done. */
static int recall(struct score *g, struct duel *w, struct err *e)
{
    const char *path = stream_output_path(g->desk.s);
    uint64_t bytes;

    w->recalled = true;
    if (!g->pairs || !g->io.resume)
        return 0;
    if (path && past_read(g->desk.s, path, note, &w->past, e))
        return -1;
    for (size_t i = 0; (path = stream_other(g->desk.s, i, &bytes)); i++)
        if (past_part(g->desk.s, path, bytes, note, &w->past, e))
            return -1;
    return 0;
}

/* Was it done before? */
static bool is_done(const struct score *g, const struct duel *w, const struct group *k)
{
    bool all = true, any = false;

    for (size_t i = 0; i < k->n; i++) {
        all = all && k->task[i]->item.r.done;
        any = any || past_has(&w->past, &k->task[i]->item.r);
    }
    return g->pairs ? any || all : all;
}

/* ---- the end of a tournament ---- */

static int reject_all(struct score *g, struct group *k, const struct quiz_why *why,
                      const struct err *err, struct err *e)
{
    for (size_t i = 0; i < k->n; i++) {
        struct desk_item *t = &k->task[i]->item;

        *e = *err;
        if (!t->done &&
            (t->r.done ? desk_finish(&g->desk, t, e)
                       : desk_reject(&g->desk, t, why->rule, why->value, why->limit, e)))
            return -1;
    }
    return 0;
}

static int finish_all(struct score *g, struct group *k, struct err *e)
{
    for (size_t i = 0; i < k->n; i++)
        if (!k->task[i]->item.done && desk_finish(&g->desk, &k->task[i]->item, e))
            return -1;
    return 0;
}

/* Out of the tournament; it is rejected when that ends. */
static void put_out(struct task *t, const struct quiz_why *why, const char *message)
{
    t->out = true;
    t->why = *why;
    t->message = mem_dup(message, strlen(message));
}

static int reject_out(struct score *g, struct task *t, struct err *e)
{
    if (t->item.r.done)
        return desk_finish(&g->desk, &t->item, e);
    err_set(e, ERR_DATA, "%s", t->message);
    return desk_reject(&g->desk, &t->item, t->why.rule, t->why.value, t->why.limit, e);
}

static void put_scores(struct task *t)
{
    double share = league_share(t->strength);
    struct buf b = {0};

    record_set_num(&t->item.r, "strength", axes_round(t->strength));
    record_set_num(&t->item.r, "score", axes_round(share));
    record_set_num(&t->item.r, "score_sd", axes_round(share * (1 - share) * t->sd));
    json_put_int(&b, t->played);
    record_set_meta(&t->item.r, "matches", b.p, b.n);
    buf_free(&b);
    t->item.done = true;
    if (t->item.r.done)
        t->item.gone = true; // an earlier run wrote it
}

/* No pair: the difference is too small. */
static int drop_pair(struct score *g, struct task *best, double gap, struct err *e)
{
    char value[32], limit[32];

    if (best->item.r.done)
        return 0;
    snprintf(value, sizeof(value), "%g", axes_round(gap));
    snprintf(limit, sizeof(limit), "%g", axes_round((double)g->margin));
    return desk_drop(&g->desk, &best->item, "margin", value, limit, e);
}

/* The best and the worst answer as one record, the best one's. */
static int put_pair(struct score *g, struct group *k, struct err *e)
{
    struct task *best = NULL, *worst = NULL;
    double high = 0, low = 0;
    int rc = 0;

    for (size_t i = 0; i < k->n; i++) {
        struct task *t = k->task[i];
        double x = axes_round(league_share(t->strength));

        if (!t->out && (!best || x > high)) {
            best = t;
            high = x;
        }
        if (!t->out && (!worst || x < low)) {
            worst = t;
            low = x;
        }
    }
    if (!(high > low) || high - low < (double)g->margin)
        rc = drop_pair(g, best, high - low, e);
    else if (prefer_put(&best->item.r, &worst->item.r, g->field, high, low, e))
        rc = desk_reject(&g->desk, &best->item, "prompt", NULL, NULL, e);
    else
        best->item.done = true;
    return rc;
}

static void count_matches(struct duel *w, const struct group *k)
{
    for (int i = 0; i < k->n_matches; i++) {
        const struct league_match *m = &k->match[i];
        const struct task *a = k->task[m->a], *b = k->task[m->b];
        double p = k->first[i][0], q = k->first[i][1]; // of a, then of b

        if (a->out || b->out)
            continue;
        w->n_matches++;
        w->first += p + q;
        w->n_turned += (p > 0.5) != (q < 0.5);
        if (a->words != b->words) {
            w->n_unequal++;
            w->n_longer += (a->words > b->words) == (m->p > 0.5);
        }
    }
    w->n_groups_done++;
}

/* Strengths of those who are in, from their matches with each other. */
static int compute(struct group *k)
{
    struct league_match *m = mem_new(((size_t)k->n_matches + 1) * sizeof(*m));
    double *x = mem_new(k->n * sizeof(*x)), *sd = mem_new(k->n * sizeof(*sd));
    int *place = mem_new(k->n * sizeof(*place)), n = 0, in = 0;

    for (size_t i = 0; i < k->n; i++)
        place[i] = k->task[i]->out ? -1 : in++;
    for (int i = 0; i < k->n_matches; i++) {
        int a = place[k->match[i].a], b = place[k->match[i].b];

        if (a >= 0 && b >= 0)
            m[n++] = (struct league_match){a, b, k->match[i].p};
    }
    league_strengths(m, n, in, x, sd);
    for (size_t i = 0; i < k->n; i++)
        if (place[i] >= 0) {
            k->task[i]->strength = x[place[i]];
            k->task[i]->sd = sd[place[i]];
        }
    free(m);
    free(x);
    free(sd);
    free(place);
    return in;
}

/* All matches are read. */
static int conclude(struct score *g, struct group *k, struct err *e)
{
    int in, rc = 0;

    for (int i = 0; i < k->n_matches; i++) {
        struct task *a = k->task[k->match[i].a], *b = k->task[k->match[i].b];

        k->match[i].p = (k->first[i][0] + 1 - k->first[i][1]) / 2;
        a->played += !a->out && !b->out;
        b->played += !a->out && !b->out;
    }
    for (size_t i = 0; i < k->n; i++)
        if (!k->task[i]->out && !k->task[i]->played)
            put_out(k->task[i], &(struct quiz_why){.rule = "single"},
                    "no other answer to this instruction");
    in = compute(k);
    count_matches(g->work, k);
    for (size_t i = 0; i < k->n && !rc; i++) {
        struct task *t = k->task[i];

        if (t->out)
            rc = reject_out(g, t, e);
        else if (!g->pairs)
            put_scores(t);
        if (!t->out)
            score_length(g, &t->item.r, league_share(t->strength));
    }
    if (!rc && g->pairs && in)
        rc = put_pair(g, k, e) || finish_all(g, k, e) ? -1 : 0;
    return rc;
}

static void group_free(struct group *k)
{
    free(k->task);
    free(k->match);
    free(k->first);
    *k = (struct group){.at = 1, .n_matches = 0};
}

/* ---- matches ---- */

static struct reading *new_reading(struct duel *w, struct group *k)
{
    struct reading *x = mem_zero(1, sizeof(*x));

    mem_grow(&w->reading, &w->cap_readings, w->n_readings + 1, sizeof(struct reading *));
    w->reading[w->n_readings++] = x;
    x->group = k;
    x->at = k->at;
    k->open++;
    return x;
}

static void end_reading(struct duel *w, struct reading *x)
{
    size_t i = 0;

    while (w->reading[i] != x)
        i++;
    w->reading[i] = w->reading[--w->n_readings];
    x->group->open--;
    quiz_ask_free(&x->ask);
    free(x);
}

/* The next reading of a group, in its own order. */
static void submit(struct score *g, struct group *k)
{
    struct duel *w = g->work;
    const struct league_match *m = &k->match[k->at / 2];
    struct task *t[2] = {k->task[m->a], k->task[m->b]};
    int first = k->at % 2;
    struct record *r = &t[0]->item.r;
    struct reading *x;
    struct quiz_ask *a;
    struct quiz_why why;
    struct err err;

    if (t[0]->out || t[1]->out) {
        k->at++;
        return;
    }
    x = new_reading(w, k);
    k->at++;
    a = &x->ask;
    a->key = r->key;
    a->user = x;
    a->text[0] = score_instruction(r, &a->n_text[0]);
    a->text[1] = record_str(r, "input", &a->n_text[1]);
    a->text[2] = score_reference(g, r, &a->n_text[2]);
    for (int i = 0; i < 2; i++)
        a->text[3 + i] = record_str(&t[i ^ first]->item.r, g->field, &a->n_text[3 + i]);
    if (!quiz_submit(&w->judge, a, &g->ses, &why, &err))
        return;
    first ^= a->n_text[3] <= a->n_text[4]; // the longer one is why it does not fit
    put_out(t[first], &why, err.msg);
    end_reading(w, x);
}

/* Plan a group's matches, or see that there is nothing to do. */
static int begin(struct score *g, struct group *k, struct err *e)
{
    struct duel *w = g->work;
    struct hash128 h = {0};
    struct rng r;

    qsort(k->task, k->n, sizeof(struct task *), by_rank);
    if (is_done(g, w, k))
        return finish_all(g, k, e);
    if (k->n > LEAGUE_MOST) {
        struct quiz_why why = {.rule = "group"};
        struct err err;

        snprintf(why.value, sizeof(why.value), "%zu", k->n);
        snprintf(why.limit, sizeof(why.limit), "%d", LEAGUE_MOST);
        err_set(&err, ERR_DATA, "%zu answers to one instruction are more than %d", k->n,
                LEAGUE_MOST);
        return reject_all(g, k, &why, &err, e);
    }
    for (size_t i = 0; i < k->n; i++)
        h = hash_add(h, &k->task[i]->rank, sizeof(k->task[i]->rank));
    r = rng_stream(g->io.seed, h.hi, h.lo);
    k->n_matches = league_plan((int)k->n, g->opponents, &r, &k->match);
    k->first = mem_zero((size_t)k->n_matches + 1, sizeof(*k->first));
    return 0;
}

/* All readings that are asked have come. */
static int settle(struct score *g, struct group *k, struct err *e)
{
    int rc = 0;

    if (k->open || k->at < 2 * k->n_matches || !k->n)
        return 0;
    if (k->failed)
        rc = reject_all(g, k, &k->why, &k->err, e);
    else if (k->match)
        rc = conclude(g, k, e);
    group_free(k);
    return rc;
}

static int more(struct score *g, struct err *e)
{
    struct duel *w = g->work;

    if (!w->recalled && recall(g, w, e))
        return -1;
    while (w->at < w->n_groups && session_room(&g->ses)) {
        struct group *k = &w->group[w->at];

        if (k->n && !k->match && begin(g, k, e)) // n = 0: its first readings failed
            return -1;
        while (k->at < 2 * k->n_matches && session_room(&g->ses))
            submit(g, k);
        if (k->at < 2 * k->n_matches)
            return 0;
        w->at++;
        if (settle(g, k, e))
            return -1;
    }
    return 0;
}

static bool left(const struct score *g)
{
    const struct duel *w = g->work;

    return w->at < w->n_groups;
}

static int take(struct score *g, const struct session_result *d, struct err *e)
{
    struct duel *w = g->work;
    struct reading *x = d->d.user;
    struct group *k = x->group;
    struct quiz_why why = {0};
    struct err err;
    // those before one that failed are waited for: the same one is named whichever comes first
    int rc =
        k->failed && x->at > k->bad ? 1 : quiz_take(&w->judge, &x->ask, &g->ses, d, &why, &err);

    if (!rc)
        return 0;
    if (rc < 0) {
        k->failed = true;
        k->bad = x->at;
        k->why = why;
        k->err = err;
        k->at = 2 * k->n_matches;
    }
    if (!k->failed)
        k->first[x->at / 2][x->at % 2] = x->ask.p[0][0];
    end_reading(w, x);
    return settle(g, k, e);
}

/* ---- the way ---- */

static void stats(const struct score *g, struct buf *out)
{
    const struct duel *w = g->work;
    double n = w->n_matches ? (double)w->n_matches : 1;

    buf_fmt(out, ",\"groups\":%lld,\"matches\":%lld", (long long)w->n_groups_done,
            (long long)w->n_matches);
    buf_str(out, ",\"position_bias\":{\"verdict_changes\":");
    json_put_num(out, axes_round((double)w->n_turned / n));
    buf_str(out, ",\"prefers_first\":");
    json_put_num(out, axes_round(w->n_matches ? w->first / (2 * n) : 0.5));
    buf_str(out, "},\"longer_wins\":");
    json_put_num(out, axes_round(w->n_unequal ? (double)w->n_longer / (double)w->n_unequal : 0.5));
}

static void release(void *task)
{
    struct task *t = task;

    free(t->message);
}

static int open(struct score *g, struct buf *print, struct err *e)
{
    struct duel *w = g->work;

    if (g->reference && !strcmp(g->reference, "self"))
        return err_set(e, ERR_ARG, "--reference self: in pairs, only a field can be one");
    if (quiz_open(&w->judge, &form, g->prompts, "pair", false, e) ||
        (g->ses.en && quiz_check(&w->judge, &g->ses, e)))
        return -1;
    recipe_print(&w->judge.recipe, print);
    g->io.part = duel_part;
    g->io.whole = true;
    return 0;
}

static void close(struct score *g)
{
    struct duel *w = g->work;

    for (size_t i = 0; i < w->n_readings; i++) {
        quiz_ask_free(&w->reading[i]->ask);
        free(w->reading[i]);
    }
    free(w->reading);
    for (size_t i = 0; i < w->n_groups; i++)
        group_free(&w->group[i]);
    free(w->group);
    hash_free(&w->index);
    tally_free(&w->past);
    quiz_close(&w->judge);
}

static const char *const fields[] = {"messages", "conversations", "system", "instruction",
                                     "input",    "prompt",        "output", NULL};

const struct score_way duel_way = {
    .name = "pairwise",
    .fields = fields,
    .task = sizeof(struct task),
    .all = true,
    .work = sizeof(struct duel),
    .open = open,
    .close = close,
    .start = start,
    .more = more,
    .left = left,
    .take = take,
    .stats = stats,
    .release = release,
};
