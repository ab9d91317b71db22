/* child.h - a text through a program: its exit status, within a time. */
#ifndef CHILD_H
#define CHILD_H

#include "err.h"

#include <stddef.h>

/* Not of the command: the time was over. Of the shell: it names a file that cannot be executed, a
 * command that is not there. Source: POSIX.1-2017, Shell Command Language, 2.8.2. */
enum { CHILD_TIMEOUT = -2, CHILD_NO_EXEC = 126, CHILD_NO_COMMAND = 127 };

/* Run `command` with sh -c, n bytes of text on its standard input and nothing on its others.
 * Returns its exit status, 128 + the number of a signal that ended it, or CHILD_TIMEOUT when it
 * ran longer than `seconds` and was killed with all that it started; -1 with e set when it
 * cannot be run (ERR_IO). Signals that are blocked here are not blocked there. */
int child_status(const char *command, const char *s, size_t n, double seconds, struct err *e);

#endif
