/* where.h - comparisons of a record's fields: "score>=0.6", "meta.source != seed". */
#ifndef WHERE_H
#define WHERE_H

#include "err.h"
#include "record.h"

enum where_op { WHERE_GE, WHERE_LE, WHERE_EQ, WHERE_NE, WHERE_GT, WHERE_LT };

struct where {
    const char *text; // as given, borrowed
    char *field, *value;
    enum where_op op;
    bool number; // compare numbers; else text, by == and != only
    double x;
};

/* Parse "FIELD OP VALUE", OP one of >= <= == != > < and = (the same as ==). A value that
 * reads as a number is one unless it stands in quotes. ERR_ARG says what is wrong. */
int where_parse(struct where *w, const char *text, struct err *e);
void where_free(struct where *w);

/* The JSON of a field or, with dots, of a member of the object in it ("meta.round"); NULL when
 * absent. A field whose own name has the dots comes first. */
const char *where_get(struct record *r, const char *field, size_t *n);
/* Its number: 0 found, -1 absent or no number. */
int where_num(struct record *r, const char *field, double *out);

/* True when the record has the field and it compares so. A field of another type than a number is
 * unequal to every number, and neither more nor less. */
bool where_holds(const struct where *w, struct record *r);

/* The same for a number that is no field. */
bool where_compare(const struct where *w, double x);

#endif
