/* axes.c - the five axes of an answer, and weights that make one score of them. */
#include "axes.h"

#include "conf.h"
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LIMIT = 1000 }; // of a weight

const char *const axes_names[AXES] = {"helpfulness", "correctness", "coherence", "complexity",
                                      "verbosity"};

static const struct {
    const char *name;
    double w[AXES];
} presets[] = {{"default", {0.30, 0.30, 0.20, 0.10, 0.10}},
               {"nemotron", {0.30, 0.74, 0.46, 0.47, -0.33}}};

/* ---- weights ---- */

static bool five_numbers(double *w, const char *text)
{
    char *end;

    for (int a = 0; a < AXES; a++, text = end + 1) {
        errno = 0;
        w[a] = strtod(text, &end);
        if (end == text || errno || !(fabs(w[a]) <= LIMIT) || *end != (a < AXES - 1 ? ',' : '\0'))
            return false;
    }
    return true;
}

static int read_number(const struct conf *c, const char *key, double *out, struct err *e)
{
    int rc = conf_num(c, key, -LIMIT, LIMIT, out, e);

    if (!rc)
        return err_set(e, ERR_DATA, "%s: no weight '%s'", c->file, key);
    return rc < 0 ? -1 : 0;
}

/* A file as llm-score calibrate writes it. */
static int read_file(struct axes_weights *w, const char *path, struct err *e)
{
    const char *keys[AXES + 3] = {"name", "offset"}, *base = strrchr(path, '/');
    struct conf *c = conf_open(path, e);
    int rc;

    if (!c)
        return -1;
    memcpy(keys + 2, axes_names, sizeof(axes_names));
    rc = conf_only(c, keys, e) || conf_num(c, "offset", -LIMIT, LIMIT, &w->offset, e) < 0;
    for (int a = 0; a < AXES && !rc; a++)
        rc = read_number(c, axes_names[a], &w->w[a], e);
    snprintf(w->name, sizeof(w->name), "%s", conf_str(c, "name", base ? base + 1 : path));
    conf_close(c);
    return rc ? -1 : 0;
}

int axes_weights(struct axes_weights *w, const char *text, struct err *e)
{
    struct stat st;
    int rc = 0;

    *w = (struct axes_weights){0};
    for (size_t i = 0; i < sizeof(presets) / sizeof(*presets); i++)
        if (!strcmp(presets[i].name, text)) {
            memcpy(w->w, presets[i].w, sizeof(w->w));
            snprintf(w->name, sizeof(w->name), "%s", text);
        }
    if (!*w->name && five_numbers(w->w, text))
        snprintf(w->name, sizeof(w->name), "%s", text);
    if (!*w->name && stat(text, &st))
        return err_set(e, ERR_ARG,
                       "--weights: '%s' is not default, nemotron or five numbers h,c,o,x,v from "
                       "-%d to %d, and no file",
                       text, LIMIT, LIMIT);
    if (!*w->name)
        rc = read_file(w, text, e);
    w->hash = hash_add(w->hash, w->w, sizeof(w->w));
    w->hash = hash_add(w->hash, &w->offset, sizeof(w->offset));
    w->hash = hash_add(w->hash, w->name, strlen(w->name));
    return rc;
}

double axes_score(const struct axes_weights *w, const double *x)
{
    double sum = 0;

    for (int a = 0; a < AXES; a++)
        sum += w->w[a] * x[a];
    return w->offset + sum / AXES_MOST;
}

double axes_spread(const struct axes_weights *w, const double *var)
{
    double sum = 0;

    for (int a = 0; a < AXES; a++)
        sum += w->w[a] * w->w[a] * var[a];
    return sqrt(sum) / AXES_MOST;
}

/* ---- records ---- */

double axes_round(double x)
{
    return floor(x * 1e4 + 0.5) / 1e4;
}

void axes_put(struct record *r, const struct axes_weights *w, const double *x, const double *var)
{
    for (int a = 0; a < AXES; a++)
        record_set_num(r, axes_names[a], axes_round(x[a]));
    record_set_num(r, "score", axes_round(axes_score(w, x)));
    if (var)
        record_set_num(r, "score_sd", axes_round(axes_spread(w, var)));
    record_set_meta_str(r, "weights", w->name);
}

void axes_count(struct axes_sums *s, struct record *r)
{
    s->n++;
    for (int a = 0; a <= AXES; a++) {
        double x = 0;

        record_num(r, a < AXES ? axes_names[a] : "score", &x);
        s->sum[a] += x;
        s->sq[a] += x * x;
    }
}

void axes_stats(const struct axes_sums *s, bool score_only, struct buf *out)
{
    for (int k = 0; k < 2; k++) {
        buf_str(out, k ? ",\"sd\":{" : ",\"mean\":{");
        for (int a = score_only ? AXES : 0; a <= AXES; a++) {
            double m = s->n ? s->sum[a] / (double)s->n : 0;
            double v = s->n ? s->sq[a] / (double)s->n - m * m : 0;

            json_put_key(out, a < AXES ? axes_names[a] : "score");
            json_put_num(out, axes_round(k ? sqrt(v > 0 ? v : 0) : m));
        }
        buf_char(out, '}');
    }
}
