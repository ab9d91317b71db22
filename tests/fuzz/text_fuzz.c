/* text_fuzz.c - changed texts through all that llm-filter measures and llm-selfinstruct takes
 * apart: nothing is read beyond them, every span lies in them, masking leaves nothing to mask. */
#include "decon.h"
#include "dupes.h"
#include "fault.h"
#include "fence.h"
#include "fuzz.h"
#include "instances.h"
#include "lang.h"
#include "listing.h"
#include "near.h"
#include "pii.h"
#include "quality.h"
#include "script.h"

#include <assert.h>
#include <math.h>

static void measure(const char *s, size_t n)
{
    struct quality *q = quality_open();
    struct look t = {0};

    look_text(&t, s, n);
    quality_text(q, &t);
    for (int i = QUALITY_N - 1; i >= 0; i--) {
        double v = quality_value(q, (enum quality_id)i);

        assert(isnan(v) || (isfinite(v) && v >= 0));
    }
    quality_close(q);
    look_free(&t);
}

static void personal(const char *s, size_t n)
{
    struct buf once = {0}, twice = {0};
    struct kinds t = {0};
    struct pii_hit h;
    size_t at = 0, last = 0;

    kinds_text(&t, s, n);
    while (pii_next(&t, ~0u, &at, &h)) {
        assert(h.n && h.at >= last && h.at + h.n <= n && at == h.at + h.n);
        last = at;
    }
    pii_mask(s, n, ~0u, &once);
    pii_mask(buf_cstr(&once), once.n, 1u << PII_CARD, &twice);
    kinds_free(&t);
    buf_free(&once);
    buf_free(&twice);
}

static void spans(const char *s, size_t n)
{
    struct decon *d = decon_open(4);
    struct decon_hit hit;
    struct look l = {0};
    struct fence f = {0};

    while (fence_next(s, n, "c", &f))
        assert(f.p >= s && f.p + f.n <= s + n && f.at <= n);
    decon_add(d, 0, 1, s, n / 2);
    look_text(&l, s, n);
    if (decon_find(d, &l, &hit))
        assert(hit.at + hit.n <= n);
    look_free(&l);
    decon_close(d);
}

/* The words of words_next are those of words_read; a text is its own duplicate. */
static void words(const char *s, size_t n)
{
    struct buf w = {0};
    struct look l = {0};
    const struct words_row *row;
    size_t at = 0, i = 0;

    look_text(&l, s, n);
    row = look_words(&l);
    for (; words_next(s, n, &at, &w); i++)
        assert(i < row->n && row->hash[i] == words_hash(w.p, w.n) && row->end[i] == at &&
               row->begin[i] < row->end[i] && (!i || row->begin[i] >= row->end[i - 1]));
    assert(i == row->n);
    buf_free(&w);
    look_free(&l);
}

static void duplicates(const char *s, size_t n)
{
    struct dupes_hit hit;
    struct dupes_text t = {0};
    struct dupes_desk desk = {0};
    struct look l = {0};
    struct err e;
    struct dupes *x =
        dupes_open(&(struct dupes_opt){.near = 0.8, .at = {NULL, 1 << 20, "/tmp"}}, &e);

    for (int i = 0; i < 2; i++) {
        look_text(&l, s, n);
        dupes_begin(&t);
        dupes_add(x, &desk, &t, &l);
        dupes_end(x, &t);
        assert(dupes_meet(x, &t, "a", &hit, &e) == i && (!i || hit.similarity >= 1));
    }
    dupes_text_free(&t);
    dupes_desk_free(&desk);
    look_free(&l);
    dupes_close(x, &e);
}

static void lists(const char *s, size_t n)
{
    struct listing_item item[LISTING_MAX];
    struct instances x = {0};
    struct tasks_task t = {0};

    for (int form = LISTING_NUMBERED; form <= LISTING_ONE; form++) {
        int k = listing_split((enum listing_form)form, s, n, (int)(n % 12), n % 2, item);

        for (int i = 0; i < k; i++) {
            assert(item[i].n && item[i].text >= s && item[i].text + item[i].n <= s + n);
            listing_take((enum listing_form)form, &item[i], &t);
        }
    }
    for (int most = 1; most <= INSTANCES_MAX; most += 5) {
        instances_read(&x, s, n, NULL, most % 2, n % 2, most);
        assert(x.n <= most && instances_check(&x, NULL, 0) <= x.n);
        instances_read(&x, s, n, &t.inst, most % 2, n % 2, most);
        assert(x.n <= 1);
    }
    instances_free(&x);
    tasks_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *s = (const char *)data;
    struct lang *lang = lang_open();
    struct look l = {0};
    size_t count[SCRIPT_N] = {0}, all = script_count(s, n, count), sum = 0;

    for (int i = 0; i < SCRIPT_N; i++)
        sum += count[i];
    look_text(&l, s, n);
    assert(sum == all && all <= n && lang_known(lang_of(lang, &l)));
    look_free(&l);
    lang_close(lang);
    measure(s, n);
    words(s, n);
    personal(s, n);
    lists(s, n);
    spans(s, n);
    fault_leak(s, n);
    if (fuzz_next(&(uint64_t){all + n}) % 16 == 0) // it maps memory
        duplicates(s, n);
    return 0;
}

#ifndef LIBFUZZER
int main(void)
{
    static const char seed[] =
        "The fox sat by the river, e.g. at 8.8.8.8 or 2606:4700::1111... and that was it.\n"
        "- Write to joe@example.org, call +1 (212) 555-0100 or 010-1234-5678!\n\n"
        "```c\nint x = 4111111111111111;\n```\n~~~ C {.y}\nz\n~~~\r\n"
        "2. Input: a b\nOutput: b\nExample 2\nClass label: x\n###\n3. Instruction: y\n4. Output: z\n"
        "GB82 WEST 1234 5698 7654 32 [12] [edit] lorem ipsum {javascript} terms of use.\n"
        "여우는 강가에 앉아 있었다。 狐は川 — “so”… The fox sat by the river, The fox sat by the\n";

    fuzz_run("texts", (const uint8_t *)seed, sizeof(seed) - 1, sizeof(seed) - 1, 20000);
    return test_end();
}
#endif
