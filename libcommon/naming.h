/* naming.h - the fields that the ids of records are made of, found by ids that are known.
 *
 * A command makes the id of a record without one out of the fields that it reads. Which these were
 * tells a record whose id is there, or one whose made id is known. */
#ifndef NAMING_H
#define NAMING_H

#include "hash.h"
#include "record.h"

#include <stdbool.h>

struct naming {
    bool (*known)(const void *with, struct hash128 key); // is this the id of a record?
    const void *with;
    /* zeroed */
    struct naming_own {
        char *name;
        const char **list;
    } * own;             // (n_own) lists with a field of the user's own, as by --field
    int n_own, n_looked; // ids of this file that were looked at
};
void naming_free(struct naming *n);

/* Another file, which may be of another command. */
void naming_file(struct naming *n);
/* Look at a record with an id: were its fields others than those that commands read by
 * themselves? */
void naming_learn(struct naming *n, struct record *r);
/* The fields that the id of a record without one is made of: those that give an id which is known,
 * else those of a prompt. */
const char *const *naming_fields(struct naming *n, struct record *r);

#endif
