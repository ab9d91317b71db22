/* bias.h - what is added to the logits of tokens, out of TOKEN:X on the command line. */
#ifndef BIAS_H
#define BIAS_H

#include "err.h"
#include "opt.h"
#include "sample.h"
#include "tok.h"

/* Read biases: TOKEN is an id in decimal, or a text, which stands for all tokens with just this
 * text; a text of digits, or one with escapes, is written as a JSON string. X is a number,
 * or ban. A token named again takes the later X. *out (*n): caller frees.
 * ERR_ARG naming what cannot be read, and a TOKEN that no token has. */
int bias_read(const struct tok *t, int n_vocab, const struct opt_list *list,
              struct sample_bias **out, int *n, struct err *e);

#endif
