/* child.h - a text through a program: its exit status, within a time. */
#ifndef CHILD_H
#define CHILD_H

#include "err.h"

#include <stddef.h>

enum { CHILD_TIMEOUT = -2 };

/* Run `command` with sh -c, n bytes of text on its standard input and nothing on its others.
 * Returns its exit status, 128 + the number of a signal that ended it, or CHILD_TIMEOUT when it
 * ran longer than `seconds` and was killed with all that it started; -1 with e set when it
 * cannot be run (ERR_IO). Signals that are blocked here are not blocked there. */
int child_status(const char *command, const char *s, size_t n, double seconds, struct err *e);

#endif
