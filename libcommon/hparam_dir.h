/* hparam_dir.h - hyperparameters out of an HF directory's config.json. */
#ifndef HPARAM_DIR_H
#define HPARAM_DIR_H

#include "err.h"
#include "hparam.h"

/* model_type llama, mistral, qwen2, qwen3, gpt2, gemma2 or nemotron, with the
 * defaults of transformers for what a config.json leaves out. Errors:
 * "dir/config.json: field 'num_hidden_layers': 0 is not an integer in 1..1024". */
int hparam_dir(struct hparam *h, const char *dir, struct err *e);

#endif
