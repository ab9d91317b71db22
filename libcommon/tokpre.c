/* tokpre.c - the pre-tokenizers that GGUF files know by name. */
#include "tokpre.h"

#include "arena.h"

#include <string.h>

enum { REGEXES = 6 };

/* The expressions as the models' own tokenizer.json files have them; where
 * several stand in a row, each cuts the pieces that the one before left. */
#define GPT2    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define SUFFIX  "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SPACES  "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SIGNS   " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define LLAMA3  SUFFIX "|" LETTERS "|\\p{N}{1,3}|" SIGNS "|" SPACES
#define QWEN2   SUFFIX "|" LETTERS "|\\p{N}|" SIGNS "|" SPACES
#define UPPER   "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER   "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(suffix)                                                                             \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
    "*" suffix
#define SLASHED " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
#define GPT4O   CASED(SUFFIX "?") "|\\p{N}{1,3}|" SLASHED "|" SPACES
#define TEKKEN  CASED("") "|\\p{N}|" SLASHED "|" SPACES
#define DEEPSEEK3(signs)                                                                 \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?" \
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" signs "|\\s+(?!\\S)|\\s+"
#define BLOOM    " ?[^(\\s|.,!?…。，、।۔،)]+"
#define HAN_KANA "[一-龥぀-ゟ゠-ヿ]+"
// clang-format off
#define DEEPSEEK_LATIN \
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯ" \
    "Ա-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-" \
    "Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ" \
    "-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-" \
    "ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ" \
    "𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
#define DEEPSEEK_SIGNS "\\s?[!-/:-~！-／：-～‘-‟　-。]+"
#define DEEPSEEK_CJK "[一-龥ࠀ-一가-퟿]+"
// clang-format on

struct entry {
    const char *names; // separated by spaces; the first is written
    bool ignore_merges, add_bos;
    const char *regex[REGEXES]; // up to the first NULL
};

static const struct entry table[] = {
    {"gpt-2 phi-2 jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code roberta-bpe "
     "gigachat a.x-4.0 mellum modern-bert mpt olmo jais trillion granite-docling exaone4",
     false,
     false,
     {GPT2}},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     true,
     true,
     {LLAMA3}},
    {"dbrx smaug-bpe chatglm-bpe glm4", false, false, {LLAMA3}},
    {"qwen2 stablelm2 deepseek-r1-qwen hunyuan megrez kormo f2llmv2 solar-open grok-2",
     false,
     false,
     {QWEN2}},
    {"qwen35",
     false,
     false,
     {SUFFIX
      "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES}},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
     false,
     false,
     {"\\p{N}", GPT2}},
    {"deepseek-llm",
     false,
     false,
     {"[\\r\\n]", DEEPSEEK_LATIN, DEEPSEEK_SIGNS, "\\s+$", DEEPSEEK_CJK, "\\p{N}+"}},
    {"deepseek-coder",
     false,
     false,
     {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_CJK, "\\p{N}"}},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4",
     false,
     false,
     {"\\p{N}{1,3}", HAN_KANA, DEEPSEEK3("[\\r\\n]*|\\s*[\\r\\n]+")}},
    {"spark2_5", false, false, {"\\p{N}{1,3}", HAN_KANA, DEEPSEEK3("|[\\r\\n]"), "\\p{N}"}},
    {"falcon", false, false, {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {"default", false, false, {"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"bloom poro-chat gpt3-finnish", false, false, {BLOOM}},
    {"viking", false, false, {BLOOM, "\\p{N}"}},
    {"tekken", true, true, {TEKKEN}},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", false, false, {GPT4O}},
    {"tiny_aya cohere2moe", false, false, {"\\d{1,3}(?=(?:\\d{3})*\\b)", GPT4O}},
    {"chameleon",
     false,
     true,
     {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}",
      "[\\p{P}!-/:-@\\[-`{-~]", GPT2}},
    {"superbpe", false, false, {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
    {"bailingmoe bailingmoe2 llada-moe",
     false,
     false,
     {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
      "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"seed-coder",
     false,
     false,
     {SUFFIX "|" LETTERS "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES}},
    {"exaone-moe",
     false,
     false,
     {SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| "
             "?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"jais-2",
     false,
     false,
     {SUFFIX
      "|" LETTERS "|\\p{N}{1,3}|" SIGNS "|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|"
      "\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|"
      "\\s{1,2}(?!\\S)|\\s{1}"}},
    {"minicpm5", true, false, {"\\p{N}{1,3}", SUFFIX "|" LETTERS "|\\p{N}+|" SIGNS "|" SPACES}},
    {"laguna", false, false, {"[^\\n]+|[\\n]+", QWEN2}},
    {"ufakzeka", false, false, {LETTERS "|\\p{N}|" SIGNS "|" SPACES}},
};

enum { ENTRIES = sizeof(table) / sizeof(table[0]) };

static bool has_name(const char *names, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = names; n && (p = strstr(p, name)); p += n)
        if ((p == names || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    return false;
}

static void put_split(struct buf *b, const char *s, size_t n)
{
    buf_str(b, "{\"type\":\"Split\",\"pattern\":{\"Regex\":");
    json_put_str(b, s, n);
    buf_str(b, "},\"behavior\":\"Isolated\",\"invert\":false},");
}

static void put_head(struct buf *b)
{
    buf_str(b, "{\"type\":\"Sequence\",\"pretokenizers\":[");
}

static void put_tail(struct buf *b)
{
    buf_str(b, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"
               "\"use_regex\":false}]}");
}

int tokpre_find(const char *name, struct tokpre *out, struct buf *splitter, struct err *e)
{
    for (int i = 0; i < ENTRIES; i++) {
        if (!has_name(table[i].names, name))
            continue;
        *out = (struct tokpre){table[i].ignore_merges, table[i].add_bos};
        put_head(splitter);
        for (int k = 0; k < REGEXES && table[i].regex[k]; k++)
            put_split(splitter, table[i].regex[k], strlen(table[i].regex[k]));
        put_tail(splitter);
        return 0;
    }
    return err_set(e, ERR_DATA,
                   "unknown pre-tokenizer '%.60s' and no key 'llmutils.tokenizer.pattern' with its "
                   "regular expression (llm-convert writes one from a tokenizer.json)",
                   name);
}

void tokpre_splitter(const char *pattern, size_t n, struct buf *splitter)
{
    put_head(splitter);
    put_split(splitter, pattern, n);
    put_tail(splitter);
}

/* The expressions of a pre_tokenizer object, in order; -1 when it holds more
 * than splits that isolate and one ByteLevel at the end. */
static int regexes(const struct json *j, int node, struct arena *a, const char *re[REGEXES], int n)
{
    int pattern = json_get(j, node, "pattern"), list = json_get(j, node, "pretokenizers");
    int type = json_get(j, node, "type");

    if (json_str_is(j, type, "Sequence") && json_is(j, list, JSON_ARRAY)) {
        for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next && n >= 0; k = j->node[k].next)
            n = regexes(j, (int)k, a, re, n);
        return n;
    }
    if (n == REGEXES)
        return -1;
    if (json_str_is(j, type, "Split") &&
        json_str_is(j, json_get(j, node, "behavior"), "Isolated") &&
        !json_true(j, json_get(j, node, "invert"))) {
        re[n] = json_str(j, json_get(j, pattern, "Regex"), a, NULL);
        return re[n] ? n + 1 : -1;
    }
    if (json_str_is(j, type, "Digits") && json_true(j, json_get(j, node, "individual_digits"))) {
        re[n] = "\\p{N}";
        return n + 1;
    }
    if (!json_str_is(j, type, "ByteLevel") || json_true(j, json_get(j, node, "add_prefix_space")))
        return -1;
    if (json_get(j, node, "use_regex") >= 0 && !json_true(j, json_get(j, node, "use_regex")))
        return n;
    re[n] = GPT2;
    return n + 1;
}

const char *tokpre_name(const struct json *j, int node, bool ignore_merges, struct arena *a)
{
    const char *re[REGEXES] = {0};
    int n = regexes(j, node, a, re, 0);

    for (int i = 0; n > 0 && i < ENTRIES; i++) {
        int same = 0;

        while (same < n && table[i].regex[same] && !strcmp(re[same], table[i].regex[same]))
            same++;
        if (same == n && (n == REGEXES || !table[i].regex[n]) &&
            table[i].ignore_merges == ignore_merges)
            return arena_dup(a, table[i].names, strcspn(table[i].names, " "));
    }
    return NULL;
}
