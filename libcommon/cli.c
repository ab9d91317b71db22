/* cli.c - the part of main() that all commands share. */
#include "cli.h"

#include "file.h"
#include "roles.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const cli_kv_types[] = {"auto", "f32", "f16", "bf16", "fp8", NULL};
const char *const cli_repack[] = {"auto", "always", "never", NULL};
const char *const cli_isas[] = {"auto", "scalar", "avx2", "avxvnni", "avx512", "avx512vnni", NULL};
const char *const cli_progress_when[] = {"auto", "always", "never", NULL};

const struct cli_model cli_model_default = {
    .device = "auto", .batch = 32, .batch_tokens = 256, .timeout = 600, .retries = 5};
const char *const cli_early[] = {"no", "yes", "never", NULL};
const struct cli_beam cli_beam_default = {.beams = 1, .groups = 1, .length_penalty = 1.0f};
const char *const cli_dry_breakers[4] = {"\n", ":", "\"", "*"};
const struct cli_sample cli_sample_default = {.max_tokens = 256,
                                              .temp = 1.0f,
                                              .top_p = 1.0f,
                                              .repeat_penalty = 1.0f,
                                              .typical_p = 1.0f,
                                              .mirostat_eta = 0.1f,
                                              .dry_base = 1.75f,
                                              .dry_allowed_length = 2,
                                              .samples = 1};
const struct cli_sample cli_sample_unset = {.temp = -1,
                                            .top_k = -1,
                                            .top_p = -1,
                                            .min_p = -1,
                                            .presence_penalty = -1000,
                                            .frequency_penalty = -1000};
const struct stream_opt cli_io_default = {0};
const struct cli_notes cli_notes_default = {0};

/* Options that cannot change a record's bytes (design, section 5), or only say where they go, or
 * name what stands in the fingerprint by its content. */
static const char *const no_effect[] = {
    "model",        "device",  "threads",     "batch",
    "batch-tokens", "nvtx",    "kv-memory",   "no-prefix-cache",
    "repack",       "isa",     "output",      "rejects",
    "attempt",      "resume",  "unordered",   "stats",
    "quiet",        "verbose", "progress",    "help",
    "version",      "grammar", "json-schema", "api-key-file",
    "model-name",   "timeout", "retries",     "again",
    "memory",       "tmp-dir", "plot",        "npy",
    NULL,
};

static void usage(const struct cli *c, FILE *out)
{
    fprintf(out, "usage: %s [options]%s%s\n%s\n", c->name, *c->operands ? " " : "", c->operands,
            c->about);
    opt_help(c->opts, out);
}

static void say(const char *s, size_t n)
{
    while (n) {
        ssize_t k = write(STDERR_FILENO, s, n);

        if (k <= 0)
            return;
        s += k;
        n -= (size_t)k;
    }
}

/* "begin-end perms offset device inode   path": the path, when p is in this range. */
static const char *mapped(const char *line, uintptr_t p)
{
    uintptr_t end[2] = {0};

    for (int i = 0; i < 2; i++, line++)
        for (; *line && *line != '-' && *line != ' '; line++)
            end[i] = end[i] * 16 + (uintptr_t)(*line <= '9' ? *line - '0' : *line - 'a' + 10);
    return p >= end[0] && p < end[1] ? strchr(line, '/') : NULL;
}

static void wait_for_exit(int sig)
{
    (void)sig;
    for (;;)
        pause();
}

/* A mapped file (that of a model) became shorter, or its disk failed: the kernel's own
 * list says which one. Only what a signal handler may do: no allocation, no stdio. */
static void on_bus(int sig, siginfo_t *info, void *context)
{
    static const char why[] = "' cannot be read any more: it was shortened or overwritten "
                              "while in use, or its disk failed\n";
    const struct sigaction wait = {.sa_handler = wait_for_exit};
    const char *name = program_invocation_short_name, *path = NULL;
    struct sigaction old;
    char buf[8192];
    size_t n = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    (void)context;
    if (!sigaction(sig, &wait, &old) && old.sa_handler == wait_for_exit)
        wait_for_exit(sig); // another thread was first
    while (!path && fd >= 0 && (got = read(fd, buf + n, sizeof(buf) - 1 - n)) > 0) {
        char *line = buf, *end;

        n += (size_t)got;
        buf[n] = 0;
        for (; !path && (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            path = mapped(line, (uintptr_t)info->si_addr);
        }
        if (!path) {
            n = (size_t)(buf + n - line);
            memmove(buf, line, n);
        }
    }
    if (!path) { // no file: as if there were no handler
        signal(sig, SIG_DFL);
        raise(sig);
        return;
    }
    say(name, strlen(name));
    say(": '", 3);
    say(path, strlen(path));
    say(why, sizeof(why) - 1);
    _exit(CLI_USAGE);
}

/* -h, -V and --help-mdoc act before anything else is looked at. */
static void early(const struct cli *c, const char *arg)
{
    if (!strcmp(arg, "-h") || !strcmp(arg, "--help"))
        usage(c, stdout);
    else if (!strcmp(arg, "-V") || !strcmp(arg, "--version"))
        printf("%s (llmutils) %s\n", c->name, VERSION);
    else if (!strcmp(arg, "--help-mdoc"))
        opt_mdoc(c->opts, stdout);
    else
        return;
    exit(cli_end(c, CLI_OK));
}

int cli_begin(const struct cli *c, int argc, char **argv)
{
    const struct sigaction bus = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    struct err e;
    int n;

    sigaction(SIGBUS, &bus, NULL);
    signal(SIGXFSZ, SIG_IGN); // a write beyond the limit fails, like one on a full disk
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        early(c, argv[i]);
    n = opt_parse(c->opts, argc, argv, &e);
    if (n < 0) {
        fprintf(stderr, "%s: %s\n%s: try '%s -h'\n", c->name, e.msg, c->name, c->name);
        exit(CLI_USAGE);
    }
    if (roles_check(c->opts, n, argv, NULL, &e))
        exit(cli_fail(c, &e));
    return n;
}

int cli_fail(const struct cli *c, const struct err *e)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", c->name, e->msg);
    return err_status(e);
}

int cli_end(const struct cli *c, int status)
{
    opt_free(c->opts);
    if (!fflush(stdout) && !ferror(stdout) && (!fclose(stdout) || errno == EBADF))
        return status;
    fprintf(stderr, "%s: cannot write output: %s\n", c->name, strerror(errno));
    return CLI_FAIL;
}

void cli_warn(const struct cli *c, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", c->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    putc('\n', stderr);
}

void cli_note(const struct cli *c, const char *fmt, ...)
{
    va_list ap;

    if (!c->notes || !c->notes->verbose)
        return;
    fprintf(stderr, "%s: ", c->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    putc('\n', stderr);
}

static double since(const struct timespec *t, struct timespec *now)
{
    clock_gettime(CLOCK_MONOTONIC, now);
    return (double)(now->tv_sec - t->tv_sec) + 1e-9 * (double)(now->tv_nsec - t->tv_nsec);
}

void cli_progress_begin(struct cli_progress *p, const struct cli *c)
{
    int when = c->notes ? c->notes->progress : 2;

    *p = (struct cli_progress){.on = when == 1 || (when == 0 && isatty(2))};
    clock_gettime(CLOCK_MONOTONIC, &p->start);
    p->last = p->work = p->start;
}

static void show(struct cli_progress *p, struct buf *b)
{
    fprintf(stderr, "\r%-*s", p->width, b->p);
    fflush(stderr);
    p->width = (int)b->n;
    buf_free(b);
}

void cli_progress(struct cli_progress *p, const struct cli *c, const struct stats *n,
                  int64_t tokens)
{
    struct timespec now;
    struct buf b = {0};
    double t;

    if (!p->on)
        return;
    if (n->skipped != p->skipped) { // read sooner than what is computed
        p->skipped = n->skipped;
        p->from = n->bytes_in;
        clock_gettime(CLOCK_MONOTONIC, &p->work);
    }
    if (since(&p->last, &now) < 0.1)
        return;
    p->last = now;
    t = since(&p->work, &now);
    buf_fmt(&b, "%s: %lld written", c->name, (long long)n->written);
    if (n->rejected + n->dropped)
        buf_fmt(&b, ", %lld left out", (long long)(n->rejected + n->dropped));
    if (tokens)
        buf_fmt(&b, ", %.0f tokens/s", (double)tokens / t);
    if (n->bytes_in > p->from && n->bytes_in <= n->bytes_total) {
        uint64_t all = n->bytes_total, left = all - n->bytes_in;

        buf_fmt(&b, ", %.0f%% read, %.0f s left", 100 * (double)n->bytes_in / (double)all,
                t * (double)left / (double)(n->bytes_in - p->from));
    } else {
        buf_fmt(&b, ", %.0f s", since(&p->start, &now));
    }
    show(p, &b);
}

void cli_progress_say(struct cli_progress *p, const struct cli *c, const char *fmt, ...)
{
    struct timespec now;
    struct buf b = {0};
    char text[160];
    va_list ap;

    if (!p->on || since(&p->last, &now) < 0.1)
        return;
    p->last = now;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    buf_fmt(&b, "%s: %s, %.0f s", c->name, text, since(&p->start, &now));
    show(p, &b);
}

void cli_progress_end(struct cli_progress *p)
{
    if (p->on && p->width)
        fprintf(stderr, "\r%*s\r", p->width, "");
    p->on = false;
}

void cli_fingerprint(const struct cli *c, const struct hash128 *model, const char *more,
                     struct buf *out)
{
    char hex[33];

    buf_char(out, '{');
    json_put_key(out, "version");
    json_put_str(out, VERSION, strlen(VERSION));
    json_put_key(out, "command");
    json_put_str(out, c->name, strlen(c->name));
    if (model) {
        hash_hex(*model, hex);
        json_put_key(out, "model");
        json_put_str(out, hex, 32);
    }
    if (more)
        buf_fmt(out, ",%s", more);
    json_put_key(out, "options");
    opt_json(c->opts, no_effect, out);
    buf_char(out, '}');
}

const char *cli_tmp_dir(const char *given)
{
    const char *tmp = getenv("TMPDIR");

    return given ? given : tmp && *tmp ? tmp : "/var/tmp";
}

char *cli_data(const char *name, struct err *e)
{
    static const char *const base[] = {"../examples", "../share/llmutils", NULL};

    return file_beside(base, name, e);
}
