/* machine.h - what a measurement is taken on: the processor, and what else it does. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* The processor's name as the system gives it, or "unknown". */
void machine_cpu(char *out, size_t size);

/* Seconds of a clock that only goes forward. */
double machine_now(void);

/* Processes that ran or waited for a processor, over the last minute; -1 when unknown. */
double machine_load(void);

/* Processor time in seconds: of all processors since the start, idle or not; of what ran
 * on them; of what the host of a virtual machine gave to others; and of this process.
 * Zeros where unknown. */
struct machine_time {
    double all, busy, steal, own;
};
struct machine_time machine_time(void);

/* The most memory of this process that was resident at once. */
int64_t machine_peak_rss(void);

#endif
