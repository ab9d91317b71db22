/* judge.h - rules applied to records: which one drops it, with what value against what limit. */
#ifndef JUDGE_H
#define JUDGE_H

#include "buf.h"
#include "err.h"
#include "hash.h"
#include "near.h"
#include "record.h"
#include "rules.h"
#include "trial.h"

struct judge;

/* Make ready what the rules need: read lists, references, benchmark files, the tokenizer. `run`
 * names this run in an index of near duplicates (near.h). r must outlive the judge. */
struct judge *judge_open(const struct rules *r, uint64_t run, struct err *e);
int judge_close(struct judge *j, struct err *e); // NULL-safe

enum judge_says { JUDGE_KEEP, JUDGE_DROP, JUDGE_NO_FIELD, JUDGE_ERROR };

/* Try the rules in their order; the first that is broken drops. Rules for duplicates compare with
 * the records kept before. Masking changes r. JUDGE_NO_FIELD: v->rule is the
 * field that is not there. JUDGE_ERROR sets e. */
enum judge_says judge_record(struct judge *j, struct record *r, struct trial_reason *v,
                             struct err *e);
/* A record that an earlier run kept: fill the index of duplicates. */
int judge_recall(struct judge *j, struct record *r, struct err *e);

int64_t judge_masked(const struct judge *j);          // pieces of personal data masked
struct hash128 judge_print(const struct judge *j);    // of the rules and the files they read
const struct near *judge_near(const struct judge *j); // index of near duplicates, or NULL

#endif
