/* trial.h - rules applied to a text, with what they need beside it: lists, references, benchmark
 * files, a tokenizer. Rules for whole records: judge.h. */
#ifndef TRIAL_H
#define TRIAL_H

#include "buf.h"
#include "err.h"
#include "hash.h"
#include "look.h"
#include "rules.h"
#include "where.h"

struct trial;

/* What a rule found, and what it would have allowed: JSON, or empty. */
struct trial_reason {
    const char *rule;
    struct buf value, limit;
};
void trial_reason_reset(struct trial_reason *v);

/* Read what the rules need; r must outlive the trial. Errors name the option. */
struct trial *trial_open(const struct rules *r, struct err *e);
void trial_close(struct trial *t); // NULL-safe

/* What one thread works with. */
struct trial_desk;
struct trial_desk *trial_desk(void);
void trial_desk_close(struct trial_desk *d); // NULL-safe

/* Rule i on the text of its field: 1 = broken, 0, -1 = error. trial_begin comes before the rules
 * for another text, since what was measured of one is kept. Rules that only measure quality, of
 * which there are many one behind the other, are tried together: trial_measures gives the first of
 * n rules from i on that is broken, or -1. */
void trial_begin(struct trial_desk *d);
bool trial_only_measures(const struct trial *t, int i);
int trial_measures(const struct trial *t, struct trial_desk *d, int i, int n, struct look *text,
                   struct trial_reason *v);
int trial_text(const struct trial *t, struct trial_desk *d, int i, struct look *text,
               struct trial_reason *v, struct err *e);
/* Rule i, one that looks at all texts of a record, on one of them: 1 = broken. */
int trial_piece(const struct trial *t, struct trial_desk *d, int i, struct look *text,
                struct trial_reason *v);

const struct where *trial_where(const struct trial *t, int i); // of a rule with a comparison
unsigned trial_kinds(const struct trial *t, int i);            // that rule i masks, or 0
struct hash128 trial_print(const struct trial *t);             // of rules, and of the files read

#endif
