/* openai_fuzz.c - changed answers of servers: read or refused, and what is read is JSON again. */
#include "fuzz.h"
#include "json.h"
#include "openai.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const char *s = (const char *)p;
    struct openai_answer a;
    struct arena mem = {0};
    struct buf b = {0};
    struct json j;
    struct err e;

    for (int raw = 0; raw < 2; raw++) {
        if (!openai_read(&a, s, n, raw, OPENAI_LOGPROBS, &e)) {
            assert(a.text.n);
            assert(!a.logprobs.n || !json_parse(&j, &mem, a.logprobs.p, a.logprobs.n, &e));
        } else {
            assert((e.code == ERR_DATA || e.code == ERR_ARG) && *e.msg);
        }
        openai_free(&a);
    }
    if (!openai_read_vector(&a, s, n, &e))
        assert(a.n_vector > 0);
    else
        assert((e.code == ERR_DATA || e.code == ERR_ARG) && *e.msg);
    openai_free(&a);
    openai_error(s, n, &b);
    openai_model(s, n, &b, &e);
    buf_free(&b);
    arena_free(&mem);
    return 0;
}

#ifndef LIBFUZZER
static const char *const seeds[] = {
    "{\"choices\":[{\"message\":{\"content\":\"a\\ud83d\\ude00\"},\"finish_reason\":\"stop\",\"logprobs\":"
    "{\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.5}]}]"
    "}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}",
    "{\"choices\":[{\"text\":\"ab\",\"finish_reason\":\"length\",\"logprobs\":{\"tokens\":[\"a\",\"b\"],"
    "\"token_logprobs\":[-1,-2],\"top_logprobs\":[{\"a\":-1,\"x\":-3},{\"b\":-2}]}}]}",
    "{\"data\":[{\"index\":0,\"embedding\":[0.1,-2,3e-9]}],\"usage\":{\"prompt_tokens\":5}}",
    "{\"error\":{\"message\":\"why\"},\"data\":[{\"id\":\"a/b\"}]}"};

int main(void)
{
    for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++)
        fuzz_run("openai", (const uint8_t *)seeds[i], strlen(seeds[i]), strlen(seeds[i]), 20000);
    return test_end();
}
#endif
