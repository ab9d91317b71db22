/* sink.c - an append-only file of lines. */
#include "sink.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *sink_name(const struct sink *s)
{
    return s->path ? s->path : "standard output";
}

void sink_hold_standard(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
            return;
}

static int open_stdout(struct sink *s, struct err *e)
{
    int flags = fcntl(1, F_GETFL);

    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return err_set(e, ERR_OUT, "standard output is closed");
    s->fd = 1;
    return 0;
}

static int open_path(struct sink *s, const char *path, struct err *e)
{
    s->path = mem_dup(path, strlen(path));
    s->own = true;
    s->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (s->fd < 0)
        return err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    return 0;
}

/* The name of standard output's file, when it still has one. */
static void find_stdout(struct sink *s)
{
    char name[PATH_MAX];
    ssize_t n = readlink("/proc/self/fd/1", name, sizeof(name) - 1);
    struct stat st;

    if (n <= 0)
        return;
    name[n] = 0;
    if (!stat(name, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
        s->path = mem_dup(name, (size_t)n);
}

static int check(struct sink *s, bool resume, struct err *e)
{
    struct stat st;

    if (fstat(s->fd, &st))
        return err_set(e, ERR_IO, "cannot look at '%s': %s", sink_name(s), strerror(errno));
    s->regular = S_ISREG(st.st_mode);
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    s->size = s->regular ? (uint64_t)st.st_size : 0;
    s->durable = s->regular && (s->own || resume);
    if (!s->own && resume) {
        if (!s->regular)
            return err_set(e, ERR_ARG, "--resume needs -o FILE, or '>> FILE'");
        find_stdout(s);
        if (s->size && !(fcntl(1, F_GETFL) & O_APPEND))
            return err_set(e, ERR_ARG, "--resume needs '>> FILE', not '<>' or '>'");
    }
    if (!s->durable)
        return 0;
    // file systems that know no locks are taken as they are
    if (flock(s->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return err_set(e, ERR_ARG, "'%s' is being written by another process", sink_name(s));
    if (!resume && s->size)
        return err_set(e, ERR_ARG, "'%s' exists and is not empty; use --resume, or another name",
                       s->path);
    return 0;
}

int sink_open(struct sink *s, const char *path, bool resume, struct stop *stop, struct err *e)
{
    int rc;

    *s = (struct sink){.fd = -1, .stop = stop};
    rc = path && strcmp(path, "-") ? open_path(s, path, e) : open_stdout(s, e);
    if (!rc)
        rc = check(s, resume, e);
    if (rc)
        sink_abandon(s);
    return rc;
}

/* Wait until the file takes bytes. A first signal is noted and the wait goes on; then
 * the signals are as they were, so that a second one ends it. */
static void wait_room(const struct sink *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};

    if (!s->stop || stop_seen(s->stop) || !stop_wait(s->stop, s->fd, POLLOUT, true))
        poll(&p, 1, -1);
}

static int write_failed(struct sink *s, size_t done, struct err *e)
{
    int why = errno;
    enum err_code code = s->durable ? err_of_write(why, ERR_OUT) : ERR_OUT;
    struct stat st;

    if (done && s->durable && !fstat(s->fd, &st) && st.st_size >= (off_t)done &&
        ftruncate(s->fd, st.st_size - (off_t)done))
        why = errno; // the torn line stays; --resume cuts it
    return err_set(e, code, "cannot write '%s': %s", sink_name(s), strerror(why));
}

static int put(struct sink *s, const char *p, size_t n, struct err *e)
{
    size_t done = 0;

    while (done < n) {
        size_t piece = n - done;
        ssize_t got;

        if (!s->regular) {
            wait_room(s);
            piece = piece < PIPE_BUF ? piece : PIPE_BUF;
        }
        got = write(s->fd, p + done, piece);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return write_failed(s, done, e);
        done += (size_t)got;
    }
    return 0;
}

int sink_write(struct sink *s, const char *p, size_t n, struct err *e)
{
    if (!s->gather)
        return put(s, p, n, e);
    buf_add(&s->held, p, n);
    return 0;
}

int sink_flush(struct sink *s, struct err *e)
{
    int rc = s->held.n ? put(s, s->held.p, s->held.n, e) : 0;

    buf_reset(&s->held);
    return rc;
}

int sink_reader(const struct sink *s, struct err *e)
{
    char proc[64];
    int fd;

    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", s->fd);
    fd = open(proc, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && s->path)
        fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_IO, "cannot read '%s': %s", sink_name(s), strerror(errno));
    return fd;
}

int sink_cut(struct sink *s, uint64_t size, struct err *e)
{
    if (ftruncate(s->fd, (off_t)size))
        return err_set(e, ERR_IO, "cannot cut '%s': %s", sink_name(s), strerror(errno));
    return 0;
}

int sink_close(struct sink *s, struct err *e)
{
    int rc = 0;

    if (s->fd < 0)
        return 0;
    if (s->durable && fdatasync(s->fd) && errno != EINVAL && errno != EROFS)
        rc = err_set(e, ERR_OUT, "cannot write '%s': %s", sink_name(s), strerror(errno));
    // a network file system tells at a close what it could not keep
    if (close(s->own ? s->fd : dup(s->fd)) && errno != EBADF && !rc)
        rc = err_set(e, ERR_OUT, "cannot write '%s': %s", sink_name(s), strerror(errno));
    s->own = false;
    sink_abandon(s);
    return rc;
}

void sink_abandon(struct sink *s)
{
    if (s->own && s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    free(s->path);
    s->path = NULL;
    buf_free(&s->held);
}

/* ---- whole small files ---- */

static int put_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t got = write(fd, p, n);

        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
    return 0;
}

/* Make the new name itself last. Best effort: some file systems cannot. */
static void sync_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? mem_dup(path, (size_t)(slash - path) + 1) : mem_dup(".", 1);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(dir);
}

static int put_new(const char *path, const char *tmp, const char *p, size_t n)
{
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int bad;

    if (fd < 0)
        return -1;
    bad = put_all(fd, p, n) || (fsync(fd) && errno != EINVAL);
    bad = close(fd) || bad;
    if (!bad && !rename(tmp, path)) {
        sync_dir(path);
        return 0;
    }
    bad = errno;
    unlink(tmp);
    errno = bad;
    return -1;
}

static void name_tmp(const char *path, struct buf *b)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    buf_fmt(b, "%.*s.%s.tmp", (int)(name - path), path, name);
}

int sink_replace(const char *path, const char *p, size_t n, struct err *e)
{
    struct buf tmp = {0};
    struct stat st;
    int rc, fd;

    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
        fd = open(path, O_WRONLY | O_CLOEXEC);
        rc = fd < 0 || put_all(fd, p, n) ? -1 : 0;
        if (fd >= 0 && close(fd))
            rc = -1;
    } else {
        name_tmp(path, &tmp);
        rc = put_new(path, tmp.p, p, n);
        buf_free(&tmp);
    }
    if (rc)
        return err_set(e, err_of_write(errno, ERR_IO), "cannot write '%s': %s", path,
                       strerror(errno));
    return 0;
}

int sink_report(const char *path, const char *p, size_t n, struct err *e)
{
    if (!sink_replace(path, p, n, e))
        return 0;
    e->code = ERR_OUT;
    return -1;
}

int sink_may_replace(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? mem_dup(path, (size_t)(slash - path) + 1) : mem_dup(".", 1);
    struct buf tmp = {0};
    struct stat st;
    bool bad;

    name_tmp(path, &tmp);
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
        bad = S_ISDIR(st.st_mode) || access(path, W_OK);
        errno = S_ISDIR(st.st_mode) ? EISDIR : errno;
    } else {
        bad = !*path || access(dir, W_OK | X_OK) || (lstat(tmp.p, &st) && errno != ENOENT);
        errno = *path ? errno : ENOENT;
    }
    if (bad)
        err_set(e, ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    buf_free(&tmp);
    free(dir);
    return bad ? -1 : 0;
}
