/* chart.c - points of topics, kept and dropped, drawn by gnuplot. */
#include "chart.h"

#include "child.h"
#include "file.h"
#include "mem.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LABELS = 30, LABEL_BYTES = 40, SECONDS = 300 };

static bool ends(const char *path, const char *with)
{
    size_t n = strlen(path), k = strlen(with);

    return n > k && !strcmp(path + n - k, with);
}

/* A picture that cannot be written is found before the work, not behind it. */
static int try_to_write(const char *path, struct err *e)
{
    struct buf part = {0};
    int fd, rc = 0;

    buf_fmt(&part, "%s.part", path);
    fd = open(part.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        rc = err_set(e, ERR_IO, "cannot create '%s': %s", part.p, strerror(errno));
    else
        close(fd);
    if (fd >= 0)
        unlink(part.p);
    buf_free(&part);
    return rc;
}

int chart_check(const char *path, bool replace, struct err *e)
{
    int rc;

    if (!ends(path, ".png") && !ends(path, ".svg") && !ends(path, ".gp"))
        return err_set(e, ERR_ARG, "'%s': a plot is a .png, .svg or .gp file", path);
    if (!replace && !access(path, F_OK))
        return err_set(e, ERR_ARG, "'%s' exists", path);
    if (try_to_write(path, e))
        return -1;
    if (ends(path, ".gp"))
        return 0;
    rc = child_status("command -v gnuplot", "", 0, 10, e);
    if (rc < 0)
        return -1;
    return rc ? err_set(e, ERR_ARG, "'%s': there is no gnuplot to draw it (or write a .gp file)",
                        path)
              : 0;
}

/* A string of gnuplot in single quotes, at most n bytes of whole characters. */
static void put_quoted(struct buf *b, const char *s, size_t n)
{
    size_t len = strlen(s);

    buf_char(b, '\'');
    len = len > n ? utf8_whole(s, n) : len;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\'')
            buf_char(b, '\'');
        buf_char(b, (unsigned char)s[i] < 0x20 ? ' ' : s[i]);
    }
    buf_char(b, '\'');
}

struct size {
    int64_t n;
    int topic;
};

static int largest_first(const void *a, const void *b)
{
    const struct size *x = a, *y = b;

    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return x->topic - y->topic;
}

/* The labels of the largest topics, at the middle of their points. */
static void put_labels(const struct chart *c, struct buf *b)
{
    struct size *size = mem_zero((size_t)c->topics, sizeof(*size));
    double(*sum)[2] = mem_zero((size_t)c->topics, sizeof(*sum));

    for (int t = 0; t < c->topics; t++)
        size[t].topic = t;
    for (int64_t i = 0; i < c->n; i++) {
        size[c->topic[i]].n++;
        sum[c->topic[i]][0] += (double)c->xy[2 * i];
        sum[c->topic[i]][1] += (double)c->xy[2 * i + 1];
    }
    if (c->topics)
        qsort(size, (size_t)c->topics, sizeof(*size), largest_first);
    for (int j = 0; j < c->topics && j < LABELS && size[j].n; j++) {
        int t = size[j].topic;
        double n = (double)size[j].n;

        buf_str(b, "set label ");
        if (c->label && c->label[t]) {
            put_quoted(b, c->label[t], LABEL_BYTES);
        } else {
            buf_fmt(b, "'%d'", t);
        }
        buf_fmt(b, " at %.6g,%.6g center noenhanced font ',9' front\n", sum[t][0] / n,
                sum[t][1] / n);
    }
    free(size);
    free(sum);
}

static void put_points(const struct chart *c, bool kept, struct buf *b)
{
    int64_t n = 0;

    buf_fmt(b, "$%s << EOD\n", kept ? "kept" : "dropped");
    for (int64_t i = 0; i < c->n; i++)
        if (c->kept[i] == kept) {
            buf_fmt(b, "%.6g %.6g %d\n", (double)c->xy[2 * i], (double)c->xy[2 * i + 1],
                    (int)c->topic[i]);
            n++;
        }
    if (!n) // gnuplot knows no empty data
        buf_str(b, "NaN NaN 0\n");
    buf_str(b, "EOD\n");
}

static void put_script(const struct chart *c, const char *path, const char *out, struct buf *b)
{
    if (ends(path, ".png"))
        buf_str(b, "set terminal pngcairo size 1200,900 font ',10'\n");
    else if (ends(path, ".svg"))
        buf_str(b, "set terminal svg size 1200,900 font ',10'\n");
    if (out) {
        buf_str(b, "set output ");
        put_quoted(b, out, strlen(out));
        buf_char(b, '\n');
    }
    buf_str(b, "set title ");
    put_quoted(b, c->title, strlen(c->title));
    buf_str(b, " noenhanced\nset xlabel ");
    put_quoted(b, c->x_label, strlen(c->x_label));
    buf_str(b, "\nset ylabel ");
    put_quoted(b, c->y_label, strlen(c->y_label));
    buf_fmt(b,
            "\nset key outside bottom center horizontal\nset palette model HSV functions "
            "(gray * 21 - floor(gray * 21)) * 0.9, 0.8, 0.85\nunset colorbox\nset cbrange [0:%d]\n",
            c->topics > 1 ? c->topics - 1 : 1);
    if (!c->n) // no point to find a range from
        buf_str(b, "set xrange [-1:1]\nset yrange [-1:1]\n");
    put_labels(c, b);
    put_points(c, false, b);
    put_points(c, true, b);
    buf_str(b, "plot $dropped using 1:2 with points pt 6 ps 0.5 lc rgb '#b0b0b0' title 'dropped', "
               "$kept using 1:2:3 with points pt 7 ps 0.7 lc palette title 'kept, by topic'\n");
}

int chart_draw(const struct chart *c, const char *path, struct err *e)
{
    struct buf b = {0}, out = {0};
    int rc;

    if (ends(path, ".gp")) {
        struct file_out f = {0};

        put_script(c, path, NULL, &b);
        rc = file_create(&f, path, 1, e) || file_write(&f, b.p, b.n, e) || file_commit(&f, e);
        if (rc)
            file_abandon(&f);
        buf_free(&b);
        return rc ? -1 : 0;
    }
    buf_fmt(&out, "%s.part", path);
    put_script(c, path, out.p, &b);
    rc = child_status("gnuplot -", b.p, b.n, SECONDS, e);
    if (rc == CHILD_TIMEOUT)
        rc = err_set(e, ERR_IO, "gnuplot took longer than %d s for '%s'", SECONDS, path);
    else if (rc > 0)
        rc = err_set(e, ERR_IO, "gnuplot failed with status %d for '%s'", rc, path);
    if (!rc && rename(out.p, path))
        rc = err_set(e, ERR_OUT, "cannot rename '%s' to '%s': %s", out.p, path, strerror(errno));
    if (rc)
        unlink(out.p);
    buf_free(&b);
    buf_free(&out);
    return rc;
}
