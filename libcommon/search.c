/* search.c - the sequences of a beam search. */
#include "search.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct search_line {
    struct sched_seq seq;
    struct answer answer; // while there are stop texts
    struct grammar_state grammar;
};

static void line_free(struct search_line *l, struct kv *kv)
{
    sched_free(&l->seq, kv);
    answer_free(&l->answer);
    grammar_leave(&l->grammar);
}

void search_open(struct search *s, const struct search_opt *o, const int32_t *token, int64_t group)
{
    struct search_line *l = mem_zero(1, sizeof(*l));

    *s = (struct search){.o = *o, .line = l};
    s->o.beam.n_end = 0;
    for (int id = 0; id < tok_size(o->tok) && !o->ignore_eos; id++)
        s->o.beam.n_end += tok_is_end(o->tok, id);
    beam_open(&s->beam, &s->o.beam);
    s->top = mem_zero((size_t)beam_want(&s->beam), sizeof(*s->top));
    l->seq.group = group;
    l->seq.n_prompt = o->n_prompt;
    for (int i = 0; i < o->n_prompt; i++)
        sched_push(&l->seq, token[i]);
    l->answer.stream.first = o->trim;
    if (o->grammar)
        grammar_enter(o->grammar, &l->grammar, o->trim);
}

void search_close(struct search *s, struct kv *kv)
{
    for (int i = 0; i < s->beam.n_running; i++)
        line_free(&s->line[i], kv);
    free(s->line);
    free(s->top);
    beam_close(&s->beam);
    *s = (struct search){0};
}

struct sched_seq *search_seq(struct search *s, int i)
{
    return &s->line[i].seq;
}

bool search_ask(const struct search *s, int i, struct pick_ask *ask)
{
    const struct sample_seq seen = {s->line[i].seq.token, s->o.n_prompt, s->line[i].seq.n, 0};

    return sample_ask_likeliest(s->o.sample, &seen, s->o.grammar, beam_want(&s->beam), ask);
}

bool search_offer(struct search *s, int i, struct sample_work *w, const float *logit)
{
    struct search_line *l = &s->line[i];
    const struct sample_seq seen = {l->seq.token, s->o.n_prompt, l->seq.n, 0};
    const uint64_t *allow = NULL;
    struct err why;
    int n = 0;

    if (s->o.grammar && !(allow = grammar_mask(&l->grammar, &why))) {
        s->lost = s->lost || why.code != ERR_NONE;
        n = why.code == ERR_NONE ? BEAM_WHOLE : 0;
    } else {
        n = sample_likeliest(w, s->o.sample, &seen, allow, logit, s->o.n_vocab, s->top,
                             beam_want(&s->beam));
        if (!logit && w->rank.lacks)
            return false;
    }
    s->n_offers++;
    beam_offer(&s->beam, i, s->top, n);
    return true;
}

static bool ends(void *ctx, int from, int32_t id)
{
    const struct search *s = ctx;

    return (!s->o.ignore_eos && tok_is_end(s->o.tok, id)) ||
           (id < tok_size(s->o.tok) &&
            answer_stops(&s->line[from].answer, s->o.tok, id, &s->o.stop));
}

/* A line that goes on from another one. */
static void line_fork(const struct search *s, struct search_line *to,
                      const struct search_line *from, int32_t id, struct kv *kv)
{
    to->seq = from->seq;
    to->seq.kv = (struct kv_seq){0};
    to->seq.token = mem_new(from->seq.cap * sizeof(*to->seq.token));
    memcpy(to->seq.token, from->seq.token, (size_t)from->seq.n * sizeof(*to->seq.token));
    kv_fork(kv, &to->seq.kv, &from->seq.kv);
    sched_push(&to->seq, id);
    if (s->o.stop.n) {
        answer_copy(&to->answer, &from->answer);
        if (id < tok_size(s->o.tok))
            answer_add(&to->answer, s->o.tok, id, &s->o.stop);
    }
    if (s->o.grammar) {
        grammar_fork(&to->grammar, &from->grammar);
        grammar_accept(&to->grammar, id);
    }
}

bool search_go(struct search *s, struct kv *kv)
{
    struct search_line *old = s->line;
    int n_old = s->beam.n_running, n;

    if (s->n_offers < n_old)
        return false;
    s->n_offers = 0;
    n = beam_advance(&s->beam, ends, s);
    s->line = mem_zero((size_t)n + 1, sizeof(*s->line));
    for (int i = 0; i < n; i++)
        line_fork(s, &s->line[i], &old[s->beam.next[i].from], s->beam.next[i].id, kv);
    for (int i = 0; i < n_old; i++)
        line_free(&old[i], kv);
    free(old);
    return n == 0;
}

const struct beam_hyp *search_best(const struct search *s, int k, struct sched_seq *tokens,
                                   struct answer *a)
{
    const struct beam_hyp *h = beam_best(&s->beam, k);
    int32_t *token;

    if (!h)
        return NULL;
    token = mem_new((size_t)(h->n ? h->n : 1) * sizeof(*token));
    beam_tokens(&s->beam, h, token);
    a->stream.first = s->o.trim;
    for (int i = 0; i < h->n; i++) {
        bool end = tok_is_end(s->o.tok, token[i]);

        sched_push(tokens, token[i]);
        if (token[i] < tok_size(s->o.tok) && !(s->o.grammar && end) &&
            answer_add(a, s->o.tok, token[i], &s->o.stop))
            break;
    }
    answer_end(a, !s->o.grammar);
    free(token);
    return h;
}
