/* fault.c - what is wrong with a text: repetition, refusals, leaked prompt words. */
#include "fault.h"

#include "hash.h"
#include "words.h"

#include <ctype.h>
#include <string.h>

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
    "i can t do that", "i must decline", NULL};

/* Text that belongs to a prompt or a chat template, in lower case. */
static const char *const leaks[] = {
    "given prompt", "rewritten prompt", "given_prompt", "rewritten_prompt",
    "### instruction", "### input", "### response", "<|im_start|>", "<|im_end|>", "<|eot_id|>",
    "<|start_header_id|>", "<|endoftext|>", "<|user|>", "<|assistant|>", "[inst]", "[/inst]",
    "<<sys>>", NULL};
// clang-format on

double fault_repetition(const char *s, size_t n)
{
    struct hash_table t = {0};
    struct buf all = {0};
    size_t start[GRAM] = {0}, k = 0, runs = 0;
    double share;

    words_fold(s, n, &all);
    for (size_t i = 0; i + 1 < all.n; i++) { // each word begins after a space
        if (all.p[i] != ' ')
            continue;
        start[k++ % GRAM] = i;
        if (k < GRAM)
            continue;
        size_t from = start[k % GRAM];
        const char *end = strchr(all.p + i + 1, ' ');

        runs++;
        hash_put(&t, all.p + from, (size_t)(end - (all.p + from)), 0);
    }
    share = runs ? (double)(runs - t.n) / (double)runs : 0;
    hash_free(&t);
    buf_free(&all);
    return share;
}

const char *fault_refusal(const char *s, size_t n)
{
    struct buf text = {0}, phrase = {0};
    const char *found = NULL;
    size_t words = 0, end = 0;

    words_fold(s, n, &text);
    for (size_t i = 1; i < text.n; i++)
        if (text.p[i] == ' ' && ++words == BEGINNING)
            end = i + 1;
    for (int i = 0; refusals[i] && !found; i++) {
        if (!i && words >= SHORT)
            continue;
        if (i == 1 && end) {
            text.n = end;
            text.p[end] = 0;
        }
        buf_reset(&phrase);
        words_fold(refusals[i], strlen(refusals[i]), &phrase);
        if (words_hold(&text, &phrase))
            found = refusals[i];
    }
    buf_free(&text);
    buf_free(&phrase);
    return found;
}

const char *fault_leak(const char *s, size_t n)
{
    struct buf low = {0};
    const char *found = NULL;

    for (size_t i = 0; i < n; i++)
        buf_char(&low, (char)tolower((unsigned char)s[i]));
    for (int i = 0; leaks[i] && !found && n; i++)
        if (memmem(low.p, low.n, leaks[i], strlen(leaks[i])))
            found = leaks[i];
    buf_free(&low);
    return found;
}
