/* keeper.c - run a command and let nothing of it live on, for tests.
 *
 *   keeper COMMAND [ARGUMENT ...]
 *
 * Whatever descends from the command, daemons and other sessions included, belongs to the keeper.
 * When the command ends, all the rest is killed, and the exit status is the command's; on SIGTERM,
 * SIGINT, SIGHUP or the death of its own parent all is killed at once, without warning, as when a
 * machine loses its power. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(2);
}

/* The parent of a process; 0 when there is no such process. */
static pid_t parent_of(pid_t pid)
{
    char path[64], line[512], *end;
    size_t n;
    FILE *f;
    int parent = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (!f)
        return 0;
    n = fread(line, 1, sizeof(line) - 1, f);
    line[n] = 0;
    fclose(f);
    end = strrchr(line, ')'); // the name may hold anything
    if (!end || sscanf(end, ") %*c %d", &parent) != 1)
        return 0;
    return parent;
}

/* Is it a descendant?  Orphans are adopted by the keeper, so no chain is broken. */
static int is_mine(pid_t pid)
{
    for (pid_t p = pid; p > 1; p = parent_of(p))
        if (p == getpid())
            return pid != p;
    return 0;
}

/* One pass over all processes; new ones may be made meanwhile: repeat until none is left. */
static void kill_mine(void)
{
    DIR *d = opendir("/proc");
    struct dirent *e;

    if (!d)
        die("/proc");
    while ((e = readdir(d))) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

        if (pid > 1 && is_mine(pid))
            kill(pid, SIGKILL);
    }
    closedir(d);
}

static void end_all(void)
{
    for (;;) {
        pid_t pid;

        kill_mine();
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (pid < 0)
            return;
        usleep(5000);
    }
}

int main(int argc, char **argv)
{
    pid_t child, parent = getppid();
    sigset_t set, old;
    int sig, status;

    if (argc < 2)
        return 2;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &old);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) || prctl(PR_SET_PDEATHSIG, SIGTERM))
        die("prctl");
    if (getppid() != parent || parent == 1) // it died before we asked to be told
        return 143;
    child = fork();
    if (child < 0)
        die("fork");
    if (!child) {
        sigprocmask(SIG_SETMASK, &old, NULL);
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    for (;;) {
        pid_t pid;

        if (sigwait(&set, &sig))
            die("sigwait");
        if (sig != SIGCHLD) {
            end_all();
            return 128 + sig;
        }
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == child) {
                end_all();
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
    }
}
