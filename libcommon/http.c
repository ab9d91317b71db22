/* http.c - many HTTP requests at once, over libcurl's multi interface. */
#include "http.h"

#include "buf.h"
#include "mem.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_SECONDS = 30 };

/* A request under way, or a handle that waits for the next one. */
struct call {
    struct call *next, **at; // in http's list of those under way, or idle
    struct http *h;
    CURL *easy;
    struct buf url, body; // body: of the answer
    void *user;
    bool large;
    char why[CURL_ERROR_SIZE];
};

struct http {
    struct http_opt o;
    CURLM *multi;
    struct curl_slist *header;
    struct call *under_way, *idle, *taken; // taken: its answer is in the caller's hands
};

bool http_is_url(const char *s)
{
    return !strncasecmp(s, "http://", 7) || !strncasecmp(s, "https://", 8);
}

static void list_add(struct call **list, struct call *c)
{
    c->next = *list;
    c->at = list;
    if (c->next)
        c->next->at = &c->next;
    *list = c;
}

static void list_cut(struct call *c)
{
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
}

static void call_free(struct call *c)
{
    curl_easy_cleanup(c->easy);
    buf_free(&c->url);
    buf_free(&c->body);
    free(c);
}

static int check_url(const char *s, struct err *e)
{
    static const struct {
        CURLUPart part;
        const char *what;
    } not [] = {{CURLUPART_USER, "a user name (keys: --api-key-file)"},
                {CURLUPART_PASSWORD, "a password (keys: --api-key-file)"},
                {CURLUPART_QUERY, "a query"},
                {CURLUPART_FRAGMENT, "a fragment"}};
    CURLU *u = curl_url();
    char *part;
    int rc = 0;

    if (!u || curl_url_set(u, CURLUPART_URL, s, 0))
        rc = err_set(e, ERR_ARG, "'%s' is not the address of a server", s);
    for (size_t i = 0; !rc && i < sizeof(not ) / sizeof(*not ); i++)
        if (!curl_url_get(u, not [i].part, &part, 0)) {
            curl_free(part);
            rc = err_set(e, ERR_ARG, "the address of a server must not hold %s", not [i].what);
        }
    curl_url_cleanup(u);
    return rc;
}

struct http *http_open(const struct http_opt *o, struct err *e)
{
    struct http *h;
    struct buf key = {0};

    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (check_url(o->base, e)) {
        curl_global_cleanup();
        return NULL;
    }
    h = mem_zero(1, sizeof(*h));
    h->o = *o;
    h->multi = curl_multi_init();
    h->header = curl_slist_append(h->header, "Content-Type: application/json");
    h->header = curl_slist_append(h->header, "Accept: application/json");
    h->header = curl_slist_append(h->header, "Expect:"); // no wait for "100 Continue"
    if (o->key) {
        buf_fmt(&key, "Authorization: Bearer %s", o->key);
        h->header = curl_slist_append(h->header, key.p);
        buf_free(&key);
    }
    return h;
}

void http_close(struct http *h)
{
    struct call *c;

    if (!h)
        return;
    while ((c = h->under_way)) {
        list_cut(c);
        curl_multi_remove_handle(h->multi, c->easy);
        call_free(c);
    }
    while ((c = h->idle)) {
        list_cut(c);
        call_free(c);
    }
    if (h->taken)
        call_free(h->taken);
    curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->header);
    free(h);
    curl_global_cleanup();
}

static size_t take_bytes(char *p, size_t size, size_t n, void *user)
{
    struct call *c = user;

    (void)size; // 1, says libcurl
    if (n > c->h->o.max_body - c->body.n) {
        c->large = true;
        return 0; // ends the transfer
    }
    buf_add(&c->body, p, n);
    return n;
}

static void set_up(const struct http *h, struct call *c, const char *body, size_t n)
{
    CURL *x = c->easy;

    curl_easy_reset(x); // options; connections stay
    curl_easy_setopt(x, CURLOPT_URL, c->url.p);
    curl_easy_setopt(x, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(x, CURLOPT_HTTPHEADER, h->header);
    curl_easy_setopt(x, CURLOPT_USERAGENT, "llmutils/" VERSION);
    curl_easy_setopt(x, CURLOPT_TIMEOUT, (long)h->o.timeout);
    curl_easy_setopt(x, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(x, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(x, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(x, CURLOPT_ERRORBUFFER, c->why);
    curl_easy_setopt(x, CURLOPT_PRIVATE, c);
    if (body) {
        curl_easy_setopt(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
        curl_easy_setopt(x, CURLOPT_POSTFIELDS, body);
    }
}

int http_send(struct http *h, const char *path, const char *body, size_t n, void *user,
              struct err *e)
{
    struct call *c = h->idle;
    size_t n_base = strlen(h->o.base);
    CURLMcode rc;

    if (c) {
        list_cut(c);
    } else {
        c = mem_zero(1, sizeof(*c));
        c->h = h;
        c->easy = curl_easy_init();
    }
    buf_reset(&c->url);
    buf_reset(&c->body);
    c->user = user;
    c->large = false;
    *c->why = 0;
    while (n_base && h->o.base[n_base - 1] == '/')
        n_base--;
    buf_add(&c->url, h->o.base, n_base);
    buf_str(&c->url, path);
    set_up(h, c, body, n);
    rc = curl_multi_add_handle(h->multi, c->easy);
    list_add(rc ? &h->idle : &h->under_way, c);
    return rc ? err_set(e, ERR_IO, "libcurl: %s", curl_multi_strerror(rc)) : 0;
}

int http_wait(struct http *h, int ms, struct err *e)
{
    int running = 0, before = 0;
    CURLMcode rc;

    for (struct call *c = h->under_way; c; c = c->next)
        before++;
    rc = curl_multi_perform(h->multi, &running);
    if (!rc && running == before && ms > 0) {
        rc = curl_multi_poll(h->multi, NULL, 0, ms, NULL);
        if (!rc)
            rc = curl_multi_perform(h->multi, &running);
    }
    return rc ? err_set(e, ERR_IO, "libcurl: %s", curl_multi_strerror(rc)) : 0;
}

static enum http_fail failure(const struct call *c, CURLcode rc)
{
    curl_off_t connected = 0;

    switch (rc) {
    case CURLE_OK:
        return HTTP_ANSWERED;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return HTTP_REFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
        return connected ? HTTP_SLOW : HTTP_REFUSED;
    default:
        return c->large ? HTTP_LARGE : HTTP_CUT;
    }
}

int http_take(struct http *h, struct http_answer *a)
{
    curl_off_t after = 0;
    struct call *c = NULL;
    CURLMsg *m;
    int left;

    if (h->taken) {
        list_add(&h->idle, h->taken);
        h->taken = NULL;
    }
    do
        m = curl_multi_info_read(h->multi, &left);
    while (m && m->msg != CURLMSG_DONE);
    if (!m)
        return 0;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
    *a = (struct http_answer){.user = c->user, .fail = failure(c, m->data.result)};
    a->why = *c->why ? c->why : curl_easy_strerror(m->data.result);
    if (a->fail == HTTP_ANSWERED) {
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &a->status);
        curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &a->type);
        curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after);
    }
    a->retry_after = (double)after;
    a->type = a->type ? a->type : "";
    a->body = buf_cstr(&c->body);
    a->n = c->body.n;
    list_cut(c);
    curl_multi_remove_handle(h->multi, c->easy);
    h->taken = c;
    return 1;
}
