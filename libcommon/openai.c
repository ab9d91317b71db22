/* openai.c - requests and answers in the form of OpenAI's completions interface. */
#include "openai.h"

#include "hash.h"
#include "json.h"
#include "mem.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_BYTES = 300, VECTOR_MOST = 1 << 20 };

/* Positive and within 31 bits, which every server takes. */
static int64_t seed_of(const struct engine_request *q)
{
    struct hash128 h = hash_add(q->key, &q->seed, sizeof(q->seed));

    h = hash_add(h, &q->sample_index, sizeof(q->sample_index));
    return (int64_t)(h.lo & 0x7fffffff);
}

static void put_float(struct buf *b, const char *key, float x, float off)
{
    if (x < off || x > off) {
        json_put_key(b, key);
        json_put_float(b, x);
    }
}

static void put_int(struct buf *b, const char *key, int64_t x)
{
    json_put_key(b, key);
    json_put_int(b, x);
}

static void put_sampling(const struct engine_request *q, bool raw, struct buf *b)
{
    const struct sample_opt *s = &q->sample;

    put_int(b, "max_tokens", q->max_tokens);
    json_put_key(b, "temperature");
    json_put_float(b, s->temp);
    put_int(b, "seed", seed_of(q));
    put_float(b, "top_p", s->top_p, 1);
    if (s->top_k)
        put_int(b, "top_k", s->top_k);
    put_float(b, "min_p", s->min_p, 0);
    put_float(b, "presence_penalty", s->presence_penalty, 0);
    put_float(b, "frequency_penalty", s->frequency_penalty, 0);
    if (q->n_stop) {
        json_put_key(b, "stop");
        buf_char(b, '[');
        for (int i = 0; i < q->n_stop; i++) {
            buf_str(b, i ? "," : "");
            json_put_str(b, q->stop[i], strlen(q->stop[i]));
        }
        buf_char(b, ']');
    }
    if (q->n_logprobs && raw) {
        put_int(b, "logprobs", q->n_logprobs);
    } else if (q->n_logprobs) {
        buf_str(b, ",\"logprobs\":true");
        put_int(b, "top_logprobs", q->n_logprobs);
    }
}

void openai_put(const struct openai_ask *a, const char *model, const struct engine_request *q,
                bool bare, struct buf *out)
{
    buf_str(out, "{\"model\":");
    json_put_str(out, model, strlen(model));
    if (a->vector) {
        json_put_key(out, "input");
        buf_add(out, a->prompt, a->n_prompt);
        buf_str(out, ",\"encoding_format\":\"float\"}");
        return;
    }
    json_put_key(out, a->raw ? "prompt" : "messages");
    buf_add(out, a->prompt, bare ? a->n_bare : a->n_prompt);
    if (bare)
        buf_char(out, ']');
    else if (a->n_begun) // vLLM's names for it; llama.cpp does so unasked
        buf_str(out, ",\"add_generation_prompt\":false,\"continue_final_message\":true");
    put_sampling(q, a->raw, out);
    if (a->schema) {
        buf_str(out, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
                     "{\"name\":\"output\",\"strict\":true,\"schema\":");
        buf_add(out, a->schema, a->n_schema);
        buf_str(out, "}}");
    }
    buf_char(out, '}');
}

/* A token as a server lists it. */
struct listed {
    int token, bytes; // nodes
    double x;         // log-probability
};

/* The likeliest of a token's place, as many as were asked for. */
struct tops {
    struct listed v[OPENAI_LOGPROBS];
    int n, most;
};

/* Has a token a list of bytes that are no text? Servers write what they like then as its text. */
static bool is_part(const struct json *j, int bytes)
{
    struct buf b = {0};
    bool list = json_is(j, bytes, JSON_ARRAY), part;

    for (uint32_t k = (uint32_t)bytes + 1; list && k < j->node[bytes].next; k = j->node[k].next) {
        int64_t x;

        list = !json_int(j, (int)k, &x) && x >= 0 && x < 256;
        buf_char(&b, list ? (char)x : 0);
    }
    part = list && utf8_check(buf_cstr(&b), b.n) != b.n;
    buf_free(&b);
    return part;
}

/* "token":...,"logprob":... */
static int put_token(const struct json *j, struct arena *mem, const struct listed *l, struct buf *b)
{
    size_t n;
    const char *s = json_str(j, l->token, mem, &n);

    if (!s)
        return -1;
    buf_str(b, "{\"token\":");
    if (is_part(j, l->bytes))
        buf_str(b, "null");
    else
        json_put_str(b, s, n);
    json_put_key(b, "logprob");
    json_put_float(b, (float)l->x);
    return 0;
}

/* Servers have the token that was drawn first, and beside the others when it is none of them. */
static int add_top(struct tops *t, const struct json *j, struct listed l, int logprob)
{
    int at;

    if (!json_is(j, l.token, JSON_STRING) || json_num(j, logprob, &l.x))
        return -1;
    for (at = t->n; at && t->v[at - 1].x < l.x; at--)
        if (at < t->most)
            t->v[at] = t->v[at - 1];
    if (at < t->most)
        t->v[at] = l;
    t->n += t->n < t->most;
    return 0;
}

/* ,"top":[...]} behind a token. */
static int put_tops(const struct tops *t, const struct json *j, struct arena *mem, struct buf *b)
{
    buf_str(b, ",\"top\":[");
    for (int i = 0; i < t->n; i++) {
        buf_str(b, i ? "," : "");
        if (put_token(j, mem, &t->v[i], b))
            return -1;
        buf_char(b, '}');
    }
    buf_str(b, "]}");
    return 0;
}

static struct listed listed_at(const struct json *j, int node)
{
    return (struct listed){.token = json_get(j, node, "token"),
                           .bytes = json_get(j, node, "bytes")};
}

/* The list `content` of a chat completion's log-probabilities. */
static int chat_logprobs(const struct json *j, struct arena *mem, int list, int most, struct buf *b)
{
    for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next) {
        struct listed l = listed_at(j, (int)k);
        struct tops t = {.most = most};
        int top = json_get(j, (int)k, "top_logprobs");

        buf_str(b, k > (uint32_t)list + 1 ? "," : "");
        if (json_num(j, json_get(j, (int)k, "logprob"), &l.x) || put_token(j, mem, &l, b))
            return -1;
        if (json_is(j, top, JSON_ARRAY))
            for (uint32_t i = (uint32_t)top + 1; i < j->node[top].next; i = j->node[i].next)
                if (add_top(&t, j, listed_at(j, (int)i), json_get(j, (int)i, "logprob")))
                    return -1;
        if (put_tops(&t, j, mem, b))
            return -1;
    }
    return 0;
}

/* The members of an object {token: logprob}. */
static int raw_tops(struct tops *t, const struct json *j, int top)
{
    if (!json_is(j, top, JSON_OBJECT))
        return 0;
    for (uint32_t i = (uint32_t)top + 1; i < j->node[top].next; i = j->node[i + 1].next)
        if (add_top(t, j, (struct listed){.token = (int)i, .bytes = -1}, (int)i + 1))
            return -1;
    return 0;
}

/* Three lists of equal length: tokens, token_logprobs, top_logprobs. */
static int raw_logprobs(const struct json *j, struct arena *mem, int node, int most, struct buf *b)
{
    int token = json_get(j, node, "tokens"), x = json_get(j, node, "token_logprobs"),
        top = json_get(j, node, "top_logprobs"), k = token + 1, kx = x + 1, kt = top + 1;
    bool tops = json_is(j, top, JSON_ARRAY);

    if (!json_is(j, token, JSON_ARRAY) || !json_is(j, x, JSON_ARRAY) ||
        j->node[token].size != j->node[x].size || (tops && j->node[top].size != j->node[x].size))
        return -1;
    for (uint32_t i = 0; i < j->node[token].size; i++) {
        struct listed l = {.token = k, .bytes = -1};
        struct tops t = {.most = most};

        buf_str(b, i ? "," : "");
        if (json_num(j, kx, &l.x) || put_token(j, mem, &l, b) || (tops && raw_tops(&t, j, kt)) ||
            put_tops(&t, j, mem, b))
            return -1;
        k = (int)j->node[k].next;
        kx = (int)j->node[kx].next;
        kt = tops ? (int)j->node[kt].next : 0;
    }
    return 0;
}

static int read_logprobs(struct openai_answer *a, const struct json *j, struct arena *mem,
                         int choice, bool raw, int most, struct err *e)
{
    int node = json_get(j, choice, "logprobs"), list = json_get(j, node, "content"), rc;
    bool listed = json_is(j, list, JSON_ARRAY); // llama.cpp has it in completions as well

    if (!json_is(j, node, JSON_OBJECT) || (!raw && !listed))
        return 0;
    buf_char(&a->logprobs, '[');
    rc = listed ? chat_logprobs(j, mem, list, most, &a->logprobs)
                : raw_logprobs(j, mem, node, most, &a->logprobs);
    buf_char(&a->logprobs, ']');
    return rc ? err_set(e, ERR_DATA, "the server's log-probabilities cannot be read") : 0;
}

static int count_of(const struct json *j, int node, const char *key)
{
    int64_t n;

    return json_int(j, json_get(j, node, key), &n) || n < 0 || n > 1 << 30 ? -1 : (int)n;
}

static int read_finish(struct openai_answer *a, const struct json *j, struct arena *mem, int choice,
                       struct err *e)
{
    static const struct {
        const char *name;
        enum engine_finish finish;
    } ends[] = {{"stop", ENGINE_STOP},
                {"length", ENGINE_LENGTH},
                {"eos_token", ENGINE_STOP}, // TGI
                {"stop_sequence", ENGINE_STOP},
                {"model_length", ENGINE_LENGTH}}; // Mistral
    int node = json_get(j, choice, "finish_reason");
    const char *s;

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
        if (json_str_is(j, node, ends[i].name)) {
            a->finish = ends[i].finish;
            return 0;
        }
    s = json_str(j, node, mem, NULL);
    return err_set(e, ERR_ARG, "the server ended the answer with finish_reason '%s'",
                   s ? s : "null");
}

static int read_choice(struct openai_answer *a, const struct json *j, struct arena *mem, bool raw,
                       int most, struct err *e)
{
    int choices = json_get(j, 0, "choices"), choice, message, text;
    size_t n;
    const char *s;

    if (!json_is(j, choices, JSON_ARRAY))
        return err_set(e, ERR_DATA, "the server's answer has no list 'choices'");
    choice = json_at(j, choices, 0);
    message = json_get(j, choice, "message");
    if (choice < 0 || !json_is(j, raw ? choice : message, JSON_OBJECT))
        return err_set(e, ERR_DATA, "the server's answer has no choice with a %s",
                       raw ? "text" : "message");
    if (read_finish(a, j, mem, choice, e))
        return -1;
    text = raw ? json_get(j, choice, "text") : json_get(j, message, "content");
    s = json_str(j, text, mem, &n);
    if (!s || !n)
        return err_set(e, ERR_ARG, "the server's answer is empty (finish_reason %s)",
                       a->finish == ENGINE_STOP ? "stop" : "length");
    buf_add(&a->text, s, n);
    return read_logprobs(a, j, mem, choice, raw, most, e);
}

int openai_read(struct openai_answer *a, const char *body, size_t n, bool raw, int n_logprobs,
                struct err *e)
{
    struct arena mem = {0};
    struct json j;
    int rc = json_parse(&j, &mem, body, n, e), usage;

    *a = (struct openai_answer){.n_prompt = -1, .n_tokens = -1};
    if (rc) {
        err_wrap(e, "the server's answer is not JSON");
    } else {
        rc = read_choice(a, &j, &mem, raw, n_logprobs, e);
        usage = json_get(&j, 0, "usage");
        a->n_prompt = count_of(&j, usage, "prompt_tokens");
        a->n_tokens = count_of(&j, usage, "completion_tokens");
    }
    arena_free(&mem);
    return rc;
}

static int read_vector(struct openai_answer *a, const struct json *j, struct err *e)
{
    int data = json_get(j, 0, "data"), list = json_get(j, json_at(j, data, 0), "embedding");
    double x;

    if (!json_is(j, data, JSON_ARRAY) || j->node[data].size != 1 || !json_is(j, list, JSON_ARRAY) ||
        !j->node[list].size)
        return err_set(e, ERR_DATA, "the server's answer is not one list of numbers");
    if (j->node[list].size > VECTOR_MOST)
        return err_set(e, ERR_ARG, "the server's answer is a vector of more than %d values",
                       VECTOR_MOST);
    a->vector = mem_new(j->node[list].size * sizeof(*a->vector));
    for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next) {
        if (json_num(j, (int)k, &x) || !isfinite((float)x))
            return err_set(e, ERR_DATA, "the server's vector holds what is no number for a float");
        a->vector[a->n_vector++] = (float)x;
    }
    return 0;
}

int openai_read_vector(struct openai_answer *a, const char *body, size_t n, struct err *e)
{
    struct arena mem = {0};
    struct json j;
    int rc = json_parse(&j, &mem, body, n, e);

    *a = (struct openai_answer){.finish = ENGINE_HIDDEN, .n_prompt = -1};
    if (rc) {
        err_wrap(e, "the server's answer is not JSON");
    } else {
        rc = read_vector(a, &j, e);
        a->n_prompt = count_of(&j, json_get(&j, 0, "usage"), "prompt_tokens");
    }
    arena_free(&mem);
    return rc;
}

void openai_free(struct openai_answer *a)
{
    free(a->vector);
    a->vector = NULL;
    buf_free(&a->text);
    buf_free(&a->logprobs);
}

void openai_error(const char *body, size_t n, struct buf *out)
{
    struct arena mem = {0};
    struct err e;
    struct json j;
    const char *s = NULL;
    size_t n_s = 0;

    if (!json_parse(&j, &mem, body, n, &e)) { // {"error":{"message"}}, {"error"}, {"message"}, ...
        static const char *const keys[] = {"message", "error", "detail"};
        int error = json_get(&j, 0, "error");

        s = json_str(&j, json_get(&j, error, "message"), &mem, &n_s);
        for (int i = 0; !s && i < 3; i++)
            s = json_str(&j, json_get(&j, 0, keys[i]), &mem, &n_s);
    }
    if (!s && utf8_check(body, n) == n) { // a list of what is wrong, such as FastAPI's; plain text
        s = body;
        n_s = n;
    }
    if (s)
        buf_add(out, s, utf8_whole(s, n_s < ERROR_BYTES ? n_s : ERROR_BYTES));
    arena_free(&mem);
}

int openai_model(const char *body, size_t n, struct buf *name, struct err *e)
{
    struct arena mem = {0};
    struct json j;
    int rc = json_parse(&j, &mem, body, n, e), list = rc ? -1 : json_get(&j, 0, "data");
    const char *s = NULL;

    if (!rc && json_is(&j, list, JSON_ARRAY) && j.node[list].size > 1)
        rc = err_set(e, ERR_ARG, "the server has %u models: name one with --model-name",
                     (unsigned)j.node[list].size);
    if (!rc && json_is(&j, list, JSON_ARRAY))
        s = json_str(&j, json_get(&j, json_at(&j, list, 0), "id"), &mem, NULL);
    if (!rc && (!s || !*s))
        rc = err_set(e, ERR_ARG, "the server does not say its model: name it with --model-name");
    if (!rc)
        buf_str(name, s);
    arena_free(&mem);
    return rc;
}
