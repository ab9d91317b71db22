/* tokend.c - tokens that end a generation. */
#include "tokend.h"

#include "arena.h"

#include <string.h>

enum { ENDS = 32 };

/* Source: the models' own tokenizer files; llama.cpp's list. */
static const char *const names[] = {"<|eot_id|>",
                                    "<|im_end|>",
                                    "<|end|>",
                                    "<|return|>",
                                    "<|call|>",
                                    "<|calls|>",
                                    "<|flush|>",
                                    "<end_of_turn>",
                                    "<|endoftext|>",
                                    "</s>",
                                    "<|eom_id|>",
                                    "<EOT>",
                                    "_<EOT>",
                                    "[EOT]",
                                    "[EOS]",
                                    "<|end_of_text|>",
                                    "<end_of_utterance>",
                                    "<eos>",
                                    "<｜end▁of▁sentence｜>",
                                    "[e~[",
                                    "<|fim_pad|>",
                                    "<|repo_name|>",
                                    "<|file_sep|>",
                                    "<|EOT|>"};

static int named(const struct tok_spec *s, const char *name)
{
    size_t n = strlen(name);

    for (int id = 0; id < s->n; id++)
        if (s->piece[id].n == n && !memcmp(s->piece[id].s, name, n))
            return id;
    return -1;
}

void tokend_add(struct tok_spec *s, int id)
{
    if (!s->end)
        s->end = arena_new(&s->mem, ENDS * sizeof(*s->end));
    for (size_t i = 0; i < s->n_end; i++)
        if (s->end[i] == id)
            return;
    if (id >= 0 && s->n_end < ENDS)
        s->end[s->n_end++] = id;
}

void tokend_find(struct tok_spec *s)
{
    /* In the harmony format <|end|> ends a message, not the answer. */
    bool harmony = named(s, "<|return|>") >= 0 && named(s, "<|call|>") >= 0;

    tokend_add(s, s->eos);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int id = named(s, names[i]);

        if (id < 0 || (harmony && !strcmp(names[i], "<|end|>")))
            continue;
        s->piece[id].type = TOK_CONTROL;
        tokend_add(s, id);
    }
}
