/* remote.h - submit, step, poll: many requests to a server of OpenAI's completions interface.
 *
 * As engine.h has it for a model of our own. A try that fails for a reason that may pass (status
 * 408, 425, 429, 5xx, no connection, a cut or late answer, an answer that is none) is
 * repeated after 1, 2, 4 ... 60 seconds, or when the server's Retry-After says, which holds for all
 * requests and counts as at most the timeout; so a request ends within
 * (retries + 1) * (timeout + max(60, timeout)) seconds. What then still fails is a result that says
 * why. Two kinds of failure end the run: no connection at all, and a status that concerns
 * no single request (a wrong key or address). */
#ifndef REMOTE_H
#define REMOTE_H

#include "engine.h"
#include "err.h"
#include "openai.h"

#include <stdbool.h>
#include <stdint.h>

struct remote_opt {
    const char *url;      // "http://host:port/v1"
    const char *key_file; // its text is the key; or NULL
    const char *model;    // name, or NULL: the server's only one
    int timeout, retries; // seconds of a try; tries after the first
    int batch;            // requests under way at most
    bool ordered;         // remote_poll gives results in the order of submission
};

/* Valid until the next remote_poll. */
struct remote_result {
    void *user;
    int sample_index;
    const char *rule, *why; // what the server's failure is, or NULL and:
    const struct openai_answer *answer;
};

struct remote_counts {
    int64_t prompt, generated;                   // tokens, as far as the server says
    int64_t requests, answered, failed, retries; // retries: tries after the first
};

struct remote;

/* Read the key and, without a name, ask for the model's. ERR_ARG; ERR_STOP: nobody answers. */
struct remote *remote_open(const struct remote_opt *o, struct err *e);
void remote_close(struct remote *r); // NULL-safe
const char *remote_model(const struct remote *r);

bool remote_room(const struct remote *r);
bool remote_busy(const struct remote *r);
/* What a and q point to is not needed any more when this returns. */
void remote_submit(struct remote *r, const struct openai_ask *a, const struct engine_request *q);
/* Send, receive; waits a tenth of a second at most. With stop set, no request is sent again and
 * those under way have STOP_SECONDS; after that ERR_STOP. ERR_STOP also when nobody answers any
 * more; ERR_ARG when the server refuses us and has not answered once, later ERR_STOP. */
enum { REMOTE_STOP_SECONDS = 5 };
int remote_step(struct remote *r, bool stop, struct err *e);
int remote_poll(struct remote *r, struct remote_result *out); // 1 or 0
const struct remote_counts *remote_counts(const struct remote *r);

#endif
