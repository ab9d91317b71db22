/* machine.c - what a measurement is taken on: the processor, and what else it does. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

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

struct machine_time machine_time(void)
{
    enum { USER, NICE, SYSTEM, IDLE, WAIT, IRQ, SOFT, STEAL, N };
    FILE *f = fopen("/proc/stat", "re");
    unsigned long long x[N] = {0};
    double tick = 1 / (double)sysconf(_SC_CLK_TCK);
    struct machine_time t = {0};
    struct rusage use;

    if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &x[USER], &x[NICE],
                    &x[SYSTEM], &x[IDLE], &x[WAIT], &x[IRQ], &x[SOFT], &x[STEAL]) == N) {
        for (int i = 0; i < N; i++)
            t.all += tick * (double)x[i];
        t.steal = tick * (double)x[STEAL];
        t.busy = t.all - t.steal - tick * (double)(x[IDLE] + x[WAIT]);
    }
    if (f)
        fclose(f);
    getrusage(RUSAGE_SELF, &use);
    t.own = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
            1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    return t;
}

int64_t machine_peak_rss(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use); // ru_maxrss is in KiB on Linux
    return (int64_t)use.ru_maxrss * 1024;
}
