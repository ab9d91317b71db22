/* tokend.h - tokens that end a generation, found by their well-known texts. */
#ifndef TOKEND_H
#define TOKEND_H

#include "tokspec.h"

/* Fill s->end with s->eos and the tokens whose text says that they end a turn
 * or a text. Those become control tokens, whatever the file says: a text must
 * not be able to name them. */
void tokend_find(struct tok_spec *s);
/* Add one id, unless it is -1 or there already. */
void tokend_add(struct tok_spec *s, int id);

#endif
