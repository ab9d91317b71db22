/* onig.h - regular expressions out of Oniguruma's dialect into PCRE2's.
 *
 * The dialect is its default one, which is what Hugging Face's tokenizers reads
 * expressions in. */
#ifndef ONIG_H
#define ONIG_H

#include "buf.h"

#include <stddef.h>

/* Append the expression to *out, for PCRE2 with UTF, UCP and MULTILINE. NULL, or why it cannot be
 * translated. */
const char *onig_translate(const char *s, size_t n, struct buf *out);

#endif
