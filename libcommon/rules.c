/* rules.c - the rules that llm-filter drops records by. */
#include "rules.h"

#include "conf.h"
#include "json_put.h"
#include "mem.h"
#include "near.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum arg { ARG_FLAG, ARG_INT, ARG_NUM, ARG_TEXT, ARG_LIST };

struct kind {
    const char *name;
    enum arg arg;
    const char *value; // metavariable
    double lo, hi;     // range of numbers
    bool off;          // 0 is no rule
    bool any_field;    // looks at all texts of a record unless it is given a field
    bool no_field;     // looks at the record
    const char *help;
};

// clang-format off
/* The rules of quality.h stand between RULE_SCRIPT and RULE_MAX_REPEAT and have their own table. */
static const struct kind kinds[RULE_N] = {
    [RULE_MIN_WORDS] = {"min-words", ARG_INT, "n", 0, 1 << 30, true, false, false, "drop texts with fewer words"},
    [RULE_MAX_WORDS] = {"max-words", ARG_INT, "n", 0, 1 << 30, true, false, false, "drop texts with more words, 0 for no limit"},
    [RULE_MIN_CHARS] = {"min-chars", ARG_INT, "n", 0, 1 << 30, true, false, false, "drop texts with fewer characters"},
    [RULE_MAX_CHARS] = {"max-chars", ARG_INT, "n", 0, 1 << 30, true, false, false, "drop texts with more characters, 0 for no limit"},
    [RULE_MIN_SCORE] = {"min-score", ARG_NUM, "x", -100, 100, true, false, true, "drop records whose score is lower or absent, 0 for no limit"},
    [RULE_WHERE] = {"where", ARG_LIST, "expr", 0, 0, false, false, true, "drop records for which this does not hold, such as score>=0.6; may be given several times"},
    [RULE_LANG] = {"lang", ARG_TEXT, "list", 0, 0, false, false, false, "drop texts in none of these languages (en,ko,und), by script and function words"},
    [RULE_SCRIPT] = {"script", ARG_LIST, "expr", 0, 0, false, false, false, "drop texts whose share of letters in a script is not so, such as Latin>=0.9; may be given several times"},
    [RULE_MAX_REPEAT] = {"max-repeat", ARG_NUM, "x", 0, 1, false, false, false, "drop texts in which a larger share of the runs of 3 words stood before"},
    [RULE_REFUSALS] = {"refusals", ARG_FLAG, NULL, 0, 0, false, false, false, "drop texts that refuse to answer"},
    [RULE_JSON] = {"json", ARG_FLAG, NULL, 0, 0, false, false, false, "drop texts that are not JSON, or that have a fenced json block that is not"},
    [RULE_LEAKS] = {"leaks", ARG_FLAG, NULL, 0, 0, false, true, false, "drop records in which words of a prompt or template are left over"},
    [RULE_BLACKLIST] = {"blacklist", ARG_LIST, "file", 0, 0, false, true, false, "drop records with any of these words or phrases, one a line"},
    [RULE_PII] = {"pii", ARG_TEXT, "how", 0, 0, false, true, false, "personal data by pattern: drop the records, or mask it in them"},
    [RULE_MIN_TOKENS] = {"min-tokens", ARG_INT, "n", 0, 1 << 30, true, false, false, "drop texts with fewer tokens of --tokenizer"},
    [RULE_MAX_TOKENS] = {"max-tokens", ARG_INT, "n", 0, 1 << 30, true, false, false, "drop texts with more tokens of --tokenizer, 0 for no limit"},
    [RULE_DECONTAMINATE] = {"decontaminate", ARG_LIST, "file", 0, 0, false, true, false, "drop records that share --ngram words in a row with this benchmark file; may be given several times"},
    [RULE_ROUGE] = {"rouge", ARG_NUM, "x", 0, 1, false, false, false, "drop texts whose ROUGE-L with a text of --rouge-reference is larger"},
    [RULE_CHECK] = {"check", ARG_LIST, "command", 0, 0, false, false, false, "drop texts that this shell command, with the text as its input, does not end with 0 for"},
    [RULE_EXACT] = {"exact", ARG_FLAG, NULL, 0, 0, false, true, true, "drop records whose texts were met before"},
    [RULE_NEAR] = {"near", ARG_NUM, "x", 0, 1, true, true, true, "drop records at least this similar (Jaccard, runs of 3 words) to a kept one, 0 for off"},
};
// clang-format on

static bool is_quality(enum rule_id id)
{
    return id >= RULE_QUALITY && id < RULE_QUALITY + QUALITY_N;
}

/* The row of a rule; those of quality.h are made from its table. */
static struct kind kind_of(enum rule_id id)
{
    const struct quality_rule *q;

    if (!is_quality(id))
        return kinds[id];
    q = &quality_rules[id - RULE_QUALITY];
    return (struct kind){.name = q->name, .arg = ARG_NUM, .value = "x", .hi = 1e9, .help = q->help};
}

const char *rules_name(enum rule_id id)
{
    return is_quality(id) ? quality_rules[id - RULE_QUALITY].name : kinds[id].name;
}

static const struct rules_set defaults = {.field = "output",
                                          .pii_kinds = "email,phone,card,ip,iban",
                                          .ngram = 8,
                                          .check_timeout = 10,
                                          .memory = 256 << 20};

/* ---- options ---- */

static struct opt row_of(struct rules *r, enum rule_id id)
{
    struct kind k = kind_of(id);
    struct opt o = {0, 0, k.name, NULL, k.value, k.help, k.lo, k.hi, NULL, 0};

    switch (k.arg) {
    case ARG_FLAG:
        o.type = OPT_T_FLAG;
        o.dst = &r->flag[id];
        break;
    case ARG_INT:
        o.type = OPT_T_INT;
        o.dst = &r->num[id];
        r->num[id] = (int)k.lo - 1; // below its range: not given
        break;
    case ARG_NUM:
        o.type = OPT_T_FLOAT;
        o.dst = &r->real[id];
        r->real[id] = (float)k.lo - 1;
        break;
    default: // the last one counts where one is allowed
        o.type = OPT_T_LIST;
        o.dst = &r->list[id];
        o.role = k.value && !strcmp(k.value, "file") ? OPT_READS : OPT_NO_FILE;
    }
    return o;
}

/* Heads of parts of the table. */
static const char *head_of(enum rule_id id)
{
    switch (id) {
    case RULE_MIN_WORDS:
        return "Rules";
    case RULE_QUALITY:
        return "Rules of Gopher, C4 and FineWeb";
    case RULE_MAX_REPEAT:
        return "More rules";
    default:
        return NULL;
    }
}

int rules_options(struct rules *r, struct opt *rows)
{
    struct rules_set *s = &r->set;
    int n = 0;

    *r = (struct rules){.set = defaults};
    for (enum rule_id id = 0; id < RULE_N; id++) {
        if (head_of(id))
            rows[n++] = (struct opt)OPT_HEAD(head_of(id));
        rows[n++] = row_of(r, id);
    }
    // clang-format off
    const struct opt more[] = {
        OPT_HEAD("What rules look at"),
        OPT_FILE(0, "rules", &r->path, "file", OPT_READS, "take rules out of this YAML file as well"),
        OPT_LIST(0, "preset", &r->preset, "name", "take the rules of gopher-quality, gopher-repetition, gopher (both), c4 or fineweb with their limits; may be given several times"),
        OPT_STR(0, "field", &s->field, "name", "field that the rules for a text look at"),
        OPT_FILE(0, "tokenizer", &s->tokenizer, "path", OPT_READS, "model or tokenizer.json that counts tokens"),
        OPT_STR(0, "pii-kinds", &s->pii_kinds, "list", "kinds of personal data to look for"),
        OPT_INT(0, "ngram", &s->ngram, "n", 1, 64, "words in a row that decontamination looks for"),
        OPT_FILE(0, "rouge-reference", &s->rouge_reference, "file", OPT_READS, "texts to compare with: records with the field, or lines"),
        OPT_STR(0, "check-lang", &s->check_lang, "name", "give the check each fenced block of this language instead of the text"),
        OPT_FLOAT(0, "check-timeout", &s->check_timeout, "s", 0.01, 86400, "seconds after which a check has failed"),
        OPT_DIR(0, "near-index", &s->near_index, "dir", near_files, "keep the index of near duplicates in files here, for later runs"),
        OPT_SIZE(0, "memory", &s->memory, "size", "memory for the indexes of duplicates, what is more goes to the disk; 0 for 256M"),
        OPT_STR(0, "tmp-dir", &s->tmp_dir, "dir", "where it goes, instead of TMPDIR or /var/tmp"),
        OPT_GIVEN("field", &r->given.field), OPT_GIVEN("tokenizer", &r->given.tokenizer),
        OPT_GIVEN("pii-kinds", &r->given.pii_kinds), OPT_GIVEN("ngram", &r->given.ngram),
        OPT_GIVEN("rouge-reference", &r->given.rouge_reference),
        OPT_GIVEN("check-lang", &r->given.check_lang),
        OPT_GIVEN("check-timeout", &r->given.check_timeout),
        OPT_GIVEN("near-index", &r->given.near_index),
        OPT_GIVEN("memory", &r->given.memory), OPT_GIVEN("tmp-dir", &r->given.tmp_dir),
    };
    // clang-format on
    memcpy(rows + n, more, sizeof(more));
    return n + (int)(sizeof(more) / sizeof(*more));
}

/* ---- rules ---- */

static bool is_many(enum rule_id id)
{
    return kinds[id].arg == ARG_LIST && !is_quality(id);
}

static void put(struct rules *r, struct rule x)
{
    int i = r->n;

    if (!x.field)
        x.field = r->set.field;
    for (int k = 0; k < r->n && !is_many(x.id); k++)
        if (r->v[k].id == x.id && !strcmp(r->v[k].field, x.field)) {
            r->v[k] = x;
            return;
        }
    r->v = mem_resize(r->v, (size_t)r->n + 1, sizeof(*r->v));
    for (r->n++; i > 0 && r->v[i - 1].id > x.id; i--)
        r->v[i] = r->v[i - 1];
    r->v[i] = x;
}

static int put_preset(struct rules *r, const char *name, const char *field, struct err *e)
{
    size_t n = strlen(name);
    bool found = false;

    for (int i = 0; i < QUALITY_N; i++) {
        const struct quality_rule *q = &quality_rules[i];

        if (strncmp(q->preset, name, n) != 0 || (q->preset[n] && q->preset[n] != '-'))
            continue;
        put(r, (struct rule){
                   .id = (enum rule_id)(RULE_QUALITY + i), .field = field, .limit = q->limit});
        found = true;
    }
    if (!found || !n)
        return err_set(e, ERR_ARG,
                       "'%s' is none of gopher-quality, gopher-repetition, gopher, c4, fineweb",
                       name);
    return 0;
}

/* A float as the decimal that was written: 0.8f is 0.8, not 0.800000011920929. */
static double exact(float x)
{
    struct buf b = {0};
    double v;

    json_put_float(&b, x);
    v = strtod(b.p, NULL);
    buf_free(&b);
    return v;
}

/* Whether a rule that is no list stands on the command line, be it to turn it off. */
static bool is_given(const struct rules *r, enum rule_id id)
{
    struct kind k = kind_of(id);

    return k.arg == ARG_FLAG  ? r->flag[id]
           : k.arg == ARG_INT ? r->num[id] >= k.lo
           : k.arg == ARG_NUM ? (double)r->real[id] >= k.lo
                              : false;
}

static void put_options(struct rules *r)
{
    for (enum rule_id id = 0; id < RULE_N; id++) {
        struct kind k = kind_of(id);
        struct rule x = {.id = id};
        bool given = is_given(r, id);

        if (k.arg == ARG_INT)
            x.limit = r->num[id];
        if (k.arg == ARG_NUM && given)
            x.limit = exact(r->real[id]);
        if (given && !(k.off && x.limit == 0))
            put(r, x);
        for (int i = 0; i < r->list[id].n; i++) {
            x.text = r->list[id].v[i];
            put(r, x);
        }
    }
}

/* ---- rules files ---- */

static int at_line(const struct conf *c, struct err *e)
{
    return err_wrap(e, "%s:%d", c->file, c->line);
}

static int number(const struct conf *c, const struct kind *k, double *out, struct err *e)
{
    char *end = NULL;
    double v = c->value ? strtod(c->value, &end) : NAN;

    if (!end || end == c->value || *end || !(v >= k->lo && v <= k->hi) ||
        (k->arg == ARG_INT && v != floor(v)))
        return err_set(e, ERR_ARG, "%s: '%s' is not %s in %.10g..%.10g", k->name,
                       c->value ? c->value : "", k->arg == ARG_INT ? "an integer" : "a number",
                       k->lo, k->hi);
    *out = v;
    return 0;
}

static int put_item(struct rules *r, const struct conf *item, const struct conf *c, struct err *e)
{
    struct rule x = {.field = conf_str(item, "field", NULL)};
    enum rule_id id = 0;
    struct kind k;
    int on = 1;

    if (!strcmp(c->key, "preset") && c->value)
        return put_preset(r, c->value, x.field, e);
    while (id < RULE_N && strcmp(rules_name(id), c->key) != 0)
        id++;
    if (id == RULE_N)
        return err_set(e, ERR_ARG, "unknown rule '%.80s'", c->key);
    k = kind_of(id);
    if (x.field && k.no_field)
        return err_set(e, ERR_ARG, "%s takes no field", k.name);
    x.id = id;
    x.own_field = x.field;
    x.text = c->value;
    if (k.arg == ARG_FLAG) {
        x.text = NULL;
        if (conf_bool(item, c->key, &on, e) < 0)
            return -1;
    } else if (k.arg == ARG_INT || k.arg == ARG_NUM) {
        x.text = NULL;
        if (number(c, &k, &x.limit, e))
            return -1;
        on = !(k.off && x.limit == 0);
    } else if (!c->value) {
        return err_set(e, ERR_ARG, "%s needs a text", k.name);
    }
    if (on)
        put(r, x);
    return 0;
}

/* An item: one rule, and perhaps its field. */
static int read_item(struct rules *r, const struct conf *item, struct err *e)
{
    const struct conf *rule = NULL;

    if (item->value && !item->key) { // a flag's name alone
        struct conf yes = {
            .key = item->value, .value = "yes", .line = item->line, .file = item->file};
        struct conf one = {.child = &yes, .line = item->line, .file = item->file};

        return put_item(r, &one, &yes, e) ? at_line(item, e) : 0;
    }
    for (const struct conf *c = item->child; c; c = c->next) {
        if (!c->key || !strcmp(c->key, "field"))
            continue;
        if (rule)
            return err_set(e, ERR_ARG, "%s:%d: an item is one rule, and '%s' is a second", c->file,
                           c->line, c->key);
        rule = c;
    }
    if (!rule)
        return err_set(e, ERR_ARG, "%s:%d: an item without a rule", item->file, item->line);
    return put_item(r, item, rule, e) ? at_line(rule, e) : 0;
}

/* Keys beside `rules`: the options of the same name, unless they were given. */
static int read_settings(struct rules *r, struct err *e)
{
    static const char *const keys[] = {"rules",           "field",      "tokenizer",  "pii-kinds",
                                       "rouge-reference", "near-index", "check-lang", "ngram",
                                       "check-timeout",   NULL};
    struct rules_set *s = &r->set;
    const struct {
        const char *key, **dst;
        bool given;
    } text[] = {{"field", &s->field, r->given.field},
                {"tokenizer", &s->tokenizer, r->given.tokenizer},
                {"pii-kinds", &s->pii_kinds, r->given.pii_kinds},
                {"rouge-reference", &s->rouge_reference, r->given.rouge_reference},
                {"near-index", &s->near_index, r->given.near_index},
                {"check-lang", &s->check_lang, r->given.check_lang}};
    double x;
    int got, n;

    if (conf_only(r->file, keys, e))
        return -1;
    for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++)
        if (!text[i].given)
            *text[i].dst = conf_str(r->file, text[i].key, *text[i].dst);
    got = conf_int(r->file, "ngram", 1, 64, &n, e);
    if (got > 0 && !r->given.ngram)
        s->ngram = n;
    if (got >= 0)
        got = conf_num(r->file, "check-timeout", 0.01, 86400, &x, e);
    if (got > 0 && !r->given.check_timeout)
        s->check_timeout = (float)x;
    return got < 0 ? -1 : 0;
}

/* ---- all together ---- */

static bool is_used(const struct rules *r, enum rule_id id)
{
    for (int i = 0; i < r->n; i++)
        if (r->v[i].id == id)
            return true;
    return is_given(r, id);
}

/* An option that does nothing without a rule needs one: else who forgets the rule gets all records
 * and no word. What a rules file sets may wait for rules that an option turns off. */
static int check_needs(const struct rules *r, struct err *e)
{
    const struct {
        const char *option;
        bool given;
        enum rule_id id, other;
        const char *rules;
    } need[] = {
        {"tokenizer", r->given.tokenizer, RULE_MIN_TOKENS, RULE_MAX_TOKENS,
         "--min-tokens or --max-tokens"},
        {"pii-kinds", r->given.pii_kinds, RULE_PII, RULE_PII, "--pii"},
        {"ngram", r->given.ngram, RULE_DECONTAMINATE, RULE_DECONTAMINATE, "--decontaminate"},
        {"rouge-reference", r->given.rouge_reference, RULE_ROUGE, RULE_ROUGE, "--rouge"},
        {"check-lang", r->given.check_lang, RULE_CHECK, RULE_CHECK, "--check"},
        {"check-timeout", r->given.check_timeout, RULE_CHECK, RULE_CHECK, "--check"},
        {"near-index", r->given.near_index, RULE_NEAR, RULE_NEAR, "--near"},
        {"memory", r->given.memory, RULE_EXACT, RULE_NEAR, "--exact or --near"},
        {"tmp-dir", r->given.tmp_dir, RULE_EXACT, RULE_NEAR, "--exact or --near"},
    };

    for (size_t i = 0; i < sizeof(need) / sizeof(*need); i++)
        if (need[i].given && !is_used(r, need[i].id) && !is_used(r, need[i].other))
            return err_set(e, ERR_ARG, "--%s needs %s", need[i].option, need[i].rules);
    return 0;
}

int rules_gather(struct rules *r, struct err *e)
{
    const struct conf *list;

    if (r->path && (!(r->file = conf_open(r->path, e)) || read_settings(r, e)))
        return err_wrap(e, "--rules");
    for (int i = 0; i < r->preset.n; i++)
        if (put_preset(r, r->preset.v[i], NULL, e))
            return err_wrap(e, "--preset");
    list = r->file ? conf_get(r->file, "rules") : NULL;
    for (const struct conf *c = list ? list->child : NULL; c; c = c->next)
        if (read_item(r, c, e))
            return err_wrap(e, "--rules");
    put_options(r);
    if (!r->set.memory)
        r->set.memory = defaults.memory;
    return check_needs(r, e);
}

void rules_free(struct rules *r)
{
    free(r->v);
    conf_close(r->file);
    r->v = NULL;
    r->file = NULL;
    r->n = 0;
}
