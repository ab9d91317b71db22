/* opt_test.c - option tables: every form of writing an option, every error, -h, mdoc, JSON. */
#include "opt.h"
#include "test.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const colours[] = {"auto", "red", "green", NULL};

/* What a command has, with a table over it. */
struct some {
    bool quiet, unordered;
    int n, colour;
    float temp;
    uint64_t seed, size;
    const char *output;
    struct opt_list stop;
};
#define TABLE(s)                                                                             \
    {                                                                                        \
        OPT_HEAD("First"), OPT_FLAG('q', "quiet", &(s).quiet, "say less"),                   \
            OPT_FLAG('u', "unordered", &(s).unordered, "any order"),                         \
            OPT_INT('n', "number", &(s).n, "n", -5, 100, "how many"),                        \
            OPT_FLOAT('t', "temp", &(s).temp, "x", 0, 2, "how hot"), OPT_HEAD("Second"),     \
            OPT_U64(0, "seed", &(s).seed, "n", "where noise begins"),                        \
            OPT_SIZE(0, "size", &(s).size, "bytes", "how large"),                            \
            OPT_STR('o', "output", &(s).output, "file", "where to"),                         \
            OPT_LIST(0, "stop", &(s).stop, "text", "ends it"),                               \
            OPT_ENUM('c', "colour", &(s).colour, colours, "name", "of the light"), OPT_END() \
    }

static struct err err;

/* Parse words separated by blanks into a fresh struct; operands stay in argv. */
static int parse(struct some *s, const char *words, char *argv[32])
{
    static char copy[512];
    int argc = 1;

    free(s->stop.v);
    *s = (struct some){.n = 7, .temp = 0.5f};
    err = (struct err){0};
    argv[0] = copy;
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
        argv[argc++] = p;
    {
        const struct opt tab[] = TABLE(*s);

        return opt_parse(tab, argc, argv, &err);
    }
}

static bool refused(const char *words, const char *message)
{
    struct some s = {0};
    char *argv[32];
    bool ok = parse(&s, words, argv) == -1 && err.code == ERR_ARG && !strcmp(err.msg, message);

    if (!ok)
        printf("# %s: %s\n", words, err.msg);
    free(s.stop.v);
    return ok;
}

static void test_forms(void)
{
    struct some s = {0};
    char *a[32];

    TEST("opt: short, long, joined and apart; flags together; anywhere");
    CHECK(parse(&s, "", a) == 0 && s.n == 7 && s.temp == 0.5f && !s.quiet && !s.output);
    CHECK(parse(&s, "in -n 3 -t1.5 --seed=18446744073709551615 in2 --output out -qu", a) == 2);
    CHECK(s.n == 3 && s.temp == 1.5f && s.seed == UINT64_MAX && s.quiet && s.unordered);
    CHECK(!strcmp(s.output, "out") && !strcmp(a[0], "in") && !strcmp(a[1], "in2"));
    CHECK(parse(&s, "--number=-5 -", a) == 1 && s.n == -5 && !strcmp(a[0], "-"));
    CHECK(parse(&s, "-n -5", a) == 0 && s.n == -5);
    CHECK(parse(&s, "-n-5", a) == 0 && s.n == -5);
    CHECK(parse(&s, "-qun 9 -o-", a) == 0 && s.quiet && s.unordered && s.n == 9);
    CHECK(!strcmp(s.output, "-"));
    CHECK(parse(&s, "-q -- -n --x", a) == 2 && s.quiet && s.n == 7 && !strcmp(a[0], "-n") &&
          !strcmp(a[1], "--x"));
    CHECK(parse(&s, "--output= --seed 0x10", a) == 0 && !*s.output && s.seed == 16);
    CHECK(parse(&s, "-n 1 -n 2", a) == 0 && s.n == 2);
    CHECK(parse(&s, "--stop a --stop=b --stop -c", a) == 0 && s.stop.n == 3);
    CHECK(!strcmp(s.stop.v[0], "a") && !strcmp(s.stop.v[1], "b") && !strcmp(s.stop.v[2], "-c"));
    CHECK(parse(&s, "-c green", a) == 0 && s.colour == 2);
    CHECK(parse(&s, "--size 12345", a) == 0 && s.size == 12345);
    CHECK(parse(&s, "--size 3K", a) == 0 && s.size == 3072);
    CHECK(parse(&s, "--size=1.5G", a) == 0 && s.size == 3ull << 29);
    CHECK(parse(&s, "--size 2T", a) == 0 && s.size == 2ull << 40);
    CHECK(parse(&s, "-t 1e-45 -n 1e1", a) == 0 && s.temp < 1e-30f && s.n == 10);
    free(s.stop.v);
}

static void test_errors(void)
{
    static const char *const bad[] = {"",  "-1",  "1.5", "1X",    "1KB",
                                      "K", "nan", "inf", "1e10G", NULL};

    TEST("opt: what is wrong is named");
    CHECK(refused("--bogus", "unknown option '--bogus'"));
    CHECK(refused("-x", "unknown option '-x'"));
    CHECK(refused("-qx", "unknown option '-qx'"));
    CHECK(refused("--quie", "unknown option '--quie'")); // no abbreviations
    CHECK(refused("--first", "unknown option '--first'"));
    CHECK(refused("--First", "unknown option '--First'"));
    CHECK(refused("--quiet=1", "--quiet takes no value"));
    CHECK(refused("-n", "--number needs <n>"));
    CHECK(refused("--output", "--output needs <file>"));
    CHECK(refused("-n 101", "--number: '101' is not a number in -5..100"));
    CHECK(refused("-n -6", "--number: '-6' is not a number in -5..100"));
    CHECK(refused("-n 1.5", "--number: '1.5' is not an integer"));
    CHECK(refused("-n 3x", "--number: '3x' is not a number in -5..100"));
    CHECK(refused("--number=", "--number: '' is not a number in -5..100"));
    CHECK(refused("-t nan", "--temp: 'nan' is not a number in 0..2"));
    CHECK(refused("-t inf", "--temp: 'inf' is not a number in 0..2"));
    CHECK(refused("-t -0.1", "--temp: '-0.1' is not a number in 0..2"));
    CHECK(refused("-t 1e300", "--temp: '1e300' is not a number in 0..2"));
    CHECK(refused("--seed -1", "--seed: '-1' is not an integer in 0..2^64-1"));
    CHECK(refused("--seed 18446744073709551616",
                  "--seed: '18446744073709551616' is not an integer in 0..2^64-1"));
    CHECK(refused("--seed 1.0", "--seed: '1.0' is not an integer in 0..2^64-1"));
    for (const char *const *p = bad; *p; p++) {
        char words[40], message[80];

        snprintf(words, sizeof(words), "--size=%s", *p);
        snprintf(message, sizeof(message), "--size: '%s' is not a size such as 512M or 1.5G", *p);
        CHECK(refused(words, message));
    }
    CHECK(refused("-c blue", "--colour: unknown value 'blue' (one of auto, red, green)"));
}

/* The same table, with two options that are nothing without others. */
static int needing(struct some *s, bool *seed, const char *words)
{
    const struct opt own[] = TABLE(*s), more[] = {OPT_NEED("temp", "unordered|number"),
                                                  OPT_NEED("size", "quiet|colour=green"),
                                                  OPT_BARS("quiet", "stop|output"),
                                                  OPT_GIVEN("seed", seed), OPT_END()};
    struct opt tab[sizeof(own) / sizeof(*own) + sizeof(more) / sizeof(*more)];
    size_t n = sizeof(own) / sizeof(*own) - 1;
    char copy[100], *argv[32] = {copy};
    int argc = 1;

    memcpy(tab, own, sizeof(own));
    memcpy(tab + n, more, sizeof(more));
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
        argv[argc++] = p;
    err = (struct err){0};
    return opt_parse(tab, argc, argv, &err);
}

static void test_needs(void)
{
    struct some s = {.n = 7, .temp = 0.5f};
    bool seed = true;

    TEST("opt: an option that has no effect without another needs it");
    CHECK(needing(&s, &seed, "-c green in") == 1 && !seed);
    CHECK(needing(&s, &seed, "-t 1") == -1 && err.code == ERR_ARG);
    CHECK(!strcmp(err.msg, "--temp needs --unordered or --number"));
    CHECK(needing(&s, &seed, "-t 0.5") == -1); // its value changes nothing in that
    CHECK(needing(&s, &seed, "-ut 1") == 0);
    CHECK(needing(&s, &seed, "-t 1 --number=7 --seed 0") == 0 && seed);
    s.colour = 0;
    CHECK(needing(&s, &seed, "--size 1 -c red") == -1);
    CHECK(!strcmp(err.msg, "--size needs --quiet or --colour green"));
    CHECK(needing(&s, &seed, "--size 1 -c green") == 0);
    CHECK(needing(&s, &seed, "--size 1") == 0); // it has that value, whoever gave it
    s.colour = 0;
    CHECK(needing(&s, &seed, "--size 1") == -1 && needing(&s, &seed, "-q --size 1") == 0);
}

static void test_bars(void)
{
    struct some s = {.n = 7};
    bool seed;

    TEST("opt: an option that has no effect with another is refused with it");
    CHECK(needing(&s, &seed, "-q -o x") == -1 && err.code == ERR_ARG);
    CHECK(!strcmp(err.msg, "--output has no effect with --quiet"));
    CHECK(needing(&s, &seed, "--stop x -q") == -1);
    CHECK(!strcmp(err.msg, "--stop has no effect with --quiet"));
    CHECK(needing(&s, &seed, "--stop x -o y") == 0 && needing(&s, &seed, "-q -n 3") == 0);
    free(s.stop.v);
}

/* What a writer prints, as a string; caller frees. */
static char *printed(void (*f)(const struct opt *, FILE *), const struct opt *tab)
{
    char *p = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&p, &n);

    f(tab, out);
    fclose(out);
    return p;
}

static void test_writers(void)
{
    struct some s = {
        .n = 7, .temp = 0.5f, .seed = 3, .size = 3 << 19, .output = "x y", .colour = 1};
    const struct opt tab[] = TABLE(s);
    const char *stops[] = {"a\"", "b"};
    static const char *const skip[] = {"output", "quiet", NULL};
    struct buf b = {0};
    char *p;

    TEST("opt_help: every option, with the value of its field now");
    p = printed(opt_help, tab);
    CHECK(!strcmp(p, "\nFirst:\n"
                     "  -q, --quiet                    say less\n"
                     "  -u, --unordered                any order\n"
                     "  -n, --number <n>               how many [7]\n"
                     "  -t, --temp <x>                 how hot [0.5]\n"
                     "\nSecond:\n"
                     "      --seed <n>                 where noise begins [3]\n"
                     "      --size <bytes>             how large [1.5M]\n"
                     "  -o, --output <file>            where to [x y]\n"
                     "      --stop <text>              ends it\n"
                     "  -c, --colour <name>            of the light [red]\n"));
    free(p);
    s.n = 8;
    p = printed(opt_help, tab);
    CHECK(strstr(p, "how many [8]"));
    free(p);

    TEST("opt_mdoc: the same as items");
    p = printed(opt_mdoc, tab);
    CHECK(strstr(p, ".Ss First\n.Bl -tag -width Ds\n.It Fl q , Fl -quiet\nsay less.\n") == p);
    CHECK(strstr(p, ".It Fl n , Fl -number Ar n\nhow many [8].\n"));
    CHECK(strstr(p, ".El\n.Ss Second\n.Bl -tag -width Ds\n.It Fl -seed Ar n\n"));
    CHECK(!strcmp(p + strlen(p) - 4, ".El\n"));
    free(p);

    TEST("opt_json: long names and values, without those to be left out");
    s.stop.v = stops;
    s.stop.n = 2;
    opt_json(tab, skip, &b);
    CHECK(!strcmp(b.p, "{\"unordered\":\"\",\"number\":\"8\",\"temp\":\"0.5\",\"seed\":\"3\","
                       "\"size\":\"1.5M\","
                       "\"stop\":[\"a\\\"\",\"b\"],\"colour\":\"red\"}"));
    buf_reset(&b);
    s.unordered = true;
    opt_json(tab, NULL, &b);
    CHECK(strstr(b.p, "\"unordered\":\"true\"") && strstr(b.p, "\"output\":\"x y\""));
    buf_free(&b);
}

int main(void)
{
    test_forms();
    test_errors();
    test_needs();
    test_bars();
    test_writers();
    return test_end();
}
