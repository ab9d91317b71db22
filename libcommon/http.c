/* http.c - many HTTP requests at once, over libcurl's multi interface. */
#include "http.h"

#include "buf.h"
#include "mem.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_SECONDS = 30 };

/* libcurl is loaded when it is first needed: it and what it needs would double the time that a
 * command takes to start. */
struct curl {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_global_cleanup) *global_cleanup;
    __typeof__(curl_free) *free;
    __typeof__(curl_url) *url;
    __typeof__(curl_url_set) *url_set;
    __typeof__(curl_url_get) *url_get;
    __typeof__(curl_url_cleanup) *url_cleanup;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_reset) *easy_reset;
    __typeof__(curl_easy_setopt) *easy_setopt;
    __typeof__(curl_easy_getinfo) *easy_getinfo;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_multi_init) *multi_init;
    __typeof__(curl_multi_cleanup) *multi_cleanup;
    __typeof__(curl_multi_add_handle) *multi_add_handle;
    __typeof__(curl_multi_remove_handle) *multi_remove_handle;
    __typeof__(curl_multi_perform) *multi_perform;
    __typeof__(curl_multi_poll) *multi_poll;
    __typeof__(curl_multi_info_read) *multi_info_read;
    __typeof__(curl_multi_strerror) *multi_strerror;
};

static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    {"curl_global_init", offsetof(struct curl, global_init)},
    {"curl_global_cleanup", offsetof(struct curl, global_cleanup)},
    {"curl_free", offsetof(struct curl, free)},
    {"curl_url", offsetof(struct curl, url)},
    {"curl_url_set", offsetof(struct curl, url_set)},
    {"curl_url_get", offsetof(struct curl, url_get)},
    {"curl_url_cleanup", offsetof(struct curl, url_cleanup)},
    {"curl_slist_append", offsetof(struct curl, slist_append)},
    {"curl_slist_free_all", offsetof(struct curl, slist_free_all)},
    {"curl_easy_init", offsetof(struct curl, easy_init)},
    {"curl_easy_cleanup", offsetof(struct curl, easy_cleanup)},
    {"curl_easy_reset", offsetof(struct curl, easy_reset)},
    {"curl_easy_setopt", offsetof(struct curl, easy_setopt)},
    {"curl_easy_getinfo", offsetof(struct curl, easy_getinfo)},
    {"curl_easy_strerror", offsetof(struct curl, easy_strerror)},
    {"curl_multi_init", offsetof(struct curl, multi_init)},
    {"curl_multi_cleanup", offsetof(struct curl, multi_cleanup)},
    {"curl_multi_add_handle", offsetof(struct curl, multi_add_handle)},
    {"curl_multi_remove_handle", offsetof(struct curl, multi_remove_handle)},
    {"curl_multi_perform", offsetof(struct curl, multi_perform)},
    {"curl_multi_poll", offsetof(struct curl, multi_poll)},
    {"curl_multi_info_read", offsetof(struct curl, multi_info_read)},
    {"curl_multi_strerror", offsetof(struct curl, multi_strerror)},
};

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
    struct curl curl;
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
    c->h->curl.easy_cleanup(c->easy);
    buf_free(&c->url);
    buf_free(&c->body);
    free(c);
}

static int load(struct curl *c, struct err *e)
{
    void *so = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    if (!so)
        return err_set(e, ERR_ARG, "a server needs libcurl: %s", dlerror());
    for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
        void *f = dlsym(so, symbols[i].name);

        if (!f)
            return err_set(e, ERR_ARG, "libcurl.so.4 is too old: it has no %s", symbols[i].name);
        memcpy((char *)c + symbols[i].at, &f, sizeof(f));
    }
    return 0;
}

static int check_url(const struct http *h, const char *s, struct err *e)
{
    static const struct {
        CURLUPart part;
        const char *what;
    } not [] = {{CURLUPART_USER, "a user name (keys: --api-key-file)"},
                {CURLUPART_PASSWORD, "a password (keys: --api-key-file)"},
                {CURLUPART_QUERY, "a query"},
                {CURLUPART_FRAGMENT, "a fragment"}};
    CURLU *u = h->curl.url();
    char *part;
    int rc = 0;

    if (!u || h->curl.url_set(u, CURLUPART_URL, s, 0))
        rc = err_set(e, ERR_ARG, "'%s' is not the address of a server", s);
    for (size_t i = 0; !rc && i < sizeof(not ) / sizeof(*not ); i++)
        if (!h->curl.url_get(u, not [i].part, &part, 0)) {
            h->curl.free(part);
            rc = err_set(e, ERR_ARG, "the address of a server must not hold %s", not [i].what);
        }
    h->curl.url_cleanup(u);
    return rc;
}

struct http *http_open(const struct http_opt *o, struct err *e)
{
    struct http *h = mem_zero(1, sizeof(*h));
    struct buf key = {0};

    if (load(&h->curl, e)) {
        free(h);
        return NULL;
    }
    h->curl.global_init(CURL_GLOBAL_DEFAULT);
    if (check_url(h, o->base, e)) {
        h->curl.global_cleanup();
        free(h);
        return NULL;
    }
    h->o = *o;
    h->multi = h->curl.multi_init();
    h->header = h->curl.slist_append(h->header, "Content-Type: application/json");
    h->header = h->curl.slist_append(h->header, "Accept: application/json");
    h->header = h->curl.slist_append(h->header, "Expect:"); // no wait for "100 Continue"
    if (o->key) {
        buf_fmt(&key, "Authorization: Bearer %s", o->key);
        h->header = h->curl.slist_append(h->header, key.p);
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
        h->curl.multi_remove_handle(h->multi, c->easy);
        call_free(c);
    }
    while ((c = h->idle)) {
        list_cut(c);
        call_free(c);
    }
    if (h->taken)
        call_free(h->taken);
    h->curl.multi_cleanup(h->multi);
    h->curl.slist_free_all(h->header);
    h->curl.global_cleanup();
    free(h);
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

    h->curl.easy_reset(x); // options; connections stay
    h->curl.easy_setopt(x, CURLOPT_URL, c->url.p);
    h->curl.easy_setopt(x, CURLOPT_PROTOCOLS_STR, "http,https");
    h->curl.easy_setopt(x, CURLOPT_HTTPHEADER, h->header);
    h->curl.easy_setopt(x, CURLOPT_USERAGENT, "llmutils/" VERSION);
    h->curl.easy_setopt(x, CURLOPT_TIMEOUT, (long)h->o.timeout);
    h->curl.easy_setopt(x, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    h->curl.easy_setopt(x, CURLOPT_WRITEFUNCTION, take_bytes);
    h->curl.easy_setopt(x, CURLOPT_WRITEDATA, c);
    h->curl.easy_setopt(x, CURLOPT_ERRORBUFFER, c->why);
    h->curl.easy_setopt(x, CURLOPT_PRIVATE, c);
    if (body) {
        h->curl.easy_setopt(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
        h->curl.easy_setopt(x, CURLOPT_POSTFIELDS, body);
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
        c->easy = h->curl.easy_init();
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
    rc = h->curl.multi_add_handle(h->multi, c->easy);
    list_add(rc ? &h->idle : &h->under_way, c);
    return rc ? err_set(e, ERR_IO, "libcurl: %s", h->curl.multi_strerror(rc)) : 0;
}

int http_wait(struct http *h, int ms, struct err *e)
{
    int running = 0, before = 0;
    CURLMcode rc;

    for (struct call *c = h->under_way; c; c = c->next)
        before++;
    rc = h->curl.multi_perform(h->multi, &running);
    if (!rc && running == before && ms > 0) {
        rc = h->curl.multi_poll(h->multi, NULL, 0, ms, NULL);
        if (!rc)
            rc = h->curl.multi_perform(h->multi, &running);
    }
    return rc ? err_set(e, ERR_IO, "libcurl: %s", h->curl.multi_strerror(rc)) : 0;
}

static enum http_fail failure(const struct http *h, const struct call *c, CURLcode rc)
{
    curl_off_t connected = 0;

    if (rc == CURLE_OK)
        return HTTP_ANSWERED;
    if (c->large)
        return HTTP_LARGE;
    // whatever did not connect: an address, a proxy, TLS, certificates that are missing here
    h->curl.easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    if (!connected)
        return HTTP_REFUSED;
    return rc == CURLE_OPERATION_TIMEDOUT ? HTTP_SLOW : HTTP_CUT;
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
        m = h->curl.multi_info_read(h->multi, &left);
    while (m && m->msg != CURLMSG_DONE);
    if (!m)
        return 0;
    h->curl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
    *a = (struct http_answer){.user = c->user, .fail = failure(h, c, m->data.result)};
    a->why = *c->why ? c->why : h->curl.easy_strerror(m->data.result);
    if (a->fail == HTTP_ANSWERED) {
        h->curl.easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &a->status);
        h->curl.easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &a->type);
        h->curl.easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after);
    }
    a->retry_after = (double)after;
    a->type = a->type ? a->type : "";
    a->body = buf_cstr(&c->body);
    a->n = c->body.n;
    list_cut(c);
    h->curl.multi_remove_handle(h->multi, c->easy);
    h->taken = c;
    return 1;
}
