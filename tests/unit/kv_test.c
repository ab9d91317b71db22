/* kv_test.c - pages are given and taken back; none is lost, none is given twice. */
#include "kv.h"
#include "test.h"

#include <string.h>

enum { PAGES = 10 };

static struct model small(void)
{
    return (struct model){.n_layers = 3, .attn = {.n_kv_heads = 2, .head_dim = 8}};
}

/* Every page is free or in exactly one sequence. */
static bool whole(const struct kv *kv, const struct kv_seq *s, int n)
{
    int seen[PAGES] = {0}, all = 0;

    for (int i = 0; i < kv->n_free; i++)
        seen[kv->free[i]]++;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < s[i].n_pages; k++)
            seen[s[i].page[k]]++;
    for (int i = 0; i < PAGES; i++)
        all += seen[i] == 1;
    return all == PAGES;
}

static void test_pages(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[2] = {{0}};
    struct err e;

    TEST("reserve, cut and release");
    CHECK(kv_page_bytes(&m) == 3 * 2 * 2 * 64 * 8 * 4);
    CHECK(!kv_open(&kv, &m, b, PAGES, &e));
    CHECK(kv.bytes == PAGES * kv_page_bytes(&m) && kv.n_free == PAGES);
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
    CHECK(kv.n_free == PAGES);
    kv_release(&kv, &s[1]);
    kv_close(&kv);
    kv_close(&kv);
}

static void test_refused(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct err e;

    TEST("caches that cannot be");
    CHECK(kv_open(&kv, &m, b, 0, &e) < 0 && e.code == ERR_ARG);
    m.n_layers = 1 << 10;
    m.attn.n_kv_heads = 1 << 12;
    m.attn.head_dim = 1 << 12;
    CHECK(kv_open(&kv, &m, b, INT32_MAX, &e) < 0 && strstr(e.msg, "pages"));
    kv_close(&kv); // still safe
}

int main(void)
{
    struct err e;
    struct backend *b = backend_cpu_open(1, ISA_AUTO, &e);

    test_pages(b);
    test_refused(b);
    backend_close(b);
    return test_end();
}
