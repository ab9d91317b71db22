/* jsoncfg.c - expressions of JSON texts. */
#include "jsoncfg.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { DIGITS = 15 };

/* ---- characters and strings ---- */

static int one(struct cfg *c, uint32_t lo, uint32_t hi)
{
    return cfg_class(c, &(struct cfg_range){lo, hi}, 1);
}

static int text(struct cfg *c, const char *s)
{
    return cfg_text(c, s, strlen(s));
}

static int nothing(struct cfg *c)
{
    return cfg_alt(c, NULL, 0);
}

/* One of at most 22 ASCII characters. */
static int among(struct cfg *c, const char *first)
{
    struct cfg_range r[22];
    int n = 0;

    for (; *first; first++)
        r[n++] = (struct cfg_range){(uint32_t)*first, (uint32_t)*first};
    return cfg_class(c, r, n);
}

/* Any character in any spelling; one outside the BMP may be a pair of escapes. */
static int character(struct cfg *c)
{
    static const struct cfg_range bare[] = {{0x20, '!'}, {'#', '['}, {']', CFG_LAST}};
    int x = among(c, "0123456789abcdefABCDEF"), x3 = CFG_SEQ(c, x, x, x), u = text(c, "\\u");
    int bmp = CFG_ALT(c, CFG_SEQ(c, among(c, "0123456789abcefABCEF"), x3),
                      CFG_SEQ(c, among(c, "dD"), one(c, '0', '7'), x, x));
    int high = CFG_SEQ(c, among(c, "dD"), among(c, "89abAB"), x, x);
    int low = CFG_SEQ(c, among(c, "dD"), among(c, "cdefCDEF"), x, x);

    return CFG_ALT(c, cfg_class(c, bare, 3), CFG_SEQ(c, one(c, '\\', '\\'), among(c, "\"\\/bfnrt")),
                   CFG_SEQ(c, u, bmp), CFG_SEQ(c, u, high, u, low));
}

/* How a string spells a character that cannot stand for itself, or NULL. */
static const char *spelling(uint32_t cp, char out[8])
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *at = cp && cp < 0x80 ? strchr(plain, (int)cp) : NULL;

    if (!at && cp >= 0x20)
        return NULL;
    memcpy(out, "\\u0000", 7);
    if (at) {
        out[1] = letter[at - plain];
        out[2] = 0;
    } else {
        out[4] = (char)('0' + (cp >> 4));
        out[5] = "0123456789abcdef"[cp & 15];
    }
    return out;
}

int jsoncfg_class(struct cfg *c, const struct cfg_range *range, int n)
{
    static const struct cfg_range never[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
    int part[40], k = 0;
    struct cfg_range *bare = mem_new(((size_t)n * 3 + 1) * sizeof(*bare));
    bool in[0x80] = {false};
    char s[8];
    int m = 0;

    for (int i = 0; i < n; i++) {
        uint32_t lo = range[i].lo;

        for (uint32_t cp = lo; cp <= range[i].hi && cp < 0x80; cp++)
            in[cp] = true;
        for (int h = 0; h < 3; h++) { // what lies before, between and behind those of `never`
            if (lo < never[h].lo)
                bare[m++] = (struct cfg_range){lo, range[i].hi < never[h].lo ? range[i].hi
                                                                             : never[h].lo - 1};
            lo = lo > never[h].hi ? lo : never[h].hi + 1;
            if (lo > range[i].hi)
                break;
        }
        if (lo <= range[i].hi)
            bare[m++] = (struct cfg_range){lo, range[i].hi};
    }
    if (m)
        part[k++] = cfg_class(c, bare, m);
    for (uint32_t cp = 0; cp < 0x80; cp++)
        if (in[cp] && spelling(cp, s))
            part[k++] = text(c, s);
    free(bare);
    return cfg_alt(c, part, k);
}

static void spell(struct buf *b, const char *s, size_t n)
{
    char e[8];
    uint32_t cp;

    for (size_t i = 0; i < n;) {
        size_t k = (size_t)utf8_get(s + i, n - i, &cp);

        if (spelling(cp, e))
            buf_str(b, e);
        else
            buf_add(b, s + i, k);
        i += k;
    }
}

int jsoncfg_text(struct jsoncfg *j, const char *s, size_t n)
{
    struct buf b = {0};
    int x;

    buf_char(&b, '"');
    spell(&b, s, n);
    buf_char(&b, '"');
    x = cfg_text(j->c, b.p, b.n);
    buf_free(&b);
    return x;
}

int jsoncfg_quoted(struct jsoncfg *j, int x)
{
    int quote = one(j->c, '"', '"');

    return CFG_SEQ(j->c, quote, x, quote);
}

int jsoncfg_string(struct jsoncfg *j, int min, int max)
{
    if (min == 0 && max < 0)
        return cfg_call(j->c, j->string);
    return jsoncfg_quoted(j, cfg_repeat(j->c, cfg_call(j->c, j->character), min, max));
}

struct name {
    const char *s;
    size_t n;
};

static int by_text(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    int k = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);

    return k ? k : x->n < y->n ? -1 : x->n > y->n;
}

/* What may follow the first `at` bytes of the n sorted names: anything that makes none of them. */
static int other(struct jsoncfg *j, const struct name *name, int n, size_t at)
{
    struct cfg *c = j->c;
    const struct cfg_range all = {0, CFG_LAST};
    int any = cfg_repeat(c, jsoncfg_class(c, &all, 1), 0, -1), from = 0, k = 0, m = 0;
    int *part = mem_new(((size_t)n + 2) * sizeof(*part));
    struct cfg_range *used = mem_new(((size_t)n + 1) * sizeof(*used));
    uint32_t next = 0;

    while (from < n && name[from].n == at)
        from++;
    if (!from)
        part[k++] = cfg_seq(c, NULL, 0);
    while (from < n) {
        uint32_t cp, cp2;
        size_t len = (size_t)utf8_get(name[from].s + at, name[from].n - at, &cp);
        int to = from + 1;

        while (to < n && utf8_get(name[to].s + at, name[to].n - at, &cp2) && cp2 == cp)
            to++;
        part[k++] = cfg_seq(c,
                            (int[]){jsoncfg_class(c, &(struct cfg_range){cp, cp}, 1),
                                    other(j, name + from, to - from, at + len)},
                            2);
        if (cp > next)
            used[m++] = (struct cfg_range){next, cp - 1};
        next = cp + 1;
        from = to;
    }
    if (next <= CFG_LAST)
        used[m++] = (struct cfg_range){next, CFG_LAST};
    part[k++] = CFG_SEQ(c, jsoncfg_class(c, used, m), any);
    k = cfg_alt(c, part, k);
    free(part);
    free(used);
    return k;
}

int jsoncfg_other(struct jsoncfg *j, const char *const *name, const size_t *len, int n)
{
    struct name *sorted = mem_new(((size_t)n + 1) * sizeof(*sorted));
    int x;

    for (int i = 0; i < n; i++)
        sorted[i] = (struct name){name[i], len[i]};
    qsort(sorted, (size_t)n, sizeof(*sorted), by_text); // of UTF-8: by code points too
    x = jsoncfg_quoted(j, other(j, sorted, n, 0));
    free(sorted);
    return x;
}

/* ---- numbers ---- */

int jsoncfg_end_read(struct jsoncfg_end *x, const char *s, size_t n, bool exclusive)
{
    char digit[64];
    int k = 0, point = -1, exp = 0, from = 0, to;
    size_t i = 0;

    *x = (struct jsoncfg_end){.there = true, .exclusive = exclusive, .negative = *s == '-'};
    for (i += x->negative; i < n && s[i] != 'e' && s[i] != 'E'; i++) {
        if (s[i] == '.')
            point = k;
        else if (k == (int)sizeof(digit))
            return -1;
        else
            digit[k++] = s[i];
    }
    if (i < n)
        exp = atoi(s + i + 1);
    exp = exp > 1000 ? 1000 : exp < -1000 ? -1000 : exp;
    point = (point < 0 ? k : point) + exp; // digits before the point
    for (to = k; to && digit[to - 1] == '0';)
        to--;
    while (from < to && digit[from] == '0')
        from++;
    if (from == to) {
        x->negative = false;
        return 0;
    }
    if (point - from > DIGITS) { // as good as 10^15: beyond all that is made
        x->n_int = DIGITS + 1;
        memset(x->digit, '0', sizeof(x->digit));
        x->digit[0] = '1';
        return 0;
    }
    x->n_int = point > from ? point - from : 0;
    x->n_frac = to > point ? to - point : 0;
    if (x->n_int + x->n_frac > DIGITS)
        return -1;
    for (int d = 0; d < x->n_int + x->n_frac; d++) {
        int at = (point > from ? from : point) + d;

        x->digit[d] = at >= from && at < to ? digit[at] : '0';
    }
    return 0;
}

/* Of the values without sign. */
static int compare(const struct jsoncfg_end *a, const struct jsoncfg_end *b)
{
    int na = a->n_int + a->n_frac, nb = b->n_int + b->n_frac;

    if (a->n_int != b->n_int)
        return a->n_int < b->n_int ? -1 : 1;
    for (int d = 0; d < na || d < nb; d++) {
        char x = d < na ? a->digit[d] : '0', y = d < nb ? b->digit[d] : '0';

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int jsoncfg_end_compare(const struct jsoncfg_end *a, const struct jsoncfg_end *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? compare(b, a) : compare(a, b);
}

static int digits(struct jsoncfg *j, int min, int max)
{
    return cfg_repeat(j->c, one(j->c, '0', '9'), min, max);
}

static int digit(struct jsoncfg *j, int lo, int hi)
{
    return one(j->c, (uint32_t)('0' + lo), (uint32_t)('0' + hi));
}

/* n digits, not below lo where they are bound to it (low), not above hi (high). */
static int span(struct jsoncfg *j, const char *lo, const char *hi, int n, bool low, bool high)
{
    struct cfg *c = j->c;
    int from = low && n ? *lo - '0' : 0, to = high && n ? *hi - '0' : 9, part[3], k = 0;

    if (!n || (!low && !high))
        return digits(j, n, n);
    if (low && high && from == to)
        return CFG_SEQ(c, digit(j, from, to), span(j, lo + 1, hi + 1, n - 1, true, true));
    if (low) {
        part[k++] = CFG_SEQ(c, digit(j, from, from), span(j, lo + 1, hi + 1, n - 1, true, false));
        from++;
    }
    if (high) {
        part[k++] = CFG_SEQ(c, digit(j, to, to), span(j, lo + 1, hi + 1, n - 1, false, true));
        to--;
    }
    if (from <= to)
        part[k++] = CFG_SEQ(c, digit(j, from, to), digits(j, n - 1, n - 1));
    return cfg_alt(c, part, k);
}

/* The integers a..b, 0 <= a <= b < 10^15. */
static int integers(struct jsoncfg *j, int64_t a, int64_t b)
{
    int part[DIGITS + 1], k = 0;
    int64_t first = 0, next = 10; // of the numbers with n digits

    for (int n = 1; n <= DIGITS; n++, first = next, next *= 10) {
        int64_t lo = a > first ? a : first, hi = b < next - 1 ? b : next - 1;
        char x[24], y[24];

        for (int d = n - 1; d >= 0 && lo <= hi; d--, lo /= 10, hi /= 10) {
            x[d] = (char)('0' + lo % 10);
            y[d] = (char)('0' + hi % 10);
            if (!d)
                part[k++] = span(j, x, y, n, true, true);
        }
    }
    return cfg_alt(j->c, part, k);
}

static int64_t int_part(const struct jsoncfg_end *x)
{
    int64_t v = 0;

    for (int d = 0; d < x->n_int; d++)
        v = 10 * v + (x->digit[d] - '0');
    return v;
}

/* The digits of a fraction from the at-th on, at most `most` in all, so that the number stays at
 * or above lo and at or below hi, NULL where it is so already. */
static int fraction(struct jsoncfg *j, const struct jsoncfg_end *lo, const struct jsoncfg_end *hi,
                    int at, int most)
{
    struct cfg *c = j->c;
    int a = lo && at < lo->n_frac ? lo->digit[lo->n_int + at] - '0' : 0, part[4], k = 0;
    int b = hi && at < hi->n_frac ? hi->digit[hi->n_int + at] - '0' : hi ? 0 : 9;
    bool at_lo = lo && at >= lo->n_frac, at_hi = hi && at >= hi->n_frac;

    if (at_lo && !lo->exclusive)
        lo = NULL;
    if (at_hi && hi->exclusive)
        return nothing(c);
    if (!lo && !hi)
        return digits(j, at ? 0 : 1, most - at);
    if (at && !lo)
        part[k++] = cfg_seq(c, NULL, 0);
    if (at == most)
        return cfg_alt(c, part, k);
    if (lo && hi && a == b) {
        part[k++] = CFG_SEQ(c, digit(j, a, a), fraction(j, lo, hi, at + 1, most));
        return cfg_alt(c, part, k);
    }
    if (lo) {
        part[k++] = CFG_SEQ(c, digit(j, a, a), fraction(j, lo, NULL, at + 1, most));
        a++;
    }
    if (hi) {
        part[k++] = CFG_SEQ(c, digit(j, b, b), fraction(j, NULL, hi, at + 1, most));
        b--;
    }
    if (a <= b)
        part[k++] = CFG_SEQ(c, digit(j, a, b), digits(j, 0, most - at - 1));
    return cfg_alt(c, part, k);
}

/* An integer with a fraction in lo..hi behind it, or none where that is in the range. */
static int with_fraction(struct jsoncfg *j, int64_t whole, const struct jsoncfg_end *lo,
                         const struct jsoncfg_end *hi)
{
    int most = DIGITS - (hi ? hi->n_int : lo->n_int), x;
    bool low = !lo || (!lo->n_frac && !lo->exclusive), high = !hi || hi->n_frac || !hi->exclusive;

    if (whole >= 1000000000000000)
        return nothing(j->c);
    x = CFG_SEQ(j->c, one(j->c, '.', '.'), fraction(j, lo, hi, 0, most > 1 ? most : 1));
    if (low && high)
        x = cfg_repeat(j->c, x, 0, 1);
    return CFG_SEQ(j->c, integers(j, whole, whole), x);
}

/* The numbers from lo to hi that have no sign. */
static int unsigned_range(struct jsoncfg *j, const struct jsoncfg_end *lo,
                          const struct jsoncfg_end *hi)
{
    int64_t a = lo->there ? int_part(lo) : 0, b = hi->there ? int_part(hi) : 1000000000000000;
    int most = DIGITS - (hi->there ? hi->n_int : 0), part[3], k = 0, point;

    if (lo->there && hi->there && a == b)
        return with_fraction(j, a, lo, hi);
    if (lo->there && (lo->n_frac || lo->exclusive))
        part[k++] = with_fraction(j, a++, lo, NULL);
    if (hi->there)
        part[k++] = with_fraction(j, b, NULL, hi);
    point = CFG_SEQ(j->c, one(j->c, '.', '.'), digits(j, 1, most > 1 ? most : 1));
    if (a < b)
        part[k++] = CFG_SEQ(j->c, integers(j, a, b - 1), cfg_repeat(j->c, point, 0, 1));
    return cfg_alt(j->c, part, k);
}

/* The integers nearest to the ends within the range, one beyond what is made where it is open. */
static int64_t int_end(const struct jsoncfg_end *x, bool low)
{
    int64_t most = 1000000000000000 - 1, v = int_part(x);

    if (!x->there)
        return low ? -most : most;
    v = x->negative ? -v : v;
    if (x->n_frac) // towards zero so far
        v += low ? !x->negative : -(int64_t)x->negative;
    else if (x->exclusive)
        v += low ? 1 : -1;
    return v < -most - 1 ? -most - 1 : v > most + 1 ? most + 1 : v;
}

static int integer_range(struct jsoncfg *j, const struct jsoncfg_end *lo,
                         const struct jsoncfg_end *hi)
{
    int64_t most = 1000000000000000 - 1, a = int_end(lo, true), b = int_end(hi, false);
    int part[2], k = 0;

    a = a < -most ? -most : a;
    b = b > most ? most : b;
    if (a < 0 && a <= b)
        part[k++] = CFG_SEQ(j->c, one(j->c, '-', '-'), integers(j, b < 0 ? -b : 1, -a));
    if (b >= 0 && a <= b)
        part[k++] = integers(j, a > 0 ? a : 0, b);
    return cfg_alt(j->c, part, k);
}

int jsoncfg_range(struct jsoncfg *j, bool integer, const struct jsoncfg_end *lo,
                  const struct jsoncfg_end *hi)
{
    static const struct jsoncfg_end open = {0}, zero = {.there = true, .exclusive = true};
    int part[2], k = 0;

    if (!lo->there && !hi->there)
        return cfg_call(j->c, integer ? j->integer : j->number);
    if (lo->there && hi->there && jsoncfg_end_compare(lo, hi) > 0)
        return nothing(j->c);
    if (integer)
        return integer_range(j, lo, hi);
    if (!lo->there || lo->negative)
        part[k++] = CFG_SEQ(j->c, one(j->c, '-', '-'),
                            unsigned_range(j, hi->there && hi->negative ? hi : &zero, lo));
    if (!hi->there || !hi->negative)
        part[k++] = unsigned_range(j, lo->there && !lo->negative ? lo : &open, hi);
    return cfg_alt(j->c, part, k);
}

/* ---- values ---- */

/* open (x ("," x)*)? close, with white space; `many` is the inside when there is one. */
static int bracket(struct jsoncfg *j, char open, int x, char close)
{
    struct cfg *c = j->c;
    int ws = cfg_call(c, j->ws), comma = CFG_SEQ(c, one(c, ',', ','), ws);
    int many = CFG_SEQ(c, x, cfg_repeat(c, CFG_SEQ(c, comma, x), 0, -1), ws);

    return CFG_SEQ(c, one(c, (uint32_t)open, (uint32_t)open), ws, cfg_repeat(c, many, 0, 1),
                   one(c, (uint32_t)close, (uint32_t)close));
}

void jsoncfg_init(struct jsoncfg *j, struct cfg *c)
{
    static const struct cfg_range blank[] = {{'\t', '\t'}, {' ', ' '}};
    int sign, whole, member, value;

    *j = (struct jsoncfg){.c = c};
    j->ws = cfg_rule(c);
    j->character = cfg_rule(c);
    j->string = cfg_rule(c);
    j->number = cfg_rule(c);
    j->integer = cfg_rule(c);
    j->any = cfg_rule(c);
    cfg_define(
        c, j->ws,
        CFG_ALT(c, cfg_seq(c, NULL, 0), one(c, ' ', ' '),
                CFG_SEQ(c, one(c, '\n', '\n'), cfg_repeat(c, cfg_class(c, blank, 2), 0, 20))));
    cfg_define(c, j->character, character(c));
    cfg_define(c, j->string, jsoncfg_quoted(j, cfg_repeat(c, cfg_call(c, j->character), 0, -1)));
    sign = cfg_repeat(c, one(c, '-', '-'), 0, 1);
    whole = CFG_ALT(c, one(c, '0', '0'), CFG_SEQ(c, one(c, '1', '9'), digits(j, 0, DIGITS - 1)));
    cfg_define(c, j->integer, CFG_SEQ(c, sign, whole));
    cfg_define(c, j->number,
               CFG_SEQ(c, sign, whole,
                       cfg_repeat(c, CFG_SEQ(c, one(c, '.', '.'), digits(j, 1, DIGITS)), 0, 1),
                       cfg_repeat(c,
                                  CFG_SEQ(c, among(c, "eE"), cfg_repeat(c, among(c, "+-"), 0, 1),
                                          digits(j, 1, 2)),
                                  0, 1)));
    value = cfg_call(c, j->any);
    member = CFG_SEQ(c, cfg_call(c, j->string), one(c, ':', ':'), cfg_call(c, j->ws), value);
    cfg_define(c, j->any,
               CFG_ALT(c, cfg_call(c, j->string), cfg_call(c, j->number), text(c, "true"),
                       text(c, "false"), text(c, "null"), bracket(j, '{', member, '}'),
                       bracket(j, '[', value, ']')));
}

/* A literal array or object: its items, with white space. */
static int literal_items(struct jsoncfg *j, const struct json *t, int node, char open, char close)
{
    struct cfg *c = j->c;
    const struct json_node *x = &t->node[node];
    int *part = mem_new(((size_t)x->next + 4) * sizeof(*part)), k = 0;
    bool object = x->type == JSON_OBJECT;
    int ws = cfg_call(c, j->ws), comma = CFG_SEQ(c, one(c, ',', ','), ws);

    part[k++] = one(c, (uint32_t)open, (uint32_t)open);
    part[k++] = ws;
    for (uint32_t i = (uint32_t)node + 1; i < x->next;) {
        uint32_t v = object ? t->node[i].next : i;
        int item = jsoncfg_literal(j, t, (int)v);

        if (object)
            item = CFG_SEQ(c, jsoncfg_literal(j, t, (int)i), one(c, ':', ':'), ws, item);
        part[k++] = i > (uint32_t)node + 1 ? CFG_SEQ(c, comma, item) : item;
        i = t->node[v].next;
    }
    if (x->size)
        part[k++] = ws;
    part[k++] = one(c, (uint32_t)close, (uint32_t)close);
    k = cfg_seq(c, part, k);
    free(part);
    return k;
}

int jsoncfg_literal(struct jsoncfg *j, const struct json *t, int node)
{
    struct arena a = {0};
    size_t n;
    const char *s = json_raw(t, node, &n);
    int x;

    switch (t->node[node].type) {
    case JSON_STRING:
        s = json_str(t, node, &a, &n);
        x = jsoncfg_text(j, s, n);
        arena_free(&a);
        return x;
    case JSON_ARRAY:
        return literal_items(j, t, node, '[', ']');
    case JSON_OBJECT:
        return literal_items(j, t, node, '{', '}');
    default:
        return cfg_text(j->c, s, n);
    }
}
