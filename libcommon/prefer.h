/* prefer.h - preference records: two answers to one prompt, the chosen and the rejected one. */
#ifndef PREFER_H
#define PREFER_H

#include "err.h"
#include "record.h"

/* Make the record of the chosen answer one of both: sets `prompt` (unless it is there), `chosen`,
 * `rejected`, `score_chosen`, `score_rejected` and meta.rejected, the id of the other record. The
 * texts are those of `field`. A record in chat form gets lists of messages, others strings, as
 * trainers of both forms take them. ERR_DATA. */
int prefer_put(struct record *chosen, struct record *rejected, const char *field, double high,
               double low, struct err *e);

#endif
