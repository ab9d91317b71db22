/* gbnf_fuzz.c - changed grammars and schemas: read and followed for a few bytes, or refused. */
#include "earley.h"
#include "fuzz.h"
#include "gbnf.h"
#include "schema.h"

static const char gbnf[] =
    "# JSON\nroot ::= object | (x{2,} \"b\"{3} y{0,20})*\n"
    "object ::= \"{\" ws ( string \":\" ws root (\",\" ws string)* )? \"}\"\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" [bfnrt] | "
    "\"\\u00e9\" [0-9a-fA-F]{4})* \"\\\"\"\n"
    "ws ::= [ \\t\\n]*\nx ::= x \"a\" | .\n  | \"\" y\ny ::= [\\U0001F600-]+ | x\n";
static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"string\",\"null\"],\"minLength\":1,"
    "\"maxLength\":9},\"b\":{\"$ref\":\"#/$defs/x~1y\"},\"c\":{\"pattern\":\"^(a|[^b-d]{2,5}?)\\\\d+$\"},"
    "\"f\":{\"pattern\":\"(ab|c?)+x\",\"maxLength\":12,\"allOf\":[{\"pattern\":\"^\\\\w*$\"}]},"
    "\"g\":{\"enum\":[\"xay\",\"\\u00e9\"],\"pattern\":\"a{0,3}[^b]$\"},"
    "\"d\":{\"minimum\":-1.5e1,\"exclusiveMaximum\":99.25},\"e\":{\"enum\":[1,\"x\",null,[true,{}]]}},"
    "\"required\":[\"a\",\"z\"],\"additionalProperties\":{\"format\":\"date\"},\"$defs\":{\"x/y\":"
    "{\"prefixItems\":[{\"const\":7}],\"items\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"integer\"}]},"
    "\"minItems\":1,\"maxItems\":4,\"allOf\":[true,{\"maxItems\":3}]}}}";

/* The first byte says which language the others are in. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct cfg c;
    struct rtn net;
    struct earley x;
    struct err e;
    int32_t set;

    if (!n || (*p == 's' ? schema_read : gbnf_read)(&c, (const char *)p + 1, n - 1, &e))
        return 0;
    if (rtn_compile(&net, &c, &e) == 0) {
        earley_init(&x, &net);
        set = earley_start(&x, (struct earley_item){net.rule[net.root].start, 0, 0}, net.empty);
        for (int i = 0; i < 40 && set > EARLEY_FAIL; i++) {
            int32_t next = EARLEY_DEAD;

            for (int b = i * 37; b < i * 37 + 256 && next == EARLEY_DEAD; b++)
                next = earley_byte(&x, set, (uint8_t)b);
            set = next;
        }
        earley_free(&x);
        rtn_free(&net);
    }
    cfg_free(&c);
    return 0;
}

#ifndef LIBFUZZER
static void run(const char *what, char kind, const char *text, size_t n)
{
    uint8_t *seed = malloc(n + 1);

    if (!seed)
        abort();
    *seed = (uint8_t)kind;
    memcpy(seed + 1, text, n);
    fuzz_run(what, seed, n + 1, n + 1, 3000);
    free(seed);
}

int main(void)
{
    run("GBNF", 'g', gbnf, sizeof(gbnf) - 1);
    run("JSON Schema", 's', schema, sizeof(schema) - 1);
    return test_end();
}
#endif
