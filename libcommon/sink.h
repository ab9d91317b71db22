/* sink.h - an append-only file of lines: lock, one write, cut, whole small files. */
#ifndef SINK_H
#define SINK_H

#include "buf.h"
#include "err.h"
#include "stop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sink {
    int fd;       // -1: none
    char *path;   // owned; NULL when standard output's file is not known
    bool own;     // opened here, closed here
    bool regular; // a file that keeps its bytes
    bool durable; // a run can be taken up again: a full disk is ERR_STOP
    dev_t dev;
    ino_t ino;
    uint64_t size; // at opening
    int64_t lines; // whole ones, of what resume_scan has read
    struct stop *stop;
    bool gather;     // hold what is written until sink_flush
    struct buf held; // whole lines
};

/* Before any file is opened: a standard descriptor that is closed would be given to the next one,
 * and records would go there. Taken by one that cannot be used, it gives errors instead. */
void sink_hold_standard(void);

/* Open for appending; path NULL or "-" is standard output. A regular file is locked until
 * it is closed (standard output only with resume) and, without resume, refused
 * when it holds something. With resume standard output must be a regular file opened
 * for appending. Errors: ERR_ARG for what is refused, ERR_IO, ERR_OUT when
 * standard output is closed. */
int sink_open(struct sink *s, const char *path, bool resume, struct stop *stop, struct err *e);

/* Append n bytes: with one write where the file takes it (the rest is tried
 * again), in pieces that cannot hang on a pipe. What a failed write left
 * behind is cut off again. Errors: ERR_STOP disk full and durable, else ERR_OUT. */
int sink_write(struct sink *s, const char *p, size_t n, struct err *e);
/* Write what is held. After an error nothing is. */
int sink_flush(struct sink *s, struct err *e);

/* A descriptor to read the file from its beginning (caller closes), or -1. */
int sink_reader(const struct sink *s, struct err *e);
int sink_cut(struct sink *s, uint64_t size, struct err *e); // to this length

/* Bring a durable file to the disk, close what was opened here. ERR_OUT when bytes were lost. */
int sink_close(struct sink *s, struct err *e);
void sink_abandon(struct sink *s);

const char *sink_name(const struct sink *s); // for messages

/* Put n bytes in place of the file `path` at once: temporary name (".NAME.tmp", so
 * that a kill leaves one at most), sync, rename. What is no regular file (a device, a pipe) is
 * written to as it is. Errors: ERR_STOP disk full, else ERR_IO. */
int sink_replace(const char *path, const char *p, size_t n, struct err *e);
/* The same at the end of a run: what cannot be written then is lost, ERR_OUT. */
int sink_report(const char *path, const char *p, size_t n, struct err *e);
/* Could it be replaced? Looked at before the work; ERR_IO says why not. */
int sink_may_replace(const char *path, struct err *e);

#endif
