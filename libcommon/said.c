/* said.c - what is said in a record's messages. */
#include "said.h"

/* A text, or the texts of a list of parts. */
static void add_content(struct record *r, const struct json *j, int node, struct buf *out)
{
    size_t n;
    const char *s = json_str(j, node, &r->mem, &n);

    if (s && n) {
        buf_add(out, s, n);
        buf_char(out, '\n');
    }
    if (json_is(j, node, JSON_ARRAY))
        for (uint32_t k = (uint32_t)node + 1; k < j->node[node].next; k = j->node[k].next)
            if (json_is(j, (int)k, JSON_OBJECT))
                add_content(r, j, json_get(j, (int)k, "text"), out);
}

bool said_text(struct record *r, struct buf *out)
{
    size_t n, before = out->n, asked = 0; // asked: where the answer at the end begins
    const char *raw = record_raw(r, "messages", &n);
    struct json j;
    struct err e;

    raw = raw ? raw : record_raw(r, "conversations", &n);
    if (!raw || json_parse(&j, &r->mem, raw, n, &e) || !json_is(&j, 0, JSON_ARRAY))
        return false;
    for (uint32_t k = 1; k < j.node[0].next; k = j.node[k].next) {
        int role, text;

        if (!json_is(&j, (int)k, JSON_OBJECT))
            continue;
        role = json_get(&j, (int)k, "role");
        text = json_get(&j, (int)k, "content");
        role = role < 0 ? json_get(&j, (int)k, "from") : role;
        text = text < 0 ? json_get(&j, (int)k, "value") : text;
        add_content(r, &j, text, out);
        if (!json_str_is(&j, role, "assistant") && !json_str_is(&j, role, "gpt"))
            asked = out->n;
    }
    out->n = asked > before ? asked : out->n;
    return out->n > before;
}
