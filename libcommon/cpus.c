/* cpus.c - processors that this process may use. */
#include "cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_LENGTH = 4096 };

/* The first one or two numbers of a small file; how many there were. */
static int numbers(const char *folder, const char *name, long long n[2])
{
    char path[PATH_LENGTH], text[64] = "";
    FILE *f;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return 0;
    f = fopen(path, "re");
    if (!f)
        return 0;
    if (!fgets(text, sizeof(text), f))
        text[0] = 0;
    fclose(f);
    return sscanf(text, "%lld %lld", &n[0], &n[1]);
}

/* Thousandths of a processor that one folder allows, or -1 without a limit ("max 100000"; -1). */
static long quota_of(const char *folder, bool v2)
{
    long long n[2] = {-1, -1}, period[2] = {-1, -1};

    if (v2) {
        if (numbers(folder, "cpu.max", n) != 2)
            return -1;
    } else {
        if (numbers(folder, "cpu.cfs_quota_us", n) != 1 ||
            numbers(folder, "cpu.cfs_period_us", period) != 1)
            return -1;
        n[1] = period[0];
    }
    if (n[0] < 1 || n[1] < 1 || n[0] > 1000000000000 || n[1] > 1000000000)
        return -1;
    return (long)((n[0] * 1000 + n[1] - 1) / n[1]);
}

/* The tightest of folder/path and all above it down to `folder`; path begins with a slash. */
static long quota_above(const char *folder, const char *path, bool v2)
{
    char at[PATH_LENGTH];
    size_t base = strlen(folder);
    long best = -1, q;

    if (snprintf(at, sizeof(at), "%s%s", folder, path) >= (int)sizeof(at))
        return -1;
    for (;;) {
        char *slash = strrchr(at + base, '/');

        q = quota_of(at, v2);
        best = q > 0 && (best < 0 || q < best) ? q : best;
        if (!slash)
            return best;
        *slash = 0;
    }
}

/* Whether `name` is in a list with commas. */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (; *list; list += *list == ',') {
        size_t k = strcspn(list, ",");

        if (k == n && !memcmp(list, name, n))
            return true;
        list += k;
    }
    return false;
}

long cpus_quota(const char *groups, const char *mounts)
{
    char line[PATH_LENGTH], folder[PATH_LENGTH];
    FILE *f = fopen(groups, "re");
    long best = -1, q;

    if (!f)
        return -1;
    while (fgets(line, sizeof(line), f)) { // number:controllers:path
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

        line[strcspn(line, "\n")] = 0;
        if (!path || path[1] != '/')
            continue;
        *path++ = 0;
        list++;
        if (*list && !listed(list, "cpu"))
            continue;
        if (snprintf(folder, sizeof(folder), "%s%s", mounts, *list ? "/cpu" : "") >=
            (int)sizeof(folder))
            continue; // version 1 may be mounted as cpu,cpuacct: cpu is a link to it then
        q = quota_above(folder, path, !*list);
        best = q > 0 && (best < 0 || q < best) ? q : best;
    }
    fclose(f);
    return best;
}

int cpus_available(void)
{
    long quota = cpus_quota("/proc/self/cgroup", "/sys/fs/cgroup"), n = 1;
    cpu_set_t set;

    if (!sched_getaffinity(0, sizeof(set), &set))
        n = CPU_COUNT(&set);
    if (quota > 0) {
        quota = quota / 1000 + (quota < 1000 || quota % 1000 >= 100);
        n = quota < n ? quota : n;
    }
    return n < 1 ? 1 : (int)n;
}
