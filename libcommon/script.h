/* script.h - the scripts of a text's letters. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "kinds.h"

#include <stddef.h>
#include <stdint.h>

enum script {
    SCRIPT_OTHER, // any that has no name here, and marks that belong to all
    SCRIPT_LATIN,
    SCRIPT_GREEK,
    SCRIPT_CYRILLIC,
    SCRIPT_ARMENIAN,
    SCRIPT_HEBREW,
    SCRIPT_ARABIC,
    SCRIPT_DEVANAGARI,
    SCRIPT_BENGALI,
    SCRIPT_GURMUKHI,
    SCRIPT_GUJARATI,
    SCRIPT_TAMIL,
    SCRIPT_TELUGU,
    SCRIPT_KANNADA,
    SCRIPT_MALAYALAM,
    SCRIPT_SINHALA,
    SCRIPT_THAI,
    SCRIPT_LAO,
    SCRIPT_TIBETAN,
    SCRIPT_MYANMAR,
    SCRIPT_GEORGIAN,
    SCRIPT_ETHIOPIC,
    SCRIPT_KHMER,
    SCRIPT_MONGOLIAN,
    SCRIPT_HANGUL,
    SCRIPT_HIRAGANA,
    SCRIPT_KATAKANA,
    SCRIPT_HAN,
    SCRIPT_N
};
extern const char *const script_names[SCRIPT_N]; // Unicode's: "Latin", "Hangul"; "other"

/* By name, in any case; -1 when there is none. */
int script_find(const char *name, size_t n);

/* Letters of each script in n bytes of UTF-8, added to count; returns all letters.
 * Source: Unicode, Scripts.txt. */
size_t script_count(const char *s, size_t n, size_t count[SCRIPT_N]);
size_t script_count_of(const struct kinds *text, size_t count[SCRIPT_N]);

#endif
