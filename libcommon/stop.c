/* stop.c - SIGINT and SIGTERM as something to wait for. */
#include "stop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int stop_open(struct stop *s, struct err *e)
{
    const int sig[] = {SIGINT, SIGTERM};
    sigset_t set;

    *s = (struct stop){.fd = -1};
    sigemptyset(&set);
    for (int i = 0; i < 2; i++) {
        struct sigaction a;

        // a blocked signal reaches the descriptor even when its action is to be ignored
        if (!sigaction(sig[i], NULL, &a) && a.sa_handler != SIG_IGN)
            sigaddset(&set, sig[i]);
    }
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0)
        return err_set(e, ERR_IO, "cannot make a signal descriptor: %s", strerror(errno));
    pthread_sigmask(SIG_BLOCK, &set, &s->old);
    return 0;
}

bool stop_seen(struct stop *s)
{
    struct signalfd_siginfo info[2]; // both at once are still the first one

    if (s->seen || s->fd < 0 || read(s->fd, info, sizeof(info)) <= 0)
        return s->seen;
    s->seen = true;
    s->name = info[0].ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
    pthread_sigmask(SIG_SETMASK, &s->old, NULL);
    return true;
}

int stop_wait(struct stop *s, int fd, short events, bool wait)
{
    struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = s->fd, .events = POLLIN}};

    while (!s->seen) {
        int n = poll(p, 2, wait ? -1 : 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (p[1].revents && stop_seen(s))
            return 0;
        if (n < 0 || p[0].revents)
            return 1;
        if (!wait)
            return 0;
    }
    return 0;
}

void stop_close(struct stop *s)
{
    if (s->fd < 0)
        return;
    if (!stop_seen(s)) // takes one that is pending: too late to stop, no reason to die
        pthread_sigmask(SIG_SETMASK, &s->old, NULL);
    close(s->fd);
    s->fd = -1;
}
