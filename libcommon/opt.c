/* opt.c - command-line options as one table per command. */
#include "opt.h"

#include "json.h"
#include "mem.h"
#include "say.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN = 33, WIDTH = 80 }; // of -h: where texts begin, and lines end

static bool is_option(const struct opt *o)
{
    return o->type >= OPT_T_FLAG;
}

static const struct opt *find(const struct opt *tab, char key, const char *name, size_t len)
{
    for (const struct opt *o = tab; o->type != OPT_T_END; o++) {
        if (!is_option(o))
            continue;
        if (key ? o->key == key : strlen(o->name) == len && !memcmp(o->name, name, len))
            return o;
    }
    return NULL;
}

static int set_number(const struct opt *o, const char *s, struct err *e)
{
    char *end;
    double v;

    errno = 0;
    v = strtod(s, &end);
    if (end == s || *end || (errno && fabs(v) > 1) || !(v >= o->min && v <= o->max))
        return err_set(e, ERR_ARG, "--%s: '%s' is not a number in %.10g..%.10g", o->name, s, o->min,
                       o->max);
    if (o->type == OPT_T_INT && v != (int)v)
        return err_set(e, ERR_ARG, "--%s: '%s' is not an integer", o->name, s);
    if (o->type == OPT_T_INT)
        *(int *)o->dst = (int)v;
    else
        *(float *)o->dst = (float)v;
    return 0;
}

static int set_u64(const struct opt *o, const char *s, struct err *e)
{
    char *end;

    errno = 0;
    *(uint64_t *)o->dst = strtoull(s, &end, 0);
    if (end == s || *end || errno || *s < '0' || *s > '9')
        return err_set(e, ERR_ARG, "--%s: '%s' is not an integer in 0..2^64-1", o->name, s);
    return 0;
}

static int set_size(const struct opt *o, const char *s, struct err *e)
{
    static const char units[] = "KMGT";
    const char *unit = NULL;
    char *end;
    double v = *s >= '0' && *s <= '9' ? strtod(s, &end) : -1;

    if (v >= 0 && *end && (unit = strchr(units, *end)))
        v = ldexp(v, 10 * (int)(unit - units + 1));
    if (!(v >= 0 && v < 0x1p62) || (unit ? end[1] : *end) || (!unit && v != floor(v)))
        return err_set(e, ERR_ARG, "--%s: '%s' is not a size such as 512M or 1.5G", o->name, s);
    *(uint64_t *)o->dst = (uint64_t)v;
    return 0;
}

static int set_choice(const struct opt *o, const char *s, struct err *e)
{
    struct buf all = {0};

    for (int i = 0; o->choices[i]; i++) {
        if (!strcmp(o->choices[i], s)) {
            *(int *)o->dst = i;
            buf_free(&all);
            return 0;
        }
        buf_fmt(&all, "%s%s", i ? ", " : "", o->choices[i]);
    }
    err_set(e, ERR_ARG, "--%s: unknown value '%s' (one of %s)", o->name, s, buf_cstr(&all));
    buf_free(&all);
    return -1;
}

static void add_value(struct opt_list *l, const char *s)
{
    l->v = mem_resize(l->v, (size_t)l->n + 1, sizeof(*l->v));
    l->v[l->n++] = s;
}

static int set(const struct opt *o, const char *s, struct err *e)
{
    switch (o->type) {
    case OPT_T_FLAG:
        *(bool *)o->dst = true;
        return 0;
    case OPT_T_STR:
        *(const char **)o->dst = s;
        return 0;
    case OPT_T_LIST:
        add_value(o->dst, s);
        return 0;
    case OPT_T_ENUM:
        return set_choice(o, s, e);
    case OPT_T_U64:
        return set_u64(o, s, e);
    case OPT_T_SIZE:
        return set_size(o, s, e);
    default:
        return set_number(o, s, e);
    }
}

/* One argument that starts with '-'; *i moves on when the value is the next one. */
static int parse_one(const struct opt *tab, bool *given, int argc, char **argv, int *i,
                     struct err *e)
{
    char *a = argv[*i], *val = NULL;
    const struct opt *o;

    if (a[1] == '-') {
        val = strchr(a, '=');
        o = find(tab, 0, a + 2, val ? (size_t)(val - a - 2) : strlen(a + 2));
        val = val ? val + 1 : NULL;
    } else {
        while ((o = find(tab, a[1], NULL, 0)) && o->type == OPT_T_FLAG && a[2]) {
            set(o, NULL, e);
            given[o - tab] = true;
            a++;
        }
        val = a[2] ? a + 2 : NULL;
    }
    if (!o)
        return err_set(e, ERR_ARG, "unknown option '%s'", argv[*i]);
    if (o->type == OPT_T_FLAG && val)
        return err_set(e, ERR_ARG, "--%s takes no value", o->name);
    if (o->type != OPT_T_FLAG && !val) {
        if (*i + 1 >= argc)
            return err_set(e, ERR_ARG, "--%s needs <%s>", o->name, o->arg);
        val = argv[++*i];
    }
    given[o - tab] = true;
    return set(o, val, e);
}

static int parse_all(const struct opt *tab, bool *given, int argc, char **argv, struct err *e)
{
    int nop = 0;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--")) {
            while (++i < argc)
                argv[nop++] = argv[i];
            break;
        }
        if (argv[i][0] != '-' || !argv[i][1])
            argv[nop++] = argv[i];
        else if (parse_one(tab, given, argc, argv, &i, e))
            return -1;
    }
    return nop;
}

/* The value an option holds now, as people write it; empty when it holds none. */
static void value(const struct opt *o, struct buf *b)
{
    const struct opt_list *l = o->dst;

    switch (o->type) {
    case OPT_T_INT:
        if (*(int *)o->dst >= o->min) // below: not given, and no default of its own
            buf_fmt(b, "%d", *(int *)o->dst);
        break;
    case OPT_T_FLOAT:
        if ((double)*(float *)o->dst >= o->min)
            buf_fmt(b, "%g", (double)*(float *)o->dst);
        break;
    case OPT_T_U64:
        buf_fmt(b, "%llu", (unsigned long long)*(uint64_t *)o->dst);
        break;
    case OPT_T_SIZE:
        if (*(uint64_t *)o->dst) // 0: not given
            buf_fmt(b, "%.10gM", (double)*(uint64_t *)o->dst / (1 << 20));
        break;
    case OPT_T_ENUM:
        buf_str(b, o->choices[*(int *)o->dst]);
        break;
    case OPT_T_STR:
        if (*(const char **)o->dst)
            buf_str(b, *(const char **)o->dst);
        break;
    case OPT_T_LIST:
        for (int i = 0; i < l->n; i++)
            buf_fmt(b, "%s%s", i ? "," : "", l->v[i]);
        break;
    case OPT_T_FLAG:
        buf_str(b, *(bool *)o->dst ? "true" : "");
        break;
    default:
        break;
    }
}

/* Is one of the options that `o` names there, as it names it? They are added to `all`. */
static bool is_met(const struct opt *tab, const bool *given, const struct opt *o, struct buf *all)
{
    struct buf v = {0};
    bool met = false;

    for (const char *s = o->arg; *s && !met;) {
        size_t n = strcspn(s, "|"), k = strcspn(s, "=|");
        const struct opt *other = find(tab, 0, s, k);

        buf_fmt(all, "%s--%.*s", all->n ? " or " : "", (int)k, s);
        met = other && k == n && given[other - tab];
        if (other && k < n) {
            buf_fmt(all, " %.*s", (int)(n - k - 1), s + k + 1);
            buf_reset(&v);
            value(other, &v);
            met = v.n == n - k - 1 && !memcmp(buf_cstr(&v), s + k + 1, v.n);
        }
        s += n + (s[n] == '|');
    }
    buf_free(&v);
    return met;
}

/* None of the options that `o` names may be there. */
static int check_barred(const struct opt *tab, const bool *given, const struct opt *o,
                        struct err *e)
{
    for (const char *s = o->arg; *s;) {
        size_t n = strcspn(s, "|");
        const struct opt *other = find(tab, 0, s, n);

        assert(other);
        if (given[other - tab])
            return err_set(e, ERR_ARG, "--%s has no effect with --%s", other->name, o->name);
        s += n + (s[n] == '|');
    }
    return 0;
}

/* Rows that say what holds of an option. */
static int check_given(const struct opt *tab, const bool *given, struct err *e)
{
    struct buf all = {0};
    int rc = 0;

    for (const struct opt *o = tab; o->type != OPT_T_END && !rc; o++) {
        const struct opt *of = is_option(o) ? NULL : find(tab, 0, o->name, strlen(o->name));

        assert(of || o->type == OPT_T_HEAD || is_option(o)); // the rows speak of rows
        if (o->type == OPT_T_GIVEN)
            *(bool *)o->dst = given[of - tab];
        if (is_option(o) || o->type == OPT_T_HEAD || !given[of - tab])
            continue;
        buf_reset(&all);
        if (o->type == OPT_T_BARS)
            rc = check_barred(tab, given, o, e);
        if (o->type == OPT_T_NEED && !is_met(tab, given, o, &all))
            rc = err_set(e, ERR_ARG, "--%s needs %s", o->name, all.p);
    }
    buf_free(&all);
    return rc;
}

int opt_parse(const struct opt *tab, int argc, char **argv, struct err *e)
{
    size_t n = 0;
    bool *given;
    int nop;

    while (tab[n].type != OPT_T_END)
        n++;
    given = mem_zero(n + 1, sizeof(*given));
    nop = parse_all(tab, given, argc, argv, e);
    if (nop >= 0 && check_given(tab, given, e))
        nop = -1;
    free(given);
    return nop;
}

void opt_free(const struct opt *tab)
{
    for (const struct opt *o = tab; o->type != OPT_T_END; o++)
        if (o->type == OPT_T_LIST) {
            free(((struct opt_list *)o->dst)->v);
            *(struct opt_list *)o->dst = (struct opt_list){0};
        }
}

/* Words, of which the first stands at column `at`, on lines of WIDTH that begin at COLUMN. */
static void put_words(FILE *out, int at, const char *s)
{
    for (bool first = true; *s; first = false) {
        int n = (int)strcspn(s, " ");

        if (!first && at + 1 + n > WIDTH) {
            fprintf(out, "\n%*s", COLUMN, "");
            at = COLUMN;
        } else if (!first) {
            putc(' ', out);
            at++;
        }
        fwrite(s, 1, (size_t)n, out);
        at += n;
        s += n + (s[n] == ' ');
    }
    putc('\n', out);
}

void opt_help(const struct opt *tab, FILE *out)
{
    struct buf text = {0}, def = {0};

    for (const struct opt *o = tab; o->type != OPT_T_END; o++) {
        char left[64];

        if (o->type == OPT_T_HEAD) {
            fprintf(out, "\n%s:\n", o->name);
            continue;
        }
        if (!is_option(o))
            continue;
        snprintf(left, sizeof(left), "%c%c%c --%s%s%s%s", o->key ? '-' : ' ', o->key ? o->key : ' ',
                 o->key ? ',' : ' ', o->name, o->arg ? " <" : "", o->arg ? o->arg : "",
                 o->arg ? ">" : "");
        buf_reset(&def);
        value(o, &def);
        buf_reset(&text);
        buf_str(&text, o->help);
        if (def.n && o->type != OPT_T_FLAG)
            buf_fmt(&text, " [%s]", def.p);
        put_words(out, fprintf(out, "  %-*s ", COLUMN - 3, left), buf_cstr(&text));
    }
    buf_free(&text);
    buf_free(&def);
}

/* roff reads a backslash as the beginning of an escape. */
static void put_roff(const char *s, FILE *out)
{
    for (; *s; s++)
        fputs(*s == '\\' ? "\\e" : (char[]){*s, 0}, out);
}

void opt_mdoc(const struct opt *tab, FILE *out)
{
    struct buf def = {0};

    for (const struct opt *o = tab; o->type != OPT_T_END; o++) {
        if (o->type == OPT_T_HEAD) {
            fprintf(out, "%s.Ss %s\n.Bl -tag -width Ds\n", o == tab ? "" : ".El\n", o->name);
            continue;
        }
        if (!is_option(o))
            continue;
        fprintf(out, ".It ");
        if (o->key)
            fprintf(out, "Fl %c , ", o->key);
        fprintf(out, "Fl -%s%s%s\n", o->name, o->arg ? " Ar " : "", o->arg ? o->arg : "");
        put_roff(o->help, out);
        buf_reset(&def);
        value(o, &def);
        if (def.n && o->type != OPT_T_FLAG) {
            fputs(" [", out);
            put_roff(def.p, out);
            putc(']', out);
        }
        fprintf(out, ".\n");
    }
    fprintf(out, ".El\n");
    buf_free(&def);
}

static bool listed(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (!strcmp(*list, name))
            return true;
    return false;
}

static void put_list(const struct opt_list *l, struct buf *out)
{
    buf_char(out, '[');
    for (int i = 0; i < l->n; i++) {
        buf_str(out, i ? "," : "");
        say_json(out, l->v[i]);
    }
    buf_char(out, ']');
}

void opt_json(const struct opt *tab, const char *const *skip, struct buf *out)
{
    struct buf v = {0};

    buf_char(out, '{');
    for (const struct opt *o = tab; o->type != OPT_T_END; o++) {
        if (!is_option(o) || listed(skip, o->name))
            continue;
        json_put_key(out, o->name);
        if (o->type == OPT_T_LIST) {
            put_list(o->dst, out);
            continue;
        }
        buf_reset(&v);
        value(o, &v);
        say_json(out, buf_cstr(&v));
    }
    buf_char(out, '}');
    buf_free(&v);
}
