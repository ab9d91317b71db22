/* gbnf.h - grammars written in GBNF, the notation of llama.cpp.
 *
 *   root  ::= item ("," item)*       # the text must match the rule `root`
 *   item  ::= "a" | [0-9]{1,3} | .
 *
 * Literals "..." and classes [a-z] [^\n] with the escapes \n \r \t \\ \" \[ \] \xHH \uHHHH
 * \UHHHHHHHH (code points), `.` for any character, groups, alternatives, the
 * repetitions * + ? {m} {m,} {m,n}, comments. A body may go on in the next line within
 * parentheses, after `|` and `::=`, and when that line begins with `|`.
 * Source: llama.cpp, grammars/README.md. */
#ifndef GBNF_H
#define GBNF_H

#include "cfg.h"

/* Read n bytes into *c, which is zeroed. Errors: ERR_DATA "line 3: ..."; then *c is empty. */
int gbnf_read(struct cfg *c, const char *s, size_t n, struct err *e);

#endif
