/* quality.h - measures of running text: the rules of Gopher, C4 and FineWeb.
 *
 * Each rule is a measure with a limit; all are pure functions of one text. They were made for web
 * pages and long texts: a short answer breaks several of them by its length alone.
 *
 * A word is what stands between spaces, without the punctuation at its ends; a run of full
 * stops and every other such character is a word of its own. Characters are code points.
 * Sources: Rae et al. 2021 (Gopher), tables A1 and section A.1; Raffel et al. 2020 (C4), section
 * 2.2; Penedo et al. 2024 (FineWeb), section 3.6; order and details as in datatrove. */
#ifndef QUALITY_H
#define QUALITY_H

#include "look.h"

#include <stdbool.h>
#include <stddef.h>

enum quality_id {
    QUALITY_MIN_WORDS, // words that are not punctuation alone
    QUALITY_MAX_WORDS,
    QUALITY_MIN_MEAN, // their mean length; NaN, which breaks no limit, when there is none
    QUALITY_MAX_MEAN,
    QUALITY_HASHES,       // '#' to all words
    QUALITY_ELLIPSES,     // "..." and U+2026 to all words
    QUALITY_BULLETS,      // lines that begin with a bullet
    QUALITY_END_ELLIPSES, // lines that end in an ellipsis
    QUALITY_LETTERS,      // words with a letter
    QUALITY_STOP_WORDS,   // different ones among the eight of the paper
    QUALITY_DUP_PARAS,    // repeated paragraphs, by number and by characters
    QUALITY_DUP_PARA_CHARS,
    QUALITY_DUP_LINES,
    QUALITY_DUP_LINE_CHARS,
    QUALITY_TOP_2_GRAM, // characters in the most frequent run of words, to all
    QUALITY_TOP_3_GRAM,
    QUALITY_TOP_4_GRAM,
    QUALITY_DUP_5_GRAMS, // characters in runs that stood before, to all
    QUALITY_DUP_6_GRAMS,
    QUALITY_DUP_7_GRAMS,
    QUALITY_DUP_8_GRAMS,
    QUALITY_DUP_9_GRAMS,
    QUALITY_DUP_10_GRAMS,
    QUALITY_C4_SENTENCES, // in the lines that C4 keeps
    QUALITY_C4_LOREM,     // lines with "lorem ipsum"
    QUALITY_C4_CURLY,     // lines with '{'
    QUALITY_LINE_ENDS,    // lines that end a sentence
    QUALITY_SHORT_LINES,  // lines of at most 30 characters
    QUALITY_DUP_CHARS,    // characters in repeated lines
    QUALITY_NEWLINES,     // newlines to words
    QUALITY_N
};

struct quality_rule {
    const char *name, *preset; // preset: "gopher-quality", "gopher-repetition", "c4", "fineweb"
    bool least;                // the limit is the least value allowed; else the greatest
    double limit;              // of the source
    const char *help;          // one line, as in option tables
};
extern const struct quality_rule quality_rules[QUALITY_N];

struct quality; // working memory, and what is known of the text at hand
struct quality *quality_open(void);
void quality_close(struct quality *q); // NULL-safe

/* The text to measure, UTF-8, borrowed until the next one. */
void quality_text(struct quality *q, struct look *text);
/* The measure of a rule; what is looked at for it is looked at once a text. */
double quality_value(struct quality *q, enum quality_id id);
/* The first of n measures that does not keep to its limit, or n. What is clear early is not
 * measured to the end. */
struct quality_limit {
    enum quality_id id;
    double limit;
};
int quality_beyond(struct quality *q, const struct quality_limit *x, int n);

#endif
