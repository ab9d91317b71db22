/* http.h - many HTTP requests at once, over libcurl's multi interface.
 *
 * One base address, http or https (certificates are checked), with connections that are kept.
 * Redirections are not followed: a key would go along. An answer is given back whole, or the
 * reason why there is none. */
#ifndef HTTP_H
#define HTTP_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

enum http_fail {
    HTTP_ANSWERED, // whole, whatever its status
    HTTP_REFUSED,  // no connection could be made
    HTTP_CUT,      // the connection ended before the answer did, or was broken
    HTTP_SLOW,     // no whole answer within the timeout
    HTTP_LARGE,    // the answer is longer than max_body
};

struct http_opt {
    const char *base; // "http://host:port/v1"; borrowed
    const char *key;  // sent as "Authorization: Bearer KEY", or NULL; borrowed
    int timeout;      // seconds from sending a request to the end of its answer
    size_t max_body;  // bytes of an answer at most
};

/* What came of a request; its pointers are valid until the next http_take. */
struct http_answer {
    void *user;
    enum http_fail fail;
    long status;      // 200, 429 ...; 0 without an answer
    const char *body; // (n)
    size_t n;
    const char *type;   // content type, or ""
    double retry_after; // seconds that the server asks to wait, or 0
    const char *why;    // of a failure
};

struct http;

bool http_is_url(const char *s); // begins with http:// or https://
/* ERR_ARG for an address that is none, or holds a password, a query or a fragment. */
struct http *http_open(const struct http_opt *o, struct err *e);
void http_close(struct http *h); // gives up what is under way; NULL-safe

/* Send a JSON body (borrowed until the answer) by POST to base + path, or ask by GET (body NULL).
 */
int http_send(struct http *h, const char *path, const char *body, size_t n, void *user,
              struct err *e);
/* Move data; wait up to ms milliseconds when there is none to move. */
int http_wait(struct http *h, int ms, struct err *e);
int http_take(struct http *h, struct http_answer *a); // 1 or 0

#endif
