/* stream.h - files of records: read, write, rejects, resume, shard, counts.
 *
 * All that a command needs around its records, so that each behaves alike:
 * a bad line is reported, goes to the rejects and the run goes on; ids repeat as
 * "#2"; --shard takes the records whose id hashes to it; --resume skips what is
 * in the output or the rejects, after cutting a torn last line; one record (or
 * group) is one write, or many whole ones are where that is asked for; FILE.meta holds the
 * fingerprint. SIGINT and SIGTERM are taken between records (design, sections 6 and 7).
 *
 * Rejects stand in the order of the input as the output does: a command that keeps the
 * order finishes (writes, rejects or drops) every record that it read. */
#ifndef STREAM_H
#define STREAM_H

#include "err.h"
#include "record.h"
#include "stats.h"

#include <stdbool.h>
#include <stdint.h>

enum { STREAM_LINE_MAX = 64 << 20 };

/* Options of the group "Records", filled by cli. */
struct stream_opt {
    const char *output;  // NULL: standard output
    const char *rejects; // NULL: rejects are counted only
    const char *stats;   // NULL: none; JSON object written at the end
    bool resume, unordered;
    const char *shard;   // "I/N" or NULL
    const char *attempt; // "K" or NULL: outputs are FILE.aK
    bool no_attempt;     // refuse it: the work depends on the whole of what was written before
    uint64_t seed;
    const char *field; // not an option of all: what --field names, which ids are made of as well
    /* Not options, of commands that look at several records together: what decides a record's
     * shard (NULL: its id); stream_read also gives records that are done, marked so. */
    struct hash128 (*part)(void *with, struct record *r);
    void *with;
    bool whole;
    /* What --stats has beside the counts: appends JSON members such as "\"tokens\":12", at any time
     * from stream_open on, since a run may end early. NULL: none. */
    void (*figures)(void *with, struct buf *out);
};

struct stream_conf {
    const char *stage;         // "llm-generate"
    const char *const *fields; // that the command reads, for ids; NULL-terminated, or NULL
    const char *fingerprint;   // JSON object: version, model, options; for FILE.meta
    int group;   // output lines a record: 1, or --samples N (a resumed output must hold all N)
    bool quiet;  // no lines on standard error for rejected records (-q)
    bool gather; // lines are written some 256 KiB at a time, or when there is nothing to read yet
};

struct stream;

/* Open inputs (n files; none or "-" is standard input), output and rejects.
 * Without resume an existing non-empty -o FILE is refused; with it the output
 * (-o FILE, or standard output when that is a regular file opened for append) is checked, its torn
 * last line or incomplete last group cut, and its ids are skipped. With an attempt, output and
 * rejects are FILE.aK, and what the files of other attempts hold is done as well. Another
 * fingerprint in FILE.meta is ERR_ARG and names the field. The output file is locked. Call it
 * before threads are made: SIGINT and SIGTERM are blocked here and in threads made later, and a
 * thread made before would be killed by them. Strings of o and c are borrowed. */
struct stream *stream_open(const struct stream_opt *o, const struct stream_conf *c, int n,
                           char **file, struct err *e);

/* Append what FILE.meta of such a stream holds: the fingerprint, stage, seed, shard and group. */
int stream_meta(const struct stream_opt *o, const struct stream_conf *c, struct buf *b,
                struct err *e);

/* The next record to work on, with its id. 1 = record (caller: record_reset),
 * 0 = end of input or asked to stop, 2 = nothing there yet (wait = false only), -1 = fatal.
 * Bad lines, blank lines, done ids and other shards' records are dealt with inside. */
int stream_read(struct stream *s, struct record *r, bool wait, struct err *e);

/* The same in three steps, for many records at once (batch.h). A line as it is; 1, 0, 2, -1 as
 * above. What it makes, by any thread, of r, which is zeroed or cleared: STREAM_RECORD, a record
 * with its id, or why not. Then, in the order of the lines: 1 = it is one to work on, 0 = dealt
 * with, -1 = fatal. */
struct lines_line; // lines.h
enum stream_made { STREAM_RECORD, STREAM_BLANK, STREAM_LONG, STREAM_NO_JSON, STREAM_NO_ID };
int stream_line(struct stream *s, struct lines_line *x, bool wait, struct err *e);
enum stream_made stream_make(const struct stream *s, const struct lines_line *x, struct record *r,
                             struct err *why);
int stream_accept(struct stream *s, const struct lines_line *x, enum stream_made made,
                  struct record *r, const struct err *why, struct err *e);

/* Write r as a line; stream_write_group writes n records with one write, which finish
 * the record that r[0] was read as or copied from. With a line of more than STREAM_LINE_MAX bytes,
 * which nobody would read, they are a reject instead. ERR_OUT when
 * output is lost; ERR_STOP when the disk is full and --resume can go on. */
int stream_write(struct stream *s, struct record *r, struct err *e);
int stream_write_group(struct stream *s, struct record *r, int n, struct err *e);

/* Reject r: one line "<stage>: file:17: <message>" on standard error, and r with
 * "reject": {stage, rule, value, limit, line} to the rejects. value and limit are
 * JSON values or NULL; a failure without a value has the message there. A failure counts for exit
 * status 1; a drop (what a filter removes by its rule: no message) does not; drops are counted by
 * rule, whose name is borrowed until the stream is closed. */
int stream_reject(struct stream *s, struct record *r, const char *rule, const char *value,
                  const char *limit, const char *message, struct err *e);
int stream_drop(struct stream *s, struct record *r, const char *rule, const char *value,
                const char *limit, struct err *e);

/* Finish a record of which nothing is written. */
int stream_finish(struct stream *s, const struct record *r, struct err *e);

/* True once SIGINT or SIGTERM came: finish what is in hand, read no more. */
bool stream_stopped(struct stream *s);

/* The input has ended, but work is left that no record in hand stands for (further rounds): a
 * signal that came is an early stop to stream_close then. */
void stream_unfinished(struct stream *s);

const struct stats *stream_counts(struct stream *s); // so far

/* Path of the output file when it is one that can be read again (for commands
 * whose work depends on what they wrote before), else NULL. */
const char *stream_output_path(const struct stream *s);

/* Lines that the output held when it was opened, to be appended to (resume). */
int64_t stream_lines(const struct stream *s);

/* The outputs of other attempts that count as done: the i-th one and how many of its bytes, or
 * NULL. For the same commands. */
const char *stream_other(const struct stream *s, size_t i, uint64_t *bytes);

/* Close all, write --stats. Returns the exit status 0, 1 or 75, or -1 with e set; s is
 * released in any case. 75: a signal came before the end of the input, or while
 * records that were read are not finished. */
int stream_close(struct stream *s, struct err *e);

/* After the error `why`, which --stats tells: what was done before it is written. NULL-safe. */
void stream_abandon(struct stream *s, const struct err *why);

#endif
