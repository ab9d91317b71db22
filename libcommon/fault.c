/* fault.c - what is wrong with a text: repetition, refusals, leaked prompt words. */
#include "fault.h"

#include "mem.h"
#include "phrases.h"
#include "repeat.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { GRAM = 3, SHORT = 80, BEGINNING = 30 }; // words

// clang-format off
/* What models say instead of an answer, as folded words. The first is looked for in the whole of
 * a short text, the others in the first words of any. */
static const char *const refusals[] = {
    "sorry", "as an ai", "as a language model", "i am sorry but", "i m sorry but",
    "i am unable to", "i m unable to", "i am not able to", "i m not able to",
    "i cannot assist", "i can not assist", "i can t assist",
    "i cannot help", "i can not help", "i can t help", "i cannot fulfill", "i can t fulfill",
    "i cannot provide", "i can t provide", "i cannot do that", "i can not do that",
    "i can t do that", "i must decline", "i won t be able to", "i will not be able to",
    "i cannot answer", "i can t answer", "i cannot comply", "i can t comply",
    "언어 모델로서", "언어 모델이기 때문에", "도와드릴 수 없", "도와 드릴 수 없", "답변할 수 없", "답변드릴 수 없",
    "답변해 드릴 수 없", "대답할 수 없", "제공할 수 없습니다", "제공해 드릴 수 없", "요청을 수행할 수 없",
    "お手伝いできません", "お答えできません", "お答えすることはできません", "言語モデルとして",
    "我无法回答", "我不能回答", "我无法提供", "我不能提供", "我无法协助", "作为一个人工智能", "作为一个ai", "作为一个语言模型",
    NULL};

/* Text that belongs to a prompt or a chat template, in lower case. */
static const char *const leaks[] = {
    "given prompt", "rewritten prompt", "given_prompt", "rewritten_prompt",
    "### instruction", "### input", "### response", "<|im_start|>", "<|im_end|>", "<|eot_id|>",
    "<|start_header_id|>", "<|endoftext|>", "<|begin_of_text|>", "<|end_of_text|>", "<|eom_id|>",
    "<|end|>", "<|system|>", "<start_of_turn>", "<end_of_turn>", "created prompt#", "<|user|>", "<|assistant|>", "[inst]", "[/inst]",
    "<<sys>>", NULL};
// clang-format on

enum { N_LEAKS = sizeof(leaks) / sizeof(*leaks) - 1 };

/* Of each leak two bytes are one of these pairs, which are rare elsewhere. */
static const char rare[] = "mp##<|[i[/<<<s<e";

struct fault {
    struct phrases *refusals; // but the first
    uint64_t sorry;           // the first
    struct repeat_back back;
    struct scan_threes mpt; // "prompt" has them
    struct buf low;
    size_t at[N_LEAKS], len[N_LEAKS]; // where a leak's rare pair stands in it; its bytes
};

struct fault *fault_open(void)
{
    struct fault *f = mem_zero(1, sizeof(*f));

    scan_threes_make(&f->mpt, "mpt");
    f->sorry = words_hash(refusals[0], strlen(refusals[0]));
    f->refusals = phrases_open();
    for (int i = 1; refusals[i]; i++)
        phrases_add(f->refusals, refusals[i], strlen(refusals[i]));
    for (int i = 0; i < N_LEAKS; i++) {
        f->len[i] = strlen(leaks[i]);
        f->at[i] = scan_pairs(leaks[i], f->len[i], rare);
    }
    return f;
}

void fault_close(struct fault *f)
{
    if (!f)
        return;
    phrases_close(f->refusals);
    repeat_back_free(&f->back);
    buf_free(&f->low);
    free(f);
}

/* Did the run of three words at i stand before, though not at j, where another has its hash of 32
 * bits? */
static bool stood_before(const struct words_row *w, size_t i)
{
    size_t j = 0;

    while (j < i && memcmp(w->hash + j, w->hash + i, GRAM * sizeof(*w->hash)) != 0)
        j++;
    return j < i;
}

double fault_repetition_beyond(struct fault *f, struct look *text, double limit)
{
    const struct words_row *w = look_words(text);
    size_t runs = w->n < GRAM ? 0 : w->n - GRAM + 1, n, again = 0;
    double share;

    if ((double)repeat_at_most(look_threes(text), runs) <= limit * (double)runs)
        return 0;
    n = repeat_back_find(&f->back, look_threes(text), runs);
    for (size_t k = 0; k < n; k++) {
        size_t i = f->back.again[k], j = f->back.first[k];

        again += !memcmp(w->hash + j, w->hash + i, GRAM * sizeof(*w->hash)) || stood_before(w, i);
    }
    share = (double)again / (double)runs;
    return share > limit ? share : 0;
}

const char *fault_refusal_of(const struct fault *f, const struct words_row *w)
{
    int found;

    for (size_t i = 0; w->n < SHORT && i < w->n; i++)
        if (w->hash[i] == f->sorry)
            return refusals[0];
    found = phrases_find(f->refusals, w, BEGINNING);
    return found < 0 ? NULL : refusals[found + 1];
}

static const char *find_leak(struct fault *f, const char *s, size_t n)
{
    struct buf *low = &f->low;
    int best = N_LEAKS;

    mem_grow(&low->p, &low->cap, n + 1, 1);
    scan_lower(low->p, s, n, 0);
    for (size_t at = 0; (at += scan_pairs(low->p + at, n - at, rare)) < n; at++)
        for (int i = 0; i < best; i++) {
            size_t before = f->at[i];

            if (leaks[i][before] == low->p[at] && leaks[i][before + 1] == low->p[at + 1] &&
                at >= before && n - (at - before) >= f->len[i] &&
                !memcmp(low->p + at - before, leaks[i], f->len[i]))
                best = i;
        }
    return best < N_LEAKS ? leaks[best] : NULL;
}

/* Most texts have no sign that a leak without "prompt" has. */
const char *fault_leak_of(struct fault *f, const struct kinds *t)
{
    const char *s = t->s;
    size_t n = t->n, at = 0;

    if (t->odd || t->sign)
        return find_leak(f, s, n);
    for (; (at += scan_threes(&f->mpt, s + at, n - at)) < n; at++)
        if (at >= 3 && !strncasecmp(s + at - 3, "prompt", 6))
            return find_leak(f, s, n);
    return NULL;
}

/* ---- one text ---- */

double fault_repetition(const char *s, size_t n)
{
    struct fault *f = fault_open();
    struct look l = {0};
    double share;

    look_text(&l, s, n);
    share = fault_repetition_beyond(f, &l, 0);
    look_free(&l);
    fault_close(f);
    return share;
}

const char *fault_refusal(const char *s, size_t n)
{
    struct fault *f = fault_open();
    struct words_row w = {0};
    struct kinds t = {0};
    const char *found;

    kinds_text(&t, s, n);
    words_read(&w, &t);
    found = fault_refusal_of(f, &w);
    kinds_free(&t);
    words_row_free(&w);
    fault_close(f);
    return found;
}

const char *fault_leak(const char *s, size_t n)
{
    struct fault *f = fault_open();
    const char *found = find_leak(f, s, n);

    fault_close(f);
    return found;
}
