/* stop.h - SIGINT and SIGTERM as something to wait for.
 *
 * Both signals are blocked and read from a descriptor, so that there is no handler and
 * no global. After the first one they work as before: a second one kills. A signal
 * that was ignored (nohup, a background job) stays ignored. Threads made before
 * stop_open do not have the signals blocked and would be killed by them. */
#ifndef STOP_H
#define STOP_H

#include "err.h"

#include <signal.h>
#include <stdbool.h>

struct stop {
    int fd; // signalfd, or -1
    bool seen;
    const char *name; // of the signal that was seen
    sigset_t old;     // mask to go back to
};

int stop_open(struct stop *s, struct err *e);
void stop_close(struct stop *s); // a zeroed struct with fd = -1 is fine

/* True once a signal came. Never waits. */
bool stop_seen(struct stop *s);

/* Wait until fd has one of `events` (poll's). 1 = it has, or is in a state that read or
 * write will report; 0 = not yet (wait = false), or a signal came, now or before. */
int stop_wait(struct stop *s, int fd, short events, bool wait);

#endif
