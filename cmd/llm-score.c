/* llm-score.c - scores of answers, by a judge, in pairs or by a reward model. See llm-score(1). */
#include "calibrate.h"
#include "cli.h"
#include "duel.h"
#include "grade.h"
#include "reward.h"

#include <string.h>

int main(int argc, char **argv)
{
    static const struct score_way *const ways[] = {&grade_way, &duel_way, &reward_way};
    enum { N_WAYS = sizeof(ways) / sizeof(*ways) };
    struct calibrate_opt fit = {.label = "label", .folds = 5, .penalty = -1};
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
        OPT_HEAD("Scores"),
        OPT_STR(0, "field", &g.field, "name", "field with the answer to be scored"),
        OPT_STR(0, "prompts", &g.prompts, "set", "prompt set (tiny, general) or a prompt file"),
        OPT_STR(0, "weights", &g.weights, "w", "default, nemotron, five numbers h,c,o,x,v for the axes in order, or a file"),
        OPT_STR(0, "reference", &g.reference, "what", "self: the model's own greedy answer, or a field with a right answer"),
        OPT_INT('n', "max-tokens", &g.max_tokens, "n", 1, 1 << 24, "tokens of a reference answer at most"),
        OPT_STR(0, "again", &g.again, "what", "judge twice for --stats: reversed, the axes in reverse order, or another prompt set or file"),
        OPT_HEAD("Pairs"),
        OPT_STR(0, "group", &g.group, "field", "answers with the same value of this field (or meta.NAME) meet, not those with the same prompt"),
        OPT_INT(0, "opponents", &g.opponents, "n", 2, 1024, "others that an answer meets at most; all of them where they are no more"),
        OPT_FLAG(0, "pairs", &g.pairs, "write the best and the worst answer of each group as one record"),
        OPT_FLOAT(0, "margin", &g.margin, "x", 0, 1, "scores of a pair differ by this at least"),
        OPT_HEAD("Calibration"),
        OPT_STR(0, "label", &fit.label, "field", "field with a person's label, a number"),
        OPT_STR(0, "scale", &fit.scale, "lo,hi", "the labels' scale, instead of the least and the greatest that are found"),
        OPT_INT(0, "folds", &fit.folds, "n", 2, 1000, "folds of the cross-validation"),
        OPT_FLOAT(0, "ridge", &fit.penalty, "x", -1, 1e6, "penalty of large weights, -1 for the best of a few"),
        OPT_FLAG(0, "only-above", &fit.only_above, "no weight below 0"),
        CLI_IO(&g.io), CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-score", "[judge|pairwise|reward|calibrate] [file ...]",
                            "score answers", opts, &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK, way = 0, rc;
    struct err e;

    g.cli = &cli;
    fit.io = &g.io;
    while (n && way < N_WAYS && strcmp(argv[0], ways[way]->name))
        way++;
    if (n && !strcmp(argv[0], "calibrate")) {
        rc = calibrate_run(&fit, &cli, n - 1, argv + 1, &status, &text, &e);
        if (!rc)
            fwrite(buf_cstr(&text), 1, text.n, stdout); // cli_end sees what went wrong
    } else if (n && way < N_WAYS) {
        rc = score_run(&g, ways[way], n - 1, argv + 1, &status, &e);
    } else {
        rc = score_run(&g, ways[0], n, argv, &status, &e);
    }
    cli_progress_end(&g.progress);
    if (rc)
        status = cli_fail(&cli, &e);
    buf_free(&text);
    score_close(&g);
    return cli_end(&cli, status);
}
