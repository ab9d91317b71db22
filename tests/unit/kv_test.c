/* kv_test.c - pages are given, shared, copied and taken back; none is lost, none is given twice. */
#include "kv.h"
#include "test.h"

#include <string.h>

enum { PAGES = 10, FLOATS = 3 * 2 * 2 * 64 * 8 };

static struct model small(void)
{
    return (struct model){.n_layers = 3, .attn = {.n_kv_heads = 2, .head_dim = 8}};
}

/* Every page is free exactly once, or held by as many sequences as it counts. */
static bool whole(const struct kv *kv, const struct kv_seq *s, int n)
{
    int held[PAGES] = {0}, listed[PAGES] = {0}, n_free = 0, good = 0;

    for (int p = kv->first, last = -1; p >= 0; last = p, p = kv->page[p].behind) {
        n_free += kv->page[p].before == last;
        listed[p]++;
    }
    for (int i = 0; i < n; i++)
        for (int k = s[i].gone; k < s[i].n_pages; k++)
            held[s[i].page[k]]++;
    for (int i = 0; i < PAGES; i++)
        good += kv->page[i].refs == held[i] && listed[i] == !held[i];
    return good == PAGES && n_free == kv->n_free;
}

static void test_pages(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[2] = {{0}};
    struct err e;

    TEST("reserve, cut and release");
    CHECK(kv_page_bytes(&m, KV_F32) == FLOATS * 4);
    CHECK(!kv_open(&kv, &m, b, KV_F32, PAGES, &e));
    CHECK(kv.bytes == PAGES * kv_page_bytes(&m, KV_F32) && kv.n_free == PAGES);
    CHECK(!kv_reserve(&kv, &s[0], 64) && s[0].n_pages == 1 && s[0].page[0] == 0);
    s[0].len = 64;
    CHECK(!kv_reserve(&kv, &s[0], 1) && s[0].n_pages == 2 && s[0].page[1] == 1);
    CHECK(!kv_reserve(&kv, &s[0], 64) && s[0].n_pages == 2); // there is room already
    CHECK(!kv_reserve(&kv, &s[1], 64 * 8) && kv.n_free == 0);
    CHECK(kv_reserve(&kv, &s[0], 65) < 0 && s[0].n_pages == 2 && whole(&kv, s, 2));
    CHECK(kv_reserve(&kv, &s[0], INT32_MAX) < 0 && s[0].n_pages == 2);
    s[1].len = 64 * 8;
    kv_cut(&kv, &s[1], 65);
    CHECK(s[1].n_pages == 2 && s[1].len == 65 && kv.n_free == 6 && whole(&kv, s, 2));
    kv_cut(&kv, &s[1], 100); // never longer than it was
    CHECK(s[1].len == 65 && s[1].n_pages == 2);
    kv_cut(&kv, &s[1], 64);
    CHECK(s[1].n_pages == 1 && whole(&kv, s, 2));
    kv_release(&kv, &s[0]);
    CHECK(!s[0].page && s[0].n_pages == 0 && s[0].len == 0 && whole(&kv, s, 2));
    kv_release(&kv, &s[1]);
    CHECK(kv.n_free == PAGES && whole(&kv, s, 2));
    kv_release(&kv, &s[1]);
    kv_close(&kv);
    kv_close(&kv);
}

/* The value of position 0 .. 63 of a page in the last layer, head and dimension. */
static float *place(const struct kv *kv, int page, int pos)
{
    size_t layer = (size_t)FLOATS / 3, at = 2 * PAGES * layer + (size_t)page * layer;

    return (float *)kv->pages.data_d + at + layer - (size_t)(64 - pos) * 8 + 7;
}

static void test_fork(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[3] = {{0}};
    struct err e;

    TEST("fork shares pages; the first to write copies the partly filled one");
    CHECK(!kv_open(&kv, &m, b, KV_F32, PAGES, &e));
    CHECK(!kv_reserve(&kv, &s[0], 100));
    s[0].len = 100;
    *place(&kv, s[0].page[1], 35) = 7;
    kv_fork(&kv, &s[1], &s[0]);
    CHECK(s[1].n_pages == 2 && s[1].len == 100 && kv.n_free == 8 && whole(&kv, s, 3));
    CHECK(!memcmp(s[0].page, s[1].page, 2 * sizeof(*s[0].page)));
    CHECK(!kv_reserve(&kv, &s[1], 1) && s[1].page[0] == s[0].page[0]);
    CHECK(s[1].page[1] != s[0].page[1] && kv.n_free == 7 && whole(&kv, s, 3));
    CHECK(*place(&kv, s[1].page[1], 35) == 7);
    *place(&kv, s[1].page[1], 36) = 8; // its own
    CHECK(*place(&kv, s[0].page[1], 36) == 0);
    CHECK(!kv_reserve(&kv, &s[0], 1) && kv.n_free == 7); // alone now: no copy

    TEST("fork over a sequence that had pages, at a page's end, in a full pool");
    kv_cut(&kv, &s[0], 64);
    kv_fork(&kv, &s[1], &s[0]);
    CHECK(s[1].n_pages == 1 && s[1].len == 64 && kv.n_free == 9 && whole(&kv, s, 3));
    CHECK(!kv_reserve(&kv, &s[1], 1) && s[1].page[0] == s[0].page[0]); // a full page is not copied
    s[1].len = 65;
    CHECK(!kv_reserve(&kv, &s[2], 8 * 64) && kv.n_free == 0);
    kv_fork(&kv, &s[0], &s[1]);
    CHECK(kv_reserve(&kv, &s[0], 1) < 0 && s[0].page[1] == s[1].page[1] && whole(&kv, s, 3));
    kv_release(&kv, &s[1]);
    CHECK(!kv_reserve(&kv, &s[0], 1) && whole(&kv, s, 3)); // nobody else holds it now
    kv_release(&kv, &s[0]);
    kv_release(&kv, &s[2]);
    kv_fork(&kv, &s[0], &s[1]); // nothing of nothing
    CHECK(kv.n_free == PAGES && whole(&kv, s, 3));
    kv_close(&kv);
}

static void test_keep(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s = {0};
    struct err e;

    TEST("of a tree one path is kept");
    CHECK(!kv_open(&kv, &m, b, KV_F32, PAGES, &e));
    CHECK(!kv_reserve(&kv, &s, 62));
    s.len = 62;
    CHECK(!kv_reserve(&kv, &s, 64 + 3) && s.n_pages == 3);
    for (int i = 0; i < 64; i++)
        *place(&kv, s.page[(62 + i) / 64], (62 + i) % 64) = (float)i;
    kv_keep(&kv, &s, 0x8000000000000015); // nodes 0, 2, 4, 63
    CHECK(s.len == 66 && s.n_pages == 2 && kv.n_free == PAGES - 2);
    CHECK(*place(&kv, s.page[0], 62) == 0 && *place(&kv, s.page[0], 63) == 2);
    CHECK(*place(&kv, s.page[1], 0) == 4 && *place(&kv, s.page[1], 1) == 63);
    kv_keep(&kv, &s, 0);
    CHECK(s.len == 66 && s.n_pages == 2 && whole(&kv, &s, 1));
    kv_release(&kv, &s);
    kv_close(&kv);
}

/* Tokens 0, 1, 2 ... but for one. */
static void tokens(int32_t *t, int n, int other)
{
    for (int i = 0; i < n; i++)
        t[i] = i == other ? -1 : i;
}

static void write(struct kv *kv, struct kv_seq *s, const int32_t *t, int n)
{
    CHECK(!kv_reserve(kv, s, n));
    for (int i = s->len; i < s->len + n; i++)
        *place(kv, s->page[i / 64], i % 64) = (float)t[i];
    s->len += n;
    kv_note(kv, s, t, true);
}

/* What the sequence's pages hold is what its tokens say. */
static bool right(const struct kv *kv, const struct kv_seq *s, const int32_t *t)
{
    int good = 0;

    for (int i = 0; i < s->len; i++)
        good += *place(kv, s->page[i / 64], i % 64) == (float)t[i];
    return good == s->len;
}

static void test_match(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[4] = {{0}};
    int32_t t[4][300];
    struct err e;

    TEST("a sequence takes over what another one computed");
    CHECK(!kv_open(&kv, &m, b, KV_F32, PAGES, &e));
    kv_cache(&kv);
    tokens(t[0], 300, -1);
    tokens(t[1], 300, 100);
    CHECK(kv_match(&kv, &s[0], t[0], 300) == 0 && s[0].len == 0);
    write(&kv, &s[0], t[0], 150);
    CHECK(kv_match(&kv, &s[1], t[1], 300) == 1 && s[1].len == 64); // 36 more are being written
    kv_written(&kv);
    CHECK(kv_match(&kv, &s[1], t[1], 300) == 0 && s[1].len == 100 && s[1].page[1] == s[0].page[1]);
    write(&kv, &s[1], t[1], 60);
    CHECK(s[1].page[1] != s[0].page[1] && right(&kv, &s[0], t[0]) && right(&kv, &s[1], t[1]));
    CHECK(kv_match(&kv, &s[2], t[0], 300) == 0 && s[2].len == 150); // a tail as well
    kv_cut(&kv, &s[2], 0);
    CHECK(kv_match(&kv, &s[2], t[0], 70) == 0 && s[2].len == 64); // 6 are not worth a copy
    kv_cut(&kv, &s[2], 0);
    CHECK(kv_match(&kv, &s[2], t[0], 127) == 0 && s[2].len == 127);
    write(&kv, &s[2], t[0], 3); // into a copy: the page is known to hold 64
    CHECK(whole(&kv, s, 4) && right(&kv, &s[0], t[0]) && right(&kv, &s[2], t[0]));
    kv_written(&kv);

    TEST("free pages keep what they hold, the last used the longest");
    for (int i = 0; i < 3; i++)
        kv_release(&kv, &s[i]);
    CHECK(kv.n_free == PAGES && whole(&kv, s, 4));
    CHECK(kv_match(&kv, &s[0], t[0], 300) == 0 && s[0].len == 150 && right(&kv, &s[0], t[0]));
    tokens(t[3], 300, 0);
    write(&kv, &s[3], t[3], 300); // 5 pages: those of no use and of least use
    CHECK(whole(&kv, s, 4));
    CHECK(kv_match(&kv, &s[1], t[1], 300) == 0 && s[1].len >= 100 && right(&kv, &s[1], t[1]));

    for (int i = 0; i < 4; i++)
        kv_release(&kv, &s[i]);
    CHECK(kv.n_free == PAGES && whole(&kv, s, 4));
    kv_close(&kv);
}

static void test_last(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[3] = {{0}};
    int32_t t[300], u[300];
    struct err e;

    TEST("no page for a copy: what is written over is not found again");
    CHECK(!kv_open(&kv, &m, b, KV_F32, PAGES, &e));
    kv_cache(&kv);
    tokens(t, 300, -1);
    tokens(u, 300, 90);
    write(&kv, &s[0], t, 100);
    kv_written(&kv);
    kv_release(&kv, &s[0]);
    CHECK(!kv_reserve(&kv, &s[2], 8 * 64)); // pages that hold nothing first
    CHECK(kv_match(&kv, &s[0], t, 90) == 0 && s[0].len == 90 && kv.n_free == 0);
    CHECK(kv_reserve(&kv, &s[0], 39) < 0);
    write(&kv, &s[0], u, 8);
    CHECK(right(&kv, &s[0], u) && whole(&kv, s, 3));
    kv_written(&kv);
    CHECK(kv_match(&kv, &s[1], t, 300) == 0 && s[1].len == 90 && right(&kv, &s[1], t));
    for (int i = 0; i < 3; i++)
        kv_release(&kv, &s[i]);
    kv_close(&kv);
}

/* After a cut other tokens follow: the page must not pass for what it was. */
static void test_rewrite(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[2] = {{0}};
    int32_t t[300], u[300];
    struct err e;

    TEST("a full page that is cut and written again");
    CHECK(!kv_open(&kv, &m, b, KV_F32, PAGES, &e));
    kv_cache(&kv);
    tokens(t, 300, -1);
    tokens(u, 300, 50);
    for (int i = 0; i < 2; i++) // the second one's pages are known under the first one's
        write(&kv, &s[i], t, 130);
    kv_written(&kv);
    kv_cut(&kv, &s[1], 40);
    write(&kv, &s[1], u, 100);
    kv_cut(&kv, &s[0], 50);
    write(&kv, &s[0], u, 100);
    kv_written(&kv);
    kv_release(&kv, &s[0]);
    CHECK(right(&kv, &s[1], u));
    kv_match(&kv, &s[0], t, 300);
    CHECK(s[0].len >= 64 && right(&kv, &s[0], t));
    kv_cut(&kv, &s[0], 0);
    kv_match(&kv, &s[0], u, 300);
    CHECK(s[0].len >= 64 && right(&kv, &s[0], u));
    kv_release(&kv, &s[0]);
    kv_release(&kv, &s[1]);
    kv_close(&kv);
}

static void test_window(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[3] = {{0}};
    int32_t t[640];
    struct err e;

    TEST("pages that no window reaches are given back, and named all the same");
    CHECK(kv_most_pages(0, 640, 64) == 10 && kv_most_pages(70, 640, 1) == 3);
    CHECK(kv_most_pages(70, 640, 200) == 6 && kv_most_pages(70, 65, 200) == 2);
    m.window = 70;
    CHECK(!kv_open(&kv, &m, b, KV_F32, PAGES, &e));
    kv_cache(&kv);
    tokens(t, 640, -1);
    for (int len = 0; len < 640; len++) {
        kv_leave(&kv, &s[0]);
        CHECK(s[0].len == len && s[0].gone == (len < 133 ? 0 : (len - 69) / 64));
        write(&kv, &s[0], t, 1);
        CHECK(s[0].n_pages - s[0].gone <= 3 && whole(&kv, s, 3));
        kv_written(&kv);
    }
    CHECK(kv_match(&kv, &s[1], t, 639) == 0 && s[1].len == 639 && right(&kv, &s[1], t));
    kv_leave(&kv, &s[1]);
    CHECK(s[1].gone == 8 && whole(&kv, s, 3) && kv.n_free == 8);

    TEST("fork, copy and cut of a sequence whose beginning is gone");
    kv_fork(&kv, &s[2], &s[1]);
    CHECK(s[2].gone == 8 && s[2].len == 639 && whole(&kv, s, 3));
    write(&kv, &s[2], t, 1);
    CHECK(s[2].page[9] != s[1].page[9] && s[2].page[8] == s[1].page[8] && whole(&kv, s, 3));
    kv_cut(&kv, &s[2], 600); // sees 531 and what follows
    CHECK(s[2].len == 600 && s[2].n_pages == 10 && s[2].gone == 8 && whole(&kv, s, 3));
    kv_cut(&kv, &s[2], 580); // would see 511
    CHECK(s[2].len == 0 && s[2].n_pages == 0 && s[2].gone == 0 && whole(&kv, s, 3));
    kv_release(&kv, &s[0]);
    kv_cut(&kv, &s[1], 0);
    CHECK(kv.n_free == PAGES && whole(&kv, s, 3));
    kv_release(&kv, &s[1]);
    kv_release(&kv, &s[2]);
    kv_close(&kv);
}

static void test_refused(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct err e;

    TEST("caches that cannot be");
    CHECK(kv_open(&kv, &m, b, KV_F32, 0, &e) < 0 && e.code == ERR_ARG);
    m.n_layers = 1 << 10;
    m.attn.n_kv_heads = 1 << 12;
    m.attn.head_dim = 1 << 12;
    CHECK(kv_open(&kv, &m, b, KV_F32, INT32_MAX, &e) < 0 && strstr(e.msg, "pages"));
    kv_close(&kv); // still safe
}

int main(void)
{
    struct err e;
    struct backend *b = backend_cpu_open(1, ISA_AUTO, &e);

    test_pages(b);
    test_fork(b);
    test_keep(b);
    test_match(b);
    test_last(b);
    test_rewrite(b);
    test_window(b);
    test_refused(b);
    backend_close(b);
    return test_end();
}
