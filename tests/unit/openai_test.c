/* openai_test.c - what is asked, and answers of servers as they are and as they should not be. */
#include "openai.h"
#include "test.h"

#include <string.h>

static const char tokens[] =
    "{\"choices\":[{\"text\":\"ab\",\"finish_reason\":\"length\",\"logprobs\":{\"tokens\":[\"a\",\"b\"],"
    "\"token_logprobs\":[-1,-2],\"top_logprobs\":[{\"a\":-1,\"x\":-3},null]}}]}";

/* Read an answer; its code, or 0. */
static int code(const char *body, bool raw)
{
    struct openai_answer a;
    struct err e;
    int rc = openai_read(&a, body, strlen(body), raw, 2, &e) ? (int)e.code : 0;

    openai_free(&a);
    return rc;
}

/* How an answer ended that a server ends so. */
static int finish_of(const char *reason)
{
    struct openai_answer a;
    struct buf b = {0};
    struct err e;
    int finish;

    buf_fmt(&b, "{\"choices\":[{\"text\":\"x\",\"finish_reason\":\"%s\"}]}", reason);
    finish = openai_read(&a, b.p, b.n, true, 0, &e) ? -1 : (int)a.finish;
    openai_free(&a);
    buf_free(&b);
    return finish;
}

static int model_code(const char *body, struct buf *name)
{
    struct err e;

    buf_reset(name);
    return openai_model(body, strlen(body), name, &e) ? (int)e.code : 0;
}

static void requests(void)
{
    struct engine_request q = {.max_tokens = 3, .sample = {.top_p = 1}, .seed = 9};
    struct openai_ask a = {.prompt = "\"x\"", .n_prompt = 3, .raw = true};
    struct buf b = {0}, c = {0};

    TEST("openai: a request has what was asked for and nothing besides");
    openai_put(&a, "m\"", &q, false, &b);
    CHECK(!strncmp(b.p, "{\"model\":\"m\\\"\",\"prompt\":\"x\",\"max_tokens\":3,\"temperature\":0,",
                   56));
    CHECK(!strstr(b.p, "top_") && !strstr(b.p, "stop") && !strstr(b.p, "penalty"));
    TEST("openai: the seed differs by sample, key and seed");
    for (int i = 0; i < 3; i++) {
        struct engine_request other = q;

        other.sample_index += i == 0;
        other.key.lo += i == 1;
        other.seed += i == 2;
        buf_reset(&c);
        openai_put(&a, "m\"", &other, false, &c);
        CHECK(strcmp(b.p, c.p));
    }
    buf_reset(&c);
    openai_put(&a, "m\"", &q, false, &c);
    CHECK(!strcmp(b.p, c.p));
    buf_free(&b);
    buf_free(&c);
}

static void answers(void)
{
    static const char good[] =
        "{\"choices\":[{\"message\":{\"content\":\"a\\u0000\\ud83d\\ude00\"},\"finish_reason\":"
        "\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":-1}}";
    static const char listed[] =
        "{\"choices\":[{\"text\":\" b\",\"finish_reason\":\"length\",\"logprobs\":{\"content\":[{\"id\":"
        "7,\"token\":\" b\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\" b\",\"logprob\":-0.5}]}]}}]}";
    static const char
        drawn[] = // vLLM: a token that was drawn stands first, besides those asked for
        "{\"choices\":[{\"text\":\"z\",\"finish_reason\":\"stop\",\"logprobs\":{\"tokens\":[\"z\"],"
        "\"token_logprobs\":[-5],\"top_logprobs\":[{\"z\":-5,\"a\":-1,\"b\":-2}]}}]}";
    static const char chosen[] =
        "{\"choices\":[{\"message\":{\"content\":\"b\"},\"finish_reason\":\"stop\",\"logprobs\":"
        "{\"content\":[{\"token\":\"b\",\"logprob\":-2,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":"
        "-2},{\"token\":\"a\",\"logprob\":-1}]}]}}]}";
    static const char part[] =
        "{\"choices\":[{\"message\":{\"content\":\"b\"},\"finish_reason\":\"stop\",\"logprobs\":"
        "{\"content\":[{\"token\":\"\\\\xf0\\\\x9f\",\"logprob\":-2,\"bytes\":[240,159],"
        "\"top_logprobs\":[{\"token\":\"\",\"logprob\":-1,\"bytes\":[237]},{\"token\":\"\xC3\xA9\","
        "\"logprob\":-2,\"bytes\":[195,169]}]}]}}]}";
    struct openai_answer a;
    struct err e;

    TEST("openai: an answer is read whole; counts that cannot be are not there");
    CHECK(!openai_read(&a, good, strlen(good), false, 2, &e));
    CHECK(a.text.n == 6 && !memcmp(a.text.p, "a\0\xF0\x9F\x98\x80", 6) && a.finish == ENGINE_STOP);
    CHECK(a.n_prompt == 3 && a.n_tokens == -1 && !a.logprobs.n);
    openai_free(&a);
    CHECK(!openai_read(&a, tokens, strlen(tokens), true, 2, &e));
    CHECK(a.finish == ENGINE_LENGTH && a.n_prompt == -1);
    CHECK(!strcmp(a.logprobs.p,
                  "[{\"token\":\"a\",\"logprob\":-1,\"top\":[{\"token\":\"a\",\"logprob\":"
                  "-1},{\"token\":\"x\",\"logprob\":-3}]},{\"token\":\"b\",\"logprob\":-2,"
                  "\"top\":[]}]"));
    openai_free(&a);
    TEST("openai: a list of log-probabilities in a completion, as llama.cpp has it");
    CHECK(!openai_read(&a, listed, strlen(listed), true, 2, &e));
    CHECK(!strcmp(a.logprobs.p, "[{\"token\":\" b\",\"logprob\":-0.5,\"top\":[{\"token\":"
                                "\" b\",\"logprob\":-0.5}]}]"));
    openai_free(&a);
    TEST("openai: the likeliest tokens are those, in their order, and no more than asked for");
    CHECK(!openai_read(&a, drawn, strlen(drawn), true, 2, &e));
    CHECK(strstr(a.logprobs.p, "\"top\":[{\"token\":\"a\",\"logprob\":-1},{\"token\":\"b\","
                               "\"logprob\":-2}]}]"));
    openai_free(&a);
    CHECK(!openai_read(&a, chosen, strlen(chosen), false, 2, &e));
    CHECK(strstr(a.logprobs.p, "\"top\":[{\"token\":\"a\",\"logprob\":-1},{\"token\":\"b\","
                               "\"logprob\":-2}]}]"));
    openai_free(&a);
    TEST("openai: a token that is a part of a character has no text");
    CHECK(!openai_read(&a, part, strlen(part), false, 2, &e));
    CHECK(!strcmp(a.logprobs.p, "[{\"token\":null,\"logprob\":-2,\"top\":[{\"token\":null,"
                                "\"logprob\":-1},{\"token\":\"\xC3\xA9\",\"logprob\":-2}]}]"));
    openai_free(&a);
    TEST("openai: how an answer ended, in the words of several servers");
    CHECK(finish_of("stop") == ENGINE_STOP && finish_of("length") == ENGINE_LENGTH);
    CHECK(finish_of("eos_token") == ENGINE_STOP && finish_of("stop_sequence") == ENGINE_STOP);
    CHECK(finish_of("model_length") == ENGINE_LENGTH);
    CHECK(finish_of("content_filter") < 0 && finish_of("abort") < 0 && finish_of("error") < 0);
    TEST("openai: what is no completion, and what is one without use");
    CHECK(code("", false) == ERR_DATA && code("[]", false) == ERR_DATA);
    CHECK(code("{\"choices\":[]}", false) == ERR_DATA);
    CHECK(code("{\"choices\":{}}", true) == ERR_DATA);
    CHECK(code("{\"choices\":[{\"message\":1}]}", false) == ERR_DATA);
    CHECK(code("{\"choices\":[{\"text\":\"x\",\"finish_reason\":\"stop\"}]}", false) == ERR_DATA);
    CHECK(code("{\"choices\":[{\"text\":\"x\",\"finish_reason\":\"stop\"}]}", true) == 0);
    CHECK(code("{\"choices\":[{\"text\":\"x\",\"finish_reason\":null}]}", true) == ERR_ARG);
    CHECK(code("{\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}", true) == ERR_ARG);
    CHECK(code("{\"choices\":[{\"text\":7,\"finish_reason\":\"stop\"}]}", true) == ERR_ARG);
    CHECK(
        code(
            "{\"choices\":[{\"text\":\"x\",\"finish_reason\":\"stop\",\"logprobs\":{\"tokens\":[\"a\"],"
            "\"token_logprobs\":[]}}]}",
            true) == ERR_DATA);
}

static int vector_code(const char *body)
{
    struct openai_answer a;
    struct err e;
    int rc = openai_read_vector(&a, body, strlen(body), &e) ? (int)e.code : 0;

    openai_free(&a);
    return rc;
}

static void vectors(void)
{
    static const char good[] = "{\"data\":[{\"index\":0,\"embedding\":[0.1,-2,3e-9]}],"
                               "\"usage\":{\"prompt_tokens\":5}}";
    struct engine_request q = {.pool = HIDDEN_MEAN};
    struct openai_ask a = {.prompt = "\"x\"", .n_prompt = 3, .vector = true};
    struct openai_answer r;
    struct buf b = {0};
    struct err e;

    TEST("openai: a vector is asked for and read");
    openai_put(&a, "m", &q, false, &b);
    CHECK(!strcmp(b.p, "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"float\"}"));
    buf_free(&b);
    CHECK(!openai_read_vector(&r, good, strlen(good), &e) && r.n_vector == 3 && r.n_prompt == 5);
    CHECK(r.vector[0] == 0.1f && r.vector[1] == -2 && r.vector[2] == 3e-9f);
    CHECK(r.finish == ENGINE_HIDDEN);
    openai_free(&r);
    TEST("openai: what is no vector");
    CHECK(vector_code("") == ERR_DATA && vector_code("{\"data\":[]}") == ERR_DATA);
    CHECK(vector_code("{\"data\":[{\"embedding\":[]}]}") == ERR_DATA);
    CHECK(vector_code("{\"data\":[{\"embedding\":[[1]]}]}") == ERR_DATA);
    CHECK(vector_code("{\"data\":[{\"embedding\":[1,null]}]}") == ERR_DATA);
    CHECK(vector_code("{\"data\":[{\"embedding\":[1e39]}]}") == ERR_DATA);
    CHECK(vector_code("{\"data\":[{\"embedding\":\"AACAPw==\"}]}") == ERR_DATA);
    CHECK(vector_code("{\"data\":[{\"embedding\":[1]},{\"embedding\":[2]}]}") == ERR_DATA);
}

static void errors(void)
{
    static const char *const body[] = {"{\"error\":{\"message\":\"why\"}}", "{\"error\":\"why\"}",
                                       "{\"message\":\"why\"}", "{\"detail\":\"why\"}", "why"};
    struct buf b = {0};

    TEST("openai: the message of an error in the forms that servers have");
    for (int i = 0; i < 5; i++) {
        buf_reset(&b);
        openai_error(body[i], strlen(body[i]), &b);
        CHECK(!strcmp(buf_cstr(&b), "why"));
    }
    buf_reset(&b);
    openai_error("{\"detail\":[1]}", 14, &b);
    CHECK(!strcmp(buf_cstr(&b), "{\"detail\":[1]}"));
    buf_reset(&b);
    openai_error("\xFF", 1, &b);
    CHECK(b.n == 0);
    TEST("openai: the only model");
    CHECK(!model_code("{\"data\":[{\"id\":\"a/b\"}]}", &b) && !strcmp(b.p, "a/b"));
    CHECK(model_code("{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}", &b) == ERR_ARG);
    CHECK(model_code("{\"data\":[]}", &b) == ERR_ARG && model_code("{}", &b) == ERR_ARG);
    CHECK(model_code("<html>", &b) == ERR_DATA);
    buf_free(&b);
}

int main(void)
{
    requests();
    answers();
    vectors();
    errors();
    return test_end();
}
