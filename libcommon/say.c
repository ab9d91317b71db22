/* say.c - messages about records on standard error. */
#include "say.h"

#include "json_put.h"
#include "utf8.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { BEGINNING = 4096 }; // bytes of a line that is too long

void say_lines(const char *stage, const char *text, size_t n)
{
    struct buf b = {0};
    size_t done = 0;

    if (n && isatty(2))
        buf_str(&b, "\r\033[K"); // a line of progress may stand there
    while (n) {
        const char *end = memchr(text, '\n', n);
        size_t len = end ? (size_t)(end - text) : n;

        buf_fmt(&b, "%s: ", stage);
        for (size_t i = 0; i < len; i++) // names and texts may hold anything
            buf_char(&b, (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i]);
        buf_char(&b, '\n');
        len += end != NULL;
        text += len;
        n -= len;
    }
    while (done < b.n) {
        ssize_t got = write(2, b.p + done, b.n - done);

        if (got < 0 && errno != EINTR)
            break; // nobody listens: no reason to stop
        done += got > 0 ? (size_t)got : 0;
    }
    buf_free(&b);
}

void say_where(const char *stage, const struct record *r, const char *message)
{
    struct buf b = {0};

    if (r->file)
        buf_fmt(&b, "%s:%ld: ", r->file, r->line_no);
    else if (r->id)
        buf_fmt(&b, "record '%s': ", r->id);
    for (const char *p = message; *p; p++)
        buf_char(&b, *p == '\n' ? ' ' : *p);
    say_lines(stage, b.p, b.n);
    buf_free(&b);
}

void say_bytes(struct buf *b, const char *p, size_t n)
{
    size_t i = 0;
    uint32_t cp;

    while (i < n) {
        int len = p[i] == '\\' ? 0 : utf8_get(p + i, n - i, &cp);

        if (len)
            buf_add(b, p + i, (size_t)len);
        else
            buf_fmt(b, "\\x%02x", (unsigned char)p[i]);
        i += len ? (size_t)len : 1;
    }
}

void say_json(struct buf *b, const char *message)
{
    size_t n = strlen(message);
    struct buf text = {0};

    if (utf8_check(message, n) < n) // of a name that was cut
        say_bytes(&text, message, n);
    json_put_str(b, text.n ? text.p : message, text.n ? text.n : n);
    buf_free(&text);
}

/* The line of a record that has only the beginning of a text. */
static void put_beginning(const struct record *r, const char *text, size_t n,
                          const struct buf *reject, struct buf *out)
{
    struct buf raw = {0};
    struct record x;

    say_bytes(&raw, text, n < BEGINNING ? n : BEGINNING);
    record_new(&x);
    record_set_str(&x, "raw", raw.p, raw.n);
    record_set_id(&x, r->id);
    record_set(&x, "reject", reject->p, reject->n);
    record_write(&x, out);
    record_reset(&x);
    buf_free(&raw);
}

void say_reject(struct record *r, const char *text, size_t n, const char *stage, const char *rule,
                const char *value, const char *limit, size_t most, struct buf *out)
{
    struct buf b = {0}, line = {0};

    buf_char(&b, '{');
    json_put_key(&b, "stage");
    json_put_str(&b, stage, strlen(stage));
    json_put_key(&b, "rule");
    json_put_str(&b, rule, strlen(rule));
    buf_fmt(&b, ",\"value\":%s,\"limit\":%s,\"line\":", value ? value : "null",
            limit ? limit : "null");
    if (r->file)
        json_put_int(&b, r->line_no);
    else
        buf_str(&b, "null");
    buf_char(&b, '}');
    record_set(r, "reject", b.p, b.n);
    record_write(r, out);
    if (out->n > most + 1) { // its newline
        line = *out;
        *out = (struct buf){0};
        put_beginning(r, text ? text : line.p, text ? n : line.n, &b, out);
    }
    buf_free(&line);
    buf_free(&b);
}
