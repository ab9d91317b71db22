/* ask.c - questions about rows of logits, and their answers in host memory. */
#include "device.h"

#include <string.h>

enum { GROUP = 256, WORK = 4 << 20 }; // rows that are asked about at once; what they take

_Static_assert((int)PICK_MOST == CUDA_PICK_MOST && (int)PICK_IDS == CUDA_PICK_IDS &&
                   sizeof(struct pick_ask) == sizeof(struct cuda_pick_ask) &&
                   offsetof(struct pick_ask, pos) == offsetof(struct cuda_pick_ask, pos) &&
                   offsetof(struct pick_ask, id) == offsetof(struct cuda_pick_ask, id) &&
                   sizeof(struct pick) == sizeof(struct cuda_pick) &&
                   offsetof(struct pick, x) == offsetof(struct cuda_pick, x) &&
                   offsetof(struct pick, drawn_x) == offsetof(struct cuda_pick, drawn_x) &&
                   offsetof(struct pick, item) == offsetof(struct cuda_pick, item),
               "the kernels' structs are the same");
_Static_assert(GROUP *(sizeof(struct pick_ask) + sizeof(struct pick)) <= CUDA_PINNED,
               "pinned memory holds a group");

size_t cuda_ask_bytes(void)
{
    return GROUP * (sizeof(struct pick) + sizeof(struct pick_ask)) + WORK;
}

/* Rows of a vocabulary whose work fits: of 128 k tokens a group's. */
static int rows_of(int vocab)
{
    int n = (int)(WORK / cuda_pick_bytes(vocab, 1));

    return n < GROUP ? n : GROUP;
}

/* Does any ask for a mass or a draw? */
static bool sums(const struct pick_ask *ask, int n)
{
    for (int i = 0; i < n; i++)
        if (ask[i].temp[0] > 0 || ask[i].temp[1] > 0 || ask[i].draw > 0)
            return true;
    return false;
}

/* Device memory: answers, questions, work; pinned memory: questions, answers. */
static bool group(struct cuda *c, const float *logits_d, int vocab, const struct pick_ask *ask,
                  int n, struct pick *out)
{
    struct cuda_pick *out_d = c->pick.p;
    struct cuda_pick_ask *ask_d = (void *)(out_d + GROUP);
    size_t in = (size_t)n * sizeof(*ask), back = (size_t)n * sizeof(*out);
    char *answers = (char *)c->pinned + in;

    memcpy(c->pinned, ask, in);
    if (!cuda_ok(c, cudaMemcpyAsync(ask_d, c->pinned, in, cudaMemcpyHostToDevice, c->stream),
                 "pick"))
        return false;
    cuda_pick(out_d, ask_d, n, sums(ask, n), logits_d, vocab, ask_d + GROUP, c->stream);
    if (!cuda_ok(c, cudaGetLastError(), "pick") ||
        !cuda_ok(c, cudaMemcpyAsync(answers, out_d, back, cudaMemcpyDeviceToHost, c->stream),
                 "pick") ||
        !cuda_ok(c, cudaStreamSynchronize(c->stream), "pick"))
        return false;
    memcpy(out, answers, back);
    return true;
}

int cuda_pick_rows(struct backend *b, const float *logits_d, int vocab, const struct pick_ask *ask,
                   int n, struct pick *out, struct err *e)
{
    struct cuda *c = cuda_of(b);
    int most = rows_of(vocab);

    if (most < 1)
        return err_set(e, ERR_ARG, "GPU %d: a vocabulary of %d tokens is too large", c->device,
                       vocab);
    cuda_flush(c, NULL);
    if (c->failed.code == ERR_NONE && cuda_grow(c, &c->pick, cuda_ask_bytes()))
        for (int i = 0; i < n; i += most)
            if (!group(c, logits_d, vocab, ask + i, n - i < most ? n - i : most, out + i))
                break;
    if (c->failed.code == ERR_NONE)
        return 0;
    *e = c->failed;
    return -1;
}
