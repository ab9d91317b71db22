/* llm-selfinstruct.c - seed tasks -> new instructions. See llm-selfinstruct(1). */
#include "cli.h"
#include "rounds.h"
#include "session.h"

static const char *const fields[] = {"instruction", "input", NULL};

struct make {
    struct bootstrap b;
    struct cli_model model;
    struct stream_opt io;
    struct cli_notes notes;
};

static int open_all(struct make *g, int n, char **file, struct err *e)
{
    static char none[] = "/dev/null", *no_file[] = {none};
    struct bootstrap *b = &g->b;
    struct buf more = {0};

    if (bootstrap_open(b, e) || session_open(&b->ses, b->cli, &g->model, false, e) ||
        session_takes(&b->ses, &b->recipe.sample, e))
        return -1;
    if (!n && b->o.style == BOOTSTRAP_MAGPIE) { // it needs no seeds
        n = 1;
        file = no_file;
    }
    bootstrap_print(b, &more);
    b->s = session_stream(&b->ses, b->cli, &g->io, fields, 1, more.p, n, file, e);
    buf_free(&more);
    return b->s ? 0 : -1;
}

static void figures(void *with, struct buf *b)
{
    const struct make *g = with;

    rounds_stats(&g->b, b);
}

static int run(struct make *g, int n, char **file, int *status, struct err *e)
{
    if (open_all(g, n, file, e) || rounds_run(&g->b, e) < 0)
        return -1;
    *status = stream_close(g->b.s, e);
    g->b.s = NULL;
    return *status < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct make g = {.model = cli_model_default,
                     .io = cli_io_default,
                     .notes = cli_notes_default,
                     .b = {.given = cli_sample_unset,
                           .o = {.prompts = "general",
                                 .count = 100,
                                 .max_rounds = 1000,
                                 .per_round = 8,
                                 .examples = -1,
                                 .generated = -1,
                                 .rouge = 0.7f},
                           .rules = {.min_words = 4, .max_words = 150}}};
    struct bootstrap_opt *o = &g.b.o;
    const struct opt opts[] = {
        OPT_HEAD("Instructions"),
        OPT_ENUM(0, "style", &o->style, bootstrap_styles, "name",
                 "selfinstruct, alpaca (with outputs) or magpie (no examples: the model writes the "
                 "user's turn)"),
        OPT_INT(0, "count", &o->count, "n", 1, 1 << 30, "new instructions to make"),
        OPT_INT(0, "max-rounds", &o->max_rounds, "n", 1, 1 << 20, "rounds at most"),
        OPT_INT(0, "per-round", &o->per_round, "n", 1, 4096, "prompts of a round"),
        OPT_INT(0, "examples", &o->examples, "n", -1, DRAFTS_SHOWN,
                "tasks shown in a prompt, -1 for what the prompt file says, or 8"),
        OPT_INT(0, "generated", &o->generated, "n", -1, DRAFTS_SHOWN,
                "of these, how many were made in earlier rounds, when there are; -1: the file, or "
                "2"),
        OPT_INT(0, "instances", &o->instances, "n", 0, INSTANCES_MAX,
                "have the model give each task up to n inputs with outputs, a record each"),
        OPT_FLAG(0, "classification", &o->classification,
                 "show and ask for tasks of classification only"),
        OPT_FILE(0, "persona", &o->personas, "file", OPT_READS,
                 "lines, or records with `persona`: someone for each prompt"),
        OPT_FLOAT(0, "rouge", &o->rouge, "x", 0, 1,
                  "drop what is more alike than this to any task before"),
        OPT_FLAG(0, "instruction-only", &o->bare, "leave inputs out of account in that"),
        OPT_STR(0, "off", &o->off, "list", "rules that do not hold, by name, with commas"),
        OPT_INT(0, "min-words", &g.b.rules.min_words, "n", 1, 1 << 20,
                "words of an instruction at least"),
        OPT_INT(0, "max-words", &g.b.rules.max_words, "n", 1, 1 << 20,
                "words of an instruction at most"),
        OPT_FLAG(0, "ascii", &g.b.rules.ascii, "drop what does not begin with an ASCII character"),
        OPT_FLAG(0, "no-seeds", &o->no_seeds, "write the new records only"),
        OPT_FILE(0, "prompts", &o->prompts, "set|file", OPT_READS,
                 "prompt set (general, korean, tiny) or YAML file"),
        OPT_NEED("examples", "style=selfinstruct|style=alpaca"),
        OPT_NEED("generated", "style=selfinstruct|style=alpaca"),
        CLI_MODEL(&g.model),
        CLI_SERVER(&g.model),
        CLI_DRAW(&g.b.given),
        CLI_IO(&g.io),
        CLI_NOTES(&g.notes),
        OPT_END(),
    };
    const struct cli cli = {"llm-selfinstruct", "[file ...]",
                            "make new instructions from seed tasks", opts, &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.io.no_attempt = true;
    g.io.whole = true; // a seed that is written already belongs to the pool all the same
    g.io.figures = figures;
    g.io.with = &g;
    g.b.cli = &cli;
    g.b.io = &g.io;
    if (run(&g, n, argv, &status, &e)) {
        cli_progress_end(&g.b.progress);
        status = cli_fail(&cli, &e);
    }
    stream_abandon(g.b.s, &e);
    session_close(&g.b.ses);
    bootstrap_close(&g.b);
    return cli_end(&cli, status);
}
