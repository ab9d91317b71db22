/* chat.c - chat templates: render. */
#include "chat.h"

#include "mem.h"
#include "unorm.h"

#include <stdlib.h>
#include <string.h>

/* In the strings below. */
#define EOS "\1"
#define BOS "\2"

/* Where a template puts a system text: in a turn, perhaps the first only, or in a user's,
 * the first or one that ends the conversation: before an answer there it is left out. */
enum system { TURN, FIRST_TURN, FIRST_USER, LAST_MESSAGE };

/* Which thoughts in answers are shown: all, none, or those behind the last question, the last
 * answer having one in any case or only a given one. */
enum thoughts { THOUGHTS, NO_THOUGHTS, LAST_THOUGHTS, GIVEN_THOUGHTS };

/* What a row does not name is "", or the first of the enum above. */
struct style {
    const char *system[2]; // before and after a system text
    const char *user[2];
    const char *assistant[2];
    const char *ask;  // what asks for the answer
    const char *lead; // between that and the beginning of an answer, when one is given
    enum system where;
    bool trim;   // white space around texts is dropped
    bool begins; // the template begins with BOS
    enum thoughts thoughts;
    const char *between; // behind an answer that does not end the conversation
    const char *end;     // behind one that does
};

#define IM(role) "<|im_start|>" role "\n"
#define IM_TURN(role)            \
    {                            \
        IM(role), "<|im_end|>\n" \
    }
#define IM_TURNS \
    .system = IM_TURN("system"), .user = IM_TURN("user"), .assistant = IM_TURN("assistant")
#define YI_TURNS                                                                             \
    .user = {IM("user"), "<|im_end|>\n" IM("assistant")}, .assistant = {"", "<|im_end|>\n"}, \
    .where = FIRST_TURN
#define HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define HEADER_TURNS(before)                                                                   \
    .system = {HEADER("system") before, "<|eot_id|>"}, .user = {HEADER("user"), "<|eot_id|>"}, \
    .assistant = {HEADER("assistant"), "<|eot_id|>"}, .ask = HEADER("assistant")
#define MISTRAL(end)                                                                 \
    .system = {"", "\n\n"}, .user = {"[INST] ", " [/INST]"}, .assistant = {"", end}, \
    .where = FIRST_USER, .begins = true
#define BAR(role) "<|" role "|>\n"
#define BAR_TURNS(end)                                          \
    .system = {BAR("system"), end}, .user = {BAR("user"), end}, \
    .assistant = {BAR("assistant"), end}, .ask = BAR("assistant")
#define DEEPSEEK(think)                                                                \
    .user = {"<｜User｜>"}, .assistant = {"<｜Assistant｜>", "<｜end▁of▁sentence｜>"}, \
    .ask = "<｜Assistant｜>" think, .where = FIRST_TURN, .begins = true
#define VICUNA_TURNS(end) \
    .user = {"USER: ", end}, .assistant = {"ASSISTANT: ", EOS end}, .ask = "ASSISTANT:", .lead = " "

static const struct style styles[CHAT_NKINDS] = {
    [CHAT_NONE] = {.system = {"", "\n"}, .user = {"", "\n"}, .assistant = {"", "\n"}},
    [CHAT_CHATML] = {IM_TURNS, .ask = IM("assistant")},
    [CHAT_CHATML_TRIM] = {IM_TURNS, .ask = IM("assistant"), .trim = true},
    [CHAT_QWEN3] = {IM_TURNS, .ask = IM("assistant"), .thoughts = LAST_THOUGHTS},
    [CHAT_QWEN3_THINKING] = {IM_TURNS, .ask = IM("assistant") "<think>\n",
                             .thoughts = LAST_THOUGHTS},
    [CHAT_QWEN3_INSTRUCT] = {IM_TURNS, .ask = IM("assistant"), .thoughts = GIVEN_THOUGHTS},
    [CHAT_YI] = {YI_TURNS},
    [CHAT_YI_TURNS] = {YI_TURNS, .system = IM_TURN("system")},
    [CHAT_LLAMA2] = {.system = {"<<SYS>>\n", "\n<</SYS>>\n\n"},
                     .user = {BOS "[INST] ", " [/INST]"},
                     .assistant = {" ", " " EOS},
                     .lead = " ",
                     .where = FIRST_USER,
                     .trim = true,
                     .begins = true},
    [CHAT_LLAMA3] = {HEADER_TURNS(""), .trim = true, .begins = true},
    [CHAT_LLAMA31] = {HEADER_TURNS(
                          "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"),
                      .trim = true, .begins = true},
    [CHAT_MISTRAL] = {MISTRAL(EOS)},
    [CHAT_MISTRAL_V01] = {MISTRAL(EOS " ")},
    [CHAT_MISTRAL_V1] = {.system = {"", "\n\n"},
                         .user = {" [INST] ", " [/INST]"},
                         .assistant = {" ", EOS},
                         .lead = " ",
                         .where = FIRST_USER,
                         .begins = true},
    [CHAT_MISTRAL_V3] = {.system = {"", "\n\n"},
                         .user = {"[INST] ", "[/INST]"},
                         .assistant = {" ", EOS},
                         .lead = " ",
                         .where = LAST_MESSAGE,
                         .begins = true},
    [CHAT_MISTRAL_TEKKEN] = {.system = {"", "\n\n"},
                             .user = {"[INST]", "[/INST]"},
                             .assistant = {"", EOS},
                             .where = LAST_MESSAGE,
                             .begins = true},
    [CHAT_MISTRAL_V7] = {.system = {"[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]"},
                         .user = {"[INST] ", "[/INST]"},
                         .assistant = {" ", EOS},
                         .lead = " ",
                         .begins = true},
    [CHAT_MISTRAL_V7_TEKKEN] = {.system = {"[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"},
                                .user = {"[INST]", "[/INST]"},
                                .assistant = {"", EOS},
                                .begins = true},
    [CHAT_ZEPHYR] = {BAR_TURNS(EOS "\n")},
    [CHAT_TULU3] = {.system = {BAR("system"), "\n"},
                    .user = {BAR("user"), "\n"},
                    .assistant = {BAR("assistant"), EOS},
                    .ask = BAR("assistant"),
                    .between = "\n"},
    [CHAT_GEMMA] = {.system = {"", "\n\n"},
                    .user = {"<start_of_turn>user\n", "<end_of_turn>\n"},
                    .assistant = {"<start_of_turn>model\n", "<end_of_turn>\n"},
                    .ask = "<start_of_turn>model\n",
                    .where = FIRST_USER,
                    .trim = true,
                    .begins = true},
    [CHAT_PHI3] = {BAR_TURNS("<|end|>\n"), .end = EOS},
    [CHAT_PHI3_OPEN] = {BAR_TURNS("<|end|>\n")},
    [CHAT_PHI35] = {BAR_TURNS("<|end|>\n"), .end = EOS},
    [CHAT_ALPACA] = {.system = {"", "\n\n"},
                     .user = {"### Instruction:\n", "\n\n"},
                     .assistant = {"### Response:\n", EOS "\n\n"},
                     .ask = "### Response:\n"},
    [CHAT_VICUNA] = {.system = {"", " "},
                     .user = {"USER: ", " "},
                     .assistant = {"ASSISTANT: ", EOS},
                     .ask = "ASSISTANT:",
                     .lead = " ",
                     .where = FIRST_TURN},
    [CHAT_VICUNA_LINES] = {.system = {"", "\n\n"}, VICUNA_TURNS("\n")},
    [CHAT_VICUNA_ORCA] = {.system = {"SYSTEM: ", "\n"}, VICUNA_TURNS("\n")},
    [CHAT_DEEPSEEK] = {DEEPSEEK(""), .thoughts = NO_THOUGHTS},
    [CHAT_DEEPSEEK_R1] = {DEEPSEEK("<think>\n"), .thoughts = NO_THOUGHTS},
    [CHAT_DEEPSEEK_V3] = {DEEPSEEK("")},
    [CHAT_NEMOTRON] = {.system = {"<extra_id_0>System\n", "\n\n"},
                       .user = {"<extra_id_1>User\n", "\n"},
                       .assistant = {"<extra_id_1>Assistant\n", "\n"},
                       .ask = "<extra_id_1>Assistant\n",
                       .where = FIRST_TURN,
                       .trim = true},
};

static const char vicuna_system[] =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions.";

static void add(struct chat_text *t, const char *s, size_t n, bool own)
{
    if (!n)
        return;
    buf_add(&t->text, s, n);
    if (own && t->n && t->piece[t->n - 1].own) {
        t->piece[t->n - 1].end = t->text.n;
        return;
    }
    mem_grow(&t->piece, &t->cap, t->n + 1, sizeof(*t->piece));
    t->piece[t->n++] = (struct chat_piece){t->text.n, own};
}

/* A template's string, with its tokens. The BOS that begins a text is left out. */
static void add_own(struct chat_text *t, const char *s)
{
    struct buf b = {0};

    for (; s && *s; s++) {
        if (*s == *EOS)
            buf_str(&b, t->eos ? t->eos : "</s>");
        else if (*s != *BOS)
            buf_char(&b, *s);
        else if (t->text.n)
            buf_str(&b, t->bos ? t->bos : "<s>");
    }
    add(t, b.p, b.n, true);
    buf_free(&b);
}

/* Python's strip(): Unicode's white space and four control characters. */
static void strip(const char **s, size_t *n, bool left, bool right)
{
    size_t before;

    do {
        before = *n;
        unorm_strip(s, n, left, right);
        for (; left && *n && **s >= 0x1C && **s <= 0x1F; (*n)--)
            (*s)++;
        while (right && *n && (*s)[*n - 1] >= 0x1C && (*s)[*n - 1] <= 0x1F)
            (*n)--;
    } while (*n < before);
}

static void add_user(struct chat_text *t, const char *s, size_t n, bool left, bool right)
{
    strip(&s, &n, left, right);
    add(t, s, n, false);
}

static void user_turn(struct chat_text *t, enum chat_kind kind, const struct chat_message *m,
                      const struct chat_message *system)
{
    const struct style *s = &styles[kind];
    bool more = m->input && m->n_input, as_one = system && kind == CHAT_LLAMA2;
    const char *text = m->text;
    size_t n = m->n;

    if (s->trim)
        strip(&text, &n, !as_one, !more);
    add_own(t, s->user[0]);
    if (system) {
        add_own(t, s->system[0]);
        add_user(t, system->text, system->n, false, false);
        /* Llama-2's template trims the two texts as one. */
        add_own(t, as_one && !n && !more ? "\n<</SYS>>" : s->system[1]);
    }
    add(t, text, n, false);
    if (more) {
        add_own(t, kind == CHAT_ALPACA ? "\n\n### Input:\n" : "\n\n");
        add_user(t, m->input, m->n_input, false, s->trim);
    }
    add_own(t, s->user[1]);
}

static void strip_lines(const char **s, size_t *n, bool right)
{
    for (; *n && **s == '\n'; (*n)--)
        (*s)++;
    while (right && *n && (*s)[*n - 1] == '\n')
        (*n)--;
}

/* Drop what stands before the last `mark`, and it. */
static bool skip_past(const char **s, size_t *n, const char *mark)
{
    bool found = false;

    for (const char *p; (p = memmem(*s, *n, mark, strlen(mark))); found = true) {
        p += strlen(mark);
        *n -= (size_t)(p - *s);
        *s = p;
    }
    return found;
}

/* An answer's thought, as Qwen 3 has it. `always`: an empty one too. False: there is none. */
static bool add_thought(struct chat_text *t, const char *s, size_t n, bool always)
{
    const char *end = memmem(s, n, "</think>", 8);

    n = end ? (size_t)(end - s) : 0;
    while (n && s[n - 1] == '\n')
        n--;
    skip_past(&s, &n, "<think>");
    strip_lines(&s, &n, true);
    if (!n && !always)
        return false;
    add_own(t, "<think>\n");
    add(t, s, n, false);
    add_own(t, "\n</think>\n\n");
    return true;
}

/* The last message that asks something; a tool's answer does not. */
static int last_question(const struct chat_message *m, int n)
{
    static const char open[] = "<tool_response>", close[] = "</tool_response>";
    size_t a = strlen(open), b = strlen(close);

    for (int i = n - 1; i >= 0; i--)
        if (m[i].role == CHAT_USER && !(m[i].n >= b && !memcmp(m[i].text, open, a) &&
                                        !memcmp(m[i].text + m[i].n - b, close, b)))
            return i;
    return n - 1;
}

/* Message i of n, an answer. */
static void assistant_turn(struct chat_text *t, enum chat_kind kind, const struct chat_message *m,
                           int i, int n)
{
    const struct style *s = &styles[kind];
    const char *text = m[i].text;
    bool trim = s->trim || kind == CHAT_MISTRAL_V3, cut = false;
    size_t n_text = m[i].n;

    add_own(t, s->assistant[0]);
    if (s->thoughts >= LAST_THOUGHTS && i > last_question(m, n))
        cut = add_thought(t, text, n_text, s->thoughts == LAST_THOUGHTS && i == n - 1);
    if (s->thoughts != THOUGHTS)
        cut |= skip_past(&text, &n_text, "</think>");
    if (cut && s->thoughts >= LAST_THOUGHTS)
        strip_lines(&text, &n_text, false);
    add_user(t, text, n_text, trim, trim);
    add_own(t, s->assistant[1]);
    add_own(t, i < n - 1 ? s->between : "");
}

static void system_turn(struct chat_text *t, enum chat_kind kind, const char *text, size_t n)
{
    add_own(t, styles[kind].system[0]);
    add_user(t, text, n, styles[kind].trim, styles[kind].trim);
    add_own(t, styles[kind].system[1]);
}

/* The system text of a conversation that has none. */
static void default_system(struct chat_text *t, enum chat_kind kind)
{
    const char *text = t->system ? t->system : kind == CHAT_VICUNA ? vicuna_system : "";

    if (*text || kind == CHAT_LLAMA31) {
        add_own(t, styles[kind].system[0]);
        add_own(t, text);
        add_own(t, styles[kind].system[1]);
    } else if (kind == CHAT_NEMOTRON) {
        add_own(t, "<extra_id_0>System\n\n");
    }
}

static bool alternates(enum chat_kind kind, const struct chat_message *m, int n, struct err *e)
{
    for (int i = 0; i < n; i++)
        if (m[i].role == CHAT_SYSTEM && i && styles[kind].where != TURN) {
            err_set(e, ERR_DATA, "message %d: this chat template takes a system message only first",
                    i + 1);
            return false;
        }
    return true;
}

int chat_render(enum chat_kind kind, const struct chat_message *m, int n, const char *prefix,
                struct chat_text *out, struct err *e)
{
    const struct style *s = &styles[kind];
    const struct chat_message *system = NULL;
    int at = -1; // the user message that takes the system text

    if (!alternates(kind, m, n, e))
        return -1;
    out->begins = out->begins || s->begins;
    if (n && m[0].role == CHAT_SYSTEM && s->where > FIRST_TURN)
        system = m;
    else if (!n || m[0].role != CHAT_SYSTEM)
        default_system(out, kind);
    for (int i = 0; i < n; i++)
        if (m[i].role == CHAT_USER && (s->where == LAST_MESSAGE ? i == n - 1 : at < 0))
            at = i;
    if (system && (n == 1 || (at != 1 && s->where == FIRST_USER)))
        return err_set(e, ERR_DATA, "this chat template needs a user message behind the system's");
    for (int i = system ? 1 : 0; i < n; i++) {
        if (m[i].role == CHAT_SYSTEM && !m[i].n && kind == CHAT_PHI35)
            continue;
        if (m[i].role == CHAT_SYSTEM) // Llama 3.1 has its dates in the first only
            system_turn(out, i && kind == CHAT_LLAMA31 ? CHAT_LLAMA3 : kind, m[i].text, m[i].n);
        else if (m[i].role == CHAT_USER)
            user_turn(out, kind, &m[i], i == at ? system : NULL);
        else
            assistant_turn(out, kind, m, i, n);
    }
    if (out->closed) {
        add_own(out, s->end);
        return 0;
    }
    add_own(out, s->ask);
    if (prefix && *prefix) {
        add_own(out, s->lead);
        add(out, prefix, strlen(prefix), false);
    }
    return 0;
}

void chat_turn(enum chat_kind kind, const char *system, const char *user, struct chat_text *out,
               struct buf *after)
{
    const struct style *s = &styles[kind];
    struct chat_text end = {.eos = out->eos, .bos = out->bos};

    out->begins = out->begins || s->begins;
    if (!*system)
        default_system(out, kind);
    else if (s->where <= FIRST_TURN)
        system_turn(out, kind, system, strlen(system));
    add_own(out, s->user[0]);
    if (*system && s->where > FIRST_TURN) {
        add_own(out, s->system[0]);
        add_user(out, system, strlen(system), false, false);
        add_own(out, s->system[1]);
    }
    add(out, user, strlen(user), false);
    add_own(&end, s->user[1]);
    add_own(&end, s->ask);
    buf_add(after, buf_cstr(&end.text), end.text.n);
    chat_text_free(&end);
}

void chat_text_free(struct chat_text *t)
{
    buf_free(&t->text);
    free(t->piece);
    *t = (struct chat_text){0};
}

void chat_text_use(struct chat_text *t, const struct tok *tok)
{
    if (tok_eos(tok) >= 0)
        t->eos = tok_piece(tok, tok_eos(tok), NULL);
    if (tok_bos(tok) >= 0)
        t->bos = tok_piece(tok, tok_bos(tok), NULL);
}

int chat_encode(const struct tok *tok, const struct chat_text *t, struct tok_ids *out,
                struct err *e)
{
    struct tok_part *part = mem_new((t->n + 1) * sizeof(*part));
    int flags = TOK_BOS | (t->begins ? TOK_INSIDE : 0), rc;

    for (size_t i = 0; i < t->n; i++)
        part[i] = (struct tok_part){t->piece[i].end, t->piece[i].own};
    if (t->begins && !tok_adds_bos(tok) && tok_bos(tok) >= 0) {
        mem_grow(&out->id, &out->cap, out->n + 1, sizeof(*out->id));
        out->id[out->n++] = tok_bos(tok);
    }
    rc = tok_encode_parts(tok, t->text.p, part, t->n, flags, out, e);
    free(part);
    return rc;
}
