/* opt.h - command-line options as one table per command.
 *
 * The table is the only place where an option is written down: parsing, -h,
 * the OPTIONS section of the man page and the fingerprint of an output read it.
 * Defaults are whatever the fields hold when opt_parse() is called, so the
 * default in the help text cannot go stale. */
#ifndef OPT_H
#define OPT_H

#include "buf.h"
#include "err.h"

#include <stddef.h>
#include <stdio.h>

enum opt_type {
    OPT_T_END,
    OPT_T_HEAD,
    OPT_T_NEED,
    OPT_T_BARS,
    OPT_T_GIVEN,
    OPT_T_FLAG, // from here on: options
    OPT_T_INT,
    OPT_T_FLOAT,
    OPT_T_U64,
    OPT_T_SIZE,
    OPT_T_STR,
    OPT_T_LIST,
    OPT_T_ENUM,
};

/* What a run does with the file that an option names; roles.h. */
enum opt_role {
    OPT_NO_FILE,
    OPT_READS,
    OPT_WRITES,  // from the beginning on
    OPT_WHOLE,   // by way of FILE.part
    OPT_AT_LAST, // at the end, in place of what is there
    OPT_HOLDS,   // a directory with files of these names, read and written
};

/* The values of an option that may be given several times, in order. */
struct opt_list {
    const char **v; // (n), points into argv
    int n;
};

struct opt {
    enum opt_type type;
    char key;         // short name, or 0
    const char *name; // long name without dashes; group title for OPT_T_HEAD
    void *dst;        // bool, int, float, uint64_t (also sizes), const char *, struct opt_list, int
    const char *arg;  // metavariable: "file", "n", "p"; what OPT_T_NEED and OPT_T_BARS speak of
    const char *help; // one line; no capital, no full stop
    double min, max;  // inclusive range of numbers
    const char *const *choices; // NULL-terminated, of OPT_T_ENUM; the names of OPT_HOLDS
    enum opt_role role;         // of OPT_T_STR and OPT_T_LIST
};

// clang-format off
#define OPT_HEAD(title) {OPT_T_HEAD, 0, title, NULL, NULL, NULL, 0, 0, NULL, 0}
/* No options but what holds of one. It has no effect without another, so to give it alone is an
 * error: one of `others`, "a|b", must be given too, or have a value, "a=value". The other way
 * round: with it, none of `others` has an effect. And: whether it is given, as a bool. */
#define OPT_NEED(n, others) {OPT_T_NEED, 0, n, NULL, others, NULL, 0, 0, NULL, 0}
#define OPT_BARS(n, others) {OPT_T_BARS, 0, n, NULL, others, NULL, 0, 0, NULL, 0}
#define OPT_GIVEN(n, d) {OPT_T_GIVEN, 0, n, d, NULL, NULL, 0, 0, NULL, 0}
#define OPT_FLAG(k, n, d, h) {OPT_T_FLAG, k, n, d, NULL, h, 0, 0, NULL, 0}
#define OPT_INT(k, n, d, a, lo, hi, h) {OPT_T_INT, k, n, d, a, h, lo, hi, NULL, 0}
#define OPT_FLOAT(k, n, d, a, lo, hi, h) {OPT_T_FLOAT, k, n, d, a, h, lo, hi, NULL, 0}
#define OPT_U64(k, n, d, a, h) {OPT_T_U64, k, n, d, a, h, 0, 0, NULL, 0}
#define OPT_SIZE(k, n, d, a, h) {OPT_T_SIZE, k, n, d, a, h, 0, 0, NULL, 0}
#define OPT_STR(k, n, d, a, h) OPT_FILE(k, n, d, a, OPT_NO_FILE, h)
#define OPT_FILE(k, n, d, a, role, h) {OPT_T_STR, k, n, d, a, h, 0, 0, NULL, role}
#define OPT_DIR(k, n, d, a, names, h) {OPT_T_STR, k, n, d, a, h, 0, 0, names, OPT_HOLDS}
#define OPT_LIST(k, n, d, a, h) {OPT_T_LIST, k, n, d, a, h, 0, 0, NULL, 0}
#define OPT_FILES(k, n, d, a, h) {OPT_T_LIST, k, n, d, a, h, 0, 0, NULL, OPT_READS}
#define OPT_ENUM(k, n, d, c, a, h) {OPT_T_ENUM, k, n, d, a, h, 0, 0, c, 0}
#define OPT_END() {OPT_T_END, 0, NULL, NULL, NULL, NULL, 0, 0, NULL, 0}
// clang-format on

/* Parse argv into the table's destinations, and see that each option has what it needs; operands
 * are moved to the front. Returns the number of operands, or -1 with e set. Accepts -kVAL, -k VAL,
 * --name VAL, --name=VAL, flags together (-qu), and -- to end the options.
 * A numeric value of an option may be negative; a size is a number of bytes, or of KiB,
 * MiB, GiB or TiB with K, M, G or T behind it, and may have a fraction then. */
int opt_parse(const struct opt *tab, int argc, char **argv, struct err *e);

/* Free what opt_parse allocated: the lists. */
void opt_free(const struct opt *tab);

/* Write the option list for people (-h) or as mdoc items (for man pages). */
void opt_help(const struct opt *tab, FILE *out);
void opt_mdoc(const struct opt *tab, FILE *out);

/* Every option whose value can change a result, as a JSON object of its long
 * name and value; names in `skip` (NULL-terminated) are left out. */
void opt_json(const struct opt *tab, const char *const *skip, struct buf *out);

#endif
