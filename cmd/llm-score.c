/* llm-score.c - scores of answers, by a judge, in pairs or by a reward model. See llm-score(1). */
#include "calibrate.h"
#include "cli.h"
#include "duel.h"
#include "grade.h"
#include "reward.h"

#include <string.h>

enum { JUDGE, PAIRWISE, REWARD, CALIBRATE };

static const char *const names[] = {"judge", "pairwise", "reward", "calibrate"};

static int way_named(const char *name)
{
    for (int i = JUDGE; i <= CALIBRATE; i++)
        if (!strcmp(name, names[i]))
            return i;
    return -1;
}

/* Options that have a value anyway. */
struct given {
    bool prompts, field, weights, opponents, label, folds, ridge;
};

/* An option of another way would change nothing, and its user would not know. */
static int check(const struct score *g, const struct calibrate_opt *fit, const struct given *given,
                 int way, struct err *e)
{
    enum { J = 1 << JUDGE, P = 1 << PAIRWISE, R = 1 << REWARD, C = 1 << CALIBRATE };
    const struct {
        const char *name;
        bool given;
        int ways;
    } some[] = {{"model", g->model.path, J | P | R},
                {"field", given->field, J | P | R},
                {"prompts", given->prompts, J | P},
                {"weights", given->weights, J | R},
                {"reference", g->reference, J | P},
                {"again", g->again, J},
                {"group", g->group, P},
                {"opponents", given->opponents, P},
                {"pairs", g->pairs, P},
                {"label", given->label, C},
                {"scale", fit->scale, C},
                {"folds", given->folds, C},
                {"ridge", given->ridge, C},
                {"only-above", fit->only_above, C},
                {"resume", g->io.resume, J | P | R},
                {"unordered", g->io.unordered, J | P | R},
                {"attempt", g->io.attempt, J | P | R}};

    for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
        if (some[i].given && !(some[i].ways & 1 << way))
            return err_set(e, ERR_ARG, "--%s is for 'llm-score %s', this is '%s'", some[i].name,
                           names[__builtin_ctz((unsigned)some[i].ways)], names[way]);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct score_way *const ways[] = {&grade_way, &duel_way, &reward_way};
    struct calibrate_opt fit = {.label = "label", .folds = 5, .penalty = -1};
    struct given given;
    struct buf text = {0};
    struct score g = {.model = cli_model_default,
                      .io = cli_io_default,
                      .notes = cli_notes_default,
                      .prompts = "general",
                      .weights = "default",
                      .field = "output",
                      .max_tokens = 256,
                      .opponents = 16};
    // clang-format off
    const struct opt opts[] = {
        CLI_MODEL(&g.model),
        CLI_SERVER(&g.model),
        CLI_MODEL_NEEDS("model"), OPT_NEED("threads", "model"), OPT_NEED("isa", "model"), OPT_NEED("chat-template", "model"),
        OPT_HEAD("Scores"),
        OPT_STR(0, "field", &g.field, "name", "field with the answer to be scored"),
        OPT_FILE(0, "prompts", &g.prompts, "set", OPT_READS, "prompt set (tiny, general) or a prompt file"),
        OPT_FILE(0, "weights", &g.weights, "w", OPT_READS, "default, nemotron, five numbers h,c,o,x,v for the axes in order, or a file"),
        OPT_STR(0, "reference", &g.reference, "what", "self: the model's own greedy answer, or a field with a right answer"),
        OPT_INT('n', "max-tokens", &g.max_tokens, "n", 1, 1 << 24, "tokens of a reference answer at most"),
        OPT_FILE(0, "again", &g.again, "what", OPT_READS, "judge twice for --stats: reversed, the axes in reverse order, or another prompt set or file"),
        OPT_HEAD("Pairs"),
        OPT_STR(0, "group", &g.group, "field", "answers with the same value of this field (or meta.NAME) meet, not those with the same prompt"),
        OPT_INT(0, "opponents", &g.opponents, "n", 2, 1024, "others that an answer meets at most; all of them where they are no more"),
        OPT_FLAG(0, "pairs", &g.pairs, "write the best and the worst answer of each group as one record"),
        OPT_FLOAT(0, "margin", &g.margin, "x", 0, 1, "scores of a pair differ by this at least"),
        OPT_NEED("margin", "pairs"), OPT_NEED("max-tokens", "reference=self"),
        OPT_HEAD("Calibration"),
        OPT_STR(0, "label", &fit.label, "field", "field with a person's label, a number"),
        OPT_STR(0, "scale", &fit.scale, "lo,hi", "the labels' scale, instead of the least and the greatest that are found"),
        OPT_INT(0, "folds", &fit.folds, "n", 2, 1000, "folds of the cross-validation"),
        OPT_FLOAT(0, "ridge", &fit.penalty, "x", -1, 1e6, "penalty of large weights, -1 for the best of a few"),
        OPT_FLAG(0, "only-above", &fit.only_above, "no weight below 0"),
        OPT_GIVEN("prompts", &given.prompts), OPT_GIVEN("field", &given.field), OPT_GIVEN("weights", &given.weights), OPT_GIVEN("opponents", &given.opponents), OPT_GIVEN("label", &given.label),
        OPT_GIVEN("folds", &given.folds), OPT_GIVEN("ridge", &given.ridge),
        CLI_IO(&g.io), CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-score", "[judge|pairwise|reward|calibrate] [file ...]",
                            "score answers", opts, &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK, way, named, rc;
    struct err e;

    g.cli = &cli;
    fit.io = &g.io;
    way = n ? way_named(argv[0]) : -1;
    named = way >= 0;
    way = named ? way : JUDGE;
    rc = check(&g, &fit, &given, way, &e);
    if (!rc && way == CALIBRATE)
        rc = calibrate_run(&fit, &cli, n - 1, argv + 1, &status, &text, &e);
    else if (!rc)
        rc = score_run(&g, ways[way], n - named, argv + named, &status, &e);
    if (!rc && text.n)
        fwrite(text.p, 1, text.n, stdout); // cli_end sees what went wrong
    cli_progress_end(&g.progress);
    if (rc)
        status = cli_fail(&cli, &e);
    buf_free(&text);
    score_close(&g, &e);
    return cli_end(&cli, status);
}
