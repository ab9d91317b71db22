/* stats.c - the counts of a run, and the JSON object of --stats. */
#include "stats.h"

#include "json.h"
#include "say.h"
#include "sink.h"

#include <inttypes.h>
#include <string.h>

void stats_drop(struct stats *s, const char *rule)
{
    struct stats_rule *k = s->rule;

    while (k < s->rule + STATS_RULES - 1 && k->name && strcmp(k->name, rule) != 0)
        k++;
    k->name = rule;
    k->n++;
    s->dropped++;
}

static void put_counts(const struct stats *s, struct buf *b)
{
    buf_fmt(b,
            ",\"read\":%" PRId64 ",\"written\":%" PRId64 ",\"rejected\":%" PRId64
            ",\"dropped\":%" PRId64 ",\"skipped\":%" PRId64 ",\"other_shards\":%" PRId64
            ",\"blank\":%" PRId64 ",\"bytes_in\":%" PRIu64 ",\"seconds\":%.3f"
            ",\"records_per_second\":%.3f",
            s->read, s->written, s->rejected, s->dropped, s->skipped, s->other, s->blank,
            s->bytes_in, s->seconds, s->seconds > 0 ? (double)s->read / s->seconds : 0.0);
    buf_str(b, ",\"rules\":{");
    for (int i = 0; i < STATS_RULES && s->rule[i].name; i++) {
        json_put_key(b, s->rule[i].name);
        json_put_int(b, s->rule[i].n);
    }
    buf_char(b, '}');
}

int stats_write(const char *path, const char *stage, int status, const char *stopped,
                const struct stats *s, const char *more, struct err *e)
{
    struct buf b = {0};
    int rc;

    if (!path)
        return 0;
    buf_char(&b, '{');
    json_put_key(&b, "stage");
    json_put_str(&b, stage, strlen(stage));
    buf_fmt(&b, ",\"status\":%d", status);
    if (stopped) {
        json_put_key(&b, "stopped");
        say_json(&b, stopped);
    }
    if (s)
        put_counts(s, &b);
    if (more && *more)
        buf_fmt(&b, ",%s", more);
    buf_str(&b, "}\n");
    rc = sink_report(path, b.p, b.n, e);
    buf_free(&b);
    return rc;
}
