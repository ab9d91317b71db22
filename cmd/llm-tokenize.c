/* llm-tokenize.c - texts into token ids and back. See llm-tokenize(1). */
#include "cli.h"
#include "file.h"
#include "say.h"
#include "tokload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tokenize {
    struct stream_opt io;
    struct cli_notes notes;
    const char *model, *field, *tokens, *raw;
    bool decode, count, no_bos, special;
    const struct cli *cli;
    struct tok *tok;
    struct stream *s;
    struct tok_ids ids;
    struct buf text;
    int64_t n_tokens;
};

static void put_ids(struct buf *b, const struct tok_ids *ids)
{
    buf_char(b, '[');
    for (size_t i = 0; i < ids->n; i++) {
        if (i)
            buf_char(b, ',');
        json_put_int(b, ids->id[i]);
    }
    buf_char(b, ']');
}

static int encode(struct tokenize *g, const char *s, size_t n, struct err *e)
{
    int flags = (g->no_bos ? 0 : TOK_BOS | TOK_EOS) | (g->special ? TOK_SPECIAL : 0);

    g->ids.n = 0;
    if (tok_encode(g->tok, s, n, flags, &g->ids, e))
        return -1;
    g->n_tokens += (int64_t)g->ids.n;
    return 0;
}

/* text -> tokens, or the number of them. */
static int encode_record(struct tokenize *g, struct record *r, struct err *e)
{
    size_t n;
    const char *s = record_str(r, g->field, &n);

    if (!s)
        return err_set(e, ERR_DATA, "no field '%s' that is a string", g->field);
    if (encode(g, s, n, e))
        return -1;
    if (g->count) {
        record_set_int(r, "n_tokens", (int64_t)g->ids.n);
        return 0;
    }
    buf_reset(&g->text);
    put_ids(&g->text, &g->ids);
    record_set(r, g->tokens, g->text.p, g->text.n);
    return 0;
}

/* tokens -> text. */
static int decode_record(struct tokenize *g, struct record *r, struct err *e)
{
    size_t n;
    const char *raw = record_raw(r, g->tokens, &n);
    struct json j;
    int64_t id;

    if (!raw)
        return err_set(e, ERR_DATA, "no field '%s'", g->tokens);
    if (json_parse(&j, &r->mem, raw, n, e))
        return -1;
    if (!json_is(&j, 0, JSON_ARRAY))
        return err_set(e, ERR_DATA, "field '%s' is no list of token ids", g->tokens);
    g->ids.n = 0;
    for (uint32_t k = 1; k < j.node[0].next; k = j.node[k].next) {
        if (json_int(&j, (int)k, &id) || id < 0 || id >= tok_size(g->tok))
            return err_set(e, ERR_DATA, "item %zu of '%s' is no token id in 0..%d", g->ids.n,
                           g->tokens, tok_size(g->tok) - 1);
        mem_grow(&g->ids.id, &g->ids.cap, g->ids.n + 1, sizeof(*g->ids.id));
        g->ids.id[g->ids.n++] = (int32_t)id;
    }
    g->n_tokens += (int64_t)g->ids.n;
    buf_reset(&g->text);
    tok_decode(g->tok, g->ids.id, g->ids.n, g->special, &g->text);
    record_set_str(r, g->field, buf_cstr(&g->text), g->text.n);
    return 0;
}

static int each_record(struct tokenize *g, struct err *e)
{
    struct cli_progress progress;
    struct record r = {0};
    int rc;

    cli_progress_begin(&progress, g->cli);
    while ((rc = stream_read(g->s, &r, true, e)) == 1) {
        struct err why;

        cli_progress(&progress, g->cli, stream_counts(g->s), g->n_tokens);
        if (g->decode ? decode_record(g, &r, &why) : encode_record(g, &r, &why))
            rc = stream_reject(g->s, &r, "tokens", NULL, NULL, why.msg, e);
        else
            rc = stream_write(g->s, &r, e);
        record_reset(&r);
        if (rc < 0)
            break;
    }
    cli_progress_end(&progress);
    return rc < 0 ? -1 : 0;
}

static void figures(void *with, struct buf *b)
{
    const struct tokenize *g = with;

    buf_fmt(b, "\"tokens\":%lld", (long long)g->n_tokens);
}

static int records(struct tokenize *g, int n, char **file, int *status, struct err *e)
{
    struct stream_conf conf = {.stage = g->cli->name, .group = 1, .quiet = g->notes.quiet};
    struct hash128 h = tokspec_hash(tok_spec(g->tok));
    struct buf b = {0};

    cli_fingerprint(g->cli, &h, NULL, &b);
    conf.fingerprint = b.p;
    g->io.field = g->decode ? g->tokens : g->field;
    g->s = stream_open(&g->io, &conf, n, file, e);
    buf_free(&b);
    if (!g->s || each_record(g, e))
        return -1;
    *status = stream_close(g->s, e);
    g->s = NULL;
    return *status < 0 ? -1 : 0;
}

static int read_stdin(struct buf *b, struct err *e)
{
    char chunk[1 << 16];
    size_t n;

    while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
        buf_add(b, chunk, n);
    return ferror(stdin) ? err_set(e, ERR_IO, "cannot read '<stdin>': %s", strerror(errno)) : 0;
}

/* One file as one text: a record with its name, size and tokens. */
static int raw_file(struct tokenize *g, struct err *e)
{
    bool piped = !strcmp(g->raw, "-");
    const char *name = piped ? "<stdin>" : g->raw, *text;
    struct file_map map = {0};
    struct buf in = {0};
    size_t n;
    struct timespec a, z;
    double seconds;
    struct buf b = {0};
    int rc;

    if (piped ? read_stdin(&in, e) : file_map(&map, g->raw, e)) {
        buf_free(&in);
        return -1;
    }
    text = piped ? in.p : (const char *)map.p;
    n = piped ? in.n : map.n;
    clock_gettime(CLOCK_MONOTONIC, &a);
    rc = encode(g, text, n, e);
    clock_gettime(CLOCK_MONOTONIC, &z);
    seconds = (double)(z.tv_sec - a.tv_sec) + 1e-9 * (double)(z.tv_nsec - a.tv_nsec);
    if (rc) {
        err_wrap(e, "%s", name);
    } else {
        buf_char(&b, '{');
        json_put_key(&b, "file");
        say_json(&b, name);
        buf_fmt(&b, ",\"bytes\":%zu,\"n_tokens\":%zu", n, g->ids.n);
        if (!g->count) {
            json_put_key(&b, g->tokens);
            put_ids(&b, &g->ids);
        }
        buf_str(&b, "}\n");
        fwrite(b.p, 1, b.n, stdout); // cli_end sees what went wrong
        cli_note(g->cli, "%zu bytes, %zu tokens, %.3f s, %.1f MB/s", n, g->ids.n, seconds,
                 (double)n / 1e6 / (seconds > 0 ? seconds : 1));
    }
    file_unmap(&map);
    buf_free(&in);
    buf_free(&b);
    return rc;
}

static int check(const struct tokenize *g, int n, struct err *e)
{
    const struct stream_opt *io = &g->io;
    const char *made = g->decode ? g->field : g->count ? "n_tokens" : g->tokens;

    if (!g->model)
        return err_set(e, ERR_ARG, "no model; name one with --model");
    if (g->raw && (n || g->decode || io->output))
        return err_set(e, ERR_ARG, "--raw takes neither operands nor --decode nor --output");
    if (g->raw && (io->rejects || io->resume || io->shard || io->attempt || io->stats))
        return err_set(e, ERR_ARG, "--raw writes one record, without options for records");
    if (g->decode && (g->count || g->no_bos))
        return err_set(e, ERR_ARG, "--%s: nothing is encoded with --decode",
                       g->count ? "count" : "no-bos");
    if (!strcmp(made, "id"))
        return err_set(e, ERR_ARG, "--%s id: the id of a record would be lost",
                       g->decode ? "field" : "tokens");
    return 0;
}

static int run(struct tokenize *g, int n, char **file, int *status, struct err *e)
{
    if (check(g, n, e))
        return -1;
    g->tok = tokload_path(g->model, e);
    if (!g->tok)
        return -1;
    cli_note(g->cli, "%d tokens, %s, pre-tokenizer %s, BOS %s", tok_size(g->tok),
             (const char *const[]){"byte-level BPE", "SentencePiece BPE", "Unigram",
                                   "WordPiece"}[tok_kind(g->tok)],
             tok_pre(g->tok) ? tok_pre(g->tok) : "of its own",
             tok_adds_bos(g->tok) ? "added" : "not added");
    return g->raw ? raw_file(g, e) : records(g, n, file, status, e);
}

int main(int argc, char **argv)
{
    struct tokenize g = {
        .io = cli_io_default, .notes = cli_notes_default, .field = "text", .tokens = "tokens"};
    // clang-format off
    const struct opt opts[] = {
        OPT_HEAD("Tokens"),
        OPT_FILE('m', "model", &g.model, "path", OPT_READS, "GGUF file, Hugging Face directory or tokenizer.json (required)"),
        OPT_FLAG('d', "decode", &g.decode, "tokens into text"),
        OPT_FLAG('c', "count", &g.count, "only how many tokens, as n_tokens"),
        OPT_FLAG(0, "no-bos", &g.no_bos, "no token that the tokenizer puts before or after a text"),
        OPT_FLAG(0, "special", &g.special, "control tokens: recognize their texts, or show them with --decode"),
        OPT_STR(0, "field", &g.field, "name", "field of the text"),
        OPT_STR(0, "tokens", &g.tokens, "name", "field of the tokens"),
        OPT_FILE(0, "raw", &g.raw, "file", OPT_READS, "a whole file, or - for standard input, as one text; writes one record about it"),
        CLI_IO(&g.io), CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-tokenize", "[file ...]", "texts into token ids and back", opts,
                            &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.cli = &cli;
    g.io.figures = figures;
    g.io.with = &g;
    if (run(&g, n, argv, &status, &e))
        status = cli_fail(&cli, &e);
    stream_abandon(g.s, &e);
    tok_close(g.tok);
    tok_ids_free(&g.ids);
    buf_free(&g.text);
    return cli_end(&cli, status);
}
