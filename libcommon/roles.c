/* roles.c - no file has two parts to play in a run. */
#include "roles.h"

#include "attempt.h"
#include "buf.h"
#include "file.h"
#include "mem.h"
#include "sink.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const roles_model_files[] = {"config.json",
                                         "generation_config.json",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         "chat_template.jinja",
                                         "special_tokens_map.json",
                                         "vocab.txt",
                                         "modules.json",
                                         "1_Pooling/config.json",
                                         NULL};

struct part {
    char *path;         // as in messages, owned
    const char *option; // that names it, or NULL: an operand, standard input or output
    bool writes, output, there;
    dev_t dev; // of the file, or of the directory where it will be; 0: neither
    ino_t ino;
};

struct roles {
    struct part *v; // (n)
    size_t n;
    const char *output, *attempt; // values of these options
    bool resumes;                 // has --resume: outputs have a .meta
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The directory that a file is in, or will be. */
static int stat_parent(const char *path, struct stat *st)
{
    size_t n = (size_t)(base_name(path) - path);
    char *dir = mem_dup(n ? path : ".", n ? n : 1);
    int rc = stat(dir, st);

    free(dir);
    return rc;
}

static struct part *add(struct roles *r, const char *path, const char *option, bool writes)
{
    struct part x = {.option = option, .writes = writes};
    struct stat st;

    x.there = !stat(path, &st);
    if (x.there && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return NULL; // a device or a pipe may have many
    if (x.there || !stat_parent(path, &st)) {
        x.dev = st.st_dev;
        x.ino = st.st_ino;
    }
    x.path = mem_dup(path, strlen(path));
    r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
    r->v[r->n] = x;
    return &r->v[r->n++];
}

static void add_standard(struct roles *r, int fd)
{
    struct stat st;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return;
    r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
    r->v[r->n++] = (struct part){.path = mem_dup(fd ? "<stdout>" : "<stdin>", fd ? 8 : 7),
                                 .writes = fd == 1,
                                 .output = fd == 1,
                                 .there = true,
                                 .dev = st.st_dev,
                                 .ino = st.st_ino};
}

static void add_beside(struct roles *r, const char *path, const char *ending, const char *option)
{
    struct buf b = {0};

    buf_fmt(&b, "%s%s", path, ending);
    add(r, b.p, option, true);
    buf_free(&b);
}

/* Files of other attempts are read; that of this one is written. */
static char *add_attempts(struct roles *r, const char *path, const char *option)
{
    struct attempt_list l;
    struct err why;
    int k;

    if (attempt_parse(r->attempt, &k, &why)) // refused later
        return mem_dup(path, strlen(path));
    attempt_find(path, k, &l);
    for (size_t i = 0; i < l.n; i++)
        add(r, l.v[i].path, option, false);
    attempt_free(&l);
    return attempt_path(path, k);
}

static void add_written(struct roles *r, const struct opt *o, const char *path)
{
    bool output = !strcmp(o->name, "output"), records = output || !strcmp(o->name, "rejects");
    char *own =
        r->attempt && records ? add_attempts(r, path, o->name) : mem_dup(path, strlen(path));
    struct part *p = add(r, own, o->name, true);

    if (p)
        p->output = records;
    if (p && output && r->resumes) {
        add_beside(r, own, ".meta", o->name);
        add_beside(r, own, ".round", o->name);
    }
    if (p && o->role == OPT_WHOLE)
        add_beside(r, own, ".part", o->name);
    free(own);
}

static bool ends(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n >= k && !strcmp(s + n - k, end);
}

/* Whether a file of this name has weights of a model, when it stands in the model's directory. */
static bool is_weights(const char *name, const char *of)
{
    (void)of;
    return ends(name, ".safetensors") || ends(name, ".safetensors.index.json");
}

/* Length of NAME in "NAME-00001-of-00003.gguf", or 0. */
static size_t split_name(const char *s)
{
    static const char form[] = "-00000-of-00000.gguf";
    size_t n = strlen(s), k = sizeof(form) - 1;

    if (n <= k)
        return 0;
    for (size_t i = 0; i < k; i++) {
        char c = s[n - k + i];

        if (form[i] == '0' ? c < '0' || c > '9' : c != form[i])
            return 0;
    }
    return n - k;
}

/* Whether two files are parts of the same model. */
static bool is_split_of(const char *name, const char *of)
{
    size_t n = split_name(of), tail = strlen("-of-00000.gguf");

    return n && split_name(name) == n && !memcmp(name, of, n) && ends(name, of + strlen(of) - tail);
}

/* What is read with the file or directory of an option: the files beside `of` that belong to it. */
static void add_known(struct roles *r, const char *dir, const char *of, const char *option,
                      bool (*is_known)(const char *name, const char *of))
{
    DIR *d = opendir(dir);
    const struct dirent *x;

    while (d && (x = readdir(d)))
        if (is_known(x->d_name, of)) {
            char *path = file_join(dir, x->d_name);

            add(r, path, option, false);
            free(path);
        }
    if (d)
        closedir(d);
}

static void add_read(struct roles *r, const char *path, const char *option)
{
    size_t n = (size_t)(base_name(path) - path);
    char *dir = n ? mem_dup(path, n) : mem_dup(".", 1);

    add(r, path, option, false);
    if (file_is_dir(path)) {
        add_known(r, path, NULL, option, is_weights);
        for (int i = 0; roles_model_files[i]; i++) {
            char *file = file_join(path, roles_model_files[i]);

            if (!access(file, F_OK))
                add(r, file, option, false);
            free(file);
        }
    } else if (split_name(base_name(path)))
        add_known(r, dir, base_name(path), option, is_split_of);
    free(dir);
}

/* A directory that a run keeps files in. */
static void add_held(struct roles *r, const struct opt *o, const char *dir)
{
    for (const char *const *name = o->choices; *name; name++) {
        char *path = file_join(dir, *name);

        add(r, path, o->name, true);
        free(path);
    }
}

/* A file that appears at the end: that its directory takes one is seen now. */
static int check_last(const struct opt *o, const char *path, struct err *e)
{
    struct err why;

    if (!strcmp(path, "-"))
        return err_set(e, ERR_ARG, "--%s needs a file: standard output is for records", o->name);
    return sink_may_replace(path, &why) ? err_set(e, ERR_ARG, "--%s: %s", o->name, why.msg) : 0;
}

static int add_option(struct roles *r, const struct opt *o, struct err *e)
{
    const struct opt_list *l = o->dst;
    const char *path = o->type == OPT_T_STR ? *(const char **)o->dst : NULL;

    if (o->role == OPT_READS && path)
        add_read(r, path, o->name);
    if (o->role == OPT_HOLDS && path)
        add_held(r, o, path);
    for (int i = 0; o->type == OPT_T_LIST && i < l->n; i++)
        if (strcmp(l->v[i], "-") != 0)
            add(r, l->v[i], o->name, false);
        else
            add_standard(r, 0);
    if (o->role == OPT_READS || o->role == OPT_HOLDS || !path)
        return 0;
    if (o->role == OPT_AT_LAST && check_last(o, path, e))
        return -1;
    if (strcmp(path, "-") != 0)
        add_written(r, o, path);
    return 0;
}

static int add_all(struct roles *r, const struct opt *tab, int n, char **operand, struct err *e)
{
    bool writes = false;

    for (const struct opt *o = tab; o->type != OPT_T_END; o++) {
        if (o->type == OPT_T_FLAG && !strcmp(o->name, "resume"))
            r->resumes = true;
        if (o->type == OPT_T_STR && !strcmp(o->name, "attempt"))
            r->attempt = *(const char **)o->dst;
        if (o->type == OPT_T_STR && o->role && !strcmp(o->name, "output")) {
            writes = true;
            r->output = *(const char **)o->dst;
        }
    }
    for (int i = 0; i < n; i++)
        if (strcmp(operand[i], "-") != 0)
            add(r, operand[i], NULL, false);
    for (int i = 0; i < n || !i; i++)
        if (!n || !strcmp(operand[i], "-"))
            add_standard(r, 0);
    if (writes && (!r->output || !strcmp(r->output, "-")))
        add_standard(r, 1);
    for (const struct opt *o = tab; o->type != OPT_T_END; o++)
        if (o->role && add_option(r, o, e))
            return -1;
    return 0;
}

static bool is_same(const struct part *a, const struct part *b)
{
    if (a->there != b->there || !a->ino || a->dev != b->dev || a->ino != b->ino)
        return false;
    return a->there || (a->writes && b->writes && !strcmp(base_name(a->path), base_name(b->path)));
}

/* a has the part of b as well; one of them is written. */
static int refuse(const struct part *a, const struct part *b, struct err *e)
{
    if (!b->option && !b->writes && (a->output || !a->option))
        return err_set(e, ERR_ARG, "'%s' is both input and output", b->path);
    if (!b->option || (b->output && b->writes && !strcmp(b->option, "output")))
        return err_set(e, ERR_ARG, "--%s: '%s' is the %s", a->option, a->path,
                       b->writes ? "output" : "input");
    return err_set(e, ERR_ARG, "--%s: '%s' is also a file of --%s", a->option, a->path, b->option);
}

int roles_check(const struct opt *tab, int n, char **operand, const struct opt_list *more,
                struct err *e)
{
    struct roles r = {0};
    int rc = add_all(&r, tab, n, operand, e);

    for (int i = 0; more && i < more->n; i++)
        add(&r, more->v[i], "rules", false);
    for (size_t i = 0; i < r.n && !rc; i++)
        for (size_t k = 0; k < i && !rc; k++) {
            const struct part *a = &r.v[i], *b = &r.v[k];

            if (!(a->writes || b->writes) || !is_same(a, b))
                continue;
            rc = b->option && !a->writes ? refuse(b, a, e) : refuse(a, b, e);
        }
    for (size_t i = 0; i < r.n; i++)
        free(r.v[i].path);
    free(r.v);
    return rc;
}
