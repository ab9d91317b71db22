/* machine.c - what a measurement is taken on: the processor, and what else it does. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void machine_cpu(char *out, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    char line[512];

    snprintf(out, size, "unknown");
    while (f && fgets(line, sizeof(line), f)) {
        char *colon = strchr(line, ':');

        if (!colon || strncmp(line, "model name", 10) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " ");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, size, "%s", colon);
        break;
    }
    if (f)
        fclose(f);
}

double machine_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double machine_load(void)
{
    double x;

    return getloadavg(&x, 1) == 1 ? x : -1;
}

struct machine_ticks machine_ticks(void)
{
    FILE *f = fopen("/proc/stat", "re");
    unsigned long long x[8] = {0}; // user nice system idle iowait irq softirq steal
    struct machine_ticks t = {0};

    if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &x[0], &x[1], &x[2], &x[3],
                    &x[4], &x[5], &x[6], &x[7]) == 8) {
        for (int i = 0; i < 8; i++)
            t.all += x[i];
        t.steal = x[7];
    }
    if (f)
        fclose(f);
    return t;
}

int64_t machine_peak_rss(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use); // ru_maxrss is in KiB on Linux
    return (int64_t)use.ru_maxrss * 1024;
}
