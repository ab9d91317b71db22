/* calls.c - a set of calls, answered by the model before anything goes on. */
#include "calls.h"

int calls_run(const struct calls *c, struct recipe_call **call, int n,
              void (*keep)(void *with, int i, const struct session_result *d), void *with,
              struct err *e)
{
    struct session_result d;
    int64_t prompt, generated;
    int next = 0;

    while (next < n || session_busy(c->ses)) {
        if (stream_stopped(c->s))
            return 0;
        for (; next < n && session_room(c->ses); next++) {
            if (!call[next])
                continue;
            if (kept_find(c->kept, c->ses, call[next], &d)) {
                keep(with, next, &d);
                continue;
            }
            call[next]->q.user = &call[next];
            if (session_submit(c->ses, &call[next]->q, &call[next]->prompt, e))
                return -1;
        }
        if (session_busy(c->ses) && session_step(c->ses, e))
            return -1;
        while (session_poll(c->ses, &d)) {
            struct recipe_call **of = d.d.user;

            kept_add(c->kept, c->ses, *of, &d);
            keep(with, (int)(of - call), &d);
        }
        session_tokens(c->ses, &prompt, &generated);
        cli_progress(c->progress, c->cli, stream_counts(c->s), generated);
    }
    return 1;
}
