/* lang.h - the language of a text, by script and function words.
 *
 * The script with most letters decides where a script belongs to one language (ko, el, th ...;
 * Arabic letters are taken for ar and Devanagari for hi, whatever else is written in them);
 * Han with one Hiragana letter in twenty is ja, without zh. Among the languages in Latin letters
 * (en de fr es it pt nl sv da pl cs tr fi hu ro id vi) and in Cyrillic ones (ru uk bg) the one
 * whose function words, about 35 of each, are most often met wins, when two different ones are met
 * and a twelfth of all words; else the answer is "und". So it needs a sentence or two, and it is a
 * rule of thumb for telling languages apart in bulk, no classifier. */
#ifndef LANG_H
#define LANG_H

#include "look.h"

struct lang; // the function words
struct lang *lang_open(void);
void lang_close(struct lang *x); // NULL-safe

/* ISO 639-1 code, or "und". */
const char *lang_of(struct lang *x, struct look *text);
int lang_known(const char *name); // a code that lang_of can give

#endif
