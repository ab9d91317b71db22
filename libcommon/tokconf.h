/* tokconf.h - what stands beside a tokenizer.json's model: the post-processor,
 * and the files tokenizer_config.json, chat_template.jinja,
 * generation_config.json, config.json. */
#ifndef TOKCONF_H
#define TOKCONF_H

#include "err.h"
#include "json.h"
#include "tokspec.h"

/* Fill ids, what stands around a text, ends, template and pre of s, whose
 * pieces are complete, from the parsed tokenizer.json and directory dir (or NULL). */
int tokconf_read(struct tok_spec *s, const struct json *tokenizer, const char *dir, struct err *e);

#endif
