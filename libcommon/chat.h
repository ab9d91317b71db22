/* chat.h - chat templates: render.
 *
 * Rendered text does not begin with BOS: chat_encode adds it. */
#ifndef CHAT_H
#define CHAT_H

#include "buf.h"
#include "chatkind.h"
#include "err.h"
#include "tok.h"

#include <stdbool.h>
#include <stddef.h>

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };

struct chat_message {
    enum chat_role role;
    const char *text; // UTF-8
    size_t n;
    const char *input; // a user message's Alpaca `input`, or NULL
    size_t n_input;
};

/* Render messages into pieces: text that belongs to the template (may name
 * control tokens) and text that is a user's (may not). The pieces alternate in
 * one buffer; piece i ends at piece[i].end and `own` says whether it is the
 * template's. Ends with the assistant's header, then `prefix` (the beginning of
 * the answer, may be ""). Alpaca puts `input` under "### Input:"; the others
 * append it to the text after a blank line. A role order that the template
 * cannot express (Gemma and Mistral know no system role: it goes into a user
 * message) is handled as the template's authors do. White space around a text
 * is dropped where the template does so. With CHAT_NONE the texts stand as they
 * are, a line each.
 *
 * An assistant's message ends as the templates have it: with the end-of-text
 * token (llama2, mistral, zephyr, vicuna, alpaca, deepseek) or their
 * end-of-turn token; Alpaca then goes on with a blank line. */
struct chat_text {
    /* Set before rendering, or left NULL: texts of the tokenizer's own tokens
     * ("</s>", "<s>") and the system text for conversations without one. */
    const char *eos, *bos, *system;
    struct buf text;
    struct chat_piece {
        size_t end;
        bool own;
    } * piece;
    size_t n, cap;
    bool closed; // set before: the last message ends the text, no header of an answer follows
    bool begins; // the template begins with BOS: set before where a model's own does, else by its
                 // kind
};
int chat_render(enum chat_kind kind, const struct chat_message *m, int n, const char *prefix,
                struct chat_text *out, struct err *e);
void chat_text_free(struct chat_text *t);

/* Render up to a user's text of which `user` is the beginning, behind a system text ("": the
 * template's own). *after gets what the template has behind such a text. */
void chat_turn(enum chat_kind kind, const char *system, const char *user, struct chat_text *out,
               struct buf *after);

/* Take eos and bos from a tokenizer (pointers into it). */
void chat_text_use(struct chat_text *t, const struct tok *tok);

/* Append the ids of a rendered text: as one text, with control tokens only in
 * the template's own pieces, and at most one BOS before it: where the
 * tokenizer adds one or the template begins with one. */
int chat_encode(const struct tok *tok, const struct chat_text *t, struct tok_ids *out,
                struct err *e);

#endif
