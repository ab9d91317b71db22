/* openai.h - requests and answers in the form of OpenAI's completions interface.
 *
 * /chat/completions for messages, /completions for a raw prompt, /embeddings for a vector, as vLLM,
 * TensorRT-LLM, llama.cpp and others serve them. What an answer says is checked as any file is.
 * Source: OpenAI API reference, "Create chat completion", "Create completion" and "Create
 * embeddings". */
#ifndef OPENAI_H
#define OPENAI_H

#include "buf.h"
#include "engine.h"
#include "err.h"

enum { OPENAI_LOGPROBS = 20 }; // of a token: the interface's limit

/* What a server is asked; all borrowed. */
struct openai_ask {
    const char *prompt; // (n_prompt) JSON: a list of messages, or with raw a string
    size_t n_prompt;
    bool raw;
    bool vector;            // the prompt, a string, is a text whose vector is asked for
    const char *begun;      // (n_begun) the last message is the beginning of the answer: this text
    size_t n_begun, n_bare; // the list is without it when cut at n_bare and closed
    bool forced;            // never ask without it
    const char *schema;     // (n_schema) a JSON schema of the output, or NULL
    size_t n_schema;
};

/* The body of a request with the sampling, stop texts and log-probabilities of q. bare: without the
 * beginning of the answer, which is no standard. The server's seed is a function of (seed, key,
 * sample_index). Penalties that change no result are left out. */
void openai_put(const struct openai_ask *a, const char *model, const struct engine_request *q,
                bool bare, struct buf *out);

/* A completion, or a vector. Counts are -1 where the server gives none. */
struct openai_answer {
    enum engine_finish finish; // ENGINE_STOP or ENGINE_LENGTH
    struct buf text;
    struct buf logprobs; // JSON as in llm-jsonl(5), without ids; empty: none
    int n_prompt, n_tokens;
    float *vector; // (n_vector) with ENGINE_HIDDEN
    int n_vector;
};

/* Read one; of each place the likeliest n_logprobs tokens. ERR_DATA: it is no completion; ERR_ARG:
 * it is one, of which nothing can be used. */
int openai_read(struct openai_answer *a, const char *body, size_t n, bool raw, int n_logprobs,
                struct err *e);
/* The same of a vector, whose values are all finite. */
int openai_read_vector(struct openai_answer *a, const char *body, size_t n, struct err *e);
void openai_free(struct openai_answer *a);

/* What an answer with an error's status says, in at most 300 bytes; "" when nothing. */
void openai_error(const char *body, size_t n, struct buf *out);

/* The only model of an answer to GET /models; ERR_ARG when there are several. */
int openai_model(const char *body, size_t n, struct buf *name, struct err *e);

#endif
