/* attempt.c - files of several attempts at the same work. */
#include "attempt.h"

#include "buf.h"
#include "mem.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

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
    while (d && (x = readdir(d))) {
        int k = number(x->d_name, name);

        if (k < 0 || k == own)
            continue;
        l->v = mem_resize(l->v, l->n + 1, sizeof(*l->v));
        l->v[l->n++] = (struct attempt){attempt_path(base, k), k};
    }
    if (l->n)
        qsort(l->v, l->n, sizeof(*l->v), ascending);
    if (d)
        closedir(d);
    free(dir);
}

void attempt_free(struct attempt_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].path);
    free(l->v);
    *l = (struct attempt_list){0};
}
