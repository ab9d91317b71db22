/* judge.h - rules applied to records: which one drops it, with what value against what limit. */
#ifndef JUDGE_H
#define JUDGE_H

#include "buf.h"
#include "dupes.h"
#include "err.h"
#include "hash.h"
#include "near.h"
#include "record.h"
#include "rules.h"
#include "trial.h"

#include <stdbool.h>

struct judge;

/* Make ready what the rules need: read lists, references, benchmark files, the tokenizer. `run`
 * names this run in an index of near duplicates (near.h). r must outlive the judge. */
struct judge *judge_open(const struct rules *r, uint64_t run, struct err *e);
int judge_close(struct judge *j, struct err *e); // NULL-safe

enum judge_says { JUDGE_KEEP, JUDGE_DROP, JUDGE_NO_FIELD, JUDGE_ERROR };

/* What one thread works with. */
struct judge_desk;
struct judge_desk *judge_desk(void);
void judge_desk_close(struct judge_desk *d); // NULL-safe
/* How many threads may judge at once: any number, or 1. */
bool judge_is_parallel(const struct judge *j);

/* A record judged. Zeroed is none; memory is kept for the next one. */
struct judge_case {
    enum judge_says says;
    struct trial_reason why; // JUDGE_NO_FIELD: why.rule is the field that is not there
    int masked;
    int words; // that a person counts in the text of rules->set.field, or -1: not counted
    struct dupes_text text;
    struct err err; // of JUDGE_ERROR
};
void judge_case_free(struct judge_case *c);

/* Try the rules in their order; the first that is broken drops. Masking changes r. Any thread. */
void judge_alone(const struct judge *j, struct judge_desk *d, struct record *r,
                 struct judge_case *c);
/* Then, in the order of the input, one thread: compare a record that is kept so far with those
 * kept before. */
void judge_among(struct judge *j, struct record *r, struct judge_case *c);
/* The case, or none, that comes after the next one: what it needs may be fetched. */
void judge_soon(const struct judge *j, const struct judge_case *c);
/* Records that an earlier run kept fill the indexes of duplicates, where there are any: what is
 * compared of each is made by any thread, then they are added in their order. */
bool judge_recalls(const struct judge *j);
void judge_kept(const struct judge *j, struct judge_desk *d, struct record *r,
                struct judge_case *c);
int judge_recall(struct judge *j, struct record *r, struct judge_case *c, struct err *e);
void judge_recalled(struct judge *j); // there are no more

int64_t judge_masked(const struct judge *j);          // pieces of personal data masked
struct hash128 judge_print(const struct judge *j);    // of the rules and the files they read
const struct near *judge_near(const struct judge *j); // index of near duplicates, or NULL

#endif
