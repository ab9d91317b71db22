/* quiz.h - an answer of which only a few places are open, read as distributions.
 *
 * A prompt file's `assistant` text has {{places}}, each for one of a few choices ("0" to "4", or
 * "A" and "B"). The text is given to the model up to each place in turn; there, the probabilities
 * of the choices among each other are read; the likeliest stands in the text from then on. Nothing
 * is sampled and nothing parsed. With a model of our own all places are one request (engine.h's
 * slots). A server is asked for the log-probabilities of its likeliest tokens at each place, one
 * request a place. */
#ifndef QUIZ_H
#define QUIZ_H

#include "err.h"
#include "recipe.h"
#include "session.h"

#include <stdbool.h>

enum { QUIZ_PLACES = 8, QUIZ_CHOICES = 8, QUIZ_VARS = 8 };

/* What is asked. */
struct quiz_form {
    const char *const *place; // (n_places) names in the prompt file
    int n_places;
    const char *const *choice; // (n_choices) texts, if the file's `choices` does not name others
    int n_choices;
    const char *const *given; // (n_given) names of the other variables
    int n_given;
};

struct quiz {
    struct recipe recipe;
    const struct quiz_form *form;
    const char *choice[QUIZ_CHOICES];
    int order[QUIZ_PLACES];   // the i-th place of the text -> index into form->place
    char *upto[QUIZ_PLACES];  // the text before it
    size_t bare[QUIZ_PLACES]; // its length without blanks at the end
    char *turned;             // the assistant text with its lines reversed, or NULL
};

/* Open prompts/SET/NAME.yaml or a file. turned: the lines of the answer in reverse order, each of
 * which must hold one place. */
int quiz_open(struct quiz *q, const struct quiz_form *f, const char *set, const char *name,
              bool turned, struct err *e);
void quiz_close(struct quiz *q); // zeroed is closed

/* With a model of our own: do the choices stand at single tokens that change nothing around them?
 * ERR_ARG. */
int quiz_check(const struct quiz *q, const struct session *s, struct err *e);

/* One asking. Zeroed, then filled in by the caller: */
struct quiz_ask {
    const char *text[QUIZ_VARS]; // of form->given; NULL: not there. Borrowed until it is read
    size_t n_text[QUIZ_VARS];
    struct hash128 key;
    void *user; // of the result of the session
    /* Then, by place: */
    double p[QUIZ_PLACES][QUIZ_CHOICES];

    struct session_prompt prompt;
    struct engine_slot slot[QUIZ_PLACES];
    int32_t choice[QUIZ_PLACES][QUIZ_CHOICES];
    struct tok_ids ids; // the forced answer, which the slots' `then` point into
    int at;             // place of a server's text
    int top[QUIZ_PLACES];
    bool spaced; // the blank before the place is a token of its own
};
void quiz_ask_free(struct quiz_ask *a);

/* Why a reading failed; the message is in the error. */
struct quiz_why {
    const char *rule;
    char value[24], limit[24]; // JSON, or ""
};

/* Ask. -1: refused, see why. */
int quiz_submit(const struct quiz *q, struct quiz_ask *a, struct session *s, struct quiz_why *why,
                struct err *e);
/* A result came for it: 1 it is read, 0 the next place was asked for, -1 it cannot be read. */
int quiz_take(const struct quiz *q, struct quiz_ask *a, struct session *s,
              const struct session_result *d, struct quiz_why *why, struct err *e);

/* Of the choices as numbers 0, 1, 2 ...: mean, and variance. */
void quiz_moments(const struct quiz *q, const double *p, double *mean, double *var);

#endif
