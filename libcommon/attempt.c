/* attempt.c - files of several attempts at the same work. */
#include "attempt.h"

#include "mem.h"
#include "resume.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *attempt_path(const char *base, int k)
{
    struct buf b = {0};

    buf_fmt(&b, "%s.a%d", base, k);
    return b.p;
}

/* K of "NAME.aK", or -1. */
static int number(const char *file, const char *name)
{
    size_t n = strlen(name);
    char *end;
    long k;

    if (strncmp(file, name, n) != 0 || strncmp(file + n, ".a", 2) != 0)
        return -1;
    file += n + 2;
    if (*file < '0' || *file > '9' || (*file == '0' && file[1]))
        return -1;
    k = strtol(file, &end, 10);
    return *end || k > ATTEMPT_MAX ? -1 : (int)k;
}

int attempt_parse(const char *text, int *k, struct err *e)
{
    struct buf b = {0};

    buf_fmt(&b, ".a%s", text);
    *k = number(b.p, "");
    buf_free(&b);
    return *k < 0 ? err_set(e, ERR_ARG, "--attempt: '%s' is not an integer in 0..%d", text,
                            ATTEMPT_MAX)
                  : 0;
}

static void add(struct attempt_list *l, char *path, int k)
{
    l->v = mem_resize(l->v, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = (struct attempt){path, k, 0};
}

static int ascending(const void *a, const void *b)
{
    return ((const struct attempt *)a)->k - ((const struct attempt *)b)->k;
}

void attempt_find(const char *base, int own, struct attempt_list *l)
{
    const char *slash = strrchr(base, '/'), *name = slash ? slash + 1 : base;
    char *dir = slash ? mem_dup(base, (size_t)(slash - base) + 1) : mem_dup(".", 1);
    DIR *d = opendir(dir);
    const struct dirent *x;

    *l = (struct attempt_list){0};
    if (!access(base, F_OK))
        add(l, mem_dup(base, strlen(base)), -1);
    while (d && (x = readdir(d))) {
        int k = number(x->d_name, name);

        if (k < 0 || k == own)
            continue;
        add(l, attempt_path(base, k), k);
    }
    if (l->n)
        qsort(l->v, l->n, sizeof(*l->v), ascending);
    if (d)
        closedir(d);
    free(dir);
}

int attempt_scan(struct attempt_list *l, int group, uint32_t each, struct stop *stop,
                 struct tally *t, const struct buf *meta, struct err *e)
{
    struct buf path = {0}, note = {0};
    int rc = 0;

    for (size_t i = 0; i < l->n && !rc; i++) {
        buf_reset(&path);
        buf_fmt(&path, "%s.meta", l->v[i].path);
        if (meta && !access(path.p, F_OK))
            rc = resume_meta(path.p, meta->p, meta->n, true, &note, e);
        if (!rc)
            rc = resume_read(l->v[i].path, group, each, stop, t, &l->v[i].good, e);
    }
    buf_free(&path);
    buf_free(&note);
    return rc;
}

void attempt_free(struct attempt_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].path);
    free(l->v);
    *l = (struct attempt_list){0};
}
