/* naming.c - the fields that the ids of records are made of. */
#include "naming.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKS = 64 }; // ids of a file that are looked at

/* By what the commands read (stream's conf). */
static const char *const prompt[] = {"messages", "conversations", "system", "instruction",
                                     "input",    "prompt",        NULL};
static const char *const task[] = {"instruction", "input", NULL};
static const char *const response[] = {"instruction", "input", "output", NULL};
static const char *const answer[] = {"messages", "conversations", "system", "instruction",
                                     "input",    "prompt",        "output", NULL};
static const char *const score[] = {"messages", "conversations", "instruction", "input",
                                    "system",   "prompt",        "output",      NULL};
static const char *const text[] = {"text",     "instruction",   "input", "prompt",
                                   "messages", "conversations", NULL};
static const char *const one[] = {"text", NULL};
static const char *const *const fields[] = {answer, score, text, prompt, response, task, one};
enum { N_FIELDS = sizeof(fields) / sizeof(*fields) };

void naming_free(struct naming *n)
{
    for (int i = 0; i < n->n_own; i++) {
        free(n->own[i].name);
        free(n->own[i].list);
    }
    free(n->own);
}

void naming_file(struct naming *n)
{
    n->n_looked = 0;
}

/* Of how many fields of the list the record's id is made, or, when it has none, one that is known;
 * -1: of others. */
static int made_of(const struct naming *n, struct record *r, const char *const *list)
{
    struct hash128 h;
    char hex[33];
    int k = record_hash(r, list, &h);

    hash_hex(h, hex);
    return (r->id ? !strcmp(r->id, hex) : n->known(n->with, hash_bytes(hex, 32))) ? k : -1;
}

/* The fields that the id is made of, or NULL. Of several lists, that of most: one of fewer may give
 * another record's. */
static const char *const *fields_of(const struct naming *n, struct record *r)
{
    static const char *const line[] = {NULL};
    const char *const *list = NULL;
    int most = -1, n_lists = N_FIELDS + n->n_own;

    for (int i = 0; i < n_lists + (most < 0); i++) {
        const char *const *these = i < N_FIELDS  ? fields[i]
                                   : i < n_lists ? n->own[i - N_FIELDS].list
                                                 : line;
        int k = made_of(n, r, these);

        list = k > most ? these : list;
        most = k > most ? k : most;
    }
    return list;
}

static void learn_field(struct naming *n, struct record *r, const char *const *with,
                        const char *name)
{
    struct naming_own o = {.name = mem_dup(name, strlen(name))};

    o.list = record_fields(with, o.name);
    if (made_of(n, r, o.list) >= 0) {
        n->own = mem_resize(n->own, (size_t)n->n_own + 1, sizeof(*n->own));
        n->own[n->n_own++] = o;
        return;
    }
    free(o.name);
    free(o.list);
}

/* What commands read by --field is in no list: a record's fields tell whether its id is made of
 * one of them, alone or together with what is read of an answer. */
void naming_learn(struct naming *n, struct record *r)
{
    struct arena mem = {0};
    const struct json *j = &r->json;

    if ((r->id && strlen(r->id) != 32) || n->n_looked >= LOOKS)
        return;
    n->n_looked++;
    if (fields_of(n, r))
        return;
    for (uint32_t k = 1; k < j->node[0].next; k = j->node[k + 1].next) {
        const char *name = json_str(j, (int)k, &mem, NULL);

        if (name) {
            learn_field(n, r, NULL, name);
            learn_field(n, r, answer, name);
        }
    }
    arena_free(&mem);
}

const char *const *naming_fields(struct naming *n, struct record *r)
{
    const char *const *list = fields_of(n, r);

    if (!list) {
        naming_learn(n, r); // a field that was masked tells its name only here
        list = fields_of(n, r);
    }
    return list ? list : prompt;
}
