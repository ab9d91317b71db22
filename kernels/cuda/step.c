/* step.c - the bracket of a step: its arrays to fixed addresses, and recorded steps.
 *
 * What changes from step to step lies in device memory at addresses that stay; what kernels are
 * given by value is of a bucket: tokens, rows wanted, the stride of the page table, ranges of keys,
 * whether none, some or all tokens are in runs. The second step of a bucket is recorded as a CUDA
 * graph, and later ones replay it. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_TOKENS = 64, MIN_TABLE = 1024, ARRAYS = 6 };

void cuda_graphs_drop(struct cuda *c)
{
    for (int i = 0; i < c->n_graphs; i++)
        if (c->graph[i].exec)
            cudaGraphExecDestroy(c->graph[i].exec);
    c->n_graphs = 0;
    c->current = NULL;
}

void cuda_step_close(struct cuda *c)
{
    tree_free(&c->tree);
    cudaFree(c->step.p);
    cudaFreeHost(c->staged);
    if (c->staged_free)
        cudaEventDestroy(c->staged_free);
}

static int power(int n, int least)
{
    while (least < n)
        least *= 2;
    return least;
}

/* int32s of what trees add. */
static size_t tree_room(const struct cuda *c)
{
    return c->rows_tail ? 3 * (size_t)c->tokens + (size_t)c->rows_tail * BACKEND_PAGE : 0;
}

/* Room for the arrays of a step, here and there. */
static bool room(struct cuda *c, int tokens, int table, int tails)
{
    if (c->staged && tokens <= c->tokens && table <= c->table && tails <= c->rows_tail)
        return true;
    c->tokens = power(tokens, c->tokens ? c->tokens : MIN_TOKENS);
    c->table = power(table, c->table ? c->table : MIN_TABLE);
    c->rows_tail = tails > c->rows_tail ? tails : c->rows_tail;
    size_t n = (size_t)ARRAYS * (size_t)c->tokens + (size_t)c->table + tree_room(c);
    size_t bytes = n * sizeof(int32_t);

    if (!cuda_grow(c, &c->step, bytes) || !cuda_ok(c, cudaFreeHost(c->staged), "free"))
        return false;
    c->staged = NULL;
    if (!c->staged_free &&
        !cuda_ok(c, cudaEventCreateWithFlags(&c->staged_free, cudaEventDisableTiming), "event"))
        return false;
    return cuda_ok(c, cudaMallocHost((void **)&c->staged, bytes), "pinned memory");
}

/* Tokens that are in no run of CUDA_RUN, into lone: how many. */
static int lone_of(int32_t *lone, const struct step *s)
{
    int n = 0;

    for (int i = 0, end; i < s->n; i = end) {
        for (end = i + 1; end < s->n && s->seq[end] == s->seq[i];)
            end++;
        for (int k = i; k < end && end - i < CUDA_RUN; k++)
            lone[n++] = k;
    }
    return n;
}

/* The arrays, packed; the page table with the bucket's stride. */
static void stage(struct cuda *c, const struct step *s, int stride)
{
    int32_t *at = c->staged;
    size_t tokens = (size_t)c->tokens, n = (size_t)s->n * sizeof(*at);

    memcpy(at, s->token, n);
    memcpy(at + tokens, s->pos, n);
    memcpy(at + 2 * tokens, s->seq, n);
    memcpy(at + 3 * tokens, s->last ? s->last : s->pos, n);
    if (s->n_out)
        memcpy(at + 4 * tokens, s->out, (size_t)s->n_out * sizeof(*at));
    at += ARRAYS * tokens;
    for (int i = 0; i < s->n_seq; i++, at += stride)
        memcpy(at, s->page + (size_t)i * (size_t)s->max_pages, (size_t)s->max_pages * sizeof(*at));
}

/* What trees add, behind the room of the page table: slots, bends, tails, and rows of tail pages,
 * with none of those that only the bucket has. */
static bool send_tree(struct cuda *c, const struct step *s)
{
    size_t tokens = (size_t)c->tokens, first = ARRAYS * tokens + (size_t)c->table;
    size_t n = (size_t)s->n * sizeof(int32_t), page = BACKEND_PAGE * sizeof(int32_t);
    int32_t *at = c->staged + first;
    const int32_t *d = (const int32_t *)c->step.p + first;

    for (int i = 0; i < s->n; i++)
        at[i] = step_slot(s, i);
    memcpy(at + tokens, c->tree.bend, n);
    memcpy(at + 2 * tokens, c->tree.tail, n);
    c->now.slot = d;
    c->now.bend = d + tokens;
    c->now.tail = d + 2 * tokens;
    c->now.row = d + 3 * tokens;
    c->now.n_tails = power(c->tree.n, CUDA_MIN_TAILS);
    memcpy(at + 3 * tokens, c->tree.row, (size_t)c->tree.n * page);
    memset(at + 3 * tokens + c->tree.n * BACKEND_PAGE, 0xff,
           (size_t)(c->now.n_tails - c->tree.n) * page);
    n = (3 * tokens + (size_t)c->now.n_tails * BACKEND_PAGE) * sizeof(*at);
    return cuda_ok(
        c, cudaMemcpyAsync((int32_t *)c->step.p + first, at, n, cudaMemcpyHostToDevice, c->stream),
        "step");
}

static bool send(struct cuda *c, const struct step *s, int stride)
{
    const int32_t *d = c->step.p;
    size_t tokens = (size_t)c->tokens,
           n = (ARRAYS * tokens + (size_t)s->n_seq * (size_t)stride) * sizeof(*d);
    int last = 0;

    if (!cuda_ok(c, cudaEventSynchronize(c->staged_free), "wait"))
        return false;
    stage(c, s, stride);
    for (int i = 0; i < s->n; i++) {
        int to = s->last ? s->last[i] : s->pos[i];

        last = to > last ? to : last;
    }
    c->now = (struct cuda_step){
        .n = s->n,
        .n_out = s->n_out,
        .max_pages = stride,
        .n_ranges = power(last / CUDA_RANGE + 1, 1),
        .token = d,
        .pos = d + tokens,
        .seq = d + 2 * tokens,
        .last = d + 3 * tokens,
        .slot = d + tokens, // of a path that does not bend they are the positions
        .out = d + 4 * tokens,
        .page = d + ARRAYS * tokens,
    };
    c->now.n_lone = lone_of(c->staged + 5 * tokens, s);
    c->now.runs = c->now.n_lone < s->n;
    /* one that is recorded is replayed with others, of which as many may be different ones */
    if (c->now.runs && (s->n > CUDA_GRAPH_TOKENS || !c->now.n_lone))
        c->now.lone = d + 5 * tokens;
    return (!c->tree.n || send_tree(c, s)) &&
           cuda_ok(c, cudaMemcpyAsync(c->step.p, c->staged, n, cudaMemcpyHostToDevice, c->stream),
                   "step") &&
           cuda_ok(c, cudaEventRecord(c->staged_free, c->stream), "step");
}

/* The graph of a bucket, made if it is not there; NULL: such steps are not recorded. */
static struct cuda_graph *bucket(struct cuda *c, const struct step *s)
{
    enum cuda_runs runs = !c->now.runs ? CUDA_NONE : c->now.n_lone ? CUDA_SOME : CUDA_ALL;
    struct cuda_key key = {s->program,      s->n,           s->n_out, c->now.max_pages,
                           c->now.n_ranges, c->now.n_tails, runs};
    struct cuda_graph *old = c->graph;

    if (!s->program || s->n > CUDA_GRAPH_TOKENS)
        return NULL;
    c->clock++;
    for (int i = 0; i < c->n_graphs; i++) {
        struct cuda_graph *g = &c->graph[i];

        if (g->key.program == key.program && g->key.n == key.n && g->key.n_out == key.n_out &&
            g->key.stride == key.stride && g->key.n_ranges == key.n_ranges &&
            g->key.n_tails == key.n_tails && g->key.runs == key.runs) {
            g->used = c->clock;
            return g;
        }
        old = g->used < old->used ? g : old;
    }
    if (c->n_graphs < CUDA_GRAPHS)
        old = &c->graph[c->n_graphs++];
    else if (old->exec)
        cudaGraphExecDestroy(old->exec);
    *old = (struct cuda_graph){key, NULL, c->clock};
    return NULL; // the first of its kind runs as it is, and makes room
}

int cuda_step_begin(struct backend *b, const struct step *s, struct err *e)
{
    struct cuda *c = cuda_of(b);
    int stride = power(s->max_pages, 8);

    for (int i = 0; i < CUDA_TURNS; i++)
        c->angles[i].inv_freq = NULL;
    tree_plan(&c->tree, s);
    if (c->failed.code == ERR_NONE && !cuda_load_wait(c, &c->failed) &&
        room(c, s->n, s->n_seq * stride, c->tree.n ? power(c->tree.n, CUDA_MIN_TAILS) : 0))
        send(c, s, stride);
    if (c->failed.code != ERR_NONE) {
        *e = c->failed;
        return -1;
    }
    c->current = bucket(c, s);
    if (!c->current)
        return STEP_RUN;
    if (c->current->exec)
        return STEP_REPLAY;
    c->recording = true;
    c->broken = false;
    if (!cuda_ok(c, cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal),
                 "record")) {
        *e = c->failed;
        return -1;
    }
    return STEP_RUN;
}

int cuda_step_end(struct backend *b, struct err *e)
{
    struct cuda *c = cuda_of(b);
    cudaGraph_t graph = NULL;

    cuda_flush(c, NULL);
    if (c->recording) {
        c->recording = false;
        if (!cuda_ok(c, cudaStreamEndCapture(c->stream, &graph), "record") ||
            (!c->broken && !cuda_ok(c, cudaGraphInstantiate(&c->current->exec, graph, 0), "graph")))
            c->current = NULL;
        if (graph)
            cudaGraphDestroy(graph);
        if (c->broken && c->failed.code == ERR_NONE)
            err_set(&c->failed, ERR_MEM, "GPU %d: a step grew while it was recorded", c->device);
    }
    if (c->current && c->current->exec)
        cuda_ok(c, cudaGraphLaunch(c->current->exec, c->stream), "step");
    cuda_ok(c, cudaGetLastError(), "step");
    if (c->failed.code == ERR_NONE)
        return 0;
    *e = c->failed;
    return -1;
}
