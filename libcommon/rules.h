/* rules.h - the rules that llm-filter drops records by: one table for options, YAML files
 * and presets.
 *
 * A rule is a row of the table with a limit. It is an option (--max-words 150) and an item of a
 * rules file (`- max-words: 150`); a preset is a list of rules with the limits of their source.
 * Whatever the order in which they were given, they are tried in that of the table: cheap ones
 * first, duplicates last. Applying them: judge.h. */
#ifndef RULES_H
#define RULES_H

#include "err.h"
#include "opt.h"
#include "quality.h"

#include <stdbool.h>
#include <stdint.h>

enum rule_id {
    RULE_MIN_WORDS,
    RULE_MAX_WORDS,
    RULE_MIN_CHARS,
    RULE_MAX_CHARS,
    RULE_MIN_SCORE,
    RULE_WHERE,
    RULE_LANG,
    RULE_SCRIPT,
    RULE_QUALITY, // and QUALITY_N - 1 more, in the order of quality.h
    RULE_MAX_REPEAT = RULE_QUALITY + QUALITY_N,
    RULE_REFUSALS,
    RULE_JSON,
    RULE_LEAKS,
    RULE_BLACKLIST,
    RULE_PII,
    RULE_MIN_TOKENS,
    RULE_MAX_TOKENS,
    RULE_DECONTAMINATE,
    RULE_ROUGE,
    RULE_CHECK,
    RULE_EXACT,
    RULE_NEAR,
    RULE_N
};

struct rule {
    enum rule_id id;
    const char *field; // that it looks at
    bool own_field;    // given with the rule, so that a rule for all texts looks at this one only
    double limit;
    const char *text; // of a rule that is no number: expression, file, list, command; NULL
};

/* What rules share: options of their own, and keys beside `rules` in a file. */
struct rules_set {
    const char *field, *tokenizer, *pii_kinds, *rouge_reference, *near_index, *check_lang;
    int ngram;
    float check_timeout; // seconds
    uint64_t memory;     // bytes for what duplicates are found by; what is more goes to a file in
    const char *tmp_dir;
};

struct rules {
    struct rules_set set;
    struct rule *v; // (n) in the order in which they are tried
    int n, cap;
    struct conf *file; // of --rules
    /* where options put their values */
    const char *path; // --rules
    struct {
        bool field, tokenizer, pii_kinds, ngram, rouge_reference, check_lang, check_timeout;
        bool near_index, memory, tmp_dir;
    } given; // options of what rules look at
    struct opt_list preset, list[RULE_N];
    int num[RULE_N];
    float real[RULE_N];
    bool flag[RULE_N];
};

enum { RULES_ROWS = RULE_N + 32 }; // most rows of options

const char *rules_name(enum rule_id id);

/* Set defaults and fill `rows` with the options; returns how many of at most RULES_ROWS. */
int rules_options(struct rules *r, struct opt *rows);

/* After the options are parsed: presets, then the rules file, then options into r->v; a later
 * one replaces an earlier one on the same field, unless it is of a kind that may stand several
 * times (where, script, blacklist, decontaminate, check). Errors: ERR_ARG, also for an option that
 * has no effect without a rule that is not there; ERR_DATA with file and line. */
int rules_gather(struct rules *r, struct err *e);
void rules_free(struct rules *r);

#endif
