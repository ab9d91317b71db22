/* kept.h - answers of a round that is not over, in FILE.round beside the output.
 *
 * A round is made again when a run is taken up, and what the model has answered by then need not be
 * asked again: a line for each answer, {call, finish, text}, written when it comes, so that a kill
 * loses none. What an answer follows from (model, prompt, sampling, key) is hashed into `call`: no
 * line is taken for another question's. Failures are not kept. */
#ifndef KEPT_H
#define KEPT_H

#include "arena.h"
#include "hash.h"
#include "recipe.h"
#include "session.h"

#include <stdbool.h>

struct kept {
    bool on;
    int fd;
    char *path;
    struct arena mem;
    struct hash_table at; // of a call, as hex: its place in
    struct kept_answer {
        int finish;
        const char *text; // (n)
        size_t n;
    } * v; // (n)
    size_t n, cap;
};

/* Read what is there; output NULL: keep nothing. A last line that is torn is cut off. A file that
 * cannot be written any more keeps nothing: that costs time alone. ERR_IO when it cannot be opened,
 * ERR_DATA when it holds something else. */
int kept_open(struct kept *k, const char *output, struct err *e);
/* The answer to a call, in what a session's result has for calls_run's keep; false: not there. */
bool kept_find(const struct kept *k, const struct session *ses, const struct recipe_call *c,
               struct session_result *d);
void kept_add(struct kept *k, const struct session *ses, const struct recipe_call *c,
              const struct session_result *d);
void kept_clear(struct kept *k); // the round is over
/* done: there will be no other run. Zeroed is closed. */
void kept_close(struct kept *k, bool done);

#endif
