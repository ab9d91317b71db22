/* label.h - names of topics by a model: one short answer for each, from its central records. */
#ifndef LABEL_H
#define LABEL_H

#include "corpus.h"
#include "kmeans.h"
#include "recipe.h"
#include "session.h"

enum { LABEL_RECORDS = 5, LABEL_BYTES = 80 };

/* Open prompts/SET/label.yaml or a file, as recipe_open does. */
int label_open(struct recipe *r, const char *set, const struct cli_sample *given, struct err *e);

/* Ask for every topic: the prompt's variable `tasks` lists the texts of the LABEL_RECORDS records
 * nearest to its centroid, a line each. label (k) gets the answers' first lines (caller frees),
 * NULL where nothing usable came: counted in *failed. `tick`, unless NULL, is called
 * when one is named; true: stop. Errors: those of the session. */
int label_topics(struct session *ses, const struct recipe *recipe, const struct corpus *c,
                 const struct kmeans *s, uint64_t seed, char **label, int *failed,
                 bool (*tick)(void *with, int done), void *with, struct err *e);

#endif
