/* personas.c - people that prompts are written for or by, out of a file. */
#include "personas.h"

#include "file.h"
#include "mem.h"
#include "record.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 30 };

static void add(struct personas *p, const char *id, const char *text, size_t n)
{
    p->item = mem_resize(p->item, (size_t)p->n + 1, sizeof(*p->item));
    p->item[p->n++] = (struct persona){mem_dup(id, strlen(id)), mem_dup(text, n)};
}

static int take_record(struct personas *p, const char *line, size_t n, struct err *e)
{
    static const char *const fields[] = {"persona", NULL};
    struct record r;
    const char *text;
    int rc;

    if (record_parse(&r, line, n, e))
        return -1;
    text = record_str(&r, "persona", &n);
    rc = text && n && !memchr(text, '\0', n) ? record_identify(&r, fields, e)
                                             : err_set(e, ERR_DATA, "no text in field 'persona'");
    if (!rc)
        add(p, r.id, text, n);
    record_reset(&r);
    return rc;
}

static int take_line(struct personas *p, const char *line, size_t n, struct err *e)
{
    char hex[33];

    while (n && strchr(" \t\r", line[n - 1]) && line[n - 1])
        n--;
    while (n && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }
    if (!n)
        return 0;
    if (*line == '{')
        return take_record(p, line, n, e);
    if (utf8_check(line, n) != n || memchr(line, '\0', n))
        return err_set(e, ERR_DATA, "not UTF-8 text");
    hash_hex(hash_bytes(line, n), hex);
    add(p, hex, line, n);
    return 0;
}

int personas_open(struct personas *p, const char *path, struct err *e)
{
    size_t n;
    char *text = file_text(path, FILE_MAX, &n, e);
    int no = 0, rc = 0;

    *p = (struct personas){.turn = -1};
    if (!text)
        return -1;
    p->hash = hash_bytes(text, n);
    for (size_t at = 0; at < n && !rc;) {
        const char *nl = memchr(text + at, '\n', n - at);
        size_t line = nl ? (size_t)(nl - text) - at : n - at;

        no++;
        rc = take_line(p, text + at, line, e);
        at += line + 1;
    }
    free(text);
    if (rc)
        err_wrap(e, "%s:%d", path, no);
    else if (!p->n)
        rc = err_set(e, ERR_DATA, "%s: no persona", path);
    if (rc)
        personas_close(p);
    return rc;
}

void personas_close(struct personas *p)
{
    for (int i = 0; i < p->n; i++) {
        free(p->item[i].id);
        free(p->item[i].text);
    }
    free(p->item);
    free(p->order);
    *p = (struct personas){0};
}

const struct persona *personas_take(struct personas *p, const struct rng *r, int64_t k)
{
    int64_t turn = k / p->n;

    if (turn != p->turn || !p->order) {
        p->order = mem_resize(p->order, (size_t)p->n, sizeof(*p->order));
        for (int i = 0; i < p->n; i++)
            p->order[i] = i;
        for (int i = p->n - 1; i > 0; i--) { // Fisher-Yates
            int m = (int)rng_below(r, (uint64_t)turn, (uint32_t)i, (uint32_t)i + 1);
            int x = p->order[i];

            p->order[i] = p->order[m];
            p->order[m] = x;
        }
        p->turn = turn;
    }
    return &p->item[p->order[k % p->n]];
}
