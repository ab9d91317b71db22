/* file.c - read-only maps and atomic output files. */
#include "file.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

int file_map(struct file_map *m, const char *path, struct err *e)
{
    // O_NONBLOCK: opening a FIFO that nobody writes must not wait
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    void *p = NULL;

    *m = (struct file_map){0};
    if (fd < 0)
        return err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, ERR_IO, "'%s' is not a regular file", path);
    }
    if (st.st_size > 0) {
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            err_set(e, ERR_IO, "cannot map '%s': %s", path, strerror(errno));
            close(fd);
            return -1;
        }
        // a wish: a file that is not cached yet is read into huge pages, which walk faster
        madvise(p, (size_t)st.st_size, MADV_HUGEPAGE);
    }
    close(fd);
    *m = (struct file_map){p, (size_t)st.st_size, mem_dup(path, strlen(path))};
    return 0;
}

void file_unmap(struct file_map *m)
{
    if (m->p)
        munmap((void *)(uintptr_t)m->p, m->n);
    free(m->path);
    *m = (struct file_map){0};
}

void file_release(const struct file_map *m, const void *p, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), from = (size_t)((const uint8_t *)p - m->p);
    size_t to = from + n;

    // whole pages around the range: a neighbour's page that goes too is only read again
    from = from / page * page;
    to = to > m->n - m->n % page ? m->n : (to + page - 1) / page * page;
    if (n)
        madvise((void *)(uintptr_t)(m->p + from), to - from, MADV_DONTNEED);
}

char *file_text(const char *path, size_t max, size_t *n, struct err *e)
{
    FILE *f = fopen(path, "rbe");
    char *s = NULL;
    size_t cap = 0, got, len = 0;

    if (!f) {
        err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
        return NULL;
    }
    do {
        mem_grow(&s, &cap, len + 4096, 1);
        got = fread(s + len, 1, cap - len - 1, f);
        len += got;
    } while (got && len <= max);
    if (ferror(f))
        err_set(e, ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    else if (len > max)
        err_set(e, ERR_DATA, "'%s' is larger than %zu bytes", path, max);
    if (ferror(f) || len > max) {
        fclose(f);
        free(s);
        return NULL;
    }
    fclose(f);
    s[len] = 0;
    if (n)
        *n = len;
    return s;
}

int file_is_dir(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

char *file_join(const char *dir, const char *name)
{
    size_t d = strlen(dir), n = strlen(name), slash = d && dir[d - 1] != '/';
    char *p = mem_new(d + slash + n + 1);

    memcpy(p, dir, d);
    if (slash)
        p[d] = '/';
    memcpy(p + d + slash, name, n + 1);
    return p;
}

/* ---- writing ---- */

/* The directory of a path, "." without one; caller frees. */
static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return mem_dup(".", 1);
    return mem_dup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *temporary_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char pid[32], *dir = dir_of(path), *name, *tmp;
    size_t n = strlen(base);

    snprintf(pid, sizeof(pid), ".tmp.%ld", (long)getpid());
    // NAME_MAX is 255: a long name is cut, the process id keeps it apart
    if (n > 200)
        n = 200;
    name = mem_new(n + sizeof(pid) + 2);
    name[0] = '.';
    memcpy(name + 1, base, n);
    memcpy(name + 1 + n, pid, strlen(pid) + 1);
    tmp = slash ? file_join(dir, name) : mem_dup(name, strlen(name));
    free(dir);
    free(name);
    return tmp;
}

/* A file without a name in the directory where path will be: gone with the process, however that
 * ends. -1 where the file system has none such, or no name could be given later. */
static int open_nameless(const char *path)
{
    char *dir = dir_of(path);
    int fd = access("/proc/self/fd", X_OK) ? -1 : open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);

    free(dir);
    return fd;
}

static int open_named(const char *tmp)
{
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0 && errno == EEXIST && !unlink(tmp)) // of a process that had our number
        fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return fd;
}

int file_create(struct file_out *o, const char *path, int force, struct err *e)
{
    struct stat st;
    int fd;

    *o = (struct file_out){0};
    if (!lstat(path, &st)) {
        if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
            return err_set(e, ERR_ARG, "'%s' exists and is not a regular file", path);
        if (!force)
            return err_set(e, ERR_ARG, "'%s' exists; use --force", path);
    }
    o->force = force;
    o->path = mem_dup(path, strlen(path));
    fd = open_nameless(path);
    if (fd < 0) {
        o->tmp = temporary_name(path);
        fd = open_named(o->tmp);
    }
    if (fd >= 0)
        o->f = fdopen(fd, "wb");
    if (!o->f) {
        err_set(e, ERR_IO, "cannot create '%s': %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        } else {
            free(o->tmp);
            o->tmp = NULL; // not ours: nothing to remove
        }
        file_abandon(o);
        return -1;
    }
    return 0;
}

static int lost(const struct file_out *o, struct err *e)
{
    return err_set(e, ERR_OUT, "cannot write '%s': %s", o->path, strerror(errno));
}

int file_write(struct file_out *o, const void *p, size_t n, struct err *e)
{
    if (n && fwrite(p, 1, n, o->f) != n)
        return lost(o, e);
    o->n += n;
    return 0;
}

int file_pad(struct file_out *o, uint64_t multiple, struct err *e)
{
    static const char zero[4096];
    uint64_t left = (multiple - o->n % multiple) % multiple;

    while (left) {
        size_t n = left < sizeof(zero) ? (size_t)left : sizeof(zero);

        if (file_write(o, zero, n, e))
            return -1;
        left -= n;
    }
    return 0;
}

/* Give a file without a name its own, or where that would replace another a temporary one. */
static int link_to(struct file_out *o)
{
    char fd[64];

    snprintf(fd, sizeof(fd), "/proc/self/fd/%d", fileno(o->f));
    if (!linkat(AT_FDCWD, fd, AT_FDCWD, o->path, AT_SYMLINK_FOLLOW))
        return 0;
    if (errno != EEXIST || !o->force)
        return -1;
    o->tmp = temporary_name(o->path);
    unlink(o->tmp);
    return linkat(AT_FDCWD, fd, AT_FDCWD, o->tmp, AT_SYMLINK_FOLLOW);
}

/* Rename; without force never over a file that appeared meanwhile. */
static int rename_to(const struct file_out *o)
{
    if (!o->tmp)
        return 0; // has its name
    if (o->force)
        return rename(o->tmp, o->path);
    if (!renameat2(AT_FDCWD, o->tmp, AT_FDCWD, o->path, RENAME_NOREPLACE))
        return 0;
    // some file systems do not know the flag
    return errno == EINVAL || errno == ENOSYS ? rename(o->tmp, o->path) : -1;
}

int file_commit(struct file_out *o, struct err *e)
{
    char *dir;
    int fd, bad;

    if (fflush(o->f) || fsync(fileno(o->f)) || (!o->tmp && link_to(o))) {
        lost(o, e);
        file_abandon(o);
        return -1;
    }
    bad = fclose(o->f);
    o->f = NULL;
    if (bad || rename_to(o)) {
        lost(o, e);
        file_abandon(o);
        return -1;
    }
    free(o->tmp);
    o->tmp = NULL;
    dir = dir_of(o->path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd >= 0) {
        fsync(fd); // best effort: the data are safe, only the name may still be lost with the power
        close(fd);
    }
    file_abandon(o);
    return 0;
}

void file_abandon(struct file_out *o)
{
    if (!o)
        return;
    if (o->f)
        fclose(o->f);
    if (o->tmp)
        unlink(o->tmp);
    free(o->tmp);
    free(o->path);
    *o = (struct file_out){0};
}

char *file_beside(const char *const *dir, const char *name, struct err *e)
{
    char exe[4096], tried[sizeof(e->msg)] = "";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    size_t used = 0;

    exe[n > 0 ? n : 0] = 0;
    if (strrchr(exe, '/'))
        *strrchr(exe, '/') = 0;
    for (int i = 0; dir[i]; i++) {
        char *at = file_join(exe, dir[i]), *path = file_join(at, name);

        if (used < sizeof(tried))
            used +=
                (size_t)snprintf(tried + used, sizeof(tried) - used, "%s%s", i ? " and " : "", at);
        free(at);
        if (!access(path, R_OK))
            return path;
        free(path);
    }
    err_set(e, ERR_IO, "cannot find '%s' beside the program (looked in %s)", name, tried);
    return NULL;
}
