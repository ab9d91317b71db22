/* label.c - names of topics by a model: one short answer for each, from its central records. */
#include "label.h"

#include "mem.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 240, TOKENS = 24 };

int label_open(struct recipe *r, const char *set, const struct cli_sample *given, struct err *e)
{
    static const char *const none[] = {NULL}, *const names[] = {"tasks", NULL};
    struct cli_sample own = cli_sample_default;

    own.max_tokens = TOKENS;
    own.temp = 0;
    return recipe_open(r, set, "label", none, given, &own, e) || recipe_names(r, names, e) ? -1 : 0;
}

/* The rows nearest to the centroid of each topic, the nearest first. */
static int64_t (*central(const struct kmeans *s, int64_t n))[LABEL_RECORDS]
{
    int64_t(*row)[LABEL_RECORDS] = mem_new((size_t)s->k * sizeof(*row) + 1);

    for (int t = 0; t < s->k; t++)
        for (int j = 0; j < LABEL_RECORDS; j++)
            row[t][j] = -1;
    for (int64_t i = 0; i < n; i++) {
        int64_t *r = row[s->of[i]];
        int j = LABEL_RECORDS;

        for (; j && (r[j - 1] < 0 || s->cos[i] > s->cos[r[j - 1]]); j--)
            if (j < LABEL_RECORDS)
                r[j] = r[j - 1];
        if (j < LABEL_RECORDS)
            r[j] = i;
    }
    return row;
}

/* "- text" a line, shortened. */
static void put_tasks(const struct corpus *c, const int64_t row[LABEL_RECORDS], struct buf *out)
{
    struct buf text = {0};

    for (int j = 0; j < LABEL_RECORDS && row[j] >= 0; j++) {
        size_t n;

        buf_reset(&text);
        corpus_text(c, (size_t)row[j], &text);
        n = text.n > TEXT_BYTES ? utf8_whole(text.p, TEXT_BYTES) : text.n;
        while (n && (text.p[n - 1] == '\n' || text.p[n - 1] == ' '))
            n--;
        buf_str(out, out->n ? "\n- " : "- ");
        for (size_t i = 0; i < n; i++)
            buf_char(out, text.p[i] == '\n' ? ' ' : text.p[i]);
    }
    buf_free(&text);
}

/* The first line that says something, without quotes and the full stop; NULL when there is none. */
static char *tidy(const char *s, size_t n)
{
    static const char edge[] = " \t\r\"'`*#.:-";
    size_t end;

    while (n && (*s == '\n' || strchr(edge, *s))) {
        s++;
        n--;
    }
    for (end = 0; end < n && s[end] != '\n'; end++)
        continue;
    if (end > LABEL_BYTES)
        end = utf8_whole(s, LABEL_BYTES);
    while (end && strchr(edge, s[end - 1]))
        end--;
    return end ? mem_dup(s, end) : NULL;
}

/* A topic's request; fits is false when the prompt is too long for the context. */
static int ask(struct session *ses, const struct recipe *recipe, const struct corpus *c,
               const int64_t row[LABEL_RECORDS], uint64_t seed, struct recipe_call *call,
               bool *fits, struct err *e)
{
    struct hash128 key = hash_bytes("label", 5);
    struct buf tasks = {0};
    int rc;

    for (int j = 0; j < LABEL_RECORDS && row[j] >= 0; j++) {
        const char *id = corpus_id(c, (size_t)row[j]);

        key = hash_add(key, id, strlen(id));
    }
    put_tasks(c, row, &tasks);
    rc = recipe_call(call, recipe, &recipe->prompt, ses,
                     (struct prompt_var[]){{"tasks", buf_cstr(&tasks), tasks.n}}, 1, seed, key, e);
    buf_free(&tasks);
    *fits = !rc;
    if (rc)
        return call->q.n_token ? 0 : -1; // no prompt at all: no topic will do better
    call->q.user = call;
    return session_submit(ses, &call->q, &call->prompt, e);
}

int label_topics(struct session *ses, const struct recipe *recipe, const struct corpus *c,
                 const struct kmeans *s, uint64_t seed, char **label, int *failed,
                 bool (*tick)(void *with, int done), void *with, struct err *e)
{
    int64_t(*row)[LABEL_RECORDS] = central(s, (int64_t)c->n);
    struct recipe_call *call = mem_zero((size_t)s->k, sizeof(*call));
    struct session_result d;
    int next = 0, done = 0, rc = 0;
    bool stop = false;

    while (done < s->k && !rc && !stop) {
        while (next < s->k && session_room(ses) && !rc) {
            bool fits = false;

            rc = ask(ses, recipe, c, row[next], seed, &call[next], &fits, e);
            done += !rc && !fits;
            next++;
        }
        if (!rc && session_busy(ses))
            rc = session_step(ses, e);
        while (!rc && session_poll(ses, &d)) {
            struct recipe_call *of = d.d.user;

            if (!d.rule)
                label[of - call] = tidy(d.d.text, d.d.n_text);
            recipe_call_free(of);
            done++;
            stop |= tick && tick(with, done);
        }
    }
    for (int t = 0; t < s->k; t++) {
        *failed += !label[t];
        recipe_call_free(&call[t]);
    }
    free(call);
    free(row);
    return rc;
}
