/* said.h - what is said in a record's messages. */
#ifndef SAID_H
#define SAID_H

#include "record.h"

/* Append the texts of messages ({role, content}, OpenAI's) or conversations ({from, value},
 * ShareGPT's), a line each, without what the assistant says at the end; whoever speaks, in
 * whatever parts. Whether that is any text. */
bool said_text(struct record *r, struct buf *out);

#endif
