/* prompt.h - prompt files and their rendering into tokens for a model.
 *
 * A prompt file is YAML: `user` (required), `system`, `assistant` (the beginning of the answer,
 * given), `stop` (a list), `max_tokens`, `temp`, `top_p` ... as defaults, and what the
 * command that reads it asks for besides. {{name}} in a text is replaced by a variable;
 * [[name: ...]] stands only when the variable is there and not empty. Nothing in a variable's own
 * text is ever looked at again. */
#ifndef PROMPT_H
#define PROMPT_H

#include "chat.h"
#include "conf.h"
#include "err.h"
#include "model.h"
#include "record.h"
#include "tok.h"

#include <stdbool.h>

/* How text becomes tokens for one model: its tokenizer and its chat template. */
struct prompt_model {
    size_t max_bytes;      // text longer than this can never fit the context; 0: not known
    const struct tok *tok; // NULL: a server's, where only its template is known
    enum chat_kind kind;
    char *system;  // what the template says without a system message (chatkind_system), or NULL
    bool begins;   // the template begins with BOS (chatkind_begins)
    bool known;    // kind is set
    char *problem; // why it is not: reported when a template is first needed
};

/* opt: --chat-template (a name, a file, "none") or NULL for the model's own. An unknown template of
 * the model itself is an error only when a record needs one. m NULL: a server's, opt is given. */
int prompt_model_init(struct prompt_model *pm, const struct model *m, const char *opt,
                      struct err *e);
void prompt_model_free(struct prompt_model *pm);

struct prompt_var {
    const char *name;
    const char *text; // NULL: not there
    size_t n;
};

struct prompt {
    struct conf *conf;                     // the whole file, for what a command keeps in it besides
    const char *system, *user, *assistant; // templates; system and assistant may be NULL
    const char **stop;                     // (n_stop)
    int n_stop;
    struct hash128 hash; // of the file's bytes, for the fingerprint
};

/* path: a file, or "set/name" such as "tiny/evol", found with cli_data by the command. */
int prompt_open(struct prompt *p, const char *path, struct err *e);
void prompt_close(struct prompt *p);
/* Fill system, user, assistant and stop from a mapping, user perhaps with NULL; borrows from it. */
void prompt_texts(struct prompt *p, const struct conf *c);

/* Replace {{name}} and [[name: ...]]. An unknown name is ERR_ARG. */
int prompt_fill(const char *text, const struct prompt_var *v, int n, struct buf *out,
                struct err *e);

/* The tokens of a filled prompt: system, user, then the answer's given beginning. ERR_DATA when
 * they are not to be had of these variables, which are longer than any context. */
int prompt_encode(const struct prompt *p, const struct prompt_model *pm, const struct prompt_var *v,
                  int n, struct tok_ids *out, struct err *e);

/* The tokens up to a user's text of which only the beginning is given (`user`, perhaps ""), so that
 * the model writes the rest of it. Where that text ends: *token, a control token (0: none), or the
 * text that *stop gets. */
int prompt_turn(const struct prompt *p, const struct prompt_model *pm, const struct prompt_var *v,
                int n, struct tok_ids *out, struct buf *stop, int32_t *token, struct err *e);

/* The same for a server: the text as a JSON string or, with pm NULL, a JSON list of messages, the
 * last of which is the answer's beginning where there is one; *begun gets its text, *bare the
 * length of the list before it. */
int prompt_json(const struct prompt *p, const struct prompt_model *pm, const struct prompt_var *v,
                int n, struct buf *out, struct buf *begun, size_t *bare, struct err *e);

/* The tokens of a record's own prompt: messages | conversations | instruction (+ input, system) |
 * prompt (raw text, no template). *templated says whether a template was used (then one leading
 * space of a SentencePiece output is to be trimmed). ERR_DATA names what is missing or wrong. */
int prompt_record(const struct prompt_model *pm, struct record *r, struct tok_ids *out,
                  bool *templated, struct err *e);
/* The tokens of that prompt with an answer behind it, as the template ends a conversation; behind a
 * raw prompt, the end token. */
int prompt_whole(const struct prompt_model *pm, struct record *r, const char *answer, size_t n,
                 struct tok_ids *out, struct err *e);
/* The same for a server, as JSON: with pm NULL a list of messages or, not templated, a string; else
 * a string. */
int prompt_record_json(const struct prompt_model *pm, struct record *r, struct buf *out,
                       bool *templated, struct err *e);
/* Append the tokens of an answer that is given, as the model would write them behind such a prompt:
 * control tokens in it are text. ERR_DATA when it is longer than any context. */
int prompt_answer(const struct prompt_model *pm, const char *text, size_t n, bool templated,
                  struct tok_ids *out, struct err *e);
/* Fields that prompt_record reads, for ids; NULL-terminated. */
extern const char *const prompt_fields[];

/* A task's text ("instruction\nInput: input") taken apart: spans of instruction and input (NULL
 * when none, or "<noinput>"). */
void prompt_split_task(const char *s, size_t n, const char **inst, size_t *n_inst,
                       const char **input, size_t *n_input);

#endif
