/* err.h - one error, carried by the caller; the library never prints or exits. */
#ifndef ERR_H
#define ERR_H

enum err_code {
    ERR_NONE, // no error
    ERR_ARG,  // the caller or the user asked for something that cannot be
    ERR_IO,   // the system refused: open, read, mmap, a device call
    ERR_DATA, // the bytes read are not what their format says
    ERR_MEM,  // a pool or the device has no room left
    ERR_OUT,  // output was lost: a write failed and cannot be taken up again
    ERR_STOP, // stopped early with work left; --resume goes on
};

struct err {
    enum err_code code;
    char msg[512];
};

/* Record an error; control characters in the message become '?'. Always returns
 * -1, so that a caller may write
 * `return err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));` */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What a write that failed with this errno was: ERR_STOP where there was no room left (a full disk,
 * a quota, a limit on the size of files), since --resume goes on when there is, else `other`. */
enum err_code err_of_write(int why, enum err_code other);

/* The exit status of a run that this error ends: 1 output was lost, 75 stopped early, else 2. */
int err_status(const struct err *e);

/* Put "<context>: " before the message already there. Always returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
