/* recipe.h - a prompt file with the sampling and the word lists of the command that reads it.
 *
 * Besides the texts (prompt.h) such a file may hold sampling values under the options' names with
 * '_' (max_tokens, temp, top_p ...) and lists of phrases. What is given on the
 * command line goes before the file, the file before the command's own defaults. */
#ifndef RECIPE_H
#define RECIPE_H

#include "buf.h"
#include "cli.h"
#include "engine.h"
#include "err.h"
#include "prompt.h"
#include "session.h"

struct recipe {
    struct prompt prompt;
    char *path;
    struct cli_sample sample; // what holds
};

/* set: a set's name such as "tiny" (the toolkit's own prompts/SET/NAME.yaml), or a path, which
 * has a '/' or ends in ".yaml". Keys other than the common ones and those of `keys`
 * (NULL-terminated) are errors. given: from the command line over cli_sample_unset;
 * otherwise: the command's defaults. */
int recipe_open(struct recipe *r, const char *set, const char *name, const char *const *keys,
                const struct cli_sample *given, const struct cli_sample *otherwise, struct err *e);
void recipe_close(struct recipe *r);

/* A further prompt that the file holds under a key, with the same common keys and sampling values
 * of its own, as recipe_open takes them (given: NULL when the command line's are not for it).
 * 1 = there, 0 = no such key, -1. Borrows from the whole. */
int recipe_part(struct recipe *part, const struct recipe *whole, const char *key,
                const struct cli_sample *given, const struct cli_sample *otherwise, struct err *e);
void recipe_part_close(struct recipe *part); // zeroed is closed

/* All {{name}} in the texts are among `names` (NULL-terminated, 32 at most): told when the file is
 * opened, not when the first record comes to a text, which may be after hours. A part that is not
 * there has none. recipe_names_of: the texts under c. */
int recipe_names(const struct recipe *r, const char *const *names, struct err *e);
int recipe_names_of(const struct conf *c, const char *const *names, struct err *e);

/* A whole number of the file, or otherwise. */
int recipe_int(const struct recipe *r, const char *key, int lo, int hi, int *x, struct err *e);

/* ERR_ARG, naming the option, when no text of the prompt shows {{name}}. */
int recipe_shows(const struct recipe *r, const char *name, const char *option, struct err *e);
/* The member "prompts" (hash of the file) for the fingerprint. */
void recipe_print(const struct recipe *r, struct buf *out);

/* A prompt filled for a request, its stop texts, and the request that borrows both. */
struct recipe_call {
    struct engine_request q;
    struct session_prompt prompt;
    char **stop;
    int n_stop;
};

/* Fill p (the recipe's prompt, or another with its sampling) with the variables. The key names
 * the noise. An error too when the prompt and max_tokens exceed the engine's context: then
 * q.n_token is above 0, since other variables may do better. */
int recipe_call(struct recipe_call *c, const struct recipe *r, const struct prompt *p,
                const struct session *ses, const struct prompt_var *v, int n, uint64_t seed,
                struct hash128 key, struct err *e);
/* The same where the model goes on with the user's turn (session_turn with the file's `before` and
 * `after`), whose end is one more stop. */
int recipe_turn(struct recipe_call *c, const struct recipe *r, const struct session *ses,
                const struct prompt_var *v, int n, uint64_t seed, struct hash128 key,
                struct err *e);
void recipe_call_free(struct recipe_call *c);

/* A list of phrases, folded to words. */
struct recipe_list {
    struct recipe_phrase {
        const char *text; // as it stands in the file
        struct buf fold;
    } * item; // (n)
    int n;
};

/* The list under a key; empty when the key is absent. */
int recipe_list(struct recipe_list *l, const struct recipe *r, const char *key, struct err *e);
int recipe_list_of(struct recipe_list *l, const struct conf *c, const char *key, struct err *e);
void recipe_list_free(struct recipe_list *l);
/* The first phrase that the folded text holds (and `but` does not, when given), or begins
 * with; NULL without one. */
const char *recipe_held(const struct recipe_list *l, const struct buf *text, const struct buf *but);
const char *recipe_begun(const struct recipe_list *l, const struct buf *text);

#endif
