/* rank.c - the likeliest of a row of logits, without sorting it. */
#include "rank.h"

#include "mem.h"
#include "num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRONT = 64, // tokens that mostly suffice for top-p
    BUCKETS = 8192,
    BUCKETS_PER_UNIT = 64
};

void rank_free(struct rank *r)
{
    free(r->item);
    free(r->max);
    free(r->e);
    free(r->sum);
    free(r->clean);
    free(r->bucket);
    free(r->cut);
    free(r->place);
    *r = (struct rank){.backend = r->backend};
}

static int blocks(const struct rank *r)
{
    return (r->n + BACKEND_ROW - 1) / BACKEND_ROW;
}

static void room(struct rank *r, int n)
{
    size_t n_blocks = ((size_t)n + BACKEND_ROW - 1) / BACKEND_ROW;

    if (r->cap >= n)
        return;
    rank_free(r);
    r->cap = n;
    r->item = mem_new((size_t)n * sizeof(*r->item));
    r->max = mem_new(n_blocks * sizeof(*r->max));
    r->sum = mem_new(n_blocks * sizeof(*r->sum));
    r->e = mem_new((size_t)n * sizeof(*r->e));
    r->clean = mem_new((size_t)n * sizeof(*r->clean));
    r->cut = mem_new((size_t)n * sizeof(*r->cut));
    r->place = mem_new((size_t)n * sizeof(*r->place));
    r->bucket = mem_new(BUCKETS * sizeof(*r->bucket));
}

static bool finite_x(float x)
{
    return x > -INFINITY && x < INFINITY;
}

/* Go on with a copy of the row in which what is no number is -infinity. */
static void clean(struct rank *r)
{
    for (int i = 0; i < r->n; i++)
        r->clean[i] = finite_x(r->row[i]) ? r->row[i] : -INFINITY;
    r->row = r->clean;
}

/* Likelier first; ties to the lower id: a total order. */
static int before(const struct rank_item *a, const struct rank_item *b)
{
    return a->x > b->x || (a->x == b->x && a->id < b->id);
}

static int compare(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a);
}

/* Move the m first of n items to the front, unsorted. */
static void select_front(struct rank_item *c, int n, int m)
{
    int lo = 0, hi = n - 1;

    while (lo < hi) {
        struct rank_item pivot = c[lo + (hi - lo) / 2], t;
        int i = lo, j = hi;

        while (i <= j) {
            while (before(&c[i], &pivot))
                i++;
            while (before(&pivot, &c[j]))
                j--;
            if (i <= j) {
                t = c[i];
                c[i++] = c[j];
                c[j--] = t;
            }
        }
        if (m - 1 <= j)
            hi = j;
        else if (m - 1 >= i)
            lo = i;
        else
            return;
    }
}

void rank_sort(struct rank_item *item, int n, int m)
{
    if (m < n)
        select_front(item, n, m);
    qsort(item, (size_t)(m < n ? m : n), sizeof(*item), compare);
}

bool rank_row(struct rank *r, const float *row, int n)
{
    float top = -INFINITY;
    int b = 0;

    room(r, n);
    r->row = row;
    r->n = n;
    r->temp = 1;
    r->listed = r->have_e = r->lacks = false;
    r->backend->ops->row_max(r->backend, r->max, r->row, n);
    for (int i = 0; i < blocks(r); i++)
        if (r->max[i] > top)
            top = r->max[b = i];
    if (top == INFINITY) {
        clean(r);
        return rank_row(r, r->clean, n);
    }
    if (top == -INFINITY)
        return false;
    for (b *= BACKEND_ROW; r->row[b] != top; b++)
        ;
    r->best = (struct rank_item){top, b};
    return true;
}

/* ---- the front of a row on a device ---- */

/* Of the front, those that no token outside can stand before. */
static int certain(const struct rank *r)
{
    const struct rank_known *f = &r->front;
    int n = f->n;

    while (!f->whole && n > 0 && before(&f->floor, &f->item[n - 1]))
        n--;
    return n;
}

/* Sort it anew and leave out what is not certain. */
static void settle(struct rank *r)
{
    qsort(r->front.item, (size_t)r->front.n, sizeof(r->front.item[0]), compare);
    r->front.n = certain(r);
}

bool rank_pick(struct rank *r, const struct pick_ask *ask, const struct pick *pick, int n)
{
    struct rank_known *f = &r->front;

    room(r, n);
    r->row = NULL;
    r->n = n;
    r->temp = 1;
    r->listed = r->have_e = r->lacks = false;
    *f = (struct rank_known){.n = pick->n, .pick = pick, .ask = ask};
    f->whole = pick->n < ask->n || pick->n == n;
    for (int i = 0; i < f->n; i++)
        f->item[i] = (struct rank_item){pick->item[i].x, pick->item[i].id};
    if (!f->n)
        return false;
    f->floor = f->item[f->n - 1];
    r->best = f->item[0];
    return true;
}

bool rank_lowered(struct rank *r)
{
    struct rank_known *f = &r->front;
    int n = 0;

    for (int i = 0; i < f->n; i++)
        if (finite_x(f->item[i].x))
            f->item[n++] = f->item[i];
    f->n = n;
    f->pick = NULL;
    settle(r);
    r->lacks = r->lacks || (!f->n && !f->whole);
    if (f->n)
        r->best = f->item[0];
    return f->n > 0;
}

/* Of different values the quotients may be equal, also of the front's last and those outside. */
static void temper_front(struct rank *r, float temp)
{
    struct rank_known *f = &r->front;

    for (int i = 0; i < f->n; i++)
        f->item[i].x /= temp;
    f->floor.x /= temp;
    f->floor.id = temp == 1 ? f->floor.id : -1;
    settle(r);
    for (; f->n > 0 && f->item[f->n - 1].x == -INFINITY; f->n--)
        f->whole = true; // what is outside is no larger
}

/* Exponentials of the front, where those of a row would be. */
static void weigh_front(struct rank *r)
{
    for (int i = 0; i < r->front.n; i++)
        r->e[r->front.item[i].id] = num_exp(r->front.item[i].x - r->best.x);
    r->have_e = true;
}

static int by_id(const void *a, const void *b)
{
    const struct rank_item *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* List those of at least `floor` in the order of their ids, as gather does; all: -infinity. */
static void gather_front(struct rank *r, float floor)
{
    struct rank_known *f = &r->front;

    r->lacks = r->lacks || !(f->whole || f->floor.x < floor);
    weigh_front(r);
    r->n_items = 0;
    for (int i = 0; i < f->n; i++)
        if (f->item[i].x >= floor && f->item[i].x > -INFINITY)
            r->item[r->n_items++] = f->item[i];
    qsort(r->item, (size_t)r->n_items, sizeof(*r->item), by_id);
    r->listed = true;
}

static double front_mass(struct rank *r)
{
    const struct rank_known *f = &r->front;

    for (int i = 0; f->pick && i < 2; i++)
        if (f->ask->temp[i] == r->temp)
            return f->pick->mass[i];
    r->lacks = true;
    return 1;
}

float rank_logit(struct rank *r, int32_t id)
{
    const struct rank_known *f = &r->front;

    if (r->row)
        return r->row[id];
    for (int i = 0; f->pick && i < f->pick->n; i++)
        if (f->pick->item[i].id == id)
            return f->pick->item[i].x;
    for (int i = 0; f->pick && i < f->ask->n_ids; i++)
        if (f->ask->id[i] == id)
            return finite_x(f->pick->x[i]) ? f->pick->x[i] : -INFINITY;
    if (f->pick && f->pick->drawn == id)
        return f->pick->drawn_x;
    r->lacks = true;
    return -INFINITY;
}

void rank_temper(struct rank *r, float temp)
{
    r->temp = temp;
    r->best.x /= temp;
    if (!r->row)
        temper_front(r, temp);
}

/* List the row's values of at least `floor`. */
static void gather(struct rank *r, float floor)
{
    int n = 0;

    if (!r->row) {
        gather_front(r, floor);
        return;
    }
    for (int b = 0; b < blocks(r); b++) {
        int i = b * BACKEND_ROW, end = r->n - i < BACKEND_ROW ? r->n : i + BACKEND_ROW;

        if (r->max[b] / r->temp < floor || r->max[b] == -INFINITY)
            continue;
        for (; i < end; i++) {
            float x = r->row[i] / r->temp;

            r->item[n] = (struct rank_item){x, i};
            n += x >= floor && x > -INFINITY;
        }
    }
    r->n_items = n;
    r->listed = true;
}

/* A value that at least m of the row reach: the m-th largest of the blocks' maxima. */
static float floor_of(struct rank *r, int m)
{
    float least = INFINITY;
    int n = blocks(r);

    if (m > n)
        return -INFINITY;
    for (int b = 0; b < n; b++)
        r->item[b] = (struct rank_item){r->max[b] / r->temp, b};
    select_front(r->item, n, m);
    for (int i = 0; i < m; i++)
        least = r->item[i].x < least ? r->item[i].x : least;
    return least;
}

void rank_front(struct rank *r, int m)
{
    if (!r->listed && !r->row) {
        const struct rank_known *f = &r->front;

        weigh_front(r);
        r->n_items = m < f->n ? m : f->n;
        r->lacks = r->lacks || (m > f->n && !f->whole);
        memcpy(r->item, f->item, (size_t)r->n_items * sizeof(*r->item));
        r->listed = true;
        return;
    }
    if (!r->listed)
        gather(r, floor_of(r, m));
    rank_sort(r->item, r->n_items, m);
    r->n_items = m < r->n_items ? m : r->n_items;
}

void rank_above(struct rank *r, float floor)
{
    int n = 0;

    if (!r->listed) {
        gather(r, floor);
        return;
    }
    for (int i = 0; i < r->n_items; i++)
        if (r->item[i].x >= floor)
            r->item[n++] = r->item[i];
    r->n_items = n;
}

void rank_list(struct rank *r)
{
    if (!r->listed)
        gather(r, -INFINITY);
}

/* exp(x - best.x) of a token's value. */
static float weight(const struct rank *r, int32_t id)
{
    return r->have_e ? r->e[id] : num_exp(r->row[id] / r->temp - r->best.x);
}

float rank_exp(const struct rank *r, const struct rank_item *item)
{
    return r->have_e ? r->e[item->id] : num_exp(item->x - r->best.x);
}

static double row_mass(struct rank *r)
{
    double all = 0;

    r->backend->ops->row_exp(r->backend, r->e, r->sum, r->row, r->n, r->temp, r->best.x);
    for (int b = 0; b < blocks(r); b++)
        all += (double)r->sum[b];
    r->have_e = true;
    return all;
}

double rank_mass(struct rank *r)
{
    double all = 0;

    if (!r->listed && !r->row)
        return front_mass(r);
    if (!r->listed) {
        all = row_mass(r);
        if (isfinite(all))
            return all;
        clean(r); // a NaN among the logits
        return row_mass(r);
    }
    for (int i = 0; i < r->n_items; i++)
        all += (double)rank_exp(r, &r->item[i]);
    return all;
}

/* ---- the fewest with a mass ----
 *
 * Values fall into buckets of 1/64 below the largest, whose masses say which bucket holds
 * the last value to be kept; only that one is sorted. */

static uint16_t bucket(float top, float x)
{
    float d = (top - x) * BUCKETS_PER_UNIT;

    return (uint16_t)(int)(d < BUCKETS - 1 ? d : BUCKETS - 1);
}

/* The bucket in which the mass from the top reaches `want`; *sum: of those above it. */
static int bucket_of(const struct rank *r, double want, double *sum)
{
    int b = 0;

    *sum = 0;
    while (b < BUCKETS - 1 && *sum + r->bucket[b] < want)
        *sum += r->bucket[b++];
    return b;
}

/* Of the m values of that bucket in r->cut, the one that reaches it. */
static struct rank_item last_of(struct rank *r, int m, double want, double sum)
{
    int last = 0;

    rank_sort(r->cut, m, m);
    for (; last < m - 1; last++) {
        sum += (double)weight(r, r->cut[last].id);
        if (sum >= want)
            break;
    }
    return r->cut[last];
}

/* Drop items of bucket b that come behind `last`. r->place is that of item i, or of its id. */
static int drop_behind(const struct rank *r, struct rank_item *item, int n, int b,
                       struct rank_item last, bool of_id)
{
    int kept = 0;

    for (int i = 0; i < n; i++) { // in their order: neighbours share the draw's random bits
        int p = r->place[of_id ? item[i].id : i];

        if (p < b || (p == b && !before(&last, &item[i])))
            item[kept++] = item[i];
    }
    return kept;
}

int rank_cover(struct rank *r, struct rank_item *item, int n, double want)
{
    float top = -INFINITY;
    double sum;
    int m = 0, b;

    for (int i = 0; i < n; i++)
        top = item[i].x > top ? item[i].x : top;
    memset(r->bucket, 0, BUCKETS * sizeof(*r->bucket));
    for (int i = 0; i < n; i++) {
        r->place[i] = bucket(top, item[i].x);
        r->bucket[r->place[i]] += (double)weight(r, item[i].id);
    }
    b = bucket_of(r, want, &sum);
    for (int i = 0; i < n; i++)
        if (r->place[i] == b)
            r->cut[m++] = item[i];
    return drop_behind(r, item, n, b, last_of(r, m, want, sum), false);
}

/* rank_cover of a whole row, of which only what is kept is listed. */
static void cover_row(struct rank *r, double want)
{
    int n = 0, m = 0, b;
    double sum;

    memset(r->bucket, 0, BUCKETS * sizeof(*r->bucket));
    for (int i = 0; i < r->n; i++) {
        r->place[i] = bucket(r->best.x, r->row[i] / r->temp);
        r->bucket[r->place[i]] += (double)r->e[i];
    }
    b = bucket_of(r, want, &sum);
    for (int i = 0; i < r->n; i++) {
        r->item[n] = (struct rank_item){r->row[i], i};
        n += r->place[i] <= b;
    }
    r->n_items = 0;
    for (int i = 0; i < n; i++) {
        struct rank_item x = {r->item[i].x / r->temp, r->item[i].id};

        if (!(x.x > -INFINITY)) // in the last bucket
            continue;
        r->item[r->n_items++] = x;
        if (r->place[x.id] == b)
            r->cut[m++] = x;
    }
    r->listed = true;
    r->n_items = drop_behind(r, r->item, r->n_items, b, last_of(r, m, want, sum), true);
}

void rank_reach(struct rank *r, float p)
{
    double want = (double)p * rank_mass(r), sum = 0;

    if (r->listed) {
        r->n_items = rank_cover(r, r->item, r->n_items, want);
        return;
    }
    if (r->row || r->front.n >= FRONT)
        rank_front(r, FRONT); // a handful mostly suffices
    else
        rank_front(r, r->front.n);
    for (int i = 0; i < r->n_items; i++) {
        sum += (double)rank_exp(r, &r->item[i]);
        if (sum >= want) {
            r->n_items = i + 1;
            return;
        }
    }
    if (r->row)
        cover_row(r, want);
    r->lacks = r->lacks || !r->row;
}
