/* past.c - what an interrupted run left behind, read again. */
#include "past.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take_line(const char *line, size_t n,
                     int (*take)(void *with, struct record *r, struct err *e), void *with,
                     struct err *e)
{
    static const char *const none[] = {NULL};
    struct record r;
    int rc;

    if (record_parse(&r, line, n, e))
        return -1;
    rc = record_identify(&r, none, e);
    if (!rc)
        rc = take(with, &r, e);
    record_reset(&r);
    return rc;
}

int past_read(const char *path, int (*take)(void *with, struct record *r, struct err *e),
              void *with, struct err *e)
{
    return past_part(path, UINT64_MAX, take, with, e);
}

int past_part(const char *path, uint64_t bytes,
              int (*take)(void *with, struct record *r, struct err *e), void *with, struct err *e)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    long no = 0;
    int rc = 0;

    if (!f && errno == ENOENT)
        return 0;
    if (!f)
        return err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    while (!rc && bytes && (n = getline(&line, &cap, f)) > 0) {
        size_t bom = !no++ && n >= 3 && !memcmp(line, "\xEF\xBB\xBF", 3) ? 3 : 0;

        bytes -= bytes < (uint64_t)n ? bytes : (uint64_t)n;
        if (strspn(line + bom, " \t\r\n") + bom < (size_t)n)
            rc = take_line(line + bom, (size_t)n - bom, take, with, e);
    }
    if (rc)
        err_wrap(e, "%s:%ld", path, no);
    else if (ferror(f))
        rc = err_set(e, ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    free(line);
    fclose(f);
    return rc;
}

void past_note(struct tally *t, const struct record *r)
{
    tally_at(t, r->key)->done++;
}

bool past_has(const struct tally *t, const struct record *r)
{
    const struct tally_entry *x = tally_find(t, r->key);

    return x && x->done;
}
