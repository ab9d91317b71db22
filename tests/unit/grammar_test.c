/* grammar_test.c - masks against trying every token, texts, limits, forgetting. */
#include "file.h"
#include "gbnf.h"
#include "grammar.h"
#include "hash.h"
#include "json.h"
#include "mem.h"
#include "regex.h"
#include "rng.h"
#include "schema.h"
#include "test.h"
#include "tokload.h"

#include <stdlib.h>
#include <string.h>

static struct tok *tok; // of the embedded model

static struct grammar *gbnf(const char *text)
{
    struct cfg c;
    struct err e;
    struct grammar *g = NULL;

    if (!gbnf_read(&c, text, strlen(text), &e)) {
        g = grammar_new(&c, tok, tok_size(tok), &e);
        cfg_free(&c);
    }
    if (!g)
        printf("# %s\n", e.msg);
    return g;
}

/* 'y': the text matches; 'p': it is the beginning of one that does; 'n': neither. */
static char verdict(struct grammar *g, const char *s)
{
    struct grammar_state st = {0};
    char v;

    grammar_enter(g, &st, false);
    v = grammar_bytes(&st, s, strlen(s)) < strlen(s) ? 'n' : grammar_can_end(&st) ? 'y' : 'p';
    grammar_leave(&st);
    return v;
}

/* Texts, each behind the verdict that it must get. */
static bool judges(const char *grammar, const char *const *text)
{
    struct grammar *g = gbnf(grammar);
    bool right = g != NULL;

    for (; g && *text; text++)
        if (verdict(g, *text + 1) != **text) {
            printf("# %s: '%s' gets %c\n", grammar, *text, verdict(g, *text + 1));
            right = false;
        }
    grammar_free(g);
    return right;
}

#define TEXTS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static bool refuses(const char *grammar, const char *why)
{
    struct cfg c;
    struct err e = {0};
    struct grammar *g = NULL;

    if (!gbnf_read(&c, grammar, strlen(grammar), &e)) {
        g = grammar_new(&c, tok, tok_size(tok), &e);
        cfg_free(&c);
    }
    if (!g && strstr(e.msg, why))
        return true;
    printf("# '%.60s': %s\n", grammar, g ? "taken" : e.msg);
    grammar_free(g);
    return false;
}

/* Does the mask allow exactly the tokens that can be accepted? One step of a walk: the token
 * taken is `pick`-th of the allowed ones; false when they differ. */
static bool agrees(struct grammar_state *s, uint64_t pick, int32_t *taken)
{
    struct err e;
    const uint64_t *mask = grammar_mask(s, &e);
    size_t words = ((size_t)tok_size(tok) + 63) / 64;
    uint64_t *m = mem_zero(words, sizeof(*m));
    int n = 0;

    *taken = -1;
    if (mask)
        memcpy(m, mask, words * sizeof(*m));
    for (int32_t id = 0; id < tok_size(tok); id++) {
        struct grammar_state t = {0};
        bool can, has = m[id / 64] >> id % 64 & 1;

        grammar_fork(&t, s);
        can = grammar_accept(&t, id) == 0;
        grammar_leave(&t);
        if (can != has) {
            printf("# token %d '%s': mask %d, accept %d\n", id, tok_piece(tok, id, NULL), has, can);
            free(m);
            return false;
        }
        n += has;
    }
    for (int32_t id = 0, k = n ? (int)(pick % (uint64_t)n) : -1; id < tok_size(tok) && k >= 0; id++)
        if (m[id / 64] >> id % 64 & 1 && !k--)
            *taken = id;
    free(m);
    return true;
}

static bool walks(struct grammar *g, bool first, uint64_t seed, int steps)
{
    struct grammar_state s = {0};
    struct rng r = rng_stream(seed, 1, 2);
    bool right = true;

    grammar_enter(g, &s, first);
    for (int i = 0; i < steps && right; i++) {
        uint32_t bits[4];
        int32_t id;

        rng_quad(&r, (uint64_t)i, 0, bits);
        right = agrees(&s, bits[0], &id);
        if (id < 0 || tok_is_end(tok, id))
            break;
        right = right && grammar_accept(&s, id) == 0;
    }
    grammar_leave(&s);
    return right;
}

static const char json[] =
    "root ::= object\n"
    "value ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" "
    "[0-9a-fA-F]{4}))* \"\\\"\" ws\n"
    "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] "
    "[1-9]{0,15})? ws\n"
    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";

static void test_gbnf(void)
{
    TEST("GBNF: what is read");
    CHECK(judges("root ::= \"a\" | \"bc\" # x\n", TEXTS("ya", "ybc", "pb", "p", "nab", "nc")));
    CHECK(judges("# c\n\nroot ::= x+ y?\nx ::=\n  [a-c]\ny ::= \"!\"",
                 TEXTS("yabc!", "ya", "p", "n!", "nab!!")));
    CHECK(judges("root ::= (\"a\" |\n \"b\"\n)* \"\\n\"", TEXTS("y\n", "yab\n", "pab", "na\n\n")));
    CHECK(judges("root ::= \"a\"\n | \"b\"\n", TEXTS("ya", "yb", "nab")));
    CHECK(judges("root ::= [^a\\]\\\\-] . [\\x41\\u00e9-\\u00ea\\U0001F600]",
                 TEXTS("ybxA", "y\xE2\x82\xAC.\xC3\xA9", "ybb\xF0\x9F\x98\x80", "na", "n]", "n\\",
                       "n-", "nbb\xC3\xAB", "pb\xF0\x9F", "nb\xED\xA0", "nb\xC0", "nb\xF5",
                       "nb\x80")));
    CHECK(judges("root ::= \"a\"{2} \"b\"{2,} \"c\"{1,3} \"d\"{0}",
                 TEXTS("yaabbc", "yaabbbbbbccc", "naabbcccc", "naaa", "nab", "paabb", "naabbcd")));
    CHECK(judges("root ::= \"\" | \"x\" root | ()", TEXTS("y", "yx", "yxxx", "ny")));
    CHECK(judges("root ::= a-b c_d\na-b::=\"1\"\nc_d ::= \"2\"", TEXTS("y12", "p1", "n2")));
    CHECK(judges("root ::= [a-] [-a] [+--]", TEXTS("y--,", "ya--", "na-z")));

    TEST("GBNF: what is refused");
    CHECK(refuses("", "no rule 'root'"));
    CHECK(refuses("a ::= \"b\"", "no rule 'root'"));
    CHECK(refuses("root ::= \"a\"\nb ::= nix\n", "line 2: rule 'nix' is not defined"));
    CHECK(refuses("root ::= \"a\"\nroot ::= \"b\"", "line 2: a rule is defined a second time"));
    CHECK(refuses("root ::= \"a", "closing quote"));
    CHECK(refuses("root ::= [a", "closing bracket"));
    CHECK(refuses("root ::= (\"a\"", "expected ')'"));
    CHECK(refuses("root ::= \"a\" )", "expected the end of the line"));
    CHECK(refuses("root ::= [z-a]", "ends before it begins"));
    CHECK(refuses("root ::= \"a\"{5,2}", "fewer times"));
    CHECK(refuses("root ::= \"a\"{", "expected a number"));
    CHECK(refuses("root ::= \"a\"{99999999999}", "2^30"));
    CHECK(refuses("root ::= *", "expected the end of the line"));
    CHECK(refuses("root ::= \"\\q\"", "unknown escape"));
    CHECK(refuses("root ::= \"\\x4\"", "hexadecimal"));
    CHECK(refuses("root ::= \"\\uD800\"", "no character"));
    CHECK(refuses("root ::= <think>", "tokens in a grammar"));
    CHECK(refuses("root = \"a\"", "expected '::='"));
    CHECK(refuses("root ::= \"a\" root", "no text matches"));
    CHECK(refuses("root ::= []", "no text matches"));
    CHECK(refuses("root ::= \"\xFF\"", "invalid UTF-8"));
}

static void test_texts(void)
{
    TEST("grammar: texts of JSON, arithmetic and ambiguous grammars");
    CHECK(judges(json, TEXTS("y{}", "y{\"a\":[1, -2.5e3,\"\\u00e9\\n\"]}", "p{\"a\":tr", "n{,",
                             "n{\"a\":01", "y{\"a\" :1}", "n{ \"a\"  :1}",
                             "p{\"\xC3\xA9\":{\"b\":[[[[]]]", "n{}}")));
    CHECK(
        judges("root ::= e\ne ::= e \"+\" t | t\nt ::= t \"*\" f | f\nf ::= \"(\" e \")\" | [0-9]+",
               TEXTS("y1+2*(3+4)*5", "p(1", "n1)", "p1+", "y((((1))))", "n()")));
    CHECK(judges("root ::= root root | \"a\" | \"\"", TEXTS("y", "yaaaaaaaaaa", "nb")));
    CHECK(judges("root ::= a | \"x\"\na ::= b \"y\"\nb ::= a | root | \"\"",
                 TEXTS("yx", "yxyyyy", "yy", "nyx")));
    CHECK(judges("root ::= s\ns ::= \"a\" s \"a\" | \"b\" s \"b\" | \"\"", // even palindromes
                 TEXTS("yabba", "yaaaaaa", "pab", "y", "yabaaba", "pabb")));
    CHECK(judges("root ::= (\"a\" | \"aa\"){3,5} \"b\"",
                 TEXTS("yaaab", "yaaaaaaaaaab", "naaaaaaaaaaa", "naab", "paa")));
    CHECK(judges("root ::= (\"a\"? \"b\"?){7,9}",
                 TEXTS("y", "yababababababababab", "yaaaaaaaaa", "naaaaaaaaaa", "nc")));
    CHECK(judges("root ::= (x{5,6} \";\"){6,7}\nx ::= \"ab\" | \"c\"",
                 TEXTS("yccccc;cccccc;ababababab;ccccc;ccccc;ccccc;", "nccccccc", "ncccc;",
                       "pccccc;ccccc;ccccc;ccccc;ccccc;")));
}

static const char *const walked[] = {
    json,
    "root ::= [a-z ]{1,7} \"!\" root?",
    "root ::= ([a-z] | \" \" [a-z]){5,9} [.?] (\" \" .{6,})?",
    "root ::= (\"a\" | \"th\" | \"the\" | [t ]){5,20} \"x\"*",
    "root ::= root root | \"list\" | \"the \" | [a-f]",
    "root ::= e\ne ::= e \" and \" t | t\nt ::= \"fox\" | \"plum\" | \"(\" e \")\"",
    "root ::= line{2,3}\nline ::= [^\\n]{0,12} \"\\n\"",
    "root ::= w (\" \" w)* \".\"\nw ::= [a-zA-Z]+ | [0-9]{1,3} | \"\\u00e9\"+",
    "root ::= .*",
    "root ::= s\ns ::= \"a\" s \"a\" | \" the\" s \" the\" | \"\"",
    "root ::= ((\"e\" | \"er\"){5,8} | [a-r]{6,10} | \"s\"){5,7} \"-\"",
};

static void test_masks(void)
{
    TEST("grammar: a mask allows just the tokens that can be accepted");
    for (size_t i = 0; i < sizeof(walked) / sizeof(*walked); i++) {
        struct grammar *g = gbnf(walked[i]);

        for (uint64_t seed = 0; g && seed < 8; seed++) {
            bool right = walks(g, seed % 2, seed, 24);

            CHECK(right);
            if (!right)
                printf("# in %s\n", walked[i]);
        }
        grammar_free(g);
    }
}

/* ---- what other implementations say (tests/goldens/grammar.py) ---- */

static int class_put(struct cfg *c, const struct cfg_range *range, int n)
{
    return cfg_class(c, range, n);
}

/* The grammar of a line of the goldens. */
static int golden_read(const struct json *j, struct arena *a, struct cfg *c, struct err *e)
{
    int at = json_get(j, 0, "gbnf"), pattern = json_get(j, 0, "pattern"), x;
    size_t n;
    const char *s;

    *c = (struct cfg){0};
    if (at >= 0) {
        s = json_str(j, at, a, &n);
        return gbnf_read(c, s, n, e);
    }
    if (pattern < 0) {
        s = json_raw(j, json_get(j, 0, "schema"), &n);
        return schema_read(c, s, n, e);
    }
    s = json_str(j, pattern, a, &n);
    if (regex_read(c, s, n, class_put, &x, e)) {
        cfg_free(c);
        return -1;
    }
    c->root = cfg_rule(c);
    cfg_define(c, c->root, x);
    return 0;
}

static void check_golden(const char *line, size_t n)
{
    struct arena a = {0};
    struct json j;
    struct err e = {0};
    struct cfg c;
    struct grammar *g = NULL;
    int texts;

    if (!json_parse(&j, &a, line, n, &e) && !golden_read(&j, &a, &c, &e)) {
        g = grammar_new(&c, tok, tok_size(tok), &e);
        cfg_free(&c);
    }
    CHECK(g != NULL);
    if (!g)
        printf("# %.200s: %s\n", line, e.msg);
    texts = g ? json_get(&j, 0, "texts") : -1;
    for (uint32_t k = (uint32_t)texts + 1; texts >= 0 && k < j.node[texts].next;
         k = j.node[k].next) {
        const char *s = json_str(&j, (int)k + 1, &a, NULL),
                   *want = json_str(&j, (int)k + 2, &a, NULL);
        char got = verdict(g, s);
        bool partial = json_get(&j, 0, "gbnf") >= 0; // the others are judged whole only

        CHECK(partial ? got == *want : (got == 'y') == (*want == 'y'));
        if (partial ? got != *want : (got == 'y') != (*want == 'y'))
            printf("# %.200s: '%s' gets %c, not %s\n", line, s, got, want);
    }
    grammar_free(g);
    arena_free(&a);
}

static void test_goldens(void)
{
    struct err e;
    size_t n = 0;
    char *text = file_text("tests/data/grammar.jsonl", 1 << 20, &n, &e);
    int lines = 0;

    TEST("grammar, regex, schema: verdicts of regex, regress and jsonschema");
    for (char *s = text, *end; s && (end = strchr(s, '\n')); s = end + 1, lines++)
        check_golden(s, (size_t)(end - s));
    CHECK(lines > 100);
    free(text);
}

/* A walk of random allowed tokens: a hash of all masks and tokens, to compare runs by. */
static struct hash128 trace(struct grammar *g, uint64_t seed, int steps)
{
    struct grammar_state s = {0};
    struct rng r = rng_stream(seed, 3, 4);
    struct hash128 h = {0};
    size_t words = ((size_t)tok_size(tok) + 63) / 64;
    struct err e;

    grammar_enter(g, &s, false);
    for (int i = 0; i < steps; i++) {
        const uint64_t *mask = grammar_mask(&s, &e);
        uint32_t bits[4];
        int32_t id = -1;

        if (!mask)
            break;
        h = hash_add(h, mask, words * sizeof(*mask));
        rng_quad(&r, (uint64_t)i, 0, bits);
        for (int k = 0; k < tok_size(tok) && id < 0; k++) {
            int32_t at = (int32_t)((bits[0] + (uint32_t)k) % (uint32_t)tok_size(tok));

            id = mask[at / 64] >> at % 64 & 1 ? at : -1;
        }
        if (tok_is_end(tok, id) || grammar_accept(&s, id))
            break;
        h = hash_add(h, &id, sizeof(id));
    }
    grammar_leave(&s);
    return h;
}

static void test_forgetting(void)
{
    TEST("grammar: what is forgotten changes nothing, and memory stays bounded");
    for (size_t i = 0; i < sizeof(walked) / sizeof(*walked); i++) {
        struct grammar *a = gbnf(walked[i]), *b = gbnf(walked[i]), *c = gbnf(walked[i]);
        struct grammar_state other = {0};

        grammar_limit(b, 1); // at every token
        grammar_limit(c, 100000);
        grammar_enter(b, &other, false); // one more that must be kept
        for (uint64_t seed = 0; seed < 4; seed++) {
            struct hash128 x = trace(a, seed, 300), y = trace(b, seed, 300),
                           z = trace(c, seed, 300);

            CHECK(x.lo == y.lo && x.hi == y.hi);
            CHECK(x.lo == z.lo && x.hi == z.hi);
        }
        CHECK(grammar_counts(b).forgotten > 0);
        grammar_leave(&other);
        grammar_free(a);
        grammar_free(b);
        grammar_free(c);
    }
}

/* Each of these would take forever, or all memory, if it were followed parse by parse. The bound
 * is on what is remembered; that the test ends is the other half. */
static void test_hostile(void)
{
    static const char *const hostile[] = {
        "root ::= root root root | [a-z ] | \"\"",
        "root ::= (\"a\" | \"aa\" | [a-z] | [ a-z] [ a-z] [ a-z]){1,1000000} \"!\"",
        "root ::= ((((((([a-z]?)*)*)*)*)*)*)*",
        "root ::= [a-z ] root [a-z ] | \"\"",
        "root ::= a\na ::= b a \"x\" | \"y\"\nb ::= \"\" | \"z\" | a",
        "root ::= ((\"a\" | \"b\"){1000} | \"c\"{5,}){1000}",
        "root ::= [a-z ]* \"a\" [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] "
        "[a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] [a-z ] \"!\"",
    };
    struct buf b = {0};
    struct grammar *g;

    TEST("grammar: hostile grammars end, in bounded memory");
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
        g = gbnf(hostile[i]);
        CHECK(g != NULL);
        if (g)
            trace(g, 1, 400);
        CHECK(g && grammar_counts(g).bytes < (size_t)4 * GRAMMAR_BYTES);
        grammar_free(g);
    }
    CHECK(judges("root ::= \"a\"{1,1000000} \"b\"", TEXTS("yab", "paaa", "nb")));
    buf_str(&b, "root ::= ");
    for (int i = 0; i < 60000; i++)
        buf_char(&b, '(');
    CHECK(refuses(b.p, "nested too deeply"));
    buf_reset(&b);
    buf_str(&b, "root ::= ");
    for (int i = 0; i < 60000; i++)
        buf_str(&b, ".? ");
    CHECK(refuses(b.p, "too large"));
    buf_reset(&b);
    for (int i = 0; i < 5000; i++)
        buf_fmt(&b, "%s%.0d ::= r%d\n", i ? "r" : "root", i, i + 1);
    buf_str(&b, "r5000 ::= \"x\" | r1 \"y\"");
    CHECK(judges(b.p, TEXTS("yxyyy", "ny")));
    buf_free(&b);
}

int main(void)
{
    struct err e;

    tok = tokload_path("examples/models/tiny.gguf", &e);
    if (!tok) {
        printf("# %s\n", e.msg);
        return 1;
    }
    test_gbnf();
    test_texts();
    test_masks();
    test_goldens();
    test_forgetting();
    test_hostile();
    tok_close(tok);
    return test_end();
}
