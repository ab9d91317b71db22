/* ram_test.c - the machine's memory and the limits of control groups, both versions. */
#include "ram.h"
#include "test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char root[] = "/tmp/ram_test.XXXXXX";

/* A file of the made-up machine, and the directories above it. */
static void put(const char *path, const char *text)
{
    char name[512];
    FILE *f;

    snprintf(name, sizeof(name), "%s%s", root, path);
    for (char *p = name + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(name, 0777);
        *p = '/';
    }
    f = fopen(name, "w");
    fputs(text, f);
    fclose(f);
}

static void test_machine(void)
{
    TEST("MemAvailable, and nothing else said");
    CHECK(ram_available(root) == -1);
    put("/proc/meminfo", "MemTotal:  2000 kB\nMemFree: 10 kB\nMemAvailable:   1000 kB\n");
    CHECK(ram_available(root) == 1000 * 1024);
    put("/proc/self/cgroup", "garbage\n0::\n12:cpu:/x\n:\n::\n");
    CHECK(ram_available(root) == 1000 * 1024);
}

static void test_v2(void)
{
    TEST("version 2: the tightest of the groups above, file pages count as free");
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/memory.max", "max\n");
    put("/sys/fs/cgroup/a/b/memory.current", "5000\n");
    CHECK(ram_available(root) == 1000 * 1024);
    put("/sys/fs/cgroup/a/memory.max", "500000\n");
    put("/sys/fs/cgroup/a/memory.current", "300000\n");
    CHECK(ram_available(root) == 200000);
    put("/sys/fs/cgroup/a/memory.stat", "anon 9\ninactive_file 40000\nactive_file 1000\n");
    CHECK(ram_available(root) == 241000);
    put("/sys/fs/cgroup/memory.max", "100\n");
    put("/sys/fs/cgroup/memory.current", "90\n");
    CHECK(ram_available(root) == 10);
    put("/sys/fs/cgroup/memory.current", "900\n");
    CHECK(ram_available(root) == 0);
}

static void test_v1(void)
{
    TEST("version 1");
    put("/proc/self/cgroup", "12:cpu,cpuacct:/x\n7:memory:/x\n");
    put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1000\n");
    CHECK(ram_available(root) == 1000 * 1024);
    put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "400000\n");
    put("/sys/fs/cgroup/memory/x/memory.stat", "cache 7\ntotal_inactive_file 500\n");
    CHECK(ram_available(root) == 400000 - 500);
}

static void test_ulimit(void)
{
    struct rlimit old, low;

    TEST("ulimit -v, but for what is there already");
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "max\n");
    CHECK(!getrlimit(RLIMIT_AS, &old));
    low = (struct rlimit){(rlim_t)1 << 46, old.rlim_max}; // sanitizers need that much
    CHECK(!setrlimit(RLIMIT_AS, &low));
    put("/proc/self/status", "VmSize:\t68719476000 kB\nVmData:\t68719476000 kB\n");
    CHECK(ram_available(root) == 736 * 1024);
    put("/proc/self/status",
        "VmData:\t68719476000 kB\nVmStk: 36 kB\nVmExe:\t100 kB\nVmLib: 200 kB\n");
    CHECK(ram_available(root) == 400 * 1024);
    put("/proc/self/status", "VmData:\t68719477000 kB\n");
    CHECK(ram_available(root) == 0);
    CHECK(!setrlimit(RLIMIT_AS, &old));
    CHECK(ram_available(root) == 1000 * 1024);
}

int main(void)
{
    char rm[64];

    if (!mkdtemp(root))
        return 1;
    test_machine();
    test_v2();
    test_v1();
    test_ulimit();
    TEST("this machine");
    CHECK(ram_available("") != 0);
    snprintf(rm, sizeof(rm), "rm -r %s", root);
    CHECK(!system(rm));
    return test_end();
}
