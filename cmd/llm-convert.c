/* llm-convert.c - convert, describe and verify model files. See llm-convert(1). */
#include "cli.h"
#include "convert.h"
#include "inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct convert {
    const char *output, *tokenizer;
    int type; // enum convert_type
    bool force, info, check;
    struct cli_notes notes;
    const struct cli *cli;
    struct cli_progress progress;
};

static void part(void *arg, int i, int n)
{
    struct convert *c = arg;

    cli_progress_say(&c->progress, c->cli, "tensor %d of %d", i + 1, n);
}

static bool names_gguf(const char *path)
{
    size_t n = strlen(path);

    return n > 5 && !strcmp(path + n - 5, ".gguf");
}

/* A GGUF becomes a directory unless the output's name says otherwise; the
 * other forms become a GGUF. */
static int write_as(const struct convert *c, const struct source *s, const struct tok *tok,
                    struct err *e)
{
    enum convert_type type = (enum convert_type)c->type;

    if (s->n_unknown)
        cli_warn(c->cli, "%s: %d tensors ('%s' the first) are not part of the model and left out",
                 s->path, s->n_unknown, s->unknown);
    if (s->kind == SOURCE_GGUF && !names_gguf(c->output))
        return convert_dir(s, tok, c->output, type, c->force, e);
    return convert_gguf(s, tok, c->output, type, c->force, e);
}

static int convert(struct convert *c, const char *path, struct err *e)
{
    struct source s;
    struct tok *tok;
    int rc = -1;

    if (source_open(&s, path, e))
        return -1;
    s.watch = (struct source_watch){part, c};
    if (!source_parts(&s, e)) {
        tok = source_tok(&s, c->tokenizer, e);
        if (tok)
            rc = write_as(c, &s, tok, e);
        tok_close(tok);
    }
    source_close(&s);
    return rc;
}

static int describe(const struct convert *c, const char *path, struct err *e)
{
    struct buf b = {0};

    if (inspect_info(path, c->tokenizer, &b, e)) {
        buf_free(&b);
        return -1;
    }
    puts(buf_cstr(&b));
    buf_free(&b);
    return 0;
}

static int verify(struct convert *c, const char *path, struct err *e)
{
    const struct source_watch watch = {part, c};
    struct inspect_count n;
    int rc = inspect_check(path, c->tokenizer, &watch, &n, e);

    cli_progress_end(&c->progress); // the line that a message would stand behind
    if (rc)
        return -1;
    if (n.unknown)
        cli_warn(c->cli, "%s: %d tensors are not part of the model", path, n.unknown);
    cli_note(c->cli, "%s: %d tensors, %lld values: no fault", path, n.tensors, (long long)n.values);
    return 0;
}

static int usage(const struct convert *c, int n, struct err *e)
{
    const int asked = c->info + c->check + (c->output != NULL);

    if (!asked)
        return err_set(e, ERR_ARG, "name an output with -o, or use --info or --check");
    if (asked > 1)
        return err_set(e, ERR_ARG, "one of -o, --info and --check at a time");
    if (c->output && !strcmp(c->output, "-"))
        return err_set(e, ERR_ARG, "a model cannot go to standard output: name a file with -o");
    if (!c->output && (c->type != CONVERT_AUTO || c->force))
        return err_set(e, ERR_ARG, "%s is for an output (-o)", c->force ? "--force" : "--type");
    if (!n)
        return err_set(e, ERR_ARG, "no model: name a file or a directory");
    if (c->output && n > 1)
        return err_set(e, ERR_ARG, "%d models for one output", n);
    return 0;
}

/* Every file is looked at, whatever the ones before it were. */
static int run(struct convert *c, int n, char **path)
{
    int status = CLI_OK;
    struct err e;

    if (usage(c, n, &e))
        return cli_fail(c->cli, &e);
    for (int i = 0; i < n; i++) {
        int rc;

        cli_progress_begin(&c->progress, c->cli);
        rc = c->info    ? describe(c, path[i], &e)
             : c->check ? verify(c, path[i], &e)
                        : convert(c, path[i], &e);
        cli_progress_end(&c->progress);
        if (rc)
            status = cli_fail(c->cli, &e);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct convert c = {.notes = cli_notes_default};
    const struct opt opts[] = {
        OPT_HEAD("Conversion"),
        OPT_STR('o', "output", &c.output, "path", "GGUF file, or directory to make out of a GGUF"),
        OPT_ENUM(0, "type", &c.type, convert_types, "name",
                 "type of the weights: auto (as they are), f32, f16, bf16 or q8_0"),
        OPT_STR(0, "tokenizer", &c.tokenizer, "file", "tokenizer.bin of a llama2.c checkpoint"),
        OPT_FLAG(0, "force", &c.force, "replace an output that exists"),
        OPT_HEAD("Looking"),
        OPT_FLAG(0, "info", &c.info, "describe each model as a JSON object"),
        OPT_FLAG(0, "check", &c.check, "verify each model in full"),
        CLI_NOTES(&c.notes),
        OPT_END(),
    };
    const struct cli cli = {"llm-convert", "model ...", "convert, describe and verify model files",
                            opts, &c.notes};
    int n = cli_begin(&cli, argc, argv);

    c.cli = &cli;
    return cli_end(&cli, run(&c, n, argv));
}
