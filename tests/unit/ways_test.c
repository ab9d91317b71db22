/* ways_test.c - operators out of a prompt file, draws by weight, each rule of elimination,
 * on instructions and on responses. */
#include "conf.h"
#include "test.h"
#include "ways.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char yaml[] = "user: 'Rewrite ({{operator}}): {{task}}'\n"
                           "temp: 0.5\n"
                           "operators:\n"
                           "  one: first\n"
                           "  two: {method: second, weight: 3}\n"
                           "  three: {user: 'Other {{task}}', weight: 0}\n"
                           "equal: {user: '{{first}} = {{second}}'}\n"
                           "leaks: [given prompt]\n"
                           "refusals: [sorry]\n"
                           "stopwords: [the, a, it's]\n";

/* With operators on responses, and phrases of an operator's own. */
static const char both[] =
    "user: x\n"
    "temp: 0.5\n"
    "operators:\n"
    "  one: {method: first, leaks: [magic word]}\n"
    "  better: {method: second, of: response}\n"
    "  other: {of: response, user: 'Say {{output}}', weight: 2, leaks: [oh]}\n"
    "response: {user: 'Improve {{output}}', temp: 0.25, stop: [X]}\n"
    "answer: {user: '{{instruction}}'}\n"
    "refusals: [sorry, as an AI]\n"
    "stopwords: [the, a, is, it]\n";

/* The recipe of a text, through a file. */
static int open_given(struct recipe *r, const char *text, const struct cli_sample *given,
                      struct err *e)
{
    char path[] = "/tmp/ways_testXXXXXX.yaml";
    int fd = mkstemps(path, 5), rc;
    FILE *f = fdopen(fd, "w");

    fputs(text, f);
    fclose(f);
    rc = recipe_open(r, path, "evol", ways_keys, given, &cli_sample_default, e);
    unlink(path);
    return rc;
}

static int open_text(struct recipe *r, const char *text, struct err *e)
{
    return open_given(r, text, &cli_sample_unset, e);
}

/* The error of opening a text with a list, "" for none. */
static const char *problem(const char *text, const char *list)
{
    static struct err e;
    struct ways w = {.min_words = 3, .max_words = 20};
    struct recipe r = {0};
    int rc = open_text(&r, text, &e) || ways_open(&w, &r, list, false, &cli_sample_unset, &e);

    ways_close(&w);
    recipe_close(&r);
    return rc ? e.msg : "";
}

/* The temperature that holds, and the tokens, when the command line gives t (-1: nothing). */
static bool sampling(float t, float want, int tokens)
{
    struct cli_sample given = cli_sample_unset;
    struct recipe r = {0};
    struct err e;
    bool same;

    given.temp = t;
    same = !open_given(&r, yaml, &given, &e) && r.sample.temp == want &&
           r.sample.max_tokens == tokens && r.sample.top_p == 1;
    recipe_close(&r);
    return same;
}

static const char *rule(const struct ways *w, const char *now, const char *next, bool cut)
{
    struct tasks_task a = {0}, b = {0};
    struct buf value = {0}, limit = {0};
    enum ways_rule got;

    tasks_take(&a, now, strlen(now));
    tasks_take(&b, next, strlen(next));
    got = ways_broken(w, &w->way[0], &a, &b, cut, &value, &limit);
    tasks_free(&a);
    tasks_free(&b);
    buf_free(&value);
    buf_free(&limit);
    return got == WAYS_NONE ? "" : ways_rule_names[got];
}

/* The same of a response. */
static const char *response_rule(const struct ways *w, int op, const char *now, const char *next)
{
    struct tasks_task a = {0}, b = {0};
    struct buf value = {0}, limit = {0};
    enum ways_rule got;

    buf_str(&a.output, now);
    buf_str(&b.output, next);
    got = ways_broken(w, &w->way[op], &a, &b, false, &value, &limit);
    tasks_free(&a);
    tasks_free(&b);
    buf_free(&value);
    buf_free(&limit);
    return got == WAYS_NONE ? "" : ways_rule_names[got];
}

static const char *answer(const struct ways *w, const char *s)
{
    struct buf value = {0};
    enum ways_rule got = ways_answer(w, s, strlen(s), &value);

    buf_free(&value);
    return got == WAYS_NONE ? "" : ways_rule_names[got];
}

static void test_answers(const struct ways *w)
{
    struct buf b = {0};

    TEST("answers that show that an instruction failed");
    CHECK(!strcmp(answer(w, "Sorry, I can not do that."), "sorry"));
    CHECK(!strcmp(answer(w, "She said that she was SORRY."), "sorry"));
    CHECK(!strcmp(answer(w, "A sorrowful answer."), ""));
    CHECK(!strcmp(answer(w, "The a."), "stopwords") && !strcmp(answer(w, "... ?!"), "stopwords"));
    CHECK(!strcmp(answer(w, ""), "stopwords") && !strcmp(answer(w, "the 5"), ""));
    for (int i = 0; i < 78; i++)
        buf_str(&b, "word ");
    buf_str(&b, "sorry");
    CHECK(!strcmp(answer(w, b.p), "sorry")); // 79 words
    buf_str(&b, " all");
    CHECK(!strcmp(answer(w, b.p), "")); // 80
    buf_free(&b);
}

static void test_responses(void)
{
    struct ways w = {.min_words = 3, .max_words = 20};
    struct cli_sample given = cli_sample_unset;
    struct recipe r;
    struct err e;

    TEST("operators of responses, and words of an operator's own");
    CHECK(!open_text(&r, both, &e) && !ways_open(&w, &r, NULL, false, &given, &e));
    CHECK(w.total == 1 && w.has_answer && !w.asks_equal);
    CHECK(!strcmp(rule(&w, "Say it now", "Say the magic word now", false), "leak"));
    CHECK(!strcmp(rule(&w, "Say the magic word", "Say the magic word now", false), ""));
    ways_close(&w);
    given.temp = 1.5f;
    w = (struct ways){.min_words = 3, .max_words = 20};
    CHECK(!ways_open(&w, &r, NULL, true, &given, &e) && w.total == 3);
    CHECK(!strcmp(w.way[1].prompt.user, "Improve {{output}}") && w.response.sample.temp == 1.5f);
    CHECK(!strcmp(w.way[2].prompt.user, "Say {{output}}") && w.way[2].prompt.n_stop == 1);
    CHECK(!strcmp(response_rule(&w, 1, "It is blue.", "It is blue, like the sea."), ""));
    CHECK(!strcmp(response_rule(&w, 1, "It is blue.", "it is BLUE"), "unchanged"));
    CHECK(!strcmp(response_rule(&w, 1, "It is blue.", ""), "empty"));
    CHECK(!strcmp(response_rule(&w, 1, "It is blue.", "Oh, it is blue."), ""));
    CHECK(!strcmp(response_rule(&w, 2, "It is blue.", "Oh, it is blue."), "leak"));
    CHECK(!strcmp(response_rule(&w, 1, "It is blue.", "As an AI I see no blue."), "sorry"));
    CHECK(!strcmp(response_rule(&w, 1, "It is blue.", "It is the."), "stopwords"));
    ways_close(&w);
    CHECK(ways_open(&w, &r, "one", true, &given, &e) && strstr(e.msg, "not one of better, other"));
    ways_close(&w);
    recipe_close(&r);
}

static void test_rules(const struct ways *w)
{
    const char *now = "Name the first item.\nInput: a b";
    struct buf sorry = {0};

    TEST("what is refused");
    CHECK(!strcmp(rule(w, now, "Name the first item. Then say it twice.\nInput: a b", false), ""));
    CHECK(!strcmp(rule(w, now, "Name the first item of", true), "truncated"));
    CHECK(!strcmp(rule(w, now, " \n ", false), "empty"));
    CHECK(!strcmp(rule(w, now, "\nInput: a b", false), "empty"));
    CHECK(!strcmp(rule(w, now, "name the FIRST item\nInput: a, b.", false), "unchanged"));
    CHECK(!strcmp(rule(w, now, "Name the first item.\nInput: a b c", false), ""));
    CHECK(!strcmp(rule(w, now, "#Given Prompt#: Name the first one.", false), "leak"));
    CHECK(!strcmp(rule(w, "Quote the given prompt.", "Quote the given prompt twice.", false), ""));
    CHECK(!strcmp(rule(w, now, "Sorry, I can not do that.", false), "refusal"));
    CHECK(!strcmp(rule(w, "Say sorry to Ann.", "Say sorry to Ann and Ben.", false), ""));
    CHECK(!strcmp(rule(w, now, "Name the first item. Then say sorry.", false), "")); // no response
    CHECK(!strcmp(rule(w, "Sorry is what?", "Sorry is what in French?", false), ""));
    CHECK(!strcmp(rule(w, now, "Name it.", false), "short"));
    for (int i = 0; i < 21; i++)
        buf_str(&sorry, "word ");
    CHECK(!strcmp(rule(w, now, sorry.p, false), "long"));
    for (int i = 0; i < 60; i++)
        buf_str(&sorry, "sorry ");
    CHECK(!strcmp(rule(w, now, sorry.p, false), "long"));
    buf_free(&sorry);
}

int main(void)
{
    struct rng rng = rng_stream(3, 1, 2);
    struct ways w = {.min_words = 3, .max_words = 20};
    struct recipe r;
    int n[3] = {0};
    struct err e;

    TEST("operators of a file");
    CHECK(!open_text(&r, yaml, &e) && !ways_open(&w, &r, NULL, false, &cli_sample_unset, &e));
    CHECK(w.n == 3 && w.total == 4 && w.asks_equal);
    CHECK(!strcmp(w.way[0].method, "first") && !strcmp(w.way[1].method, "second"));
    CHECK(!strcmp(w.way[2].prompt.user, "Other {{task}}") && w.way[0].prompt.user == r.prompt.user);
    CHECK(r.sample.temp == 0.5f && r.sample.max_tokens == 256);
    TEST("draws by weight");
    for (uint64_t i = 0; i < 4000; i++)
        n[ways_draw(&w, &rng, i)]++;
    CHECK(n[0] > 890 && n[0] < 1110 && n[2] == 0);
    CHECK(ways_draw(&w, &rng, 17) == ways_draw(&w, &rng, 17));
    test_rules(&w);
    test_answers(&w);
    ways_close(&w);
    recipe_close(&r);

    test_responses();

    TEST("sampling: the command line, then the file, then the command's own");
    CHECK(sampling(-1, 0.5f, 256));
    CHECK(sampling(0, 0, 256));
    CHECK(sampling(1.5f, 1.5f, 256));

    TEST("lists on the command line");
    CHECK(!strcmp(problem(yaml, "three:2,one"), ""));
    CHECK(strstr(problem(yaml, "four"), "'four' is not one of one, two, three"));
    CHECK(strstr(problem(yaml, "one:x"), "weight of 'one'"));
    CHECK(strstr(problem(yaml, "one:0"), "above 0"));
    TEST("bad files");
    CHECK(strstr(problem("user: x\n", NULL), "no operator"));
    CHECK(strstr(problem("user: x\noperators: {a: b}\nfoo: 1\n", NULL), "foo"));
    CHECK(strstr(problem("user: x\noperators: {a: {b: c}}\n", NULL), "'b'"));
    CHECK(strstr(problem("user: x\noperators: {a: b}\nequal: {}\n", NULL), "user"));
    CHECK(strstr(problem("user: x\noperators: {a: b}\ntemp: hot\n", NULL), "temp"));
    CHECK(strstr(problem("user: x\noperators: {a: b}\nleaks: word\n", NULL), "leaks"));
    CHECK(strstr(problem("operators: {a: b}\n", NULL), "user"));
    CHECK(strstr(problem("user: x\noperators: {a: {of: x}}\n", NULL), "'of' is not"));
    CHECK(strstr(problem("user: x\noperators: {a: {of: response}}\n", NULL), "'response'"));
    CHECK(strstr(problem("user: x\noperators: {a: {of: response, user: y}}\n", NULL),
                 "no operator of instructions"));
    return test_end();
}
