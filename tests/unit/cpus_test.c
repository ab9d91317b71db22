/* cpus_test.c - processors: affinity, and quotas of both versions of cgroups. */
#include "cpus.h"
#include "test.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 300 };
static char root[64] = "/tmp/cpus_test.XXXXXX";

/* A file below the root, with the folders that lead to it. */
static void put(const char *name, const char *text)
{
    char path[MOST];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(path, 0700);
            *p = '/';
        }
    f = fopen(path, "w");
    CHECK(f);
    if (!f)
        return;
    fputs(text, f);
    fclose(f);
}

static long quota(const char *groups)
{
    char path[MOST];

    put("groups", groups);
    snprintf(path, sizeof(path), "%s/groups", root);
    return cpus_quota(path, root);
}

static void test_v2(void)
{
    TEST("version 2: cpu.max, the tightest on the way up");
    put("cpu.max", "max 100000\n");
    put("a/cpu.max", "350000 100000\n");
    put("a/b/cpu.max", "max 100000\n");
    put("a/c/cpu.max", "150000 100000\n");
    put("a/d/cpu.max", "5000 1000000\n");
    CHECK(quota("0::/\n") == -1);
    CHECK(quota("0::/a\n") == 3500);
    CHECK(quota("0::/a/b\n") == 3500);
    CHECK(quota("1:name=systemd:/x\n0::/a/c\n") == 1500);
    CHECK(quota("0::/a/d\n") == 5);
    CHECK(quota("0::/not/here\n") == -1);
    CHECK(quota("0::a/c\n") == -1);
    CHECK(quota("") == -1 && quota("::\n:\n\n") == -1);
    put("cpu.max", "200000 100000");
    CHECK(quota("0::/a/b\n") == 2000);
    CHECK(quota("0::/../../elsewhere/of/the/host\n") == 2000);
    put("cpu.max", "-5 100000");
    CHECK(quota("0::/\n") == -1);
    put("cpu.max", "100000 0");
    CHECK(quota("0::/\n") == -1);
    put("cpu.max", "");
    CHECK(quota("0::/\n") == -1);
}

static void test_v1(void)
{
    TEST("version 1: cpu.cfs_quota_us over cpu.cfs_period_us");
    put("cpu/cpu.cfs_quota_us", "-1\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    put("cpu/x/cpu.cfs_quota_us", "250000\n");
    put("cpu/x/cpu.cfs_period_us", "100000\n");
    put("cpu/x/y/cpu.cfs_quota_us", "-1\n");
    put("cpu/x/y/cpu.cfs_period_us", "100000\n");
    CHECK(quota("4:cpu,cpuacct:/\n") == -1);
    CHECK(quota("4:cpuacct,cpu:/x/y\n0::/\n") == 2500);
    CHECK(quota("4:cpu:/x\n") == 2500);
    CHECK(quota("4:cpuset:/x\n5:cpuacct:/x\n") == -1);
    put("cpu/cpu.cfs_quota_us", "50000\n");
    CHECK(quota("4:cpu:/docker/0123\n") == 500);
    CHECK(cpus_quota("/not/here", root) == -1);
}

static void test_affinity(void)
{
    cpu_set_t old, one;
    size_t cpu = 0;

    TEST("the affinity mask bounds what is available");
    CHECK(cpus_available() >= 1);
    if (sched_getaffinity(0, sizeof(old), &old))
        return;
    while (!CPU_ISSET(cpu, &old))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK(!sched_setaffinity(0, sizeof(one), &one));
    CHECK(cpus_available() == 1);
    sched_setaffinity(0, sizeof(old), &old);
}

int main(void)
{
    char command[MOST];

    if (!mkdtemp(root))
        return 1;
    test_v2();
    test_v1();
    test_affinity();
    snprintf(command, sizeof(command), "rm -r %s", root);
    CHECK(system(command) == 0);
    return test_end();
}
