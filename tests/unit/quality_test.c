/* quality_test.c - the rules of Gopher, C4 and FineWeb, against datatrove's decisions. */
#include "json.h"
#include "quality.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A text of the golden file, put together from its pieces. */
static void build(const char *const *piece, const struct json *j, struct buf *text)
{
    int p = json_get(j, 0, "p");

    buf_reset(text);
    for (uint32_t k = (uint32_t)p + 1; k < j->node[p].next; k = j->node[k].next) {
        int64_t i;

        CHECK(!json_int(j, (int)k, &i));
        buf_str(text, piece[i]);
    }
}

/* Rules broken by the text, as bits in the order of the file, which is that of enum quality_id. */
static int64_t broken(struct quality *q, struct look *t, const struct buf *text)
{
    int64_t bits = 0;

    look_text(t, text->p, text->n);
    quality_text(q, t);
    for (int i = QUALITY_N - 1; i >= 0; i--) { // any order of asking
        const struct quality_rule *r = &quality_rules[i];
        double limit = i == QUALITY_MAX_WORDS ? 100 : r->limit, v;
        bool keeps = quality_beyond(q, &(struct quality_limit){i, limit}, 1);

        v = quality_value(q, i);
        if (r->least ? v < limit : v > limit)
            bits |= (int64_t)1 << i;
        CHECK(keeps == !(bits >> i & 1));
        CHECK(quality_beyond(q, &(struct quality_limit){i, v}, 1)); // its own value never is
    }
    return bits;
}

/* Is each measure that is a bit less than its value beyond it, and no other, where nothing was
 * asked before? */
static void alone(struct quality *q, struct look *t, const struct buf *text)
{
    for (int i = 0; i < QUALITY_N; i++) {
        double v, other;

        quality_text(q, t);
        v = quality_value(q, i);
        other = quality_rules[i].least ? nextafter(v, INFINITY) : nextafter(v, -INFINITY);
        quality_text(q, t);
        CHECK(quality_beyond(q, &(struct quality_limit){i, v}, 1));
        quality_text(q, t);
        CHECK(!quality_beyond(q, &(struct quality_limit){i, other}, 1) || isnan(v) ||
              (i == QUALITY_STOP_WORDS && v >= 8));
    }
    CHECK(text->n == t->n);
}

static void goldens(void)
{
    FILE *f = fopen("tests/data/quality.jsonl", "r");
    const char *piece[256];
    struct quality *q = quality_open();
    struct arena mem = {0}, one = {0};
    struct buf text = {0};
    struct look t = {0};
    struct json head, j;
    char *line = NULL;
    size_t cap = 0, n = 0;
    ssize_t len = 0;
    int texts = 0, bad = 0;
    struct err e;

    CHECK(f && (len = getline(&line, &cap, f)) > 0);
    CHECK(!json_parse(&head, &mem, arena_dup(&mem, line, (size_t)len), (size_t)len, &e));
    int at = json_get(&head, 0, "pieces");
    for (uint32_t k = (uint32_t)at + 1; k < head.node[at].next && n < 256; k = head.node[k].next)
        piece[n++] = json_str(&head, (int)k, &mem, NULL);
    at = json_get(&head, 0, "rules");
    for (uint32_t i = 0; i < QUALITY_N; i++)
        CHECK(json_str_is(&head, json_at(&head, at, i), quality_rules[i].name));
    while ((len = getline(&line, &cap, f)) > 0) {
        int64_t want, got;

        CHECK(!json_parse(&j, &one, line, (size_t)len, &e));
        build(piece, &j, &text);
        CHECK(!json_int(&j, json_get(&j, 0, "b"), &want));
        got = broken(q, &t, &text);
        alone(q, &t, &text);
        for (int i = 0; i < QUALITY_N && got != want; i++)
            if ((got ^ want) >> i & 1)
                printf("# text %d: %s is %g, datatrove %s it\n", texts, quality_rules[i].name,
                       quality_value(q, i), want >> i & 1 ? "drops" : "keeps");
        bad += got != want;
        texts++;
        arena_reset(&one);
    }
    CHECK(texts == 500 && !bad);
    free(line);
    fclose(f);
    arena_free(&mem);
    arena_free(&one);
    buf_free(&text);
    look_free(&t);
    quality_close(q);
}

static double value_of(struct quality *q, const char *s, size_t n, enum quality_id id)
{
    struct look t = {0};
    double v;

    look_text(&t, s, n);
    quality_text(q, &t);
    v = quality_value(q, id);
    look_free(&t);
    return v;
}

static double value(struct quality *q, const char *s, enum quality_id id)
{
    return value_of(q, s, strlen(s), id);
}

int main(void)
{
    struct quality *q = quality_open();

    TEST("values by hand");
    CHECK(value(q, "The fox, \"so\" ... he said.", QUALITY_MIN_WORDS) == 5);
    CHECK(value(q, "one two one two", QUALITY_TOP_2_GRAM) == 14.0 / 15);
    CHECK(value(q, "a b c d e a b c d e", QUALITY_DUP_5_GRAMS) == 5.0 / 19);
    CHECK(value(q, "a\nb\na\n", QUALITY_DUP_LINES) == 0.25); // the empty end is a line
    CHECK(value(q, "\nb\n", QUALITY_DUP_LINES) == 1.0 / 3);
    CHECK(value(q, "x\r\n- y\r\n• z", QUALITY_BULLETS) == 2.0 / 3);
    CHECK(value(q, "끝났다。\nb\n", QUALITY_LINE_ENDS) == 0.5);
    CHECK(value(q, "ok ៙\nᭀ᭽\n𑇅\nb 𑂾", QUALITY_LINE_ENDS) == 1);
    CHECK(value(q, "ok ៙ ⹓ 𑂾 𑇅 a", QUALITY_MIN_WORDS) == 2); // the rest ends sentences
    CHECK(value(q, "He is Dr. No, they said. Is he?", QUALITY_C4_SENTENCES) == 3);
    TEST("a text without anything");
    for (int i = 0; i < QUALITY_N; i++) {
        bool mean = i == QUALITY_MIN_MEAN || i == QUALITY_MAX_MEAN;

        CHECK(mean ? isnan(value(q, "", i)) : value(q, "", i) == 0);
        CHECK(mean || (isfinite(value(q, " \n\n", i)) && isfinite(value(q, ".", i))));
    }
    TEST("NUL characters");
    CHECK(value_of(q, "One two\0 three. Four\0", 22, QUALITY_C4_SENTENCES) ==
          0); // the line ends in one
    CHECK(value_of(q, "One two\0 three. Four five.", 27 - 1, QUALITY_C4_SENTENCES) == 2);
    TEST("500 texts as datatrove decides");
    goldens();
    quality_close(q);
    return test_end();
}
