#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/evaluation/paired_logits.h"
#include "core/model/generation.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <utility>

namespace rankwright::cli {

namespace {

struct Options
{
    std::string model;
    std::string against;
    std::string prompt;
    std::optional<std::size_t> tokens;
    PassChoice pass;
};

Model openChecked(const std::string& path)
{
    Model model = Model::open(path);
    model.requireFinite();
    return model;
}

GenerationResult generate(Session& session, const Options& options, const Model& model, const TextSink& sink)
{
    TaskContext context = session.context();
    if (sink)
        context.progress = {}; // the text is its own progress, and a bar would be drawn into it
    return generateGreedy(model, *options.pass.open(), options.prompt, options.tokens.value_or(64),
                          options.pass.options(), context, sink);
}

Json toJson(const std::string& model, const GenerationResult& result)
{
    return {{"model", model},
            {"text", result.text},
            {"ids", result.generated},
            {"promptIds", result.prompt},
            {"stopped", result.ended ? "endOfText" : "length"},
            {"promptSeconds", result.promptSeconds},
            {"seconds", result.seconds},
            {"tokensPerSecond", result.tokensPerSecond}};
}

std::string speed(const GenerationResult& result)
{
    return fmt::format("{} tokens, {:.1f} per second", result.generated.size(), result.tokensPerSecond);
}

/// How many tokens are equal before the texts part.
std::size_t commonTokens(const GenerationResult& a, const GenerationResult& b)
{
    const auto [endA, endB] = std::ranges::mismatch(a.generated, b.generated);
    return static_cast<std::size_t>(endA - a.generated.begin());
}

void run(Session& session, const Options& options)
{
    const bool side = !options.against.empty();
    // Both before the first output, so that an error comes alone.
    const Model first = openChecked(options.model);
    const std::optional<Model> second = side ? std::optional(openChecked(options.against)) : std::nullopt;
    if (side)
        requireSameVocabulary(first, *second);
    if (session.json) {
        const GenerationResult result = generate(session, options, first, {});
        Json json = toJson(options.model, result);
        json["prompt"] = options.prompt;
        if (side) {
            const GenerationResult other = generate(session, options, *second, {});
            json["against"] = toJson(options.against, other);
            json["commonTokens"] = commonTokens(result, other);
        }
        session.endProgress();
        session.out.json(json);
        return;
    }
    const auto show = [&](const std::string& name, const Model& model) {
        // Shown with the first token, so that an error before it comes alone.
        std::string start = (side ? oneLine(name) + ":\n" : "") + options.prompt;
        GenerationResult result = generate(session, options, model, [&](std::string_view text) {
            session.out.write(std::exchange(start, {}) + std::string(text));
            session.out.flush();
        });
        session.endProgress();
        session.out.write(start + "\n");
        if (!side && !session.quiet)
            writeToStandardError(speed(result) + '\n');
        return result;
    };
    const GenerationResult result = show(options.model, first);
    if (!side)
        return;
    session.out.write("\n");
    const GenerationResult other = show(options.against, *second);
    session.out.write(fmt::format("\n{} {}; {} {}; the first {} tokens are equal\n", oneLine(options.model),
                                  speed(result), oneLine(options.against), speed(other), commonTokens(result, other)));
}

} // namespace

void addGenerate(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command =
        addVerb(app, session, "generate", "Continue a prompt greedily",
                "Examples:\n"
                "  rankwright-cli generate stories260K --prompt 'Once upon a time' --tokens 60\n"
                "  rankwright-cli generate stories-0.8 --against stories260K --prompt 'Once upon a time' --tokens 60");
    addModel(*command, options->model);
    command->add_option("--prompt", options->prompt, "Text to continue")
        ->type_name("TEXT")
        ->required()
        ->group("Options");
    addCount(*command, "--tokens", options->tokens, "Most tokens to generate (default: 64)")
        ->type_name("N")
        ->group("Options");
    command->add_option("--against", options->against, "Another model that continues the same prompt")
        ->type_name("MODEL")
        ->group("Options");
    addPassOptions(*command, options->pass);
    command->callback([&session, options] {
        if (options->tokens == std::size_t{0})
            throw CLI::ValidationError("--tokens", "at least 1 is needed");
        session.work = [&session, options] { run(session, *options); };
    });
}

} // namespace rankwright::cli
