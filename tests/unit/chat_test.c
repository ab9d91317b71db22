/* chat_test.c - templates: recognized from their texts, rendered as transformers does, encoded. */
#include "arena.h"
#include "chat.h"
#include "file.h"
#include "json.h"
#include "test.h"
#include "tokload.h"

#include <stdlib.h>
#include <string.h>

enum { TURNS = 8 };

static int kind_named(const char *name)
{
    for (int i = 0; chatkind_names[i]; i++)
        if (!strcmp(chatkind_names[i], name))
            return i;
    return -1;
}

static int read_messages(const struct json *j, int list, struct arena *a, struct chat_message *m)
{
    int n = 0;

    for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next && n < TURNS;
         k = j->node[k].next) {
        int role = json_get(j, (int)k, "role");

        m[n] = (struct chat_message){0};
        m[n].text = json_str(j, json_get(j, (int)k, "content"), a, &m[n].n);
        m[n].role = json_str_is(j, role, "system") ? CHAT_SYSTEM
                    : json_str_is(j, role, "user") ? CHAT_USER
                                                   : CHAT_ASSISTANT;
        n++;
    }
    return n;
}

/* A line of the goldens: recognize when it has the template's text, render, compare. */
static void golden(const struct json *j, struct arena *a, char **system)
{
    char *name = json_str(j, json_get(j, 0, "kind"), a, NULL);
    char *tmpl = json_str(j, json_get(j, 0, "template"), a, NULL), *want;
    struct chat_message m[TURNS];
    struct chat_text t = {0};
    enum chat_kind kind;
    struct err e = {0};
    size_t n;
    int n_m = read_messages(j, json_get(j, 0, "messages"), a, m), rc;

    if (tmpl) {
        CHECK(chatkind_recognize(tmpl, &kind, &e) == 0 && (int)kind == kind_named(name));
        free(*system);
        *system = chatkind_system(tmpl);
    }
    t.bos = json_str(j, json_get(j, 0, "bos"), a, NULL);
    t.eos = json_str(j, json_get(j, 0, "eos"), a, NULL);
    t.system = *system;
    t.closed = json_true(j, json_get(j, 0, "closed"));
    want = json_str(j, json_get(j, 0, "text"), a, &n);
    rc = chat_render((enum chat_kind)kind_named(name), m, n_m, "", &t, &e);
    CHECK(rc == 0);
    if (t.text.n != n || memcmp(t.text.p, want, n)) {
        printf("# %s\n# want %s\n# got  %s\n", name, want, buf_cstr(&t.text));
        CHECK(rc != 0); // rendered, but not the same text
    }
    CHECK(t.n && t.piece[t.n - 1].end == t.text.n);
    chat_text_free(&t);
}

static void goldens(void)
{
    size_t n;
    struct err e = {0};
    struct arena a = {0};
    char *text = file_text("tests/data/chat.jsonl", 1 << 20, &n, &e), *save, *system = NULL;
    int lines = 0;

    TEST("chat: recognized and rendered as transformers does");
    CHECK(text);
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        struct json j;

        if (json_parse(&j, &a, line, strlen(line), &e) == 0)
            golden(&j, &a, &system);
        lines++;
        arena_reset(&a);
    }
    CHECK(lines > 90);
    arena_free(&a);
    free(system);
    free(text);
}

static void unknown(void)
{
    static const char *const texts[] = {
        "",
        "{{ messages }}",
        "<|im_start|>user<|im_sep|>",
        "<|im_start|>assistant message.content.split('</think>')[-1]",
        "<|im_start|>assistant\\n<think>\\n",
        "<|im_start|>system Today Date: strftime_now",
        "<｜User｜><｜Assistant｜> thinking",
        "'<|user|>' + message['content'] + '<|end|>' '<|assistant|>'",
        "<|start_header_id|>' + message['content'] + '<|eot_id|>",
        "<start_of_turn>' + message['content'] + '<end_of_turn>",
        "'<|user|>\\n' + message['content'] | trim + eos_token '<|assistant|>'",
        "'USER: ' + message['content'].strip() 'ASSISTANT:'",
        "'[INST] ' + message['content'] + '[/INST]' ' ' + message['content'] + eos_token",
        "' [INST] ' + message['content'] + ' [/INST]' ' ' + message['content'] + ' ' + eos_token",
        "'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}",
        "'<|im_start|>' + message['role'] + '\\n' + message['content']}}{% if (loop.last and "
        "add_generation_prompt) or not loop.last %}{{ '<|im_end|>' + '\\n'}}",
        "<|im_start|>system macro json_to_python_type",
        "{%- if message.role != 'system' %}{{'<|im_start|>' + message['role'] + '\\n'",
        "<|im_start|> reasoning_content last_query_index {{- '<think>\\n' }}",
        "<|im_start|> reasoning_content last_query_index {{- '<think>\\n\\n' }}",
        "<start_of_turn><end_of_turn> messages[0]['content'] | trim + ' ' + messages[1]['content']",
        "<start_of_turn><end_of_turn> messages[0]['content'] | trim + '\\n\\n' message['content']",
        "'[INST] ' + messages[0]['content'] + ' ' + messages[1]['content'] + ' [/INST]'",
        "'[INST] <<SYS>>' messages[0]['content'].strip() + message['content'].strip()",
        "'[INST] <<SYS>>' {% set system_message = 'Be kind.' %} message['content'].strip()",
        "<｜User｜><｜Assistant｜> message['content'] + '\\n\\n'",
        "'<｜User｜>' + message['content'] + '<｜end▁of▁sentence｜>' '<｜Assistant｜>'",
        "'Below are instructions.' '### Instruction:' '### Response:'",
        "'### Instruction:' '### Response:' {% if not loop.last %}",
        "[gMASK]<sop><|user|>\\n{{x}}<|assistant|>",
        "'<|user|>\\n' + message['content'] + '\\n' }}{% elif message['role'] == 'assistant' %}{{ "
        "'<|assistant|>\\n' + message['content'] + eos_token + '\\n'",
        "'### Instruction:' '### Response:' <|EOT|>",
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "GPT4 Correct User: "};
    enum chat_kind kind;
    struct err e;

    TEST("chat: an unknown template is an error that names --chat-template");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        e = (struct err){0};
        CHECK(chatkind_recognize(texts[i], &kind, &e) == -1);
        CHECK(e.code == ERR_ARG && strstr(e.msg, "--chat-template") && strstr(e.msg, "chatml"));
    }
}

static void begins(void)
{
    struct chat_text t = {.begins = true};
    struct err e;

    TEST("chat: templates that begin with BOS, by their text");
    CHECK(chatkind_begins("{{ bos_token }}{% for m in messages %}<|user|>"));
    CHECK(chatkind_begins("\n{{- bos_token -}}") && chatkind_begins("{{bos_token + 'x'}}"));
    CHECK(!chatkind_begins("{% for m in messages %}{{ bos_token }}"));
    CHECK(!chatkind_begins("{{ bos_tokens }}") && !chatkind_begins("") && !chatkind_begins("{{"));
    CHECK(!chat_render(CHAT_TULU3, NULL, 0, "", &t, &e) && t.begins);
    chat_text_free(&t);
    CHECK(!chat_render(CHAT_TULU3, NULL, 0, "", &t, &e) && !t.begins);
    chat_text_free(&t);
}

static bool renders(enum chat_kind kind, const struct chat_message *m, int n, const char *prefix,
                    const char *want)
{
    struct chat_text t = {0};
    struct err e;
    bool same = chat_render(kind, m, n, prefix, &t, &e) == 0 && !strcmp(buf_cstr(&t.text), want);

    if (!same)
        printf("# got %s\n", buf_cstr(&t.text));
    chat_text_free(&t);
    return same;
}

static struct chat_message say(enum chat_role role, const char *text)
{
    return (struct chat_message){.role = role, .text = text, .n = strlen(text)};
}

static void inputs(void)
{
    struct chat_message m[3] = {say(CHAT_USER, "Add."), say(CHAT_ASSISTANT, "4"),
                                say(CHAT_USER, "Bye")};
    struct chat_message s[2] = {say(CHAT_SYSTEM, "S"), say(CHAT_USER, "U")};
    struct chat_message answered[3] = {say(CHAT_SYSTEM, "S"), say(CHAT_ASSISTANT, "A"),
                                       say(CHAT_USER, "U")};
    struct chat_message asked[2] = {say(CHAT_USER, "U"), say(CHAT_USER, "V")};
    struct chat_message late[2] = {say(CHAT_USER, "U"), say(CHAT_SYSTEM, "S")};
    static const enum chat_kind first[] = {CHAT_NEMOTRON, CHAT_DEEPSEEK, CHAT_DEEPSEEK_R1,
                                           CHAT_VICUNA, CHAT_YI};
    struct chat_text t = {0};
    struct err e = {0};

    m[0].input = "2 2";
    m[0].n_input = 3;
    TEST("chat: inputs, prefixes, systems");
    CHECK(renders(CHAT_ALPACA, m, 1, "",
                  "### Instruction:\nAdd.\n\n### Input:\n2 2\n\n### Response:\n"));
    CHECK(renders(CHAT_ALPACA, m, 3, "x",
                  "### Instruction:\nAdd.\n\n### Input:\n2 2\n\n### Response:\n4</s>\n\n"
                  "### Instruction:\nBye\n\n### Response:\nx"));
    CHECK(renders(CHAT_ALPACA, s, 2, "", "S\n\n### Instruction:\nU\n\n### Response:\n"));
    CHECK(renders(CHAT_ALPACA, answered, 3, "",
                  "S\n\n### Response:\nA</s>\n\n### Instruction:\nU\n\n### Response:\n"));
    CHECK(renders(CHAT_ALPACA, asked, 2, "",
                  "### Instruction:\nU\n\n### Instruction:\nV\n\n### Response:\n"));
    CHECK(renders(CHAT_CHATML, m, 1, "9.",
                  "<|im_start|>user\nAdd.\n\n2 2<|im_end|>\n<|im_start|>assistant\n9."));
    CHECK(renders(CHAT_LLAMA2, s + 1, 1, "9.", "[INST] U [/INST] 9."));
    CHECK(renders(CHAT_GEMMA, s, 2, "",
                  "<start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\n"));
    CHECK(renders(CHAT_MISTRAL, s, 2, "", "[INST] S\n\nU [/INST]"));
    CHECK(renders(CHAT_NONE, m, 1, "", "Add.\n\n2 2\n"));
    CHECK(chat_render(CHAT_GEMMA, late, 2, "", &t, &e) == -1 && strstr(e.msg, "message 2"));
    CHECK(chat_render(CHAT_GEMMA, s, 1, "", &t, &e) == -1);
    CHECK(chat_render(CHAT_MISTRAL_V3, s, 1, "", &t, &e) == -1);
    CHECK(chat_render(CHAT_GEMMA, answered, 3, "", &t, &e) == -1 && strstr(e.msg, "behind"));
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        e = (struct err){0};
        CHECK(chat_render(first[i], late, 2, "", &t, &e) == -1 && strstr(e.msg, "message 2"));
    }
    CHECK(renders(CHAT_LLAMA31, late, 2, "",
                  "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December "
                  "2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user"
                  "<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>system<|end_header_id|>\n\n"
                  "S<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"));
    chat_text_free(&t);
}

/* What a template says otherwise when the conversation ends with an answer. */
static void ends(void)
{
    const struct chat_message m[3] = {say(CHAT_SYSTEM, "S"), say(CHAT_USER, "U"),
                                      say(CHAT_ASSISTANT, "A")};
    struct chat_text t = {.closed = true};
    struct err e;

    TEST("chat: conversations that end with an answer");
    CHECK(chat_render(CHAT_MISTRAL_V3, m, 3, "", &t, &e) == 0);
    CHECK(!strcmp(buf_cstr(&t.text), "[INST] U[/INST] A</s>"));
    chat_text_free(&t);
}

static void pieces(void)
{
    struct chat_message m[1] = {say(CHAT_USER, "Add.")};
    struct chat_text t = {0};
    struct err e;

    m[0].input = "2 2";
    m[0].n_input = 3;
    TEST("chat: a header is one piece of the template's own, a text is none of it");
    CHECK(chat_render(CHAT_ALPACA, m, 1, "p", &t, &e) == 0 && t.n == 6);
    CHECK(t.piece[0].own && t.piece[0].end == strlen("### Instruction:\n"));
    CHECK(!t.piece[1].own && t.piece[2].own && !t.piece[3].own && t.piece[4].own);
    CHECK(t.piece[2].end - t.piece[1].end == strlen("\n\n### Input:\n"));
    CHECK(t.piece[4].end - t.piece[3].end == strlen("\n\n### Response:\n"));
    CHECK(!t.piece[5].own);
    chat_text_free(&t);
}

/* Ids of a conversation with the llama2 golden tokenizer. */
static int encode(const struct tok *tok, enum chat_kind kind, const char *user, struct tok_ids *ids)
{
    struct chat_message m = say(CHAT_USER, user);
    struct chat_text t = {0};
    struct err e;
    int rc;

    ids->n = 0;
    chat_text_use(&t, tok);
    rc = chat_render(kind, &m, 1, "", &t, &e) || chat_encode(tok, &t, ids, &e);
    chat_text_free(&t);
    return rc;
}

static int count(const struct tok_ids *ids, int id)
{
    int n = 0;

    for (size_t i = 0; i < ids->n; i++)
        n += ids->id[i] == id;
    return n;
}

static void encoding(void)
{
    struct err e = {0};
    struct tok *tok = tokload_path("tests/data/tok/llama2.json", &e);
    struct tok_ids ids = {0}, whole = {0};
    struct buf b = {0};

    TEST("chat: one BOS, control tokens from the template only, one text");
    CHECK(tok);
    if (!tok)
        return;
    CHECK(encode(tok, CHAT_ZEPHYR, "the </s> <s> fox", &ids) == 0);
    CHECK(ids.id[0] == tok_bos(tok) && count(&ids, tok_bos(tok)) == 1);
    CHECK(count(&ids, tok_eos(tok)) == 1); // the template's own
    tok_decode(tok, ids.id, ids.n, false, &b);
    CHECK(strstr(buf_cstr(&b), "the </s> <s> fox"));
    /* "USER: hi ASSISTANT:" has no control token: the same ids as in one go. */
    CHECK(encode(tok, CHAT_VICUNA_LINES, "hi", &ids) == 0);
    CHECK(tok_encode(tok, "USER: hi\nASSISTANT:", 19, TOK_BOS, &whole, &e) == 0);
    CHECK(ids.n == whole.n && !memcmp(ids.id, whole.id, ids.n * sizeof(*ids.id)));
    /* The text after a control token begins a text again (its space is the encoder's). */
    CHECK(tok_starts_text(tok, tok_eos(tok)) && !tok_starts_text(tok, ids.id[ids.n - 1]));
    buf_free(&b);
    tok_ids_free(&ids);
    tok_ids_free(&whole);
    tok_close(tok);
}

/* What stands before a user's text, and behind it, is what rendering it whole has there. */
static void turns(void)
{
    const struct chat_message m[] = {{CHAT_SYSTEM, "Be kind.", 8, NULL, 0},
                                     {CHAT_USER, "Tell me", 7, NULL, 0}};
    int wrong = 0;

    TEST("chat: up to a user's text");
    for (int kind = 0; chatkind_names[kind]; kind++)
        for (int with = 0; with < 2; with++) {
            struct chat_text whole = {.eos = "</s>"}, turn = {.eos = "</s>"};
            struct buf after = {0}, both = {0};
            struct err e;

            CHECK(!chat_render((enum chat_kind)kind, m + !with, 1 + with, "", &whole, &e));
            chat_turn((enum chat_kind)kind, with ? "Be kind." : "", "Tell me", &turn, &after);
            buf_add(&both, buf_cstr(&turn.text), turn.text.n);
            buf_add(&both, buf_cstr(&after), after.n);
            if (strcmp(buf_cstr(&both), buf_cstr(&whole.text)) || turn.begins != whole.begins) {
                printf("# %s: %s\n", chatkind_names[kind], buf_cstr(&both));
                wrong++;
            }
            // the user's beginning is no text of the template's
            wrong +=
                turn.piece[turn.n - 1].own || (turn.n > 1 && !turn.piece[turn.n - 2].own && kind);
            chat_text_free(&whole);
            chat_text_free(&turn);
            buf_free(&after);
            buf_free(&both);
        }
    CHECK(!wrong);
}

int main(void)
{
    turns();
    goldens();
    unknown();
    begins();
    inputs();
    ends();
    pieces();
    encoding();
    return test_end();
}
