/* prompt.c - prompt files and their rendering into tokens for a model. */
#include "prompt.h"

#include "arena.h"
#include "buf.h"
#include "file.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

enum { TEMPLATE_MAX = 1 << 20 };

const char *const prompt_fields[] = {"messages", "conversations", "system", "instruction",
                                     "input",    "prompt",        NULL};

/* A template by name, or a file that holds one. */
static int named_template(struct prompt_model *pm, const char *opt, struct err *e)
{
    char *text;
    int rc;

    for (int i = 0; chatkind_names[i]; i++)
        if (!strcmp(chatkind_names[i], opt)) {
            pm->kind = (enum chat_kind)i;
            pm->known = true;
            return 0;
        }
    text = file_text(opt, TEMPLATE_MAX, NULL, e);
    if (!text)
        return err_wrap(e, "--chat-template: '%s' is no template's name and no file", opt);
    rc = chatkind_recognize(text, &pm->kind, e);
    pm->known = !rc;
    pm->system = rc ? NULL : chatkind_system(text);
    pm->begins = !rc && chatkind_begins(text);
    free(text);
    return rc ? err_wrap(e, "'%s'", opt) : 0;
}

int prompt_model_init(struct prompt_model *pm, const struct model *m, const char *opt,
                      struct err *e)
{
    const char *own = m ? tok_template(m->tok) : NULL;
    struct err why;

    *pm = (struct prompt_model){.tok = m ? m->tok : NULL};
    if (opt)
        return named_template(pm, opt, e);
    if (!own)
        err_set(&why, ERR_ARG, "the model has no chat template; name one with --chat-template");
    else if (!chatkind_recognize(own, &pm->kind, &why))
        pm->known = true;
    if (pm->known) {
        pm->system = chatkind_system(own);
        pm->begins = chatkind_begins(own);
    } else {
        pm->problem = mem_dup(why.msg, strlen(why.msg));
    }
    return 0;
}

void prompt_model_free(struct prompt_model *pm)
{
    free(pm->problem);
    free(pm->system);
    *pm = (struct prompt_model){0};
}

void prompt_texts(struct prompt *p, const struct conf *c)
{
    const struct conf *stop = conf_get(c, "stop");

    p->system = conf_str(c, "system", NULL);
    p->user = conf_str(c, "user", NULL);
    p->assistant = conf_str(c, "assistant", NULL);
    for (const struct conf *x = stop ? stop->child : NULL; x; x = x->next) {
        p->stop = mem_resize(p->stop, (size_t)p->n_stop + 1, sizeof(*p->stop));
        p->stop[p->n_stop++] = x->value ? x->value : "";
    }
}

int prompt_open(struct prompt *p, const char *path, struct err *e)
{
    char *text;
    size_t n;

    *p = (struct prompt){0};
    text = file_text(path, TEMPLATE_MAX, &n, e);
    if (!text)
        return -1;
    p->hash = hash_bytes(text, n);
    free(text);
    p->conf = conf_open(path, e);
    if (!p->conf)
        return -1;
    prompt_texts(p, p->conf);
    if (p->user)
        return 0;
    prompt_close(p);
    return err_set(e, ERR_DATA, "%s: no key 'user'", path);
}

void prompt_close(struct prompt *p)
{
    conf_close(p->conf);
    free(p->stop);
    *p = (struct prompt){0};
}

static const struct prompt_var *find(const struct prompt_var *v, int n, const char *name,
                                     size_t len)
{
    for (int i = 0; i < n; i++)
        if (strlen(v[i].name) == len && !memcmp(v[i].name, name, len))
            return &v[i];
    return NULL;
}

/* Text without optional parts: copy it, replacing {{name}}. */
static int fill_plain(const char *s, size_t n, const struct prompt_var *v, int n_vars,
                      struct buf *out, struct err *e)
{
    const char *end = s + n;

    while (s < end) {
        const char *open = memmem(s, (size_t)(end - s), "{{", 2), *close;
        const struct prompt_var *x;

        if (!open)
            break;
        close = memmem(open, (size_t)(end - open), "}}", 2);
        if (!close)
            return err_set(e, ERR_ARG, "'{{' without '}}'");
        x = find(v, n_vars, open + 2, (size_t)(close - open - 2));
        if (!x)
            return err_set(e, ERR_ARG, "unknown name '%.*s'", (int)(close - open + 2), open);
        buf_add(out, s, (size_t)(open - s));
        if (x->text)
            buf_add(out, x->text, x->n);
        s = close + 2;
    }
    buf_add(out, s, (size_t)(end - s));
    return 0;
}

int prompt_fill(const char *text, const struct prompt_var *v, int n, struct buf *out, struct err *e)
{
    const char *open, *colon, *close;

    for (; (open = strstr(text, "[[")); text = close + 2) {
        const struct prompt_var *x;

        close = strstr(open, "]]");
        colon = strchr(open, ':');
        if (!close || !colon || colon > close)
            return err_set(e, ERR_ARG, "'[[' is not followed by 'name: ...]]'");
        if (fill_plain(text, (size_t)(open - text), v, n, out, e))
            return -1;
        x = find(v, n, open + 2, (size_t)(colon - open - 2));
        if (!x)
            return err_set(e, ERR_ARG, "unknown name '%.*s'", (int)(colon - open - 2), open + 2);
        colon += colon[1] == ' ' ? 2 : 1;
        if (x->text && x->n && fill_plain(colon, (size_t)(close - colon), v, n, out, e))
            return -1;
    }
    return fill_plain(text, strlen(text), v, n, out, e);
}

/* Refused before tokens are made: these would take many times the memory of the text. */
static int fits(const struct prompt_model *pm, size_t n, struct err *e)
{
    if (!pm->max_bytes || n <= pm->max_bytes)
        return 0;
    return err_set(e, ERR_DATA, "the prompt has %zu bytes and leaves no room in the context", n);
}

/* Where a prompt goes: into tokens, or into JSON for a server: messages, or their text. */
struct into {
    const struct prompt_model *pm; // NULL: messages, whose template the server has
    struct tok_ids *ids;           // NULL: JSON
    struct buf *json;
    size_t *bare;                      // length of the JSON before the answer's beginning, or NULL
    const struct chat_message *answer; // that ends the conversation, or NULL: one is asked for
};

static void put_message(const struct chat_message *m, struct buf *b)
{
    static const char *const role[] = {
        [CHAT_SYSTEM] = "system", [CHAT_USER] = "user", [CHAT_ASSISTANT] = "assistant"};
    struct buf text = {0};

    buf_add(&text, m->text, m->n);
    if (m->input) {
        buf_str(&text, "\n\n");
        buf_add(&text, m->input, m->n_input);
    }
    buf_fmt(b, "{\"role\":\"%s\",\"content\":", role[m->role]);
    json_put_str(b, buf_cstr(&text), text.n);
    buf_char(b, '}');
    buf_free(&text);
}

/* The list of messages; the beginning of an answer stands as the last one. */
static void put_messages(const struct into *to, const struct chat_message *m, int n,
                         const char *prefix)
{
    struct buf *b = to->json;
    const struct chat_message begun = {CHAT_ASSISTANT, prefix, strlen(prefix), NULL, 0};

    buf_char(b, '[');
    for (int i = 0; i < n; i++) {
        buf_str(b, i ? "," : "");
        put_message(&m[i], b);
    }
    if (to->bare)
        *to->bare = b->n;
    if (*prefix) {
        buf_char(b, ',');
        put_message(&begun, b);
    }
    buf_char(b, ']');
}

/* Render messages, and the answer to them where there is one. */
static int render(const struct into *to, const struct chat_message *m, int n, const char *prefix,
                  struct chat_text *t, struct err *e)
{
    struct chat_message *all;
    int rc;

    if (!to->answer)
        return chat_render(to->pm->kind, m, n, prefix, t, e);
    all = mem_new((size_t)(n + 1) * sizeof(*all));
    memcpy(all, m, (size_t)n * sizeof(*all));
    all[n] = *to->answer;
    t->closed = true;
    rc = chat_render(to->pm->kind, all, n + 1, "", t, e);
    free(all);
    return rc;
}

/* Render messages and encode them. */
static int encode(const struct into *to, const struct chat_message *m, int n, const char *prefix,
                  struct err *e)
{
    const struct prompt_model *pm = to->pm;
    struct chat_text t = {0};
    int rc;

    if (!pm) {
        put_messages(to, m, n, prefix);
        return 0;
    }
    if (!pm->known)
        return err_set(e, ERR_ARG, "%s", pm->problem);
    if (pm->tok)
        chat_text_use(&t, pm->tok);
    t.system = pm->system;
    t.begins = pm->begins;
    rc = render(to, m, n, prefix, &t, e);
    if (!rc)
        rc = fits(pm, t.text.n, e);
    if (!rc && to->json)
        json_put_str(to->json, buf_cstr(&t.text), t.text.n);
    else if (!rc)
        rc = chat_encode(pm->tok, &t, to->ids, e);
    chat_text_free(&t);
    return rc;
}

/* The tokens of text in the middle of a text, for tokenizers that put a space before what they
 * take for a beginning: those behind a newline. */
static int encode_inside(const struct tok *tok, const char *text, size_t n, struct tok_ids *out,
                         struct err *e)
{
    struct tok_ids line = {0}, whole = {0};
    struct buf b = {0};
    size_t skip = 0;
    int rc;

    buf_char(&b, '\n');
    buf_add(&b, text, n);
    rc = tok_encode(tok, "\n", 1, 0, &line, e) || tok_encode(tok, b.p, b.n, 0, &whole, e) ? -1 : 0;
    while (!rc && skip < line.n && skip < whole.n && line.id[skip] == whole.id[skip])
        skip++;
    if (!rc && skip < line.n) { // the newline became part of another token
        rc = tok_encode(tok, text, n, TOK_INSIDE, out, e);
    } else if (!rc) {
        mem_grow(&out->id, &out->cap, out->n + whole.n, sizeof(*out->id));
        for (; skip < whole.n; skip++)
            out->id[out->n++] = whole.id[skip];
    }
    tok_ids_free(&line);
    tok_ids_free(&whole);
    buf_free(&b);
    return rc;
}

int prompt_answer(const struct prompt_model *pm, const char *text, size_t n, bool templated,
                  struct tok_ids *out, struct err *e)
{
    if (fits(pm, n, e))
        return -1;
    if (!tok_adds_space(pm->tok))
        return tok_encode(pm->tok, text, n, TOK_INSIDE, out, e);
    /* Behind a template the space is what the model says first, and what is trimmed of its output.
     */
    return templated ? tok_encode(pm->tok, text, n, 0, out, e)
                     : encode_inside(pm->tok, text, n, out, e);
}

static int fill_messages(const struct prompt *p, const struct into *to, const struct prompt_var *v,
                         int n, struct buf *begun, struct err *e)
{
    struct buf part[3] = {{0}, {0}, {0}};
    const char *text[3] = {p->system, p->user, p->assistant};
    struct chat_message m[2];
    int n_m = 0, rc = 0;

    for (int i = 0; i < 3 && !rc; i++)
        rc = text[i] ? prompt_fill(text[i], v, n, &part[i], e) : 0;
    if (!rc && part[0].n)
        m[n_m++] = (struct chat_message){CHAT_SYSTEM, buf_cstr(&part[0]), part[0].n, NULL, 0};
    if (!rc)
        m[n_m++] = (struct chat_message){CHAT_USER, buf_cstr(&part[1]), part[1].n, NULL, 0};
    if (!rc)
        rc = encode(to, m, n_m, buf_cstr(&part[2]), e);
    if (!rc && begun)
        buf_add(begun, part[2].p, part[2].n);
    for (int i = 0; i < 3; i++)
        buf_free(&part[i]);
    return rc;
}

int prompt_encode(const struct prompt *p, const struct prompt_model *pm, const struct prompt_var *v,
                  int n, struct tok_ids *out, struct err *e)
{
    return fill_messages(p, &(struct into){.pm = pm, .ids = out}, v, n, NULL, e);
}

int prompt_json(const struct prompt *p, const struct prompt_model *pm, const struct prompt_var *v,
                int n, struct buf *out, struct buf *begun, size_t *bare, struct err *e)
{
    return fill_messages(p, &(struct into){.pm = pm, .json = out, .bare = bare}, v, n,
                         pm ? NULL : begun, e);
}

/* How a template's end of a user's turn shows in what a model writes: as a control token (its id
 * to *token, else 0), or as text. */
static int turn_end(const struct tok *tok, const char *after, struct buf *stop, int32_t *token,
                    struct err *e)
{
    struct tok_ids ids = {0};

    after += strspn(after, " \n");
    *token = 0;
    if (tok_encode(tok, after, strlen(after), TOK_SPECIAL | TOK_INSIDE, &ids, e))
        return -1;
    if (ids.n && tok_type(tok, ids.id[0]) == TOK_CONTROL)
        *token = ids.id[0];
    else
        buf_add(stop, after, strcspn(after, "\n"));
    tok_ids_free(&ids);
    return 0;
}

int prompt_turn(const struct prompt *p, const struct prompt_model *pm, const struct prompt_var *v,
                int n, struct tok_ids *out, struct buf *stop, int32_t *token, struct err *e)
{
    struct buf system = {0}, user = {0}, after = {0};
    struct chat_text t = {0};
    int rc = p->system ? prompt_fill(p->system, v, n, &system, e) : 0;

    if (!rc)
        rc = prompt_fill(p->user, v, n, &user, e);
    if (!rc && !pm->known)
        rc = err_set(e, ERR_ARG, "%s", pm->problem);
    if (!rc) {
        chat_text_use(&t, pm->tok);
        t.system = pm->system;
        t.begins = pm->begins;
        chat_turn(pm->kind, buf_cstr(&system), buf_cstr(&user), &t, &after);
        rc = fits(pm, t.text.n, e);
    }
    if (!rc)
        rc = chat_encode(pm->tok, &t, out, e);
    if (!rc)
        rc = turn_end(pm->tok, buf_cstr(&after), stop, token, e);
    chat_text_free(&t);
    buf_free(&system);
    buf_free(&user);
    buf_free(&after);
    return rc;
}

static const struct {
    const char *name;
    enum chat_role role;
} roles[] = {{"system", CHAT_SYSTEM},       {"user", CHAT_USER},     {"human", CHAT_USER},
             {"assistant", CHAT_ASSISTANT}, {"gpt", CHAT_ASSISTANT}, {NULL, CHAT_USER}};

/* One element of messages ({role, content}) or conversations ({from, value}). */
static int message(struct record *r, const struct json *j, int node, struct chat_message *m,
                   struct err *e)
{
    int role = json_get(j, node, "role"), text = json_get(j, node, "content");

    if (role < 0)
        role = json_get(j, node, "from");
    if (text < 0)
        text = json_get(j, node, "value");
    *m = (struct chat_message){0};
    m->text = json_str(j, text, &r->mem, &m->n);
    if (!m->text)
        return err_set(e, ERR_DATA, "a message has no text in 'content'");
    for (int i = 0; roles[i].name; i++)
        if (json_str_is(j, role, roles[i].name)) {
            m->role = roles[i].role;
            return 0;
        }
    return err_set(e, ERR_DATA, "a message's role is not system, user or assistant");
}

static int from_messages(const struct into *to, struct record *r, const char *field, struct err *e)
{
    struct chat_message *m;
    struct json j;
    size_t n_raw;
    const char *raw = record_raw(r, field, &n_raw);
    uint32_t n = 0, k;

    if (json_parse(&j, &r->mem, raw, n_raw, e))
        return err_wrap(e, "field '%s'", field);
    if (json_type(&j, 0) != JSON_ARRAY || !j.node[0].size)
        return err_set(e, ERR_DATA, "field '%s' is not a list of messages", field);
    m = arena_new(&r->mem, j.node[0].size * sizeof(*m));
    for (k = 1; k < j.node[0].next; k = j.node[k].next)
        if (message(r, &j, (int)k, &m[n++], e))
            return err_wrap(e, "field '%s'", field);
    /* A conversation that ends with the assistant's answer is asked for that answer again. */
    while (n > 1 && m[n - 1].role == CHAT_ASSISTANT)
        n--;
    return encode(to, m, (int)n, "", e);
}

static int from_instruction(const struct into *to, struct record *r, struct err *e)
{
    struct chat_message m[2] = {{.role = CHAT_SYSTEM}, {.role = CHAT_USER}};
    int first = 1;

    if (record_text(r, "instruction", &m[1].text, &m[1].n, e) < 0 ||
        record_text(r, "input", &m[1].input, &m[1].n_input, e) < 0 ||
        record_text(r, "system", &m[0].text, &m[0].n, e) < 0)
        return -1;
    if (!m[1].n_input)
        m[1].input = NULL;
    if (m[0].n)
        first = 0;
    return encode(to, m + first, 2 - first, "", e);
}

/* A raw prompt and its answer as one text, and the end token. */
static int raw_whole(const struct into *to, const char *text, size_t n, struct err *e)
{
    struct tok_ids *ids = to->ids;
    struct buf b = {0};
    int rc, eos = tok_eos(to->pm->tok);

    buf_add(&b, text, n);
    buf_add(&b, to->answer->text, to->answer->n);
    rc = fits(to->pm, b.n, e) || tok_encode(to->pm->tok, buf_cstr(&b), b.n, TOK_BOS, ids, e);
    buf_free(&b);
    if (rc || eos < 0)
        return rc ? -1 : 0;
    mem_grow(&ids->id, &ids->cap, ids->n + 1, sizeof(*ids->id));
    ids->id[ids->n++] = eos;
    return 0;
}

static int from_record(const struct into *to, struct record *r, bool *templated, struct err *e)
{
    const char *text;
    size_t n;
    int rc;

    *templated = true;
    if (record_has(r, "messages"))
        return from_messages(to, r, "messages", e);
    if (record_has(r, "conversations"))
        return from_messages(to, r, "conversations", e);
    if (record_has(r, "instruction"))
        return from_instruction(to, r, e);
    *templated = false;
    rc = record_text(r, "prompt", &text, &n, e);
    if (rc <= 0)
        return rc ? -1 : err_set(e, ERR_DATA, "no field 'prompt'");
    if (to->json) {
        json_put_str(to->json, text, n);
        return 0;
    }
    if (to->answer)
        return raw_whole(to, text, n, e);
    return fits(to->pm, n, e) ? -1 : tok_encode(to->pm->tok, text, n, TOK_BOS, to->ids, e);
}

int prompt_record(const struct prompt_model *pm, struct record *r, struct tok_ids *out,
                  bool *templated, struct err *e)
{
    return from_record(&(struct into){.pm = pm, .ids = out}, r, templated, e);
}

int prompt_whole(const struct prompt_model *pm, struct record *r, const char *answer, size_t n,
                 struct tok_ids *out, struct err *e)
{
    const struct chat_message m = {CHAT_ASSISTANT, answer, n, NULL, 0};
    bool templated;

    return from_record(&(struct into){.pm = pm, .ids = out, .answer = &m}, r, &templated, e);
}

int prompt_record_json(const struct prompt_model *pm, struct record *r, struct buf *out,
                       bool *templated, struct err *e)
{
    return from_record(&(struct into){.pm = pm, .json = out}, r, templated, e);
}

static void strip(const char **s, size_t *n)
{
    while (*n && strchr(" \t\r\n", **s)) {
        ++*s;
        --*n;
    }
    while (*n && strchr(" \t\r\n", (*s)[*n - 1]))
        --*n;
}

void prompt_split_task(const char *s, size_t n, const char **inst, size_t *n_inst,
                       const char **input, size_t *n_input)
{
    static const char mark[] = "\nInput:", none[] = "<noinput>";
    const char *at = memmem(s, n, mark, sizeof(mark) - 1);

    *inst = s;
    *n_inst = at ? (size_t)(at - s) : n;
    *input = at ? at + sizeof(mark) - 1 : NULL;
    *n_input = at ? n - *n_inst - (sizeof(mark) - 1) : 0;
    strip(inst, n_inst);
    if (*input)
        strip(input, n_input);
    if (!*n_input || (*n_input == sizeof(none) - 1 && !memcmp(*input, none, *n_input)))
        *input = NULL, *n_input = 0;
}
