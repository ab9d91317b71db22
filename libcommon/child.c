/* child.c - a text through a program. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* The text as a file, so that no pipe can fill up or break. */
static int text_file(const char *s, size_t n)
{
    int fd = memfd_create("text", MFD_CLOEXEC);

    while (fd >= 0 && n) {
        ssize_t got = write(fd, s, n);

        if (got < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        s += got > 0 ? got : 0;
        n -= got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0 && lseek(fd, 0, SEEK_SET) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int start(const char *command, int fd, pid_t *pid)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    int rc;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&files, fd, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    rc = posix_spawn(pid, "/bin/sh", &files, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static double since(const struct timespec *t)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + 1e-9 * (double)(now.tv_nsec - t->tv_nsec);
}

/* 1 = it ended, with its status; 0 = the time is over. */
static int await(pid_t pid, double seconds, int *status)
{
    struct timespec began, nap = {0, 50000};

    clock_gettime(CLOCK_MONOTONIC, &began);
    while (!waitpid(pid, status, WNOHANG)) {
        if (since(&began) > seconds)
            return 0;
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 5000000)
            nap.tv_nsec += nap.tv_nsec / 4;
    }
    return 1;
}

int child_status(const char *command, const char *s, size_t n, double seconds, struct err *e)
{
    int fd = text_file(s, n), status = 0, rc;
    pid_t pid;

    if (fd < 0)
        return err_set(e, ERR_IO, "cannot hold a text of %zu bytes: %s", n, strerror(errno));
    rc = start(command, fd, &pid);
    close(fd);
    if (rc)
        return err_set(e, ERR_IO, "cannot run '%s': %s", command, strerror(rc));
    rc = await(pid, seconds, &status);
    kill(-pid, SIGKILL); // whatever it left behind
    if (!rc) {
        waitpid(pid, &status, 0);
        return CHILD_TIMEOUT;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
