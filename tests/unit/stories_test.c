/* stories_test.c - a really trained model continues a text as its reference
 * program does: stories260K (llama2.c format) through llm-convert and forward,
 * with every instruction set, against the text in the data's README.md. */
#include "file.h"
#include "forward.h"
#include "step.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH = 200, BUFFER = 512 };

static const char prompt[] = "Once upon a time";

/* The text between the first pair of ``` lines; caller frees *mem. */
static char *expected(const char *readme, char **mem)
{
    struct err e;
    size_t n;
    char *from, *to;

    *mem = file_text(readme, 1 << 16, &n, &e);
    from = *mem ? strstr(*mem, "```\n") : NULL;
    to = from ? strstr(from + 4, "\n```") : NULL;
    if (!to)
        return NULL;
    *to = 0;
    return from + 4;
}

/* What is said at positions up to LENGTH, greedily, as text. */
static int continue_text(struct model *m, struct backend *b, struct buf *out, struct err *e)
{
    struct tok_ids ids = {0};
    struct kv_seq s = {0};
    struct step_build sb;
    struct act a;
    struct kv kv;
    int n;

    if (tok_encode(m->tok, prompt, strlen(prompt), TOK_BOS, &ids, e) ||
        kv_open(&kv, m, b, KV_F32, LENGTH / BACKEND_PAGE + 1, e) ||
        forward_open(&a, m, b, LENGTH, 1, e))
        return -1;
    step_init(&sb, LENGTH, 1, 1);
    mem_grow(&ids.id, &ids.cap, LENGTH + 1, sizeof(*ids.id));
    for (n = (int)ids.n; s.len < LENGTH; n = 1) {
        int best = 0;

        if (kv_reserve(&kv, &s, n))
            return err_set(e, ERR_MEM, "no page left");
        step_reset(&sb);
        step_add(&sb, &s, ids.id + s.len, n, s.len, 1);
        if (forward(m, b, &kv.pages, &a, step_done(&sb), e))
            return -1;
        s.len += n;
        for (int i = 1; i < m->vocab; i++)
            best = a.logits_d[i] > a.logits_d[best] ? i : best;
        ids.id[ids.n++] = best;
    }
    tok_decode(m->tok, ids.id, ids.n, false, out);
    forward_close(&a, b);
    step_free(&sb);
    kv_release(&kv, &s);
    kv_close(&kv);
    tok_ids_free(&ids);
    return 0;
}

static void check(const char *gguf, enum backend_isa isa, const char *want)
{
    struct err e;
    struct backend *b = backend_cpu_open(2, isa, &e);
    struct model *m = b ? model_open(gguf, b, &e) : NULL;
    struct buf text = {0};

    if (!b) {
        printf("# %s\n", e.msg);
        return;
    }
    CHECK(m && !continue_text(m, b, &text, &e));
    CHECK(!strcmp(buf_cstr(&text), want));
    if (strcmp(buf_cstr(&text), want))
        printf("# %s: '%s'\n", backend_cpu_isa(b), m ? buf_cstr(&text) : e.msg);
    buf_free(&text);
    model_close(m);
    backend_close(b);
}

int main(void)
{
    const char *data = getenv("LLM_TEST_DATA"), *build = getenv("BUILD"), *tmp = getenv("TMPDIR");
    char readme[BUFFER], tool[BUFFER], gguf[BUFFER], command[4 * BUFFER], *mem, *want;

    data = data ? data : "../shared/data";
    snprintf(readme, sizeof(readme), "%s/README.md", data);
    snprintf(tool, sizeof(tool), "%s/llm-convert", build ? build : "build");
    snprintf(gguf, sizeof(gguf), "%s/stories_%d.gguf", tmp ? tmp : "/tmp", (int)getpid());
    if (access(readme, R_OK) || access(tool, X_OK)) {
        SKIP("the data or llm-convert is not there");
        return test_end();
    }
    TEST("stories260K goes on as the reference program does");
    want = expected(readme, &mem);
    snprintf(command, sizeof(command),
             "'%s' -q '%s/stories260K.bin' --tokenizer '%s/tok512.bin' -o '%s'", tool, data, data,
             gguf);
    CHECK(want != NULL);
    CHECK(system(command) == 0);
    for (int isa = ISA_SCALAR; want && isa <= ISA_VNNI; isa++)
        check(gguf, (enum backend_isa)isa, want);
    unlink(gguf);
    free(mem);
    return test_end();
}
