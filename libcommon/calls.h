/* calls.h - a set of calls, answered by the model before anything goes on. */
#ifndef CALLS_H
#define CALLS_H

#include "cli.h"
#include "kept.h"
#include "recipe.h"
#include "session.h"

struct calls {
    struct session *ses;
    struct stream *s; // whose signals stop it
    const struct cli *cli;
    struct cli_progress *progress;
    struct kept *kept; // answers that are there already, and where new ones go
};

/* Have n calls answered; those that are NULL are not asked. keep gets the result of call i, in
 * whatever order they come. 1 = all answered, 0 = asked to stop, -1 = error. */
int calls_run(const struct calls *c, struct recipe_call **call, int n,
              void (*keep)(void *with, int i, const struct session_result *d), void *with,
              struct err *e);

#endif
