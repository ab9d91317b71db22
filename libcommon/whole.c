/* whole.c - outputs of a stream that appear under their names when they are whole. */
#include "whole.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char ending[] = ".part";

int whole_hide(const char **file, char **part, bool may_exist, struct err *e)
{
    struct buf b = {0};

    if (!*file)
        return 0;
    if (!may_exist && !access(*file, F_OK))
        return err_set(e, ERR_ARG, "'%s' exists", *file);
    buf_fmt(&b, "%s%s", *file, ending);
    *part = mem_dup(b.p, b.n);
    buf_str(&b, ".meta");
    unlink(*part); // what a stopped run left
    unlink(b.p);
    buf_free(&b);
    *file = *part;
    return 0;
}

/* The directory of a file, or with flags O_RDONLY the file: best effort where it cannot be. */
static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC), rc = 0;

    if (fd < 0)
        return 0;
    rc = fsync(fd) && errno != EINVAL && errno != EROFS;
    close(fd);
    return rc;
}

int whole_reveal(const char *part, struct err *e)
{
    struct buf from = {0}, to = {0}, file = {0}, dir = {0};
    const char *slash = part ? strrchr(part, '/') : NULL;
    int rc = 0;

    if (!part)
        return 0;
    buf_add(&file, part, strlen(part) - strlen(ending));
    buf_fmt(&from, "%s.meta", part);
    buf_fmt(&to, "%s.meta", file.p);
    if (slash)
        buf_add(&dir, part, (size_t)(slash - part) + 1);
    else
        buf_char(&dir, '.');
    if (sync_path(part, O_RDONLY))
        rc = err_set(e, ERR_OUT, "cannot write '%s': %s", part, strerror(errno));
    else if (rename(from.p, to.p) && errno != ENOENT)
        rc = err_set(e, ERR_OUT, "cannot rename '%s': %s", from.p, strerror(errno));
    else if (rename(part, file.p))
        rc = err_set(e, ERR_OUT, "cannot rename '%s': %s", part, strerror(errno));
    else
        sync_path(dir.p, O_RDONLY | O_DIRECTORY);
    buf_free(&from);
    buf_free(&to);
    buf_free(&file);
    buf_free(&dir);
    return rc;
}
