/* norm_test.c - normalizers, pre-tokenizers and their expressions. */
#include "arena.h"
#include "charsmap.h"
#include "mem.h"
#include "norm.h"
#include "pattern.h"
#include "split.h"
#include "test.h"
#include "unorm.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Does the chain make `want` of s? */
static bool makes(const char *chain, const char *s, const char *want)
{
    struct arena a = {0};
    struct json j;
    struct err e = {0};
    struct norm_work w = {0};
    struct buf b = {0};
    struct norm *x = NULL;
    bool good = json_parse(&j, &a, chain, strlen(chain), &e) == 0 && (x = norm_new(&j, 0, &e)) &&
                norm_apply(x, &w, s, strlen(s), &b, &e) == 0 && !strcmp(buf_cstr(&b), want);

    if (!good)
        printf("# '%s' %s\n", buf_cstr(&b), e.msg);
    norm_free(x);
    norm_done(&w);
    buf_free(&b);
    arena_free(&a);
    return good;
}

static void forms(void)
{
    TEST("norm: NFC, NFD, NFKC, NFKD");
    CHECK(makes("{\"type\":\"NFC\"}", "ae\u0301o\u0323\u0302 \u1112\u1161\u11AB",
                "a\u00E9\u1ED9 \uD55C"));
    CHECK(makes("{\"type\":\"NFD\"}", "a\u00E9\u1ED9 \uD55C",
                "ae\u0301o\u0323\u0302 \u1112\u1161\u11AB"));
    CHECK(makes("{\"type\":\"NFD\"}", "a\u0302\u0323", "a\u0323\u0302")); // marks in their order
    CHECK(makes("{\"type\":\"NFKC\"}", "\uFB01 \u2167 \uFF11\uFF12 \u00BD", "fi VIII 12 1\u20442"));
    CHECK(makes("{\"type\":\"NFKD\"}", "\u00E9\uFB01", "e\u0301fi"));
    CHECK(makes("{\"type\":\"NFC\"}", "plain", "plain"));
    CHECK(makes("{\"type\":\"NFC\"}", "", ""));
}

static void others(void)
{
    TEST("norm: the other steps, and sequences");
    CHECK(makes("{\"type\":\"Lowercase\"}", "ABC \u00C9\u0130\u03A3", "abc \u00E9i\u0307\u03C3"));
    CHECK(makes("{\"type\":\"StripAccents\"}", "e\u0301\u00E9", "e\u00E9"));
    CHECK(
        makes("{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false}", " \u3000a ", "a "));
    CHECK(makes("{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}", " \n ", ""));
    CHECK(makes("{\"type\":\"Nmt\"}",
                "a\x01"
                "b\u200Bc\td",
                "ab c d"));
    CHECK(makes("{\"type\":\"Prepend\",\"prepend\":\"_\"}", "a", "_a"));
    CHECK(makes("{\"type\":\"Prepend\",\"prepend\":\"_\"}", "", ""));
    CHECK(makes("{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"}",
                " a  b", "\u2581a\u2581\u2581b"));
    CHECK(makes("{\"type\":\"Replace\",\"pattern\":{\"String\":\"ab\"},\"content\":\"\"}",
                "xababaab", "xa"));
    CHECK(makes("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"x*\"},\"content\":\"-\"}", "axxbx",
                "-a-b-"));
    CHECK(makes("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}",
                "a   b c", "a b c"));
    CHECK(makes(
        "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":\"Lowercase\"},"
        "{\"type\":\"Prepend\",\"prepend\":\"<\"}]}",
        "\u2167", "<viii"));
    CHECK(makes("{\"type\":\"Spaces\",\"merge\":true,\"prefix\":true,\"suffix\":false}", "  a  b ",
                "\u2581a\u2581b"));
    CHECK(makes("{\"type\":\"Spaces\",\"merge\":false,\"prefix\":true,\"suffix\":false}", "a b",
                "\u2581a\u2581b"));
    CHECK(makes("null", "as it is", "as it is"));
}

static void bad_maps(void)
{
    static const char good[] = {8, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 'x', 0};
    struct charsmap m = {0};
    struct err e = {0};
    const char *to;
    size_t n;
    char bad[sizeof(good)];

    TEST("norm: a character map that leads outside itself is an error");
    CHECK(charsmap_init(&m, good, sizeof(good), &e) == 0);
    CHECK(charsmap_find(&m, "zz", 2, true, &to, &n, &e) == -1); // offset 1 ^ 'z' is beyond it
    charsmap_free(&m);
    CHECK(charsmap_init(&m, good, 7, &e) == -1);
    memcpy(bad, good, sizeof(good));
    bad[0] = 100;
    CHECK(charsmap_init(&m, bad, sizeof(bad), &e) == -1 && strstr(e.msg, "does not fit"));
    bad[0] = 7;
    CHECK(charsmap_init(&m, bad, sizeof(bad), &e) == -1);
    CHECK(charsmap_init(&m, good, sizeof(good) - 1, &e) == -1 && strstr(e.msg, "terminated"));
}

static void marks_fast(void)
{
    struct buf s = {0}, out = {0};
    int32_t *cp = NULL;
    size_t cap = 0;
    clock_t t;

    TEST("norm: a megabyte of marks is sorted in linear time");
    buf_str(&s, "a");
    for (int i = 0; i < 250000; i++)
        buf_str(&s, "\u0301\u0323");
    t = clock();
    unorm_form(s.p, s.n, UNORM_NFC, &cp, &cap, &out);
    CHECK((double)(clock() - t) / CLOCKS_PER_SEC < 5);
    CHECK(out.n == s.n); // a and one dot below compose, of three bytes as they were
    free(cp);
    buf_free(&s);
    buf_free(&out);
}

static int collect(void *arg, const char *s, size_t n, struct err *e)
{
    struct buf *b = arg;

    (void)e;
    if (b->n)
        buf_char(b, '|');
    buf_add(b, s, n);
    return 0;
}

/* Does the chain cut s into the words of `want`, which stand between bars? */
static bool cuts(const char *chain, const char *s, const char *want)
{
    struct arena a = {0};
    struct json j;
    struct err e = {0};
    struct split_work w = {0};
    struct buf b = {0};
    struct split *x = NULL;
    bool good = json_parse(&j, &a, chain, strlen(chain), &e) == 0 && (x = split_new(&j, 0, &e)) &&
                split_run(x, &w, s, strlen(s), true, collect, &b, &e) == 0 &&
                !strcmp(buf_cstr(&b), want);

    if (!good)
        printf("# '%s' %s\n", buf_cstr(&b), e.msg);
    split_free(x);
    split_done(&w);
    buf_free(&b);
    arena_free(&a);
    return good;
}

#define BY(what, behavior, invert)                                                                \
    "{\"type\":\"Split\",\"pattern\":{" what "},\"behavior\":\"" behavior "\",\"invert\":" invert \
    "}"
#define DASH(behavior, invert) BY("\"String\":\"-\"", behavior, invert)
#define RE(re)                 BY("\"Regex\":\"" re "\"", "Isolated", "false")

static void behaviors(void)
{
    TEST("split: what becomes of the text between");
    CHECK(cuts(DASH("Removed", "false"), "--a-b--c-", "a|b|c"));
    CHECK(cuts(DASH("Removed", "true"), "--a-b--c-", "-|-|-|-|-|-"));
    CHECK(cuts(DASH("Isolated", "false"), "--a-b--c-", "-|-|a|-|b|-|-|c|-"));
    CHECK(cuts(DASH("Contiguous", "false"), "--a-b--c-", "--|a|-|b|--|c|-"));
    CHECK(cuts(DASH("MergedWithPrevious", "false"), "--a-b--c-", "-|-|a-|b-|-|c-"));
    CHECK(cuts(DASH("MergedWithPrevious", "true"), "--a-b--c-", "-|-a|-b|-|-c|-"));
    CHECK(cuts(DASH("MergedWithNext", "false"), "--a-b--c-", "-|-a|-b|-|-c|-"));
    CHECK(cuts(DASH("MergedWithNext", "true"), "--a-b--c-", "-|-|a-|b-|-|c-"));
}

static void dialect(void)
{
    TEST("split: expressions mean what they mean in Oniguruma");
    CHECK(cuts(RE("\\\\s+$"), "a \n\n b\n\n", "a| \n|\n b|\n\n"));
    CHECK(cuts(RE("^b"), "a\nb", "a\n|b"));
    CHECK(cuts(RE("\\\\p{N}{1,3}+"), "1234567a12", "1234567|a|12"));
    CHECK(cuts(RE("(?:x[ab]){2,3}+y"), "xaxbxaxby", "xaxbxaxby"));
    CHECK(cuts(RE("\\\\p{N}++"), "1234567a12", "1234567|a|12"));
    CHECK(cuts(RE("\\\\s"), "a\u180Eb\xC2\x85\u200Bd", "a\u180Eb|\xC2\x85|\u200Bd"));
    CHECK(cuts(RE(" ?[^(\\\\s|[.,!?])]+"), "Hello, wor(ld) a|b.", "Hello|,| wor|(|ld|)| a|||b|."));
    CHECK(cuts(RE("\\\\h+"), "xyzabc09", "xyz|abc09"));
    CHECK(cuts(RE("(?=(\\\\d{3})+(?!\\\\d))"), "a1234567b", "a1|234|567b"));
    CHECK(cuts(RE("(?i:'s|'t)"), "a'S't", "a|'S|'t"));
    CHECK(cuts(RE("\\\\d{1,3}(?=(?:\\\\d{3})*\\\\b)"), "1234567 12", "1|234|567| |12"));
    CHECK(cuts(RE("[\\\\u0041]"), "xAy", "x|A|y"));
    CHECK(cuts(RE("\\\\p{N}{2}?x"), "12x3x", "12x|3|x"));
    CHECK(cuts(RE("ba{,2}"), "abaaab", "a|baa|a|b"));
    CHECK(cuts(RE("(?m:b.)"), "ab\nc", "a|b\n|c"));
    CHECK(cuts(RE("\\\\v"), "a\vb\nc", "a|\v|b\nc"));
    CHECK(cuts(RE("\\\\u00e9"), "a\u00E9b", "a|\u00E9|b"));
}

/* What is a word, a letter, a sign, a script, as the dialect sees them. */
static void characters(void)
{
    TEST("split: sets of characters hold what they hold in Oniguruma");
    CHECK(cuts(RE("\\\\bb"), "a\u0301b b", "a\u0301b |b"));
    CHECK(cuts(RE("\\\\Bb"), "a\u0301b b", "a\u0301|b| b"));
    CHECK(cuts(RE("\\\\w+"), "-x\u00B2-", "-|x\u00B2|-"));
    CHECK(cuts(RE("[\\\\w]+"), "-x\u00B2-", "-|x|\u00B2-"));
    CHECK(cuts(RE("[^\\\\S\\\\n]+"), "a \u180E\n", "a| |\u180E\n"));
    CHECK(cuts(RE("[^\\\\W\\\\d_]+"), "1a\u0301_b", "1|a\u0301|_|b"));
    CHECK(cuts(RE("[\\\\Wx]+"), "ax\u0301-+xb", "a|x|\u0301|-+x|b"));
    CHECK(cuts(RE("[^\\\\W]+"), "-a\n", "-|a|\n"));
    CHECK(cuts(RE("[[:alpha:]]+"), "a\u24C0\u0345-", "a\u24C0\u0345|-"));
    CHECK(cuts(RE("[[:^alpha:]]+"), "a-\u24C0", "a|-|\u24C0"));
    CHECK(cuts(RE("[[:punct:]]+"), "a\u00D7$b", "a|\u00D7$|b"));
    CHECK(cuts(RE("[[:upper:]]"), "a\u2160b", "a|\u2160|b"));
    CHECK(cuts(RE("\\\\p{Han}+"), "\u4E00\u3001\u4E00", "\u4E00|\u3001|\u4E00"));
    CHECK(cuts(RE("\\\\p{^Han}+"), "\u4E00\u3001\u4E00", "\u4E00|\u3001|\u4E00"));
    CHECK(cuts(RE("\\\\p{Lu}"), "aBc", "a|B|c"));
}

static void steps(void)
{
    TEST("split: the other steps");
    CHECK(cuts("{\"type\":\"ByteLevel\",\"add_prefix_space\":false}", "Hi  there, it's 3",
               "Hi| | there|,| it|'s| 3"));
    CHECK(cuts("{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", "Hi", " Hi"));
    CHECK(cuts("{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"always\"}",
               "a  b", "\u2581a|\u2581|\u2581b"));
    CHECK(cuts("{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":false}", "a b",
               "a|_b"));
    CHECK(cuts(
        "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"always\",\"split\":"
        "false}",
        "a b", "_a_b"));
    CHECK(cuts("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},{\"type\":"
               "\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"first\"}]}",
               "a b", "_a|b"));
    CHECK(cuts("{\"type\":\"Digits\",\"individual_digits\":true}", "a12b", "a|1|2|b"));
    CHECK(cuts("{\"type\":\"Digits\",\"individual_digits\":false}", "a12\u00BDb", "a|12\u00BD|b"));
    CHECK(cuts("{\"type\":\"Punctuation\"}", "a$b!!c\u3002", "a|$|b|!|!|c|\u3002"));
    CHECK(cuts("{\"type\":\"Whitespace\"}", "Hey, a_b \u00E9\u200D!", "Hey|,|a_b|\u00E9\u200D|!"));
    CHECK(cuts("{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"x\"}", "axxb", "a|b"));
    CHECK(cuts("null", "a b", "a b"));
}

static void limits(void)
{
    static const char slow[] = "(a+)+$";
    struct pattern_work w = {0};
    struct err e = {0};
    struct pattern *p = pattern_new(slow, strlen(slow), &e);
    char *big = mem_zero(PATTERN_MAX + 2, 1);
    size_t from, to;

    TEST("pattern: what would hang or cannot be is an error");
    CHECK(p && pattern_find(p, &w, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 40, 0, &from, &to,
                            &e) == -1);
    CHECK(e.code == ERR_DATA);
    pattern_free(p);
    memset(big, 'a', PATTERN_MAX + 1);
    CHECK(!pattern_new(big, PATTERN_MAX + 1, &e) && strstr(e.msg, "unsupported pattern"));
    memset(big, '(', 60000);
    CHECK(!pattern_new(big, 60000, &e));
    memset(big, '[', 60000);
    CHECK(!pattern_new(big, 60000, &e));
    CHECK(!pattern_new("[a&&b]", 6, &e) && !pattern_new("[a[^b]]", 7, &e));
    CHECK(!pattern_new("\\", 1, &e) && !pattern_new("a{2}+)", 6, &e));
    CHECK(!pattern_new("\\Qa\\E", 5, &e) && !pattern_new("[[:graph:]]", 11, &e));
    CHECK(!pattern_new("\\pL", 3, &e) && !pattern_new("\\p{L", 4, &e));
    memcpy(big + PATTERN_MAX - 1, "\\p{", 3); // up to the last byte of the memory
    CHECK(!pattern_new(big + PATTERN_MAX - 1, 3, &e));
    CHECK(!pattern_new("\\xC3\\xA9", 8, &e) && !pattern_new("[[:", 3, &e));
    p = pattern_new("\\C", 2, &e);
    CHECK(!p);
    pattern_free(p);
    pattern_done(&w);
    free(big);
}

int main(void)
{
    forms();
    others();
    bad_maps();
    marks_fast();
    behaviors();
    dialect();
    characters();
    steps();
    limits();
    return test_end();
}
