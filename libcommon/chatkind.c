/* chatkind.c - chat templates: recognize. */
#include "chatkind.h"

#include "buf.h"

#include <stdbool.h>
#include <string.h>

const char *const chatkind_names[] = {"none",
                                      "chatml",
                                      "llama2",
                                      "llama3",
                                      "mistral",
                                      "zephyr",
                                      "gemma",
                                      "phi3",
                                      "alpaca",
                                      "vicuna",
                                      "deepseek",
                                      "llama3.1",
                                      "mistral-v1",
                                      "mistral-v3",
                                      "mistral-tekken",
                                      "mistral-v7",
                                      "mistral-v7-tekken",
                                      "vicuna-lines",
                                      "vicuna-orca",
                                      "deepseek-r1",
                                      "nemotron",
                                      "qwen3",
                                      "qwen3-thinking",
                                      "chatml-trim",
                                      "yi",
                                      "mistral-v0.1",
                                      "phi3-open",
                                      "phi3.5",
                                      "yi-turns",
                                      "qwen3-instruct",
                                      "deepseek-v3",
                                      "tulu3",
                                      NULL};

static bool has(const char *tmpl, const char *what)
{
    return strstr(tmpl, what) != NULL;
}

/* `second` stands at most `within` bytes behind some `first`. */
static bool near(const char *tmpl, const char *first, const char *second, size_t within)
{
    for (const char *p = tmpl; (p = strstr(p, first)); p++) {
        const char *from = p + strlen(first);

        if (memmem(from, strnlen(from, within + strlen(second)), second, strlen(second)))
            return true;
    }
    return false;
}

/* Does the template drop white space around a message's text? */
static bool trims(const char *t)
{
    for (const char *p = t; (p = strstr(p, "content"));) {
        p += strlen("content");
        p += strspn(p, "'\"] ");
        if (!strncmp(p, ".strip()", 8))
            return true;
        if (*p == '|' && !strncmp(p + 1 + strspn(p + 1, " "), "trim", 4))
            return true;
    }
    return false;
}

static enum chat_kind mistral(const char *t)
{
    bool spaced = has(t, "[INST] ");

    if (has(t, "<<SYS>>"))
        return CHAT_LLAMA2;
    if (has(t, "' ' + eos_token")) // Mixtral 8x22B
        return CHAT_NONE;
    if (has(t, "[SYSTEM_PROMPT]"))
        return spaced ? CHAT_MISTRAL_V7 : CHAT_MISTRAL_V7_TEKKEN;
    if (has(t, "[AVAILABLE_TOOLS]"))
        return spaced ? CHAT_MISTRAL_V3 : CHAT_MISTRAL_TEKKEN;
    if (has(t, "' [INST] '") || has(t, "\" [INST] \""))
        return CHAT_MISTRAL_V1;
    if (spaced && has(t, " [/INST]"))
        return near(t, "eos_token", "' '", 3) || near(t, "eos_token", "\" \"", 3) ? CHAT_MISTRAL_V01
                                                                                  : CHAT_MISTRAL;
    if (spaced)
        return CHAT_MISTRAL_V3;
    return has(t, "'[INST]'") || has(t, "\"[INST]\"") ? CHAT_MISTRAL_TEKKEN : CHAT_NONE;
}

static bool is_line_end(const char *p)
{
    return *p == '\n' || !strncmp(p, "\\n", 2);
}

/* Does a line end stand behind every message? */
static bool closes_lines(const char *t)
{
    static const char end[] = "<|im_end|>";

    for (const char *p = t; (p = strstr(p, end)); p++) {
        const char *from = p, *to = p + strlen(end);

        while (from > t && strchr("'\"+{} ]", from[-1]))
            from--;
        to += strspn(to, "'\"+ ");
        if (from - t >= 7 && !memcmp(from - 7, "content", 7) && !is_line_end(to))
            return false;
    }
    return !has(t, "or not loop.last %}"); // none where an answer ends the conversation
}

/* Qwen 3's: which begins an answer, and whether it puts an empty thought into the last one. */
static enum chat_kind qwen3(const char *t, bool asks)
{
    if (asks)
        return CHAT_QWEN3_THINKING;
    if (has(t, "'<think>\\n' }}") || has(t, "'<think>\\n\\n' }}")) // Qwen 3.5, unless told not to
        return CHAT_NONE;
    return has(t, "loop.last or (not loop.last") ? CHAT_QWEN3 : CHAT_QWEN3_INSTRUCT;
}

static enum chat_kind chatml(const char *t)
{
    bool asks = has(t, "assistant\\n<think>") || has(t, "assistant\n<think>");

    /* Phi 4; SmolLM3; Hermes with tools. */
    if (has(t, "<|im_sep|>") || has(t, "strftime_now") || has(t, "json_to_python_type"))
        return CHAT_NONE;
    if (!closes_lines(t) ||
        near(t, "message.role != 'system' %}", "<|im_start|>' + message", 6)) // Falcon H1
        return CHAT_NONE;
    if (has(t, "reasoning_content") && has(t, "last_query_index"))
        return qwen3(t, asks);
    /* Others that cut thoughts out of answers: each does it in its own way. */
    if (asks || has(t, "'</think>'") || has(t, "\"</think>\""))
        return CHAT_NONE;
    if (near(t, "content + '<|im_end|>", "<|im_start|>assistant", 2))
        return has(t, "{{ system_message }}") ? CHAT_YI : CHAT_YI_TURNS;
    return trims(t) ? CHAT_CHATML_TRIM : CHAT_CHATML;
}

static enum chat_kind deepseek(const char *t)
{
    if (has(t, "thinking")) // V3.1 and later: another format
        return CHAT_NONE;
    /* An end token behind questions; an empty line behind a system text. */
    if (has(t, "<｜User｜>' + message['content'] +") ||
        near(t, "message['content'] + '", "\\n\\n", 0) ||
        near(t, "message['content'] + '", "\n\n", 0))
        return CHAT_NONE;
    if (has(t, "<｜Assistant｜><think>"))
        return CHAT_DEEPSEEK_R1;
    return has(t, "</think>") ? CHAT_DEEPSEEK : CHAT_DEEPSEEK_V3;
}

static enum chat_kind phi3(const char *t)
{
    if (near(t, "'system'", "and message['content']", 2) ||
        near(t, "'system'", "and message.content", 2))
        return has(t, "eos_token") ? CHAT_PHI35 : CHAT_NONE;
    return has(t, "eos_token") ? CHAT_PHI3 : CHAT_PHI3_OPEN;
}

/* CHAT_NONE when nothing in the text tells the kind for sure. */
static enum chat_kind kind_of(const char *t)
{
    /* "\n" inside the template's strings is the two characters \ and n. */
    bool lines = has(t, "<|user|>\\n") || has(t, "<|user|>\n") || has(t, "<|user|>' + '\\n");

    if (has(t, "<|im_start|>"))
        return chatml(t);
    if (has(t, "<|start_header_id|>") && has(t, "<|eot_id|>"))
        return has(t, "Cutting Knowledge Date") ? CHAT_LLAMA31 : CHAT_LLAMA3;
    if (has(t, "<start_of_turn>") && has(t, "<end_of_turn>"))
        return CHAT_GEMMA;
    if (has(t, "<｜User｜>") && has(t, "<｜Assistant｜>"))
        return deepseek(t);
    if (has(t, "[INST]"))
        return mistral(t);
    if (has(t, "<extra_id_0>System") && has(t, "<extra_id_1>User"))
        return CHAT_NEMOTRON;
    if (has(t, "<|assistant|>") && lines && has(t, "<|end|>"))
        return phi3(t);
    if (lines && has(t, "{% if not loop.last %}{{ '<|assistant|>") && !has(t, "loop.first"))
        return CHAT_TULU3;
    if (has(t, "<|assistant|>") && lines && near(t, "<|user|>", "eos_token", 50) &&
        !has(t, "[gMASK]"))
        return CHAT_ZEPHYR;
    if (has(t, "### Instruction:") && has(t, "### Response:") && !has(t, "<|EOT|>") &&
        !has(t, "Below ") && !has(t, "not loop.last"))
        return CHAT_ALPACA;
    if (has(t, "USER:") && has(t, "ASSISTANT:")) {
        if (!near(t, "USER:", "\\n", 40) && !near(t, "USER:", "\n", 40))
            return CHAT_VICUNA;
        return has(t, "SYSTEM:") ? CHAT_VICUNA_ORCA : CHAT_VICUNA_LINES;
    }
    return CHAT_NONE;
}

/* The text that a template gives a variable where a conversation has no system message: from
 * *end back to what is returned. NULL: none, or one that is put together. */
static const char *set_text(const char *t, const char **end)
{
    static const char name[] = "system_message = ";

    if (has(t, "false == true")) // where Llama's default is switched off
        return NULL;
    for (const char *p = t; (p = strstr(p, name));) {
        p += strlen(name);
        if (*p != '\'' && *p != '"')
            continue;
        for (*end = p + 1; **end && **end != *p; ++*end)
            *end += **end == '\\' && (*end)[1];
        if (**end && *end > p + 1 && !strncmp(*end + 1 + strspn(*end + 1, " -"), "%}", 2))
            return p + 1;
    }
    return NULL;
}

/* Does a template that has its system text in a question put it there otherwise than the others:
 * trimmed, in its own words, or where there is none? */
static bool odd_system(const char *t)
{
    static const char first[] = "messages[0]['content']";
    const char *end;

    return near(t, first, ".strip()", 0) || near(t, first, " | trim", 0) ||
           has(t, "messages[1]['content']") || set_text(t, &end);
}

/* Does the template drop white space where its kind does, and not elsewhere? */
static bool is_so(enum chat_kind kind, const char *t)
{
    switch (kind) {
    case CHAT_CHATML_TRIM:
    case CHAT_LLAMA3:
    case CHAT_LLAMA31:
    case CHAT_NEMOTRON:
        return trims(t) || !has(t, "content");
    case CHAT_LLAMA2:
    case CHAT_GEMMA:
    case CHAT_MISTRAL_V3: // in answers
        return (trims(t) || !has(t, "content")) && !odd_system(t);
    case CHAT_MISTRAL:
    case CHAT_MISTRAL_V01:
    case CHAT_MISTRAL_V1:
    case CHAT_MISTRAL_TEKKEN:
        return !trims(t) && !odd_system(t);
    case CHAT_QWEN3: // the tools' part may
    case CHAT_QWEN3_THINKING:
    case CHAT_QWEN3_INSTRUCT:
        return true;
    default:
        return !trims(t);
    }
}

int chatkind_recognize(const char *tmpl, enum chat_kind *out, struct err *e)
{
    enum chat_kind kind = kind_of(tmpl);
    struct buf names = {0};

    if (kind != CHAT_NONE && is_so(kind, tmpl)) {
        *out = kind;
        return 0;
    }
    for (int i = 0; chatkind_names[i]; i++)
        buf_fmt(&names, "%s%s", i ? ", " : "", chatkind_names[i]);
    err_set(e, ERR_ARG, "unknown chat template; name one with --chat-template: %s", names.p);
    buf_free(&names);
    return -1;
}

/* A string of a template, as it reads. */
static char *unquote(const char *p, const char *end)
{
    struct buf b = {0};

    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end) {
            p++;
            buf_char(&b, *p == 'n' ? '\n' : *p == 't' ? '\t' : *p);
        } else {
            buf_char(&b, *p);
        }
    }
    return b.p;
}

char *chatkind_system(const char *tmpl)
{
    static const char head[] = "<|im_start|>system", tail[] = "<|im_end|>";
    const char *text, *end;

    for (const char *p = tmpl; (p = strstr(p, head));) {
        p += sizeof(head) - 1;
        if (!is_line_end(p))
            continue;
        p += *p == '\n' ? 1 : 2;
        end = strstr(p, tail);
        if (end && *p != '\'' && *p != '"' && !memchr(p, '{', (size_t)(end - p)) &&
            !memchr(p, '+', (size_t)(end - p))) // else a message's text stands here
            return unquote(p, end);
    }
    text = set_text(tmpl, &end);
    return text ? unquote(text, end) : NULL;
}

bool chatkind_begins(const char *tmpl)
{
    static const char bos[] = "bos_token";
    const char *p = tmpl + strspn(tmpl, " \t\r\n");

    if (strncmp(p, "{{", 2))
        return false;
    p += 2 + strspn(p + 2, "- ");
    return !strncmp(p, bos, sizeof(bos) - 1) && strchr(" -+}", p[sizeof(bos) - 1]);
}
