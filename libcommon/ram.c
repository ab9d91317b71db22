/* ram.c - memory that this process may still take. */
#include "ram.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Names of the files of either version; files are charged to whoever read them first, and
 * can be dropped, so they count as free. */
static const struct kind {
    const char *base, *limit, *used, *inactive, *active;
} kinds[2] = {
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
     "total_inactive_file", "total_active_file"},
    {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file", "active_file"},
};

/* The number after `key` at the beginning of a line of a file, or -1. */
static int64_t number(const char *root, const char *path, const char *key)
{
    char name[2304], line[256];
    size_t n = strlen(key);
    long long v = -1;
    FILE *f;

    snprintf(name, sizeof(name), "%s%s", root, path);
    f = fopen(name, "re");
    if (!f)
        return -1;
    while (v < 0 && fgets(line, sizeof(line), f))
        if (strncmp(line, key, n) || sscanf(line + n, "%lld", &v) != 1 || v < 0)
            v = -1; // "max" is no number
    fclose(f);
    return v;
}

static int64_t of_group(const char *root, const struct kind *k, const char *dir)
{
    char path[2048];
    int64_t limit, used, inactive, active;

    snprintf(path, sizeof(path), "%s%s/%s", k->base, dir, k->limit);
    limit = number(root, path, "");
    snprintf(path, sizeof(path), "%s%s/%s", k->base, dir, k->used);
    used = number(root, path, "");
    if (limit < 0 || used < 0 || limit > INT64_MAX / 2) // version 1 says "none" by a huge number
        return -1;
    snprintf(path, sizeof(path), "%s%s/memory.stat", k->base, dir);
    inactive = number(root, path, k->inactive);
    active = number(root, path, k->active);
    used -= (inactive > 0 ? inactive : 0) + (active > 0 ? active : 0);
    return limit > used ? limit - used : 0;
}

static void lower(int64_t *best, int64_t v)
{
    if (v >= 0 && (*best < 0 || v < *best))
        *best = v;
}

/* Lines "0::/path" are of version 2, "7:memory:/path" of version 1. */
static void of_line(const char *root, char *line, int64_t *best)
{
    char *name = strchr(line, ':'), *dir = name ? strchr(name + 1, ':') : NULL;
    const struct kind *k = &kinds[1];

    if (!dir || dir[1] != '/')
        return;
    *dir++ = 0;
    dir[strcspn(dir, "\n")] = 0;
    if (!strcmp(name + 1, "memory"))
        k = &kinds[0];
    else if (name[1])
        return;
    for (char *slash = dir + strlen(dir); slash; slash = strrchr(dir, '/')) {
        *slash = 0;
        lower(best, of_group(root, k, dir));
    }
}

/* What ulimit -v leaves beside what is no file that somebody maps: a model counts where it is
 * planned for. */
static void of_process(const char *root, int64_t *best)
{
    static const char *const own[] = {"VmData:", "VmStk:", "VmExe:", "VmLib:"};
    struct rlimit limit;
    int64_t used = 0;

    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur > INT64_MAX / 2) // RLIM_INFINITY too
        return;
    for (int i = 0; i < 4; i++) {
        int64_t kib = number(root, "/proc/self/status", own[i]);

        used += kib > 0 ? kib * 1024 : 0;
    }
    lower(best, (int64_t)limit.rlim_cur > used ? (int64_t)limit.rlim_cur - used : 0);
}

int64_t ram_available(const char *root)
{
    int64_t best = number(root, "/proc/meminfo", "MemAvailable:");
    char path[1024], line[1024];
    FILE *f;

    if (best >= 0)
        best *= 1024;
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        of_line(root, line, &best);
    if (f)
        fclose(f);
    of_process(root, &best);
    return best;
}
