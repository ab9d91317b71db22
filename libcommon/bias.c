/* bias.c - what is added to the logits of tokens, out of TOKEN:X on the command line. */
#include "bias.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double x_max = 1e4;

/* X of "TOKEN:X". */
static int amount(const char *text, float *x)
{
    char *end;
    double d;

    if (!strcmp(text, "ban")) {
        *x = -INFINITY;
        return 0;
    }
    errno = 0;
    d = strtod(text, &end);
    if (end == text || *end || errno || !(fabs(d) <= x_max))
        return -1;
    *x = (float)d;
    return 0;
}

/* The text that a TOKEN stands for: a JSON string's value, or itself. */
static int plain(const char *token, size_t n, struct buf *out, struct err *e)
{
    struct arena mem = {0};
    struct json j = {0};
    size_t n_text;
    char *text;
    int rc = 0;

    if (*token != '"') {
        buf_add(out, token, n);
        return 0;
    }
    rc = json_parse(&j, &mem, token, n, e);
    text = rc ? NULL : json_str(&j, 0, &mem, &n_text);
    if (text)
        buf_add(out, text, n_text);
    arena_free(&mem);
    return rc;
}

/* What each token gets; NAN: nothing yet. -1: it has something already. */
static int set(float *all, long id, float x, const char *s, struct err *e)
{
    if (!isnan(all[id]))
        return err_set(e, ERR_ARG, "'%s': token %ld has a bias already", s, id);
    all[id] = x;
    return 0;
}

/* Set the x of every token with this text; returns how many, or -1. */
static int set_text(const struct tok *t, int n_vocab, const struct buf *text, float x,
                    const char *s, float *all, struct err *e)
{
    struct buf b = {0};
    int n = 0;

    for (int id = 0; id < tok_size(t) && id < n_vocab; id++) {
        b.n = 0;
        tok_bytes(t, id, true, &b);
        if (b.n != text->n || memcmp(b.p, text->p, b.n) != 0)
            continue;
        n = n < 0 || set(all, id, x, s, e) ? -1 : n + 1;
    }
    buf_free(&b);
    return n;
}

static int read_one(const struct tok *t, int n_vocab, const char *s, float *all, struct err *e)
{
    const char *colon = strrchr(s, ':');
    size_t n = colon ? (size_t)(colon - s) : 0;
    struct buf text = {0};
    float x;
    int rc = -1;

    if (!n || amount(colon + 1, &x))
        return err_set(e, ERR_ARG, "'%s' is not TOKEN:X with X a number in -%g..%g, or ban", s,
                       x_max, x_max);
    if (strspn(s, "0123456789") == n) {
        long id = n < 10 ? strtol(s, NULL, 10) : n_vocab;

        if (id >= n_vocab)
            return err_set(e, ERR_ARG, "'%s': the model has %d tokens", s, n_vocab);
        return set(all, id, x, s, e);
    }
    if (plain(s, n, &text, e)) {
        err_wrap(e, "'%s'", s);
        e->code = ERR_ARG;
    } else {
        rc = text.n ? set_text(t, n_vocab, &text, x, s, all, e) : 0;
        if (!rc)
            err_set(e, ERR_ARG, "'%s': no token has just this text", s);
        rc = rc > 0 ? 0 : -1;
    }
    buf_free(&text);
    return rc;
}

int bias_read(const struct tok *t, int n_vocab, const struct opt_list *list,
              struct sample_bias **out, int *n, struct err *e)
{
    float *all;
    size_t cap = 0;
    int rc = 0;

    *out = NULL;
    *n = 0;
    if (!list->n)
        return 0;
    all = mem_zero((size_t)n_vocab, sizeof(*all));
    for (int id = 0; id < n_vocab; id++)
        all[id] = NAN;
    for (int i = 0; i < list->n && !rc; i++)
        rc = read_one(t, n_vocab, list->v[i], all, e);
    for (int id = 0; id < n_vocab && !rc; id++) {
        if (isnan(all[id]) || all[id] == 0)
            continue;
        mem_grow(out, &cap, (size_t)*n + 1, sizeof(**out));
        (*out)[(*n)++] = (struct sample_bias){id, all[id]};
    }
    free(all);
    return rc;
}
