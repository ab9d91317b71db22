/* tokconf.c - what stands beside a tokenizer.json's model. */
#include "tokconf.h"

#include "arena.h"
#include "file.h"
#include "tokend.h"
#include "tokpre.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AROUND = 16, CONFIG_MAX = 64 << 20 };

static int find_piece(const struct tok_spec *s, const char *text, size_t n)
{
    for (int id = 0; text && id < s->n; id++)
        if (s->piece[id].n == n && !memcmp(s->piece[id].s, text, n))
            return id;
    return -1;
}

static int put(int32_t *list, int *n, const struct json *j, int node, struct err *e)
{
    int64_t id;

    if (json_int(j, node, &id) < 0 || id < 0 || id >= VOCAB_MAX)
        return err_set(e, ERR_DATA, "post_processor: an id is out of range");
    if (*n == AROUND)
        return err_set(e, ERR_DATA, "post_processor: more than %d tokens around a text", AROUND);
    list[(*n)++] = (int32_t)id;
    return 0;
}

/* TemplateProcessing: the ids before and after {"Sequence": ...} in `single`. */
static int read_template(struct tok_spec *s, const struct json *j, int node, struct err *e)
{
    int single = json_get(j, node, "single"), specials = json_get(j, node, "special_tokens");
    bool behind = false;

    if (!json_is(j, single, JSON_ARRAY))
        return err_set(e, ERR_DATA, "post_processor: no array 'single'");
    for (uint32_t k = (uint32_t)single + 1; k < j->node[single].next; k = j->node[k].next) {
        int special = json_get(j, (int)k, "SpecialToken"), ids;
        char *name = json_str(j, json_get(j, special, "id"), &s->mem, NULL);

        if (json_get(j, (int)k, "Sequence") >= 0) {
            behind = true;
            continue;
        }
        ids = name ? json_get(j, json_get(j, specials, name), "ids") : -1;
        if (!json_is(j, ids, JSON_ARRAY))
            return err_set(e, ERR_DATA, "post_processor: '%.40s' has no ids", name ? name : "");
        for (uint32_t i = (uint32_t)ids + 1; i < j->node[ids].next; i = j->node[i].next)
            if (put(behind ? s->suffix : s->prefix, behind ? &s->n_suffix : &s->n_prefix, j, (int)i,
                    e) < 0)
                return -1;
    }
    return 0;
}

static int read_processor(struct tok_spec *s, const struct json *j, int node, struct err *e)
{
    int type = json_get(j, node, "type"), list = json_get(j, node, "processors");

    if (json_str_is(j, type, "TemplateProcessing"))
        return read_template(s, j, node, e);
    if (json_str_is(j, type, "RobertaProcessing") || json_str_is(j, type, "BertProcessing"))
        return put(s->prefix, &s->n_prefix, j, json_at(j, json_get(j, node, "cls"), 1), e) < 0 ||
                       put(s->suffix, &s->n_suffix, j, json_at(j, json_get(j, node, "sep"), 1), e) <
                           0
                   ? -1
                   : 0;
    if (json_str_is(j, type, "Sequence") && json_is(j, list, JSON_ARRAY))
        for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next)
            if (read_processor(s, j, (int)k, e) < 0)
                return -1;
    return 0;
}

/* A file of the directory, parsed: 1, 0 when it is not there, -1. */
static int open_config(const char *dir, const char *name, struct arena *a, struct json *j,
                       struct err *e)
{
    char *path = dir ? file_join(dir, name) : NULL, *text;
    size_t n;
    int rc = 0;

    if (path && access(path, F_OK) == 0) {
        text = file_text(path, CONFIG_MAX, &n, e);
        rc = text ? 1 : -1;
        if (text && json_parse(j, a, arena_dup(a, text, n), n, e) < 0)
            rc = err_wrap(e, "%s", path);
        free(text);
    }
    free(path);
    return rc;
}

/* A token given as its text or as an AddedToken object. */
static void read_token(const struct tok_spec *s, const struct json *j, const char *key,
                       struct arena *a, int *out)
{
    int node = json_get(j, 0, key), id;
    size_t n;
    char *text;

    if (json_is(j, node, JSON_OBJECT))
        node = json_get(j, node, "content");
    text = json_str(j, node, a, &n);
    id = text ? find_piece(s, text, n) : -1;
    if (id >= 0)
        *out = id;
}

static void read_specials(struct tok_spec *s, const struct json *j, struct arena *a)
{
    read_token(s, j, "bos_token", a, &s->bos);
    read_token(s, j, "eos_token", a, &s->eos);
    read_token(s, j, "pad_token", a, &s->pad);
}

static void read_chat(struct tok_spec *s, const struct json *j)
{
    int node = json_get(j, 0, "chat_template");

    if (json_is(j, node, JSON_ARRAY)) { // several: the one named "default"
        int list = node;

        node = json_get(j, list + 1, "template");
        for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next)
            if (json_str_is(j, json_get(j, (int)k, "name"), "default"))
                node = json_get(j, (int)k, "template");
    }
    if (json_is(j, node, JSON_STRING))
        s->chat = json_str(j, node, &s->mem, NULL);
}

static int read_chat_file(struct tok_spec *s, const char *dir, struct err *e)
{
    char *path = dir ? file_join(dir, "chat_template.jinja") : NULL, *text = NULL;
    size_t n;
    int rc = 0;

    if (path && access(path, F_OK) == 0) {
        text = file_text(path, CONFIG_MAX, &n, e);
        rc = text ? 0 : -1;
        if (text)
            s->chat = arena_dup(&s->mem, text, n);
    }
    free(text);
    free(path);
    return rc;
}

/* An id or a list of ids that end a generation; the first is *eos unless known. */
static void read_ends(struct tok_spec *s, const struct json *j, int *eos)
{
    int node = json_get(j, 0, "eos_token_id");
    uint32_t from = node < 0 ? 0 : (uint32_t)node, to = from + 1;
    int64_t id;

    if (json_is(j, node, JSON_ARRAY)) {
        from++;
        to = j->node[node].next;
    }
    for (uint32_t k = from; node >= 0 && k < to; k = j->node[k].next)
        if (json_int(j, (int)k, &id) == 0 && id >= 0 && id < s->n) {
            *eos = *eos < 0 ? (int)id : *eos;
            tokend_add(s, (int)id);
        }
}

static int read_files(struct tok_spec *s, const char *dir, int add[2], struct err *e)
{
    static const char *const name[] = {"generation_config.json", "config.json"};
    struct arena a = {0};
    struct json j;
    int64_t id;
    int rc = open_config(dir, "special_tokens_map.json", &a, &j, e);

    if (rc > 0)
        read_specials(s, &j, &a);
    if (rc >= 0)
        rc = open_config(dir, "tokenizer_config.json", &a, &j, e);
    if (rc > 0) {
        static const char *const key[] = {"add_bos_token", "add_eos_token"};

        read_specials(s, &j, &a);
        read_chat(s, &j);
        for (int i = 0; i < 2; i++)
            if (json_is(&j, json_get(&j, 0, key[i]), JSON_BOOL))
                add[i] = json_true(&j, json_get(&j, 0, key[i]));
    }
    for (int i = 0; i < 2 && rc >= 0; i++) {
        rc = open_config(dir, name[i], &a, &j, e);
        if (rc <= 0)
            continue;
        read_ends(s, &j, &s->eos);
        if (s->bos < 0 && json_int(&j, json_get(&j, 0, "bos_token_id"), &id) == 0 && id >= 0 &&
            id < s->n)
            s->bos = (int)id;
    }
    arena_free(&a);
    return rc < 0 ? -1 : read_chat_file(s, dir, e);
}

/* Bring the lists around a text down to add_bos and add_eos where they say no
 * more, after add_bos_token and add_eos_token (1, 0, or -1: not given) have
 * had their say. */
static void settle(struct tok_spec *s, const int add[2])
{
    bool begins = s->n_prefix && s->prefix[0] == s->bos;
    bool ends = s->n_suffix && s->suffix[s->n_suffix - 1] == s->eos;

    if (s->n_prefix == 1 && s->bos < 0) { // nothing else said which one it is
        s->bos = s->prefix[0];
        begins = true;
    }
    if (s->bos >= 0 && add[0] == 1 && !begins && s->n_prefix < AROUND) {
        memmove(s->prefix + 1, s->prefix, (size_t)s->n_prefix++ * sizeof(*s->prefix));
        s->prefix[0] = s->bos;
    } else if (add[0] == 0 && begins) {
        memmove(s->prefix, s->prefix + 1, (size_t)--s->n_prefix * sizeof(*s->prefix));
    }
    if (s->eos >= 0 && add[1] == 1 && !ends && s->n_suffix < AROUND)
        s->suffix[s->n_suffix++] = s->eos;
    else if (add[1] == 0 && ends)
        s->n_suffix--;
    s->add_bos = s->bos >= 0 && s->n_prefix && s->prefix[0] == s->bos;
    s->add_eos = s->eos >= 0 && s->n_suffix && s->suffix[s->n_suffix - 1] == s->eos;
    if (s->n_prefix == s->add_bos)
        s->prefix = NULL;
    if (s->n_suffix == s->add_eos)
        s->suffix = NULL;
    s->n_prefix = s->prefix ? s->n_prefix : 0;
    s->n_suffix = s->suffix ? s->n_suffix : 0;
}

int tokconf_read(struct tok_spec *s, const struct json *tokenizer, const char *dir, struct err *e)
{
    int post = json_get(tokenizer, 0, "post_processor");
    int add[2] = {-1, -1};

    s->prefix = arena_new(&s->mem, AROUND * sizeof(*s->prefix));
    s->suffix = arena_new(&s->mem, AROUND * sizeof(*s->suffix));
    if (read_processor(s, tokenizer, post, e) < 0 || read_files(s, dir, add, e) < 0)
        return -1;
    settle(s, add);
    tokend_find(s);
    if (s->eos < 0 && s->n_end)
        s->eos = s->end[0];
    s->pre =
        tokpre_name(tokenizer, json_get(tokenizer, 0, "pre_tokenizer"), s->ignore_merges, &s->mem);
    return 0;
}
