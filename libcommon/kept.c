/* kept.c - answers of a round that is not over. */
#include "kept.h"

#include "json.h"
#include "lines.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void id_of(const struct session *ses, const struct recipe_call *c, char hex[33])
{
    const struct engine_request *q = &c->q;
    const struct sample_opt *o = &q->sample;
    const float x[] = {
        o->temp, o->top_p, o->min_p, o->repeat_penalty, o->presence_penalty, o->frequency_penalty};
    const int n[] = {q->max_tokens, o->top_k, q->end_token, q->trim};
    struct hash128 h = hash_add(session_hash(ses), &q->key, sizeof(q->key));

    h = hash_add(h, &q->seed, sizeof(q->seed));
    h = hash_add(h, x, sizeof(x));
    h = hash_add(h, n, sizeof(n));
    h = hash_add(h, c->prompt.ids.id, c->prompt.ids.n * sizeof(*c->prompt.ids.id));
    h = hash_add(h, buf_cstr(&c->prompt.json), c->prompt.json.n);
    h = hash_add(h, buf_cstr(&c->prompt.begun), c->prompt.begun.n);
    for (int i = 0; i < q->n_stop; i++)
        h = hash_add(h, q->stop[i], strlen(q->stop[i]) + 1);
    hash_hex(h, hex);
}

static void put(struct kept *k, const char *hex, int finish, const char *text, size_t n)
{
    if (*hash_put(&k->at, hex, 32, (int)k->n) != (int)k->n)
        return;
    mem_grow(&k->v, &k->cap, k->n + 1, sizeof(*k->v));
    k->v[k->n++] = (struct kept_answer){finish, text, n};
}

/* false: no line of ours, such as one that a kill has torn. */
static bool take(struct kept *k, const struct lines_line *x)
{
    struct json j;
    struct err why;
    int64_t finish;
    const char *hex, *text;
    char *own;
    size_t n_hex, n;

    if (!x->ended || x->size != x->n || json_parse(&j, &k->mem, x->p, x->n, &why))
        return false;
    hex = json_str(&j, json_get(&j, 0, "call"), &k->mem, &n_hex);
    text = json_str(&j, json_get(&j, 0, "text"), &k->mem, &n);
    if (!hex || n_hex != 32 || !text || json_int(&j, json_get(&j, 0, "finish"), &finish))
        return false;
    own = arena_new(&k->mem, n + 1); // the line is gone with the next one
    memcpy(own, text, n);
    own[n] = 0;
    put(k, hex, (int)finish, own, n);
    return true;
}

int kept_open(struct kept *k, const char *output, struct err *e)
{
    struct buf path = {0};
    struct lines in;
    struct lines_line x = {0};
    struct err why;
    bool foreign;
    off_t good = 0;
    int fd;

    *k = (struct kept){0};
    if (!output)
        return 0;
    buf_fmt(&path, "%s.round", output);
    k->path = path.p;
    k->fd = open(k->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    fd = k->fd < 0 ? -1 : open(k->path, O_RDONLY | O_CLOEXEC);
    k->on = k->fd >= 0;
    if (fd < 0)
        return err_set(e, ERR_IO, "cannot open '%s': %s", k->path, strerror(errno));
    lines_open_fd(&in, fd, k->path, NULL);
    while (lines_next(&in, &x, true, &why) == 1 && take(k, &x))
        good = (off_t)x.end;
    foreign = !good && x.ended;
    lines_close(&in);
    if (foreign)
        return err_set(e, ERR_DATA, "'%s' is no file of answers of an interrupted run", k->path);
    k->on = !ftruncate(k->fd, good);
    return 0;
}

bool kept_find(const struct kept *k, const struct session *ses, const struct recipe_call *c,
               struct session_result *d)
{
    char hex[33];
    const int *at;

    if (!k->n)
        return false;
    id_of(ses, c, hex);
    at = hash_find(&k->at, hex, 32);
    if (!at)
        return false;
    *d = (struct session_result){.d = {.finish = (enum engine_finish)k->v[*at].finish,
                                       .text = k->v[*at].text,
                                       .n_text = k->v[*at].n}};
    return true;
}

void kept_add(struct kept *k, const struct session *ses, const struct recipe_call *c,
              const struct session_result *d)
{
    struct buf b = {0};
    char hex[33];

    if (!k->on || d->rule)
        return;
    id_of(ses, c, hex);
    buf_fmt(&b, "{\"call\":\"%s\",\"finish\":%d,\"text\":", hex, (int)d->d.finish);
    json_put_str(&b, d->d.text, d->d.n_text);
    buf_str(&b, "}\n");
    k->on = write(k->fd, b.p, b.n) == (ssize_t)b.n; // else a torn line, the last
    buf_free(&b);
}

void kept_clear(struct kept *k)
{
    hash_free(&k->at);
    k->at = (struct hash_table){0};
    k->n = 0;
    arena_free(&k->mem);
    k->on = k->path && !ftruncate(k->fd, 0);
}

void kept_close(struct kept *k, bool done)
{
    if (k->path && done)
        unlink(k->path);
    if (k->path && k->fd >= 0)
        close(k->fd);
    hash_free(&k->at);
    arena_free(&k->mem);
    free(k->v);
    free(k->path);
    *k = (struct kept){0};
}
