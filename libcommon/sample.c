/* sample.c - a token out of logits: penalties, truncation, keyed noise. */
#include "sample.h"

#include "mem.h"
#include "num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IN_PROMPT 0x80000000u // of a count
#define LN2       0x1.62e42fefa39efp-1

enum {
    NOISE_MAX = 24, // Gumbel noise of 32 bits stays below 23
    NOISE_SPAN = 27 // and no two differ by as much
};

void sample_free(struct sample_work *w)
{
    rank_free(&w->rank);
    dry_free(&w->dry);
    free(w->logit);
    free(w->count);
    free(w->order);
    free(w->logprob);
    *w = (struct sample_work){.rank.backend = w->rank.backend};
}

static void room(struct sample_work *w, int n)
{
    if (w->cap >= n)
        return;
    free(w->logit);
    free(w->count);
    free(w->order);
    free(w->logprob);
    w->logprob = mem_new((size_t)n * sizeof(*w->logprob));
    w->logit = mem_zero((size_t)n, sizeof(*w->logit));
    w->count = mem_zero((size_t)n, sizeof(*w->count));
    w->order = mem_new((size_t)n * sizeof(*w->order));
    w->cap = n;
}

/* ---- what changes logits ---- */

static void copy_allowed(float *to, const float *logit, const uint64_t *allow, int n)
{
    for (int i = 0; i < n; i += 64) {
        int m = n - i < 64 ? n - i : 64;
        uint64_t bits = allow ? allow[i / 64] : UINT64_MAX;

        if (bits == UINT64_MAX)
            memcpy(to + i, logit + i, (size_t)m * sizeof(*to));
        else
            for (int k = 0; k < m; k++, bits >>= 1)
                to[i + k] = bits & 1 ? logit[i + k] : -INFINITY;
    }
}

static float penalize(const struct sample_opt *o, float x, uint32_t count)
{
    uint32_t times = count & ~IN_PROMPT;

    x = x > 0 ? x / o->repeat_penalty : x * o->repeat_penalty;
    if (times)
        x -= o->presence_penalty + o->frequency_penalty * (float)times;
    return x;
}

static void penalties(struct sample_work *w, const struct sample_opt *o,
                      const struct sample_seq *seq)
{
    for (int i = 0; i < seq->n; i++) {
        uint32_t *count = &w->count[seq->token[i]];

        *count = i < seq->n_prompt ? IN_PROMPT : *count + 1;
    }
    for (int i = 0; i < seq->n; i++) {
        int32_t id = seq->token[i];

        if (w->count[id])
            w->logit[id] = penalize(o, w->logit[id], w->count[id]);
        w->count[id] = 0;
    }
}

static bool counts(const struct sample_opt *o, const struct sample_seq *seq)
{
    return seq && seq->n &&
           (o->repeat_penalty != 1 || o->presence_penalty != 0 || o->frequency_penalty != 0);
}

static bool repeats(const struct sample_opt *o, const struct sample_seq *seq)
{
    return seq && seq->n && o->dry.multiplier > 0;
}

static bool changes(const struct sample_opt *o, const struct sample_seq *seq, const uint64_t *allow)
{
    return allow || o->n_bias || counts(o, seq) || repeats(o, seq);
}

/* Biases and penalties on w->logit. */
static void edit(struct sample_work *w, const struct sample_opt *o, const struct sample_seq *seq)
{
    for (int i = 0; i < o->n_bias; i++)
        w->logit[o->bias[i].id] += o->bias[i].x;
    if (counts(o, seq))
        penalties(w, o, seq);
    if (repeats(o, seq)) {
        dry_find(&w->dry, &o->dry, seq->token, seq->n);
        for (int i = 0; i < w->dry.n_hits; i++)
            w->logit[w->dry.hit[i].id] -= w->dry.hit[i].penalty;
    }
}

const float *sample_adjust(struct sample_work *w, const struct sample_opt *o,
                           const struct sample_seq *seq, const uint64_t *allow, const float *logit,
                           int n_vocab)
{
    if (!changes(o, seq, allow))
        return logit;
    room(w, n_vocab);
    copy_allowed(w->logit, logit, allow, n_vocab);
    edit(w, o, seq);
    return w->logit;
}

/* Does no edit make a logit larger, whatever it is? Then no token outside of a front rises above
 * its end. */
static bool lowers(const struct sample_opt *o)
{
    for (int i = 0; i < o->n_bias; i++)
        if (!(o->bias[i].x <= 0))
            return false;
    return o->repeat_penalty >= 1 && o->presence_penalty >= 0 && o->frequency_penalty >= 0;
}

/* The row, or what is known of it, with what changes logits. False when none is finite. */
static bool begin(struct sample_work *w, const struct sample_opt *o, const struct sample_seq *seq,
                  const uint64_t *allow, const float *logit, int n_vocab)
{
    struct rank *r = &w->rank;

    if (logit)
        return rank_row(r, sample_adjust(w, o, seq, allow, logit, n_vocab), n_vocab);
    if (!rank_pick(r, w->ask, w->pick, n_vocab) || !changes(o, seq, allow))
        return r->front.n > 0;
    r->lacks = !lowers(o);
    room(w, n_vocab);
    for (int i = 0; i < r->front.n; i++) {
        int32_t id = r->front.item[i].id;

        w->logit[id] = !allow || allow[id / 64] >> id % 64 & 1 ? r->front.item[i].x : -INFINITY;
    }
    edit(w, o, seq); // of others it changes what nobody reads
    for (int i = 0; i < r->front.n; i++)
        r->front.item[i].x = w->logit[r->front.item[i].id];
    return rank_lowered(r);
}

/* ---- truncation ---- */

/* Tang et al. 2024: at most n standard deviations (of a sample) of the logits below the largest.
 * Sums are 8 strided ones, so that additions need not wait for each other. */
static float sigma_floor(const float *x, int n_vocab, float n_sigma, float top)
{
    double sum[8] = {0}, square[8] = {0}, mean, all = 0;
    int n = 0;

    for (int i = 0; i < n_vocab; i++) {
        bool is = x[i] > -INFINITY && x[i] < INFINITY;

        sum[i % 8] += is ? (double)x[i] : 0;
        n += is;
    }
    for (int k = 0; k < 8; k++)
        all += sum[k];
    mean = all / n;
    for (int i = 0; i < n_vocab; i++) {
        double d = x[i] > -INFINITY && x[i] < INFINITY ? (double)x[i] - mean : 0;

        square[i % 8] += d * d;
    }
    all = 0;
    for (int k = 0; k < 8; k++)
        all += square[k];
    return (float)((double)top - (double)n_sigma * sqrt(n > 1 ? all / (n - 1) : 0));
}

static void cut_min_p(struct rank *r, float min_p)
{
    int n = 0;

    rank_above(r, r->best.x + num_log(min_p) - 1); // few stay to be looked at
    for (int i = 0; i < r->n_items; i++)
        if (rank_exp(r, &r->item[i]) >= min_p)
            r->item[n++] = r->item[i];
    r->n_items = n;
}

/* Meister et al. 2022: tokens whose log-probability is nearest to its expectation (minus
 * the entropy), until their mass is p. With d = x - best.x, that is nearest to the mean of d. */
static void cut_typical(struct sample_work *w, float p)
{
    struct rank *r = &w->rank;
    double all = rank_mass(r), mean = 0;

    rank_list(r);
    for (int i = 0; i < r->n_items; i++)
        mean += (double)rank_exp(r, &r->item[i]) * (double)(r->item[i].x - r->best.x);
    mean /= all;
    for (int i = 0; i < r->n_items; i++) {
        double away = fabs((double)(r->item[i].x - r->best.x) - mean);

        w->order[i] = (struct rank_item){(float)-away, r->item[i].id};
    }
    r->n_items = rank_cover(r, w->order, r->n_items, (double)p * all);
    for (int i = 0, k = 0; i < r->n_items; i++, k++) { // they stand as they stood
        while (r->item[k].id != w->order[i].id)
            k++;
        r->item[i] = r->item[k];
    }
}

/* ---- the draw ---- */

/* Bits below floor_bits[d] give noise below d for sure: most candidates are far
 * below the best so far, and this spares them two logarithms. exp(-exp(-d)) 2^32,
 * lowered by more than the error of num_exp. */
static void noise_floors(uint32_t floor_bits[NOISE_MAX + 1])
{
    for (int d = 0; d <= NOISE_MAX; d++) {
        double u = (double)num_exp(-num_exp(-(float)d)) * (1 - 1e-6);

        floor_bits[d] = (uint32_t)(u * 4294967295.0);
    }
}

/* The bits of all lanes of the quads that items `from` and following lie in, RNG_QUADS of them;
 * returns where the next begin. Neighbours in id share a quad. */
static int draw_bits(const struct rank *r, const struct rng *noise, int64_t pos, int from,
                     uint32_t bits[RNG_QUADS][4])
{
    uint32_t quad[RNG_QUADS] = {0}, last = UINT32_MAX;
    int n = 0, i = from;

    for (; i < r->n_items; i++) {
        uint32_t q = (uint32_t)r->item[i].id / 4;

        if (q != last) {
            if (n == RNG_QUADS)
                break;
            quad[n++] = last = q;
        }
    }
    rng_quads(noise, (uint64_t)pos, quad, bits);
    return i;
}

/* Argmax of x + noise[id] over what is kept. */
static struct rank_item draw(struct rank *r, const struct rng *noise, int64_t pos)
{
    uint32_t bits[RNG_QUADS][4], floor_bits[NOISE_MAX + 1];
    struct rank_item won = {0, -1};
    float top = -INFINITY;

    if (!r->listed) // what is further below the best can never win
        rank_above(r, r->best.x - NOISE_SPAN - fabsf(r->best.x) * 1e-6f);
    noise_floors(floor_bits);
    for (int i = 0, end; i < r->n_items; i = end) {
        uint32_t quad = (uint32_t)r->item[i].id / 4;
        int at = 0;

        end = draw_bits(r, noise, pos, i, bits);
        for (int k = i; k < end; k++) {
            const struct rank_item *c = &r->item[k];
            float d = top - c->x, y; // noise below d loses
            uint32_t b;

            at += (uint32_t)c->id / 4 != quad;
            quad = (uint32_t)c->id / 4;
            b = bits[at][c->id % 4];
            if (d > NOISE_MAX || (d >= 1 && b < floor_bits[(int)d]))
                continue;
            y = c->x + rng_gumbel(b);
            if (won.id < 0 || y > top || (y == top && c->id < won.id)) {
                won = *c;
                top = y;
            }
        }
    }
    return won;
}

/* Basu et al. 2020, Mirostat 2: keep tokens of a surprise of at most mu bits, at least one.
 * mu begins at twice the aim. */
static void cut_mirostat(struct rank *r, double mu)
{
    float floor = (float)((double)r->best.x + num_log_d(rank_mass(r)) - mu * LN2);

    rank_above(r, floor < r->best.x ? floor : r->best.x);
}

/* Move mu by the error of the drawn token's surprise among the kept ones. */
static void steer(struct rank *r, const struct sample_opt *o, struct sample_seq *seq, float drawn)
{
    double bits = (num_log_d(rank_mass(r)) - (double)(drawn - r->best.x)) / LN2;
    double mu = seq->mu != 0 ? seq->mu : 2 * (double)o->mirostat_tau;

    mu -= (double)o->mirostat_eta * (bits - (double)o->mirostat_tau);
    seq->mu = mu != 0 ? mu : -0x1p-60; // 0 stands for the first draw
}

bool sample_keep(struct sample_work *w, const struct sample_opt *o, const struct sample_seq *seq,
                 const uint64_t *allow, const float *logit, int n_vocab)
{
    struct rank *r = &w->rank;
    float floor = -INFINITY;

    if (!begin(w, o, seq, allow, logit, n_vocab))
        return false;
    if (o->temp <= 0 || !(fabsf(r->best.x / o->temp) < INFINITY)) {
        rank_front(r, 1);
        return true;
    }
    r->lacks = r->lacks || (o->top_n_sigma > 0 && !r->row);
    if (o->top_n_sigma > 0 && r->row)
        floor = sigma_floor(r->row, n_vocab, o->top_n_sigma, r->best.x) / o->temp;
    rank_temper(r, o->temp);
    if (o->top_n_sigma > 0)
        rank_above(r, floor);
    if (o->mirostat_tau > 0) {
        cut_mirostat(r, seq && seq->mu != 0 ? seq->mu : 2 * (double)o->mirostat_tau);
        return true;
    }
    if (o->top_k > 0 && o->top_k < n_vocab)
        rank_front(r, o->top_k);
    if (o->top_p < 1)
        rank_reach(r, o->top_p);
    if (o->min_p > 0)
        cut_min_p(r, o->min_p);
    if (o->typical_p > 0 && o->typical_p < 1) {
        room(w, n_vocab);
        cut_typical(w, o->typical_p);
    }
    return true;
}

int32_t sample_draw(struct sample_work *w, const struct sample_opt *o, struct sample_seq *seq,
                    const uint64_t *allow, const struct rng *noise, const float *logit, int n_vocab,
                    int64_t pos)
{
    struct rank *r = &w->rank;
    struct rank_item won;

    if (!sample_keep(w, o, seq, allow, logit, n_vocab))
        return -1;
    if (o->temp <= 0)
        return r->best.id;
    if (!r->row && !r->listed && r->front.pick && r->front.ask->draw == o->temp)
        return r->front.pick->drawn;
    won = draw(r, noise, pos);
    if (o->mirostat_tau > 0 && seq && !r->lacks)
        steer(r, o, seq, won.x);
    return won.id;
}

/* ---- log-probabilities ---- */

float sample_logprobs(struct sample_work *w, const float *logit, int n_vocab, int32_t id,
                      struct sample_top *top, int n)
{
    struct rank *r = &w->rank;
    double log_sum;

    for (int i = 0; i < n; i++)
        top[i] = (struct sample_top){-1, -INFINITY};
    if (logit ? !rank_row(r, logit, n_vocab) : !rank_pick(r, w->ask, w->pick, n_vocab))
        return -INFINITY;
    log_sum = num_log_d(rank_mass(r));
    if (n > 0)
        rank_front(r, n);
    for (int i = 0; i < n && i < r->n_items; i++)
        top[i] = (struct sample_top){r->item[i].id,
                                     (float)((double)(r->item[i].x - r->best.x) - log_sum)};
    return id < 0 ? -INFINITY : (float)((double)(rank_logit(r, id) - r->best.x) - log_sum);
}

int sample_likeliest(struct sample_work *w, const struct sample_opt *o,
                     const struct sample_seq *seq, const uint64_t *allow, const float *logit,
                     int n_vocab, struct sample_top *top, int n)
{
    struct rank *r = &w->rank;
    double log_sum;
    int found = 0;

    if (!changes(o, seq, allow)) {
        sample_logprobs(w, logit, n_vocab, -1, top, n);
        while (found < n && top[found].id >= 0)
            found++;
        return found;
    }
    if (!logit) {
        r->lacks = true;
        return 0;
    }
    if (!rank_row(r, logit, n_vocab))
        return 0;
    log_sum = num_log_d(rank_mass(r));
    room(w, n_vocab);
    for (int i = 0; i < n_vocab; i++)
        w->logprob[i] = (float)((double)(r->row[i] - r->best.x) - log_sum);
    if (!rank_row(r, sample_adjust(w, o, seq, allow, w->logprob, n_vocab), n_vocab))
        return 0;
    rank_front(r, n);
    for (int i = 0; i < r->n_items; i++)
        top[i] = (struct sample_top){r->item[i].id, r->item[i].x};
    return r->n_items;
}

/* ---- what to ask of a row on a device ---- */

bool sample_ask(const struct sample_opt *o, const struct sample_seq *seq, bool masked,
                const struct rng *r, int n_vocab, int64_t pos, int n_logprobs, struct pick_ask *ask)
{
    bool changed = masked || changes(o, seq, NULL);
    bool front = o->top_k > 0 && o->top_k < n_vocab;
    bool typical = o->typical_p > 0 && o->typical_p < 1;
    bool mass = o->mirostat_tau > 0 || (!front && o->top_p < 1);

    *ask = (struct pick_ask){.row = ask->row, .n = 1};
    if (n_logprobs)
        ask->temp[1] = 1;
    ask->n = changed || (o->temp > 0 && (front || mass || o->min_p > 0)) ? PICK_MOST
             : n_logprobs > 0                                            ? n_logprobs
                                                                         : 1;
    if ((changed && !lowers(o)) || n_logprobs > PICK_MOST)
        return false;
    if (o->temp <= 0)
        return true;
    if (o->top_n_sigma > 0 || (front && o->top_k > PICK_MOST))
        return false;
    if (mass)
        ask->temp[0] = o->temp;
    if (mass && o->temp == 1)
        ask->temp[1] = 0;
    if (mass || front || o->min_p > 0)
        return !(mass && changed);
    ask->draw = o->temp;
    memcpy(ask->key, r->key, sizeof(ask->key));
    ask->pos = (uint64_t)pos;
    return !changed && !typical;
}

bool sample_ask_likeliest(const struct sample_opt *o, const struct sample_seq *seq, bool masked,
                          int n, struct pick_ask *ask)
{
    *ask = (struct pick_ask){.row = ask->row, .n = n, .temp = {1, 0}};
    return n > 0 && n <= PICK_MOST && !masked && !changes(o, seq, NULL);
}

bool sample_ask_logprobs(int32_t id, int n, struct pick_ask *ask)
{
    *ask = (struct pick_ask){
        .row = ask->row, .n = n > 0 ? n : 1, .temp = {1, 0}, .n_ids = 1, .id = {id}};
    return n <= PICK_MOST;
}

bool sample_ask_choice(const int32_t *choice, int n, struct pick_ask *ask)
{
    *ask = (struct pick_ask){.row = ask->row, .n = 1, .n_ids = n};
    for (int i = 0; i < n && i < PICK_IDS; i++)
        ask->id[i] = choice[i];
    return n <= PICK_IDS;
}

int sample_choice(const float *logit, const int32_t *choice, int n, float *p)
{
    int top = 0;
    float sum = 0;

    for (int i = 1; i < n; i++)
        if (logit[choice[i]] > logit[choice[top]])
            top = i;
    for (int i = 0; i < n; i++)
        sum += p[i] = num_exp(logit[choice[i]] - logit[choice[top]]);
    for (int i = 0; i < n; i++)
        p[i] /= sum;
    return top;
}
