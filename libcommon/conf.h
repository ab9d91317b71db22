/* conf.h - YAML files into a small tree (no anchors, no tags).
 *
 * At most 1 MiB, depth 32. Anchors, aliases, tags, merge keys and duplicate keys are
 * errors; every scalar is a string. Messages name file and line. */
#ifndef CONF_H
#define CONF_H

#include "err.h"

struct conf {
    const char *key;    // in its mapping, or NULL
    const char *value;  // of a scalar, else NULL
    struct conf *child; // first item of a mapping or sequence
    struct conf *next;  // sibling
    int line;
    const char *file;
};

struct conf *conf_open(const char *path, struct err *e); // root; NULL on error
void conf_close(struct conf *root);

const struct conf *conf_get(const struct conf *c, const char *key); // or NULL
const char *conf_str(const struct conf *c, const char *key, const char *otherwise);
/* Numbers, whole numbers and yes/no: 1 found, 0 absent, -1 not of that form or range with e set. */
int conf_num(const struct conf *c, const char *key, double lo, double hi, double *out,
             struct err *e);
int conf_int(const struct conf *c, const char *key, int lo, int hi, int *out, struct err *e);
int conf_bool(const struct conf *c, const char *key, int *out, struct err *e);
/* Error when c has a key outside the NULL-terminated list: "file:3: unknown key 'x'". */
int conf_only(const struct conf *c, const char *const *keys, struct err *e);

#endif
