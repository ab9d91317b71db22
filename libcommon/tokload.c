/* tokload.c - tokenizers, by what a path is; llama2.c's tokenizer.bin. */
#include "tokload.h"

#include "arena.h"
#include "file.h"
#include "tokgguf.h"
#include "tokjson.h"
#include "tokput.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tok *tokload_gguf(const struct gguf *g, struct err *e)
{
    struct tok *t = tokgguf_load(g, e);

    if (!t)
        err_wrap(e, "%s: tokenizer", g->map.path);
    return t;
}

struct tok *tokload_dir(const char *dir, struct err *e)
{
    char *path = file_join(dir, "tokenizer.json"), *words = file_join(dir, "vocab.txt");
    struct tok *t = access(path, F_OK) && !access(words, F_OK) ? tokjson_vocab(words, dir, e)
                                                               : tokjson_load(path, dir, e);

    free(path);
    free(words);
    return t;
}

struct tok *tokload_path(const char *path, struct err *e)
{
    size_t n = strlen(path);
    struct gguf g;
    struct tok *t;

    if (file_is_dir(path))
        return tokload_dir(path, e);
    if (n >= 5 && !strcmp(path + n - 5, ".json"))
        return tokjson_load(path, NULL, e);
    if (gguf_open(&g, path, e) < 0)
        return NULL;
    t = tokload_gguf(&g, e);
    gguf_close(&g);
    return t;
}

void tokload_put_gguf(const struct tok *t, int rows, struct gguf_writer *w)
{
    tokput_gguf(t, rows, w);
}

int tokload_put_dir(const struct tok *t, const char *dir, struct err *e)
{
    return tokput_dir(t, dir, e);
}

static uint32_t u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* llama2.c writes U+2581 as a space and decorates the specials with newlines;
 * a GGUF or tokenizer.json of the same vocabulary does neither. */
static char *piece_of(struct arena *a, int id, const char *s, size_t n, size_t *out)
{
    struct buf b = {0};
    char *text;

    if (id < 3) {
        static const char *const name[] = {"<unk>", "<s>", "</s>"};

        *out = strlen(name[id]);
        return arena_dup(a, name[id], *out);
    }
    for (size_t i = 0; i < n; i++)
        buf_add(&b, s[i] == ' ' ? "\xE2\x96\x81" : s + i, s[i] == ' ' ? 3 : 1);
    text = arena_dup(a, buf_cstr(&b), b.n);
    *out = b.n;
    buf_free(&b);
    return text;
}

/* Items of float score, i32 length, bytes, after the i32 of the greatest length. */
static int read_items(struct tok_spec *s, const struct file_map *m, struct err *e)
{
    size_t at = 4, n;

    for (int id = 0; id < s->n; id++) {
        struct vocab_piece *p = &s->piece[id];
        uint32_t bits, len;
        float score;

        if (m->n < 8 || at > m->n - 8)
            return err_set(e, ERR_DATA, "byte %zu: the file ends before token %d of %d", at, id,
                           s->n);
        bits = u32(m->p + at);
        memcpy(&score, &bits, sizeof(score));
        len = u32(m->p + at + 4);
        at += 8;
        if (len > m->n - at || len > VOCAB_PIECE)
            return err_set(e, ERR_DATA, "byte %zu: token %d has %u bytes", at - 4, id, len);
        *p = (struct vocab_piece){0};
        p->s = piece_of(&s->mem, id, (const char *)m->p + at, len, &n);
        p->n = (uint32_t)n;
        p->score = (double)score;
        p->type = id == 0                                     ? TOK_UNKNOWN
                  : id < 3                                    ? TOK_CONTROL
                  : id < 259 && vocab_byte_name(p->s, n) >= 0 ? TOK_BYTE
                                                              : TOK_NORMAL;
        at += len;
    }
    return at == m->n ? 0 : err_set(e, ERR_DATA, "byte %zu: more tokens than %d", at, s->n);
}

struct tok *tokload_llama2c(const char *path, int vocab, struct err *e)
{
    struct tok_spec s = {.kind = TOK_SPM, .by_score = true, .byte_fallback = true};
    struct file_map map;
    struct tok *t = NULL;

    if (file_map(&map, path, e) < 0)
        return NULL;
    if (vocab < 3 || vocab > VOCAB_MAX) {
        err_set(e, ERR_ARG, "a vocabulary of %d tokens; 3 to %d are supported", vocab, VOCAB_MAX);
    } else {
        s.n = vocab;
        s.piece = arena_new(&s.mem, (size_t)vocab * sizeof(*s.piece));
        s.added = arena_new(&s.mem, 3 * sizeof(*s.added));
        for (int id = 0; id < 3; id++)
            s.added[s.n_added++] = (struct tok_added){.id = id};
        s.bos = 1;
        s.end = arena_new(&s.mem, sizeof(*s.end));
        s.end[s.n_end++] = s.eos = 2;
        s.pad = -1;
        s.add_bos = true;
        s.normalizer = tokgguf_spaces(true);
        if (read_items(&s, &map, e) == 0)
            t = tok_new(&s, e);
    }
    if (!t)
        err_wrap(e, "%s", path);
    file_unmap(&map);
    tokspec_free(&s);
    return t;
}
