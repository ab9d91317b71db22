/* roles.h - no file has two parts to play in a run.
 *
 * Knows every file that the command line names, by the roles of its option rows (opt.h), and those
 * that follow from them: FILE.meta and FILE.round beside an output, FILE.aK of an attempt, the
 * files of a model's directory and the other parts of a split GGUF file, the files of an index,
 * standard input and output. What is there is told by device and inode, what is not by its
 * directory and name. */
#ifndef ROLES_H
#define ROLES_H

#include "err.h"
#include "opt.h"

/* What a model's Hugging Face directory is read from besides its weights; NULL-terminated. */
extern const char *const roles_model_files[];

/* Before anything is touched: refuse a file that is written and has another part besides, and one
 * that cannot be written at the end. The n operands are inputs, standard input when there are none;
 * `more` are further files that are read (NULL: none). ERR_ARG says which file and why. */
int roles_check(const struct opt *tab, int n, char **operand, const struct opt_list *more,
                struct err *e);

#endif
