/* whole.h - outputs of a stream that appear under their names when they are whole.
 *
 * A command that needs all records before it writes the first gives its stream "FILE.part", and
 * renames it at the end, after a sync. The fingerprint beside it goes along. */
#ifndef WHOLE_H
#define WHOLE_H

#include "err.h"

#include <stdbool.h>

/* *file becomes "FILE.part", allocated as *part; what a stopped run left there is removed.
 * Nothing for NULL. ERR_ARG when FILE exists, unless it may. */
int whole_hide(const char **file, char **part, bool may_exist, struct err *e);
/* Sync and rename; nothing for NULL. */
int whole_reveal(const char *part, struct err *e);

#endif
