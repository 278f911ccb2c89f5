#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/evaluation/evaluation.h"

#include <fmt/format.h>
#include <optional>

namespace rankwright::cli {

namespace {

struct Options
{
    std::string model;
    std::string against;
    WindowChoice text;
    PassChoice pass;
};

struct Scores
{
    TokenWindows windows;
    PerplexityResult perplexity;
    std::optional<DivergenceResult> divergence;
};

Scores measure(Session& session, const Options& options)
{
    const TaskContext context = session.context();
    const std::shared_ptr<const Device> device = options.pass.open();
    const Model model = Model::open(options.model);
    model.requireFinite();
    Scores scores;
    scores.windows = makeWindows(*model.tokenizer(), options.text.windows(), context);
    // What takes more memory and refuses more comes first.
    if (!options.against.empty()) {
        const Model original = Model::open(options.against);
        original.requireFinite();
        scores.divergence =
            evaluateDivergence(original, model, *device, scores.windows, options.pass.options(), context);
    }
    scores.perplexity = evaluatePerplexity(model, *device, scores.windows, options.pass.options(), context);
    return scores;
}

Json toJson(const Options& options, const Scores& scores)
{
    const PerplexityResult& result = scores.perplexity;
    const WindowOptions windows = options.text.windows();
    Json json = {{"model", options.model},
                 {"text", windows.text.string()},
                 {"rows", windows.rows},
                 {"bosPerWindow", windows.bosPerWindow},
                 {"perplexity", result.perplexity},
                 {"windows", result.windows},
                 {"windowLength", result.windowLength},
                 {"predictedTokens", result.predictedTokens},
                 {"windowNll", result.windowNll},
                 {"seconds", result.seconds},
                 {"tokensPerSecond", result.tokensPerSecond}};
    if (scores.divergence)
        json["divergence"] = {{"against", options.against},
                              {"klDivergence", scores.divergence->klDivergence},
                              {"klStandardError", scores.divergence->klStandardError},
                              {"topOneAgreement", scores.divergence->topOneAgreement},
                              {"positions", scores.divergence->positions},
                              {"windowKl", scores.divergence->windowKl}};
    return json;
}

std::string toText(const Options& options, const Scores& scores)
{
    const PerplexityResult& result = scores.perplexity;
    const WindowOptions windows = options.text.windows();
    std::vector<std::pair<std::string, std::string>> lines = {
        {"perplexity", fmt::format("{:.6g}", result.perplexity)},
        {"text", fmt::format("{}{}, {} windows of {} tokens{}, {} predicted", windows.text.filename().string(),
                             windows.rows ? " (rows)" : "", grouped(result.windows), result.windowLength,
                             windows.bosPerWindow ? ", each with BOS" : "", grouped(result.predictedTokens))},
        {"time", fmt::format("{}, {} tokens per second", duration(result.seconds),
                             grouped(static_cast<std::size_t>(result.tokensPerSecond)))}};
    if (scores.divergence) {
        const DivergenceResult& divergence = *scores.divergence;
        lines.emplace_back("against", options.against);
        lines.emplace_back("KL divergence", fmt::format("{:.6g} nats (standard error {:.2g})", divergence.klDivergence,
                                                        divergence.klStandardError));
        lines.emplace_back("agreement",
                           fmt::format("{} of {} positions have the same most likely token",
                                       percent(divergence.topOneAgreement), grouped(divergence.positions)));
    }
    return oneLine(options.model) + '\n' + facts(lines);
}

} // namespace

void addEvaluate(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = addVerb(
        app, session, "evaluate", "Perplexity of a model on a text, and its distance from another model",
        "The text is tokenised once and cut into disjoint windows of L tokens; a short tail is dropped. Perplexity is\n"
        "exp(sum of the losses of L - 1 predictions per window / number of predictions).\n"
        "\n"
        "Examples:\n"
        "  rankwright-cli evaluate stories260K --text stories-heldout.txt --window 256\n"
        "  rankwright-cli evaluate model.gguf --text wiki.test.raw --rows --window 2048 --windows 20\n"
        "  rankwright-cli evaluate exported --against stories260K --text stories-heldout.txt --window 256");
    addModel(*command, options->model);
    addTextOptions(*command, options->text, "to score", false);
    command
        ->add_option("--against", options->against,
                     "Original model: adds the KL divergence from it and the share of equal most likely tokens")
        ->type_name("MODEL")
        ->group("Options");
    addPassOptions(*command, options->pass);
    command->callback([&session, options] {
        requireTextAndWindow(options->text, "--");
        session.work = [&session, options] {
            const Scores scores = measure(session, *options);
            session.endProgress();
            if (session.json)
                session.out.json(toJson(*options, scores));
            else
                session.out.write(toText(*options, scores));
        };
    });
}

} // namespace rankwright::cli
