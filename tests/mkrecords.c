/* mkrecords.c - records out of a seed, for measurements: prose, lists, Korean, code, copies.
 *
 *   mkrecords SEED COUNT WORDS   COUNT records with an answer of about WORDS words
 *   mkrecords SEED bench COUNT   COUNT questions, as a benchmark file has them
 *
 * Record i depends on the seed and i only, so that a longer set begins with a shorter one. Words
 * are drawn as often as Zipf's law has it, a fifth of them in set phrases. One record in 20 is a
 * copy of an earlier one, one in 20 a copy with a few words changed, one in 200 holds
 * personal data, a refusal, words of a template or a question of the benchmark file. */
#include "buf.h"
#include "json_put.h"
#include "utf8.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 20000, PHRASES = 2000, DRAWS = 1 << 16, WORD = 24 };

static const char common[] =
    "the of and to a in is that for it as was with be by on not he i this are or his from at which "
    "but have an had they you were there one all we can her has there been if more when will would "
    "who so no out up into them then she many some these than other its only time two may first "
    "like very our over such use how make good new where most find here both between is a";
static const char *const particles[] = {"은",   "는", "이", "가", "을", "를", "에",
                                        "에서", "와", "과", "도", "로", "의", "하고"};
static const char *const pii[] = {"Write to joan.smith@mail-server.example.org for it.",
                                  "Call +1 (212) 555-0142 before noon.",
                                  "The card was 4111 1111 1111 1111 and it was charged.",
                                  "The host is at 93.184.216.34 on most days."};

struct maker {
    char word[2][VOCAB][WORD]; // Latin, Hangul
    uint16_t draw[DRAWS];      // words by Zipf's law
    uint16_t phrase[PHRASES][6];
    uint64_t seed, state;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static uint32_t below(struct maker *m, uint32_t n)
{
    m->state += 0x9E3779B97F4A7C15u;
    return (uint32_t)((mix(m->state) >> 32) * n >> 32);
}

static void make_word(struct maker *m, int script, char *out)
{
    static const char vowels[] = "aeiou", consonants[] = "bcdfghlmnprstvw";
    int syllables = 1 + (int)below(m, 3);
    size_t n = 0;

    for (int i = 0; i < syllables; i++)
        if (script) {
            n += (size_t)utf8_put(out + n, 0xAC00 + below(m, 11172));
        } else {
            out[n++] = consonants[below(m, sizeof(consonants) - 1)];
            out[n++] = vowels[below(m, 5)];
            if (below(m, 2))
                out[n++] = consonants[below(m, sizeof(consonants) - 1)];
        }
    out[n] = 0;
}

static void prepare(struct maker *m)
{
    double sum = 0, at = 0;
    const char *p = common;
    int k = 0;

    m->state = m->seed;
    for (int i = 0; i < VOCAB; i++) {
        size_t n = strcspn(p, " ");

        make_word(m, 0, m->word[0][i]);
        make_word(m, 1, m->word[1][i]);
        if (*p) {
            snprintf(m->word[0][i], WORD, "%.*s", (int)n, p);
            p += n + (p[n] == ' ');
        }
        sum += 1.0 / (i + 2.7);
    }
    for (int i = 0; i < VOCAB; i++)
        for (at += 1.0 / (i + 2.7); k < DRAWS && k < at / sum * DRAWS; k++)
            m->draw[k] = (uint16_t)i;
    while (k < DRAWS)
        m->draw[k++] = VOCAB - 1;
    for (int i = 0; i < PHRASES; i++)
        for (int j = 0; j < 6; j++)
            m->phrase[i][j] = m->draw[below(m, DRAWS)];
}

static void put_word(struct maker *m, struct buf *b, int script, int w, bool first)
{
    char c = *m->word[script][w];
    size_t at = b->n;

    buf_str(b, m->word[script][w]);
    if (first && c >= 'a' && c <= 'z')
        b->p[at] = (char)(c - 32);
    if (script && !below(m, 2))
        buf_str(b, particles[below(m, sizeof(particles) / sizeof(*particles))]);
}

/* A sentence; returns its words. */
static int sentence(struct maker *m, struct buf *b, int script)
{
    int n = 6 + (int)below(m, 18), k = 0;

    while (k < n) {
        bool phrase = !below(m, 20);
        const uint16_t *w = m->phrase[below(m, PHRASES)];
        int len = phrase ? 3 + (int)below(m, 4) : 1;

        for (int i = 0; i < len; i++, k++) {
            if (k)
                buf_str(b, !below(m, 16) ? ", " : " ");
            put_word(m, b, script, phrase ? w[i] : m->draw[below(m, DRAWS)], !k);
        }
        if (!below(m, 40))
            buf_fmt(b, " %u", below(m, 3000));
    }
    buf_str(b, below(m, 12) ? "." : below(m, 2) ? "?" : "!");
    return k;
}

static void prose(struct maker *m, struct buf *b, int script, int words)
{
    for (int n = 0, k = 0; n < words; k++) {
        if (k)
            buf_str(b, below(m, 5) ? " " : "\n\n");
        n += sentence(m, b, script);
    }
}

static void list(struct maker *m, struct buf *b, int words)
{
    int n = sentence(m, b, 0);

    for (int k = 1; n < words; k++) {
        buf_fmt(b, "\n%d. \"", k);
        put_word(m, b, 0, m->draw[below(m, DRAWS)], true);
        buf_str(b, "\": ");
        n += 1 + sentence(m, b, 0);
    }
}

static void code(struct maker *m, struct buf *b, int words)
{
    prose(m, b, 0, words / 2);
    buf_str(b, "\n\n```python\n");
    for (int n = 0; n < words / 2; n += 6) {
        const char *x = m->word[0][m->draw[below(m, DRAWS)]];

        buf_fmt(b, "def %s_%u(%s, n=%u):\n    return [%s[i] * %u for i in range(n)]\n", x,
                below(m, 1000), x, below(m, 100), x, below(m, 9));
    }
    buf_str(b, "```\n");
    sentence(m, b, 0);
}

static void seed_for(struct maker *m, uint64_t what, uint64_t i)
{
    m->state = mix(m->seed ^ mix(what)) + mix(i);
}

static void question(struct maker *m, struct buf *b, uint64_t i)
{
    seed_for(m, 1, i);
    sentence(m, b, 0);
}

/* Something that a rule is there for, at the end of the answer. */
static void fault(struct maker *m, struct buf *b, uint64_t i)
{
    switch (i / 50 % 4) {
    case 0:
        buf_fmt(b, " %s", pii[below(m, 4)]);
        break;
    case 1:
        buf_reset(b);
        buf_str(b, "I'm sorry, but as an AI language model I cannot help with that.");
        break;
    case 2:
        buf_str(b, " #Rewritten Prompt#: the end.");
        break;
    default:
        buf_char(b, ' ');
        question(m, b, i % 1000);
    }
}

/* The texts of record i. */
static void texts(struct maker *m, uint64_t i, uint32_t words, struct buf *q, struct buf *a)
{
    uint64_t source = i;
    uint32_t kind, n;

    seed_for(m, 2, i);
    if (i && i % 20 < 2) // a copy
        source = i - 1 - below(m, i < 100000 ? (uint32_t)i : 100000);
    while (source % 20 < 2 && source)
        source--;
    seed_for(m, 3, source);
    buf_reset(q);
    buf_reset(a);
    kind = below(m, 20);
    n = words / 3 + below(m, words + words / 3);
    sentence(m, q, kind < 2);
    if (kind < 2)
        prose(m, a, 1, (int)n);
    else if (kind == 2)
        code(m, a, (int)n);
    else if (kind < 6)
        list(m, a, (int)n);
    else
        prose(m, a, 0, (int)n);
    seed_for(m, 4, i);
    if (i && i % 20 == 1 && source != i) { // with other words at its end
        buf_char(a, ' ');
        put_word(m, a, 0, m->draw[below(m, DRAWS)], true);
        buf_str(a, " was it.");
    }
    if (i % 50 == 49)
        fault(m, a, i);
}

static void record(struct maker *m, uint64_t i, uint32_t words, struct buf *q, struct buf *a,
                   struct buf *out)
{
    texts(m, i, words, q, a);
    seed_for(m, 5, i);
    buf_reset(out);
    buf_fmt(out, "{\"id\":\"%016llx%016llx\",\"instruction\":", (unsigned long long)mix(i),
            (unsigned long long)mix(m->state));
    json_put_str(out, q->p, q->n);
    buf_str(out, ",\"output\":");
    json_put_str(out, a->p, a->n);
    if (words >= 50)
        buf_fmt(out, ",\"args\":\"{\\\"k\\\":%u,\\\"x\\\":[%u,0.5,null]}\"", below(m, 100),
                below(m, 100));
    buf_fmt(out, ",\"score\":%.4f,\"meta\":{\"source\":\"evol\",\"round\":%u}}\n",
            below(m, 10000) / 1e4, below(m, 4));
}

int main(int argc, char **argv)
{
    static struct maker m;
    struct buf q = {0}, a = {0}, out = {0};

    if (argc != 4) {
        fprintf(stderr, "usage: mkrecords SEED COUNT WORDS | SEED bench COUNT\n");
        return 2;
    }
    m.seed = strtoull(argv[1], NULL, 10);
    prepare(&m);
    if (!strcmp(argv[2], "bench")) {
        for (uint64_t i = 0; i < strtoull(argv[3], NULL, 10); i++) {
            buf_reset(&q);
            buf_reset(&out);
            question(&m, &q, i);
            buf_str(&out, "{\"question\":");
            json_put_str(&out, q.p, q.n);
            buf_str(&out, "}\n");
            fwrite(out.p, 1, out.n, stdout);
        }
    } else {
        uint64_t n = strtoull(argv[2], NULL, 10);
        uint32_t words = (uint32_t)strtoul(argv[3], NULL, 10);

        for (uint64_t i = 0; i < n; i++) {
            record(&m, i, words, &q, &a, &out);
            fwrite(out.p, 1, out.n, stdout);
        }
    }
    buf_free(&q);
    buf_free(&a);
    buf_free(&out);
    return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
