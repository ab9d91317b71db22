/* fault_test.c - repetition, refusals, leaked prompt words. */
#include "buf.h"
#include "fault.h"
#include "test.h"

#include <math.h>
#include <string.h>

static const char *refused(const char *s)
{
    return fault_refusal(s, strlen(s));
}

static const char *leaked(const char *s)
{
    return fault_leak(s, strlen(s));
}

static double repeats(const char *s)
{
    return fault_repetition(s, strlen(s));
}

int main(void)
{
    struct buf b = {0};

    TEST("repetition");
    CHECK(repeats("") == 0 && repeats("one two") == 0 && repeats("a b c d e f g") == 0);
    CHECK(fabs(repeats("no no no no no no") - 0.75) < 1e-12); // 4 runs, 1 different
    CHECK(fabs(repeats("a b c. A, b; c!") - 0.25) < 1e-12);   // abc bca cab abc
    CHECK(repeats("the cat and the dog and the bird") == 0);
    TEST("refusals");
    CHECK(refused("Sorry, I can not do that."));
    CHECK(refused("As an AI, I have no taste."));
    CHECK(refused("I’m not able to open files.") && refused("I'm not able to open files."));
    CHECK(!refused("The fox is red.") && !refused("") && !refused("I can carry that."));
    CHECK(refused("죄송하지만 그 요청은 도와드릴 수 없습니다.") &&
          refused("AI 언어 모델로서 저는 감정이 없습니다."));
    CHECK(refused("申し訳ありませんが、お手伝いできません。") &&
          refused("抱歉，我无法回答这个问题。"));
    CHECK(refused("I won’t be able to help with this request.") &&
          refused("作为一个AI，我没有感情。"));
    CHECK(!refused("오늘은 비가 와서 산에 갈 수 없습니다.") &&
          !refused("As an aid to memory I use lists."));
    CHECK(!strcmp(refused("I must decline, since as an AI I cannot."),
                  "as an ai")); // first of the list
    for (int i = 0; i < 90; i++)
        buf_str(&b, "word ");
    buf_str(&b, "sorry as an ai");
    CHECK(!fault_refusal(b.p, b.n)); // late in a long text
    buf_reset(&b);
    buf_str(&b, "As an AI ");
    for (int i = 0; i < 90; i++)
        buf_str(&b, "word ");
    CHECK(fault_refusal(b.p, b.n));
    TEST("leaks");
    CHECK(!strcmp(leaked("Here is the #Rewritten Prompt#: x"), "rewritten prompt"));
    CHECK(leaked("a\n### Response:\nb") && leaked("x<|im_end|>") && leaked("[INST] y"));
    CHECK(leaked("<start_of_turn>user") && leaked("x <|begin_of_text|>") &&
          leaked("#Created Prompt#:"));
    CHECK(!strcmp(leaked("#### Response, ### Input"), "### input") && leaked("#### Instruction"));
    CHECK(!leaked("<span>x</span> a << 2 [i] ## Inputs") && !leaked("<|") &&
          !leaked("given_promp"));
    CHECK(!leaked("") && !leaked("Respond to the prompt.") && !leaked("Give the input a name"));
    buf_free(&b);
    return test_end();
}
