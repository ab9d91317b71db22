/* tokspec.c - what a tokenizer is made of. */
#include "tokspec.h"

#include "arena.h"

#include <string.h>

void tokspec_free(struct tok_spec *s)
{
    arena_free(&s->mem);
    *s = (struct tok_spec){0};
}

static struct hash128 add_str(struct hash128 h, const char *s)
{
    return hash_add(h, s ? s : "", s ? strlen(s) + 1 : 0);
}

struct hash128 tokspec_hash(const struct tok_spec *s)
{
    const int32_t v[] = {s->kind,     s->byte_level,    s->escaped,  s->by_score, s->byte_fallback,
                         s->fuse_unk, s->ignore_merges, s->bos,      s->eos,      s->unk,
                         s->add_bos,  s->add_eos,       s->max_word, s->n_prefix, s->n_suffix};
    struct hash128 h = hash_bytes(v, sizeof(v));

    for (int id = 0; id < s->n; id++) {
        const struct vocab_piece *p = &s->piece[id];
        const double kind[] = {p->type, p->outside, p->score};

        h = hash_add(hash_add(h, p->s, p->n), kind, sizeof(kind));
    }
    for (size_t i = 0; i < s->n_merges; i++) {
        h = hash_add(h, s->merge[i].left, s->merge[i].n_left);
        h = hash_add(h, s->merge[i].right, s->merge[i].n_right);
    }
    for (size_t i = 0; i < s->n_added; i++) {
        const struct tok_added *a = &s->added[i];
        const int32_t flags[] = {a->id, a->lstrip, a->rstrip, a->single_word, a->normalized};

        h = hash_add(h, flags, sizeof(flags));
    }
    h = add_str(add_str(add_str(h, s->normalizer), s->splitter), s->pre);
    h = hash_add(h, s->prefix, (size_t)s->n_prefix * sizeof(*s->prefix));
    return hash_add(h, s->suffix, (size_t)s->n_suffix * sizeof(*s->suffix));
}

static bool bracketed(const char *s, size_t n)
{
    return n > 1 && s[0] == '[' && s[n - 1] == ']';
}

void tokspec_from_wordpiece(const char *s, size_t n, struct buf *out)
{
    bool inside = n > 2 && s[0] == '#' && s[1] == '#';

    if (!inside && !bracketed(s, n))
        buf_str(out, "\xE2\x96\x81");
    buf_add(out, s + (inside ? 2 : 0), n - (inside ? 2 : 0));
}

void tokspec_to_wordpiece(const char *s, size_t n, struct buf *out)
{
    bool begins = n > 3 && !memcmp(s, "\xE2\x96\x81", 3);

    if (!begins && !bracketed(s, n))
        buf_str(out, "##");
    buf_add(out, s + (begins ? 3 : 0), n - (begins ? 3 : 0));
}

static int check_id(int id, int lowest, int n, const char *what, struct err *e)
{
    if (id >= lowest && id < n)
        return 0;
    return err_set(e, ERR_DATA, "%s token id %d out of range: the vocabulary has %d", what, id, n);
}

static int check_list(const int32_t *id, size_t n_ids, int n, const char *what, struct err *e)
{
    for (size_t i = 0; i < n_ids; i++)
        if (check_id(id[i], 0, n, what, e) < 0)
            return -1;
    return 0;
}

int tokspec_check(const struct tok_spec *s, struct err *e)
{
    int n = s->n;

    if (check_id(s->bos, -1, n, "bos", e) < 0 || check_id(s->eos, -1, n, "eos", e) < 0 ||
        check_id(s->unk, -1, n, "unknown", e) < 0 || check_id(s->pad, -1, n, "padding", e) < 0 ||
        check_list(s->prefix, (size_t)s->n_prefix, n, "template", e) < 0 ||
        check_list(s->suffix, (size_t)s->n_suffix, n, "template", e) < 0 ||
        check_list(s->end, s->n_end, n, "end", e) < 0)
        return -1;
    if (s->add_bos && s->bos < 0)
        return err_set(e, ERR_DATA, "add_bos_token set but no bos id");
    if (s->kind == TOK_WORDPIECE && s->unk < 0)
        return err_set(e, ERR_DATA, "no unknown token, which WordPiece needs");
    if (s->add_eos && s->eos < 0)
        return err_set(e, ERR_DATA, "add_eos_token set but no eos id");
    for (size_t i = 0; i < s->n_added; i++)
        if (check_id(s->added[i].id, 0, n, "added", e) < 0)
            return -1;
    return 0;
}
