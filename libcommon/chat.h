/* chat.h - chat templates: recognize and render.
 *
 * The common templates are built in; a file's template text is recognized by
 * what is unique in it, never run. An unknown one is an error that names
 * --chat-template. Rendered text holds no BOS: the tokenizer adds its own. */
#ifndef CHAT_H
#define CHAT_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

enum chat_kind {
    CHAT_NONE, CHAT_CHATML, CHAT_LLAMA2, CHAT_LLAMA3, CHAT_MISTRAL, CHAT_ZEPHYR, CHAT_GEMMA,
    CHAT_PHI3, CHAT_ALPACA, CHAT_VICUNA, CHAT_DEEPSEEK, CHAT_NKINDS
};

extern const char *const chat_names[]; // (CHAT_NKINDS + 1) "none", "chatml", ...; NULL-terminated

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };

struct chat_message {
    enum chat_role role;
    const char *text; // UTF-8
    size_t n;
    const char *input; // a user message's Alpaca `input`, or NULL
    size_t n_input;
};

/* The kind of a template text, or ERR_ARG "unknown chat template; name one with --chat-template: chatml, ..." */
int chat_recognize(const char *tmpl, enum chat_kind *out, struct err *e);

/* Render messages into pieces: text that belongs to the template (may name
 * control tokens) and text that is a user's (may not). The pieces alternate in
 * one buffer; cut[i] is where piece i ends and own[i] whether it is the
 * template's. Ends with the assistant's header, then `prefix` (the beginning of
 * the answer, may be ""). Alpaca puts `input` under "### Input:"; the others
 * append it to the text after a blank line. A role order that the template
 * cannot express (Gemma and Mistral know no system role: it goes into the first
 * user message) is handled as the template's authors do. */
struct chat_text {
    struct buf text;
    struct chat_piece {
        size_t end;
        bool own;
    } *piece;
    size_t n, cap;
};
int chat_render(enum chat_kind kind, const struct chat_message *m, int n, const char *prefix,
                struct chat_text *out, struct err *e);
void chat_text_free(struct chat_text *t);

#endif
