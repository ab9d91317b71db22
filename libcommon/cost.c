/* cost.c - what a step of a model must read and multiply at least. */
#include "cost.h"

#include "kv.h"

static void add(struct cost *c, const struct weight *w, int64_t *products, int64_t *of_floats)
{
    for (int i = 0; i < w->n_parts; i++) {
        const struct weight_part *p = &w->part[i];
        int64_t n = (int64_t)p->rows * w->cols;

        c->weight_bytes += tensor_row_bytes(p->type, w->cols) * (size_t)p->rows;
        *products += n;
        *of_floats += tensor_block(p->type) == 1 ? n : 0;
    }
}

struct cost cost_of(const struct model *m, enum kv_type type)
{
    struct cost c = {.cache_bytes = kv_page_bytes(m, type) / BACKEND_PAGE};
    int64_t floats = 0;

    for (int i = 0; i < m->n_layers; i++) {
        const struct layer *l = &m->layer[i];

        add(&c, &l->qkv, &c.layer_products, &floats);
        add(&c, &l->o, &c.layer_products, &floats);
        add(&c, &l->gate_up, &c.layer_products, &floats);
        add(&c, &l->down, &c.layer_products, &floats);
    }
    add(&c, &m->head, &c.head_products, &floats);
    c.floats = 2 * floats > c.layer_products + c.head_products;
    return c;
}
