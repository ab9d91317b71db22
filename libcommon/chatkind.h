/* chatkind.h - chat templates: recognize.
 *
 * The common templates are built in; a file's template text is recognized by
 * what is unique in it, never run. An unknown one is an error that names
 * --chat-template. */
#ifndef CHATKIND_H
#define CHATKIND_H

#include "err.h"

#include <stdbool.h>

enum chat_kind {
    CHAT_NONE,
    CHAT_CHATML,
    CHAT_LLAMA2,
    CHAT_LLAMA3,
    CHAT_MISTRAL,
    CHAT_ZEPHYR,
    CHAT_GEMMA,
    CHAT_PHI3,
    CHAT_ALPACA,
    CHAT_VICUNA,
    CHAT_DEEPSEEK,
    /* Variants of the above whose texts differ. */
    CHAT_LLAMA31,           // Llama 3.1 to 3.3: always a system turn, with dates
    CHAT_MISTRAL_V1,        // " [INST] x [/INST] y</s>" (the first has "[INST] x [/INST]y</s>")
    CHAT_MISTRAL_V3,        // "[INST] x[/INST] y</s>"
    CHAT_MISTRAL_TEKKEN,    // "[INST]x[/INST]y</s>"
    CHAT_MISTRAL_V7,        // v3 with "[SYSTEM_PROMPT] s[/SYSTEM_PROMPT]"
    CHAT_MISTRAL_V7_TEKKEN, // tekken with it
    CHAT_VICUNA_LINES,      // each turn on a line of its own
    CHAT_VICUNA_ORCA,       // and "SYSTEM: s"
    CHAT_DEEPSEEK_R1,       // the answer begins with "<think>\n"
    CHAT_NEMOTRON,          // Nemotron-4 and Minitron: always a system turn
    CHAT_QWEN3,             // ChatML, the thoughts in earlier answers dropped
    CHAT_QWEN3_THINKING,    // and the answer begins with "<think>\n"
    CHAT_CHATML_TRIM,       // ChatML that drops white space around texts
    CHAT_YI,                // ChatML with a bare system text
    CHAT_MISTRAL_V01,       // "[INST] x [/INST]y</s> "
    CHAT_PHI3_OPEN,         // a conversation does not end with the end token
    CHAT_PHI35,             // an empty system text has no turn
    CHAT_YI_TURNS,          // Yi's with the system text in a turn
    CHAT_QWEN3_INSTRUCT,    // Qwen 3's, no empty thought in the last answer
    CHAT_DEEPSEEK_V3,       // thoughts in answers stay
    CHAT_TULU3,             // Tulu 3, OLMo 2, Falcon 3: only answers have an end token
    CHAT_NKINDS
};

extern const char
    *const chatkind_names[]; // (CHAT_NKINDS + 1) "none", "chatml", ...; NULL-terminated

/* The kind of a template text, or ERR_ARG "unknown chat template; name one with --chat-template:
 * chatml, ..." */
int chatkind_recognize(const char *tmpl, enum chat_kind *out, struct err *e);

/* What a template says for a conversation without a system message (Qwen's "You are a helpful
 * assistant."); caller frees. NULL when nothing. */
char *chatkind_system(const char *tmpl);

/* Whether a template begins with BOS, which kinds of few words (ChatML) say nothing of. */
bool chatkind_begins(const char *tmpl);

#endif
