/* worker.h - a small command over a stream, run in a child process.
 *
 * It reads up to `ahead` records before it finishes the first, as batching does. A record
 * {"do":"early"} is rejected when it is read, "late" and "drop" when its turn comes;
 * all others get "out" and are written, `group` lines each. Files lie in a
 * temporary directory that is the working directory of the test. */
#ifndef WORKER_H
#define WORKER_H

#include "buf.h"
#include "mem.h"
#include "stream.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
    struct stream_opt o;
    int group, ahead;
    int pause;               // microseconds a record
    const char *fingerprint; // NULL: {}
    const char *in;          // input file; NULL: standard input
    bool poll;               // reads with wait = false, too
    bool quiet;
    bool stopped; // a signal has come before it begins
};

static inline bool worker_is(struct record *r, const char *what)
{
    const char *s = record_str(r, "do", NULL);

    return s && !strcmp(s, what);
}

/* Write one record as its group. */
static inline int worker_write(struct stream *s, struct record *r, int group, struct err *e)
{
    struct record copy[8];
    int rc;

    record_set_str(r, "out", r->id, strlen(r->id));
    if (group <= 1)
        return stream_write(s, r, e);
    for (int i = 0; i < group; i++) {
        record_copy(&copy[i], r);
        record_set_int(&copy[i], "sample", i);
    }
    rc = stream_write_group(s, copy, group, e);
    for (int i = 0; i < group; i++)
        record_reset(&copy[i]);
    return rc;
}

static inline int worker_finish(struct stream *s, struct record *r, int group, struct err *e)
{
    if (worker_is(r, "late"))
        return stream_reject(s, r, "late", "1.5", "2", "fails late", e);
    if (worker_is(r, "drop"))
        return stream_drop(s, r, "short", "3", "5", e);
    return worker_write(s, r, group, e);
}

/* Fill the window: 0, or -1. */
static inline int worker_read(const struct worker *w, struct stream *s, struct record *q, int *n,
                              struct err *e)
{
    int ahead = w->ahead ? w->ahead : 1, rc = 1;

    while (*n < ahead && (rc = stream_read(s, &q[*n], *n == 0 && !w->poll, e)) == 1) {
        if (!worker_is(&q[*n], "early")) {
            ++*n;
            continue;
        }
        rc = stream_reject(s, &q[*n], "early", NULL, NULL, "fails early", e);
        record_reset(&q[*n]);
        if (rc)
            return -1;
    }
    if (rc == 2 && !*n) {
        usleep(100);
        return worker_read(w, s, q, n, e);
    }
    return rc < 0 ? -1 : 0;
}

static inline int worker_loop(const struct worker *w, struct stream *s, struct err *e)
{
    struct record q[64];
    int n = 0, rc = 0;

    while (!(rc = worker_read(w, s, q, &n, e)) && n) {
        if (w->pause)
            usleep((useconds_t)w->pause);
        rc = worker_finish(s, &q[0], w->group, e);
        record_reset(&q[0]);
        memmove(q, q + 1, (size_t)--n * sizeof(q[0]));
        if (rc)
            break;
    }
    while (n)
        record_reset(&q[--n]);
    return rc;
}

static inline void worker_figures(void *with, struct buf *b)
{
    (void)with;
    buf_str(b, "\"extra\":1");
}

/* What main of a command does; its exit status. */
static inline int worker_main(const struct worker *w)
{
    static const char *const fields[] = {"p", NULL};
    struct stream_conf c = {.stage = "worker",
                            .fields = fields,
                            .fingerprint = w->fingerprint,
                            .group = w->group,
                            .quiet = w->quiet};
    char *in = (char *)(uintptr_t)w->in;
    struct err e = {0};
    struct stream_opt o = w->o;
    struct stream *s;
    int rc;

    o.figures = worker_figures;
    s = stream_open(&o, &c, w->in != NULL, &in, &e);
    rc = s ? worker_loop(w, s, &e) : -1;
    if (!rc)
        rc = stream_close(s, &e);
    else
        stream_abandon(s, &e);
    if (rc >= 0)
        return rc;
    dprintf(2, "worker: %s\n", e.msg);
    return err_status(&e);
}

/* Start in a child; standard input and output from these descriptors (-1: closed;
 * otherwise taken over), standard error into the file "err". */
static inline pid_t worker_start(const struct worker *w, int in, int out)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (!pid) {
        int err = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0666);

        dup2(err, 2);
        close(err);
        if (in < 0)
            close(0);
        else
            dup2(in, 0);
        if (out < 0)
            close(1);
        else
            dup2(out, 1);
        for (int fd = 3; fd < 20; fd++)
            close(fd);
        if (w->stopped) {
            sigset_t set;

            sigemptyset(&set);
            sigaddset(&set, SIGTERM);
            sigprocmask(SIG_BLOCK, &set, NULL);
            raise(SIGTERM);
        }
        exit(worker_main(w)); // exit, so that leaks are found
    }
    return pid;
}

/* Exit status; -signal when killed. */
static inline int worker_wait(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int worker_run(const struct worker *w)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid = worker_start(w, null, null);

    close(null);
    return worker_wait(pid);
}

/* Whole small files, as strings; caller frees. NULL when not there. */
static inline char *file_get(const char *name, size_t *n)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct buf b = {0};
    char chunk[1 << 14];
    ssize_t got;

    if (fd < 0)
        return NULL;
    buf_add(&b, "", 0);
    while ((got = read(fd, chunk, sizeof(chunk))) > 0)
        buf_add(&b, chunk, (size_t)got);
    close(fd);
    if (n)
        *n = b.n;
    return b.p;
}

static inline void file_put(const char *name, const char *p, size_t n)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    for (size_t done = 0; done < n;) {
        ssize_t got = write(fd, p + done, n - done);

        if (got < 0)
            abort();
        done += (size_t)got;
    }
    close(fd);
}

static inline void file_puts(const char *name, const char *s)
{
    file_put(name, s, strlen(s));
}

/* Does the file hold exactly, or somewhere, this text? */
static inline bool file_is(const char *name, const char *s)
{
    size_t n = 0;
    char *p = file_get(name, &n);
    bool same = p && n == strlen(s) && !memcmp(p, s, n);

    if (!same)
        printf("# %s holds:\n# %s\n", name, p ? p : "(not there)");
    free(p);
    return same;
}

static inline bool file_has(const char *name, const char *s)
{
    char *p = file_get(name, NULL);
    bool has = p && strstr(p, s);

    if (!has)
        printf("# %s holds:\n# %s\n", name, p ? p : "(not there)");
    free(p);
    return has;
}

static inline bool file_same(const char *a, const char *b)
{
    size_t na = 0, nb = 0;
    char *pa = file_get(a, &na), *pb = file_get(b, &nb);
    bool same = pa && pb && na == nb && !memcmp(pa, pb, na);

    if (!same)
        printf("# %s: %zu bytes, %s: %zu bytes differ\n", a, na, b, nb);
    free(pa);
    free(pb);
    return same;
}

/* Wait (at most 20 s) until the file is there and holds at least n bytes. */
static inline void file_wait(const char *name, long n)
{
    struct stat st;

    for (int i = 0; i < 4000 && (stat(name, &st) || st.st_size < n); i++)
        usleep(5000);
}

static inline void clean(void)
{
    static const char *const name[] = {"in",    "out", "rej",      "out.meta", "err",
                                       "stats", "ref", "ref.meta", "refrej",   "want"};

    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
        unlink(name[i]);
}

/* A directory of its own, left and removed by worker_end; in memory where there is
 * room: every run syncs what it wrote. */
static inline void worker_begin(char dir[40])
{
    struct statvfs v;
    bool room = !statvfs("/dev/shm", &v) && v.f_bavail * v.f_frsize > (512u << 20);

    strcpy(dir, room ? "/dev/shm/worker_test.XXXXXX" : "/tmp/worker_test.XXXXXX");
    if (!mkdtemp(dir) || chdir(dir))
        abort();
}

static inline void worker_end(const char *dir)
{
    clean();
    if (chdir("/") || rmdir(dir))
        printf("# %s is not empty\n", dir);
}

#endif
