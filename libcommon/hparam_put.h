/* hparam_put.h - hyperparameters into GGUF keys and config.json. */
#ifndef HPARAM_PUT_H
#define HPARAM_PUT_H

#include "buf.h"
#include "err.h"
#include "gguf.h"
#include "source.h"
#include "tensor.h"
#include "tok.h"

/* The keys of the family, general.architecture first. Both need source_parts. */
void hparam_put_gguf(struct gguf_writer *w, const struct source *s);

/* The text of a config.json, `type` that of most weights. What transformers' class
 * of the family cannot say is an error. */
int hparam_put_config(const struct source *s, const struct tok *tok, enum tensor_type type,
                      struct buf *b, struct err *e);

/* The text of sentence-transformers' 1_Pooling/config.json; h->pool is one. */
void hparam_put_pooling(const struct hparam *h, struct buf *b);

#endif
