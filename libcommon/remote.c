/* remote.c - submit, step, poll: many requests to a server of OpenAI's completions interface. */
#include "remote.h"

#include "file.h"
#include "http.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    KEY_BYTES = 64 << 10,
    BODY_MOST = 32 << 20, // of an answer
    AHEAD = 8,            // batches of requests held: done ones may wait for their turn
    DELAY_MOST = 60,      // seconds between two tries
    STEP_MS = 100,
};

enum state { WAITS, SENT, DONE };

struct call {
    struct call *next;
    enum state state;
    void *user;
    int sample_index, n_tries, n_logprobs;
    bool raw, vector, trim;
    bool refused;                 // with the beginning of an answer
    bool renamed;                 // the limit of tokens
    struct buf body, begun, stop; // stop: texts, each with its NUL
    struct buf bare;  // the body without the answer's beginning, for a server that refuses it
    double at;        // when the next try may be
    int64_t answered; // of remote, at the first try
    const char *rule; // of a failure
    struct buf why;
    struct openai_answer answer;
};

struct remote {
    struct remote_opt o;
    char *key, *model;
    struct http *http;
    struct call *first, **last; // in the order of submission
    struct call *taken;         // in the caller's hands
    int n_calls, n_sent;
    bool bare;      // the server does not take the beginning of an answer
    bool renamed;   // it knows the limit of tokens by its newer name only
    double gate;    // no try before this: the server asked for a pause
    double stop_at; // the end of those under way, 0: not asked to stop
    struct remote_counts n;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void call_free(struct call *c)
{
    if (!c)
        return;
    buf_free(&c->body);
    buf_free(&c->begun);
    buf_free(&c->stop);
    buf_free(&c->bare);
    buf_free(&c->why);
    openai_free(&c->answer);
    free(c);
}

/* ---- opening ---- */

static int read_key(struct remote *r, struct err *e)
{
    const char *path = r->o.key_file;
    size_t n;

    if (!path)
        return 0;
    r->key = file_text(path, KEY_BYTES, &n, e);
    if (!r->key)
        return -1;
    while (n && strchr(" \t\r\n", r->key[n - 1]))
        r->key[--n] = 0;
    for (size_t i = 0; i < n; i++)
        if (r->key[i] <= ' ' || r->key[i] > '~')
            n = 0;
    return n ? 0 : err_set(e, ERR_ARG, "%s: not a key: one line of ASCII without spaces", path);
}

/* The key, which a server may repeat in its message, is not shown. */
static void hide_key(const struct remote *r, struct buf *b)
{
    char *at = b->p;

    while (r->key && at && (at = strstr(at, r->key)))
        at = (char *)memset(at, '*', strlen(r->key)) + strlen(r->key);
}

static bool is_page(const struct http_answer *a)
{
    return !strncasecmp(a->type, "text/html", 9);
}

/* "status 429: the server's message" */
static void say_status(const struct remote *r, const struct http_answer *a, struct buf *why)
{
    struct buf text = {0};

    buf_fmt(why, "the server's status is %ld", a->status);
    if (a->status >= 300 && a->status < 400)
        buf_str(why, ", a redirection, which is not followed");
    else if (is_page(a))
        buf_str(why, ", with a page of HTML");
    else
        openai_error(a->body, a->n, &text);
    if (text.n)
        buf_fmt(why, ": %s", text.p);
    hide_key(r, why);
    buf_free(&text);
}

static bool may_pass(long status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

/* Such a status is the same for every request: the key, the address or the account. */
static bool of_all(long status)
{
    return (status >= 300 && status < 400) || status == 401 || status == 402 || status == 404 ||
           status == 405;
}

/* Does an address end in a version, as those of the interface do: ".../v1"? */
static bool ends_in_version(const char *url)
{
    size_t n = strlen(url), digits = 0;

    while (n && url[n - 1] == '/')
        n--;
    for (; n && url[n - 1] >= '0' && url[n - 1] <= '9'; n--)
        digits++;
    return digits && n > 1 && url[n - 1] == 'v' && url[n - 2] == '/';
}

/* What is probably wrong with the address, when nothing that is asked for is there. */
static void say_hint(const struct remote *r, bool of_models, struct buf *why)
{
    if (!ends_in_version(r->o.url))
        buf_str(why, "; the address of such an interface mostly ends in /v1");
    else if (of_models)
        buf_str(why, "; if the server has no list of models, give --model-name");
}

static double delay(int tries)
{
    return tries > 6 ? DELAY_MOST : (double)(1 << (tries - 1)); // 1 2 4 8 16 32
}

/* How long to wait before another try. */
static double pause_of(const struct remote *r, const struct http_answer *a, int tries)
{
    double most = r->o.timeout;

    if (a->retry_after > 0)
        return a->retry_after < most ? a->retry_after : most;
    return delay(tries);
}

/* Why there is no connection; a server that knows no TLS ends it in words of OpenSSL. */
static void say_connection(const struct remote *r, const struct http_answer *a, struct buf *why)
{
    buf_str(why, a->why);
    if (a->fail == HTTP_REFUSED && !strncasecmp(r->o.url, "https:", 6) &&
        (strstr(a->why, "SSL") || strstr(a->why, "TLS")) && !strstr(a->why, "certificate"))
        buf_str(why, "; is it a server of http://?");
}

/* Ask for the name of the only model. */
static int find_model(struct remote *r, struct err *e)
{
    struct buf name = {0}, why = {0};
    struct http_answer a;
    int rc = 0;

    for (int tries = 1;; tries++) {
        rc = http_send(r->http, "/models", NULL, 0, r, e);
        while (!rc && !http_take(r->http, &a))
            rc = http_wait(r->http, STEP_MS, e);
        if (rc || tries > r->o.retries || (a.fail == HTTP_ANSWERED && !may_pass(a.status)))
            break;
        struct timespec t = {.tv_sec = (time_t)pause_of(r, &a, tries)};

        nanosleep(&t, NULL);
    }
    if (!rc && a.fail != HTTP_ANSWERED) {
        say_connection(r, &a, &why);
        rc = err_set(e, ERR_STOP, "%s: %s", r->o.url, why.p);
    } else if (!rc && (a.status != 200 || is_page(&a))) {
        if (a.status != 200)
            say_status(r, &a, &why);
        else
            buf_str(&why, "a page of HTML, where models should be listed");
        if (a.status == 200 || a.status == 404 || a.status == 405)
            say_hint(r, true, &why);
        rc = err_set(e, may_pass(a.status) ? ERR_STOP : ERR_ARG, "%s: cannot ask for its model: %s",
                     r->o.url, why.p);
    } else if (!rc) {
        rc = openai_model(a.body, a.n, &name, e);
        if (rc)
            err_wrap(e, "%s: cannot ask for its model", r->o.url);
    }
    if (!rc)
        r->model = mem_dup(name.p, name.n);
    buf_free(&name);
    buf_free(&why);
    return rc;
}

struct remote *remote_open(const struct remote_opt *o, struct err *e)
{
    struct remote *r = mem_zero(1, sizeof(*r));
    struct http_opt h = {.base = o->url, .timeout = o->timeout, .max_body = BODY_MOST};

    r->o = *o;
    r->last = &r->first;
    if (!read_key(r, e)) {
        h.key = r->key;
        r->http = http_open(&h, e);
    }
    if (o->model)
        r->model = mem_dup(o->model, strlen(o->model));
    if (r->http && (r->model || !find_model(r, e)))
        return r;
    remote_close(r);
    return NULL;
}

void remote_close(struct remote *r)
{
    if (!r)
        return;
    http_close(r->http);
    for (struct call *c = r->first, *next; c; c = next) {
        next = c->next;
        call_free(c);
    }
    call_free(r->taken);
    free(r->key);
    free(r->model);
    free(r);
}

const char *remote_model(const struct remote *r)
{
    return r->model;
}

/* ---- requests ---- */

bool remote_room(const struct remote *r)
{
    int open = 0;

    if (r->n_calls >= AHEAD * r->o.batch)
        return false;
    for (const struct call *c = r->first; c; c = c->next)
        open += c->state != DONE;
    return open < r->o.batch;
}

bool remote_busy(const struct remote *r)
{
    return r->first != NULL;
}

/* Give the limit of tokens the name that OpenAI's newer models know alone; false when it has no
 * other. The first place is ours: before it stand only texts, whose quotation marks are escaped. */
static bool rename_limit(struct buf *body)
{
    static const char old[] = ",\"max_tokens\":", new[] = ",\"max_completion_tokens\":";
    const char *at = body->n ? strstr(body->p, old) : NULL;
    struct buf b = {0};

    if (!at)
        return false;
    buf_add(&b, body->p, (size_t)(at - body->p));
    buf_str(&b, new);
    buf_str(&b, at + sizeof(old) - 1);
    buf_free(body);
    *body = b;
    return true;
}

void remote_submit(struct remote *r, const struct openai_ask *a, const struct engine_request *q)
{
    struct call *c = mem_zero(1, sizeof(*c));

    c->user = q->user;
    c->sample_index = q->sample_index;
    c->raw = a->raw;
    c->vector = a->vector;
    c->trim = q->trim;
    c->n_logprobs = q->n_logprobs;
    c->answered = -1;
    openai_put(a, r->model, q, a->n_begun && r->bare && !a->forced, &c->body);
    if (a->n_begun && !r->bare && !a->forced)
        openai_put(a, r->model, q, true, &c->bare);
    if (r->renamed && !c->raw) {
        rename_limit(&c->body);
        rename_limit(&c->bare);
    }
    buf_add(&c->begun, a->begun, a->n_begun);
    for (int i = 0; i < q->n_stop; i++)
        buf_add(&c->stop, q->stop[i], strlen(q->stop[i]) + 1);
    *r->last = c;
    r->last = &c->next;
    r->n_calls++;
    r->n.requests++;
}

static void done(struct remote *r, struct call *c, const char *rule)
{
    c->state = DONE;
    c->rule = rule;
    r->n.answered += !rule;
    r->n.failed += rule != NULL;
}

static void cut(struct buf *t, size_t n)
{
    t->n -= n;
    memmove(t->p, t->p + n, t->n + 1);
}

/* An answer that the server gives from the beginning, not from where it was to go on; and the space
 * before the first word, which some servers leave there. */
static void cut_begun(struct call *c)
{
    struct buf *t = &c->answer.text;

    if (c->begun.n && t->n >= c->begun.n && !memcmp(t->p, c->begun.p, c->begun.n))
        cut(t, c->begun.n);
    if (c->trim && t->n && *t->p == ' ')
        cut(t, 1);
}

/* TGI leaves the text in the answer that has ended it; other servers take some texts only. */
static void cut_stop(struct call *c)
{
    struct buf *t = &c->answer.text;

    for (size_t i = 0, n; i < c->stop.n; i += n + 1) {
        const char *at = memmem(buf_cstr(t), t->n, c->stop.p + i, n = strlen(c->stop.p + i));

        if (!at)
            continue;
        t->n = (size_t)(at - t->p);
        t->p[t->n] = 0;
        c->answer.finish = ENGINE_STOP;
    }
}

/* A whole answer of status 200. *again: another try may help. NULL, or the rule that refuses it */
static const char *read_answer(struct remote *r, struct call *c, const struct http_answer *a,
                               bool *again)
{
    struct err e;

    *again = false;
    openai_free(&c->answer);
    if (*a->type && strncasecmp(a->type, "application/json", 16)) {
        buf_fmt(&c->why, "the server's answer is of type '%.80s'", a->type);
        *again = true;
    } else if (c->vector ? openai_read_vector(&c->answer, a->body, a->n, &e)
                         : openai_read(&c->answer, a->body, a->n, c->raw, c->n_logprobs, &e)) {
        buf_str(&c->why, e.msg);
        hide_key(r, &c->why);
        *again = e.code == ERR_DATA;
        return *again ? "answer" : "empty";
    } else if (c->n_logprobs && !c->answer.logprobs.n) {
        buf_str(&c->why, "the server gives no log-probabilities");
    } else {
        cut_begun(c);
        cut_stop(c);
        r->n.prompt += c->answer.n_prompt > 0 ? c->answer.n_prompt : 0;
        r->n.generated += c->answer.n_tokens > 0 ? c->answer.n_tokens : 0;
        return NULL;
    }
    return "answer";
}

/* Why a try failed; NULL when it did not. */
static const char *judge(struct remote *r, struct call *c, const struct http_answer *a, bool *again)
{
    static const char *const rule[] = {[HTTP_REFUSED] = "connection",
                                       [HTTP_CUT] = "cut",
                                       [HTTP_SLOW] = "timeout",
                                       [HTTP_LARGE] = "size"};

    buf_reset(&c->why);
    *again = true;
    if (a->fail == HTTP_ANSWERED && a->status == 200)
        return read_answer(r, c, a, again);
    if (a->fail == HTTP_ANSWERED) {
        say_status(r, a, &c->why);
        *again = may_pass(a->status);
        return "status";
    }
    *again = a->fail != HTTP_LARGE;
    if (a->fail == HTTP_LARGE)
        buf_str(&c->why, "the server's answer is too long");
    else
        say_connection(r, a, &c->why);
    return rule[a->fail];
}

/* A request with the beginning of an answer was refused: ask without it. */
static bool use_bare(struct call *c, const struct http_answer *a)
{
    if (!c->bare.n || a->fail != HTTP_ANSWERED || (a->status != 400 && a->status != 422))
        return false;
    buf_free(&c->body);
    c->body = c->bare;
    c->bare = (struct buf){0};
    c->refused = true;
    c->n_tries--;
    c->state = WAITS;
    return true;
}

/* A request was refused for the name of its limit: ask with the other. */
static bool use_new_limit(struct call *c, const struct http_answer *a)
{
    static const char name[] = "max_completion_tokens";

    if (a->fail != HTTP_ANSWERED || a->status != 400 || c->raw || c->vector ||
        !memmem(a->body, a->n, name, sizeof(name) - 1) || !rename_limit(&c->body))
        return false;
    rename_limit(&c->bare);
    c->renamed = true;
    c->n_tries--;
    c->state = WAITS;
    return true;
}

/* What came of a try. */
static int take(struct remote *r, const struct http_answer *a, struct err *e)
{
    struct call *c = a->user;
    bool again;
    const char *bad = judge(r, c, a, &again);
    double wait;

    r->n_sent--;
    if (!bad) {
        r->bare = r->bare || c->refused;
        r->renamed = r->renamed || c->renamed;
        done(r, c, NULL);
        return 0;
    }
    if (use_new_limit(c, a) || use_bare(c, a))
        return 0;
    if (a->fail == HTTP_ANSWERED && a->status == 404)
        say_hint(r, false, &c->why);
    if (a->fail == HTTP_ANSWERED && of_all(a->status))
        return err_set(e, r->n.answered ? ERR_STOP : ERR_ARG, "%s: %s", r->o.url, c->why.p);
    if (again && c->n_tries <= r->o.retries) {
        c->state = WAITS;
        wait = pause_of(r, a, c->n_tries);
        c->at = now() + wait;
        if (a->retry_after > 0 && c->at > r->gate)
            r->gate = c->at;
        return 0;
    }
    if (a->fail == HTTP_REFUSED && r->n.answered == c->answered)
        return err_set(e, ERR_STOP, "%s: %s; %d tries, and no other request was answered", r->o.url,
                       c->why.p, c->n_tries);
    done(r, c, bad);
    return 0;
}

static const char *path_of(const struct call *c)
{
    return c->vector ? "/embeddings" : c->raw ? "/completions" : "/chat/completions";
}

static int send_due(struct remote *r, double t, struct err *e)
{
    for (struct call *c = r->first; c && r->n_sent < r->o.batch; c = c->next) {
        if (c->state != WAITS || c->at > t || r->gate > t)
            continue;
        if (http_send(r->http, path_of(c), c->body.p, c->body.n, c, e))
            return -1;
        if (!c->n_tries++)
            c->answered = r->n.answered;
        else
            r->n.retries++;
        c->state = SENT;
        r->n_sent++;
    }
    return 0;
}

/* The link to the call that is to be polled next; to NULL when none is. */
static struct call **next_done(struct remote *r)
{
    struct call **at = &r->first;

    while (*at && (*at)->state != DONE)
        at = r->o.ordered ? r->last : &(*at)->next;
    return at;
}

int remote_step(struct remote *r, bool stop, struct err *e)
{
    double t = now();
    struct http_answer a;

    if (stop && r->stop_at <= 0)
        r->stop_at = t + REMOTE_STOP_SECONDS;
    if (!stop && send_due(r, t, e))
        return -1;
    if (stop && remote_busy(r) && !*next_done(r) && (!r->n_sent || t > r->stop_at))
        return err_set(e, ERR_STOP, "stopped; requests without an answer: %d", r->n_calls);
    if (http_wait(r->http, remote_busy(r) ? STEP_MS : 0, e))
        return -1;
    while (http_take(r->http, &a))
        if (take(r, &a, e))
            return -1;
    return 0;
}

int remote_poll(struct remote *r, struct remote_result *out)
{
    struct call **at = next_done(r), *c = *at;

    call_free(r->taken);
    r->taken = NULL;
    if (!c)
        return 0;
    *at = c->next;
    if (r->last == &c->next)
        r->last = at;
    r->n_calls--;
    r->taken = c;
    *out = (struct remote_result){.user = c->user, .sample_index = c->sample_index};
    if (c->rule) {
        out->rule = c->rule;
        out->why = buf_cstr(&c->why);
    } else {
        out->answer = &c->answer;
    }
    return 1;
}

const struct remote_counts *remote_counts(const struct remote *r)
{
    return &r->n;
}
