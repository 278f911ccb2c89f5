#include "core/export/model_card.h"

#include "core/base/bytes.h"
#include "core/base/version.h"
#include "core/model/architecture.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <iterator>
#include <map>

namespace rankwright {

namespace {

/// Keys of ExportOptions::card that have a place of their own, or a row with these words.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> methodRows{
    {{"structure", "structure"},
     {"allocation", "rank allocation"},
     {"sequential", "statistics of"},
     {"targetKeptRatio", "kept ratio asked for"},
     {"keptRatio", "kept ratio of the chosen linears"},
     {"wholeModelRatio", "kept ratio of the whole model"},
     {"linears", "linears chosen"},
     {"storage", "factors rounded to"},
     {"fingerprint", "fingerprint of the run"}}};
constexpr std::array<std::string_view, 6> placedKeys{"method",     "methodTitle", "source",
                                                     "parameters", "model",       "calibration"};

/// One cell of a table: no line breaks and no bars of its own.
std::string cell(const Json& value)
{
    const std::string text = value.is_string() ? value.get<std::string>() : dumpJson(value);
    std::string result;
    for (const char c : text) {
        if (c == '|')
            result += "\\|";
        else
            result += c == '\n' || c == '\r' ? ' ' : c;
    }
    return result;
}

std::string textOf(const Json& card, const char* key)
{
    return card.is_object() && card.contains(key) ? cell(card[key]) : std::string();
}

std::string percent(std::size_t part, std::size_t whole)
{
    return fmt::format("{:.2f} %", whole == 0 ? 100.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

void addFrontMatter(std::string& card, const CardFacts& facts, bool factored)
{
    card += "---\nlibrary_name: transformers\npipeline_tag: text-generation\n";
    card += fmt::format("license: {}\n", facts.statedLicence.empty() ? "other" : facts.statedLicence);
    card += fmt::format("tags:\n- rankwright\n- low-rank\n{}---\n\n", factored ? "- custom_code\n" : "");
}

void addParameters(std::string& card, const CardFacts& facts, DType dtype, bool factored)
{
    const ExportedParameters& parameters = facts.parameters;
    card += "## Parameters\n\n| | in this folder | with dense linears | kept |\n|---|---|---|---|\n";
    card += fmt::format("| linears of the blocks | {} | {} | {} |\n", parameters.linears, parameters.denseLinears,
                        percent(parameters.linears, parameters.denseLinears));
    card += fmt::format("| whole model | {} | {} | {} |\n\n", parameters.model, parameters.denseModel,
                        percent(parameters.model, parameters.denseModel));
    card += fmt::format("The whole model is linears, biases, norms, embedding and head, a tied head counted once. All "
                        "weights of this folder are {} and take {} ({} bytes). ",
                        dtypeName(dtype), formatBytes(parameters.bytes), parameters.bytes);
    if (factored)
        card +=
            fmt::format("{} linears are stored in factors, the others are dense. Column indices of a block identity "
                        "are not parameters.\n\n",
                        facts.factored);
    else
        card += "\n\n";
}

void addMethod(std::string& card, const Json& given)
{
    card += "## Method\n\n";
    if (!given.is_object() || given.empty()) {
        card += "The exporting program was told nothing about how the linears were changed.\n\n";
        return;
    }
    card += "| | |\n|---|---|\n";
    const auto row = [&](std::string_view words, const std::string& value) {
        if (!value.empty())
            card += fmt::format("| {} | {} |\n", words, value);
    };
    row("original model", textOf(given, "model"));
    row("method", textOf(given, "methodTitle").empty()
                      ? textOf(given, "method")
                      : fmt::format("{} (`{}`)", textOf(given, "methodTitle"), textOf(given, "method")));
    row("source", textOf(given, "source"));
    if (given.contains("parameters") && given["parameters"].is_object()) {
        for (const auto& [name, value] : given["parameters"].items())
            row(fmt::format("parameter {}", name), cell(value));
    }
    for (const auto& [key, words] : methodRows)
        row(words, textOf(given, std::string(key).c_str()));
    if (given.contains("calibration") && given["calibration"].is_object()) {
        for (const auto& [name, value] : given["calibration"].items())
            row(fmt::format("calibration: {}", name), cell(value));
    }
    for (const auto& [key, value] : given.items()) {
        const bool placed = key == "evaluations" ||
                            std::find(placedKeys.begin(), placedKeys.end(), key) != placedKeys.end() ||
                            std::any_of(methodRows.begin(), methodRows.end(),
                                        [&, &name = key](const auto& r) { return r.first == name; });
        if (!placed)
            row(key, cell(value));
    }
    card += "\n";
}

bool hasSparseParts(const Json& structures)
{
    return std::any_of(structures.begin(), structures.end(),
                       [](const Json& entry) { return entry.contains("sparse"); });
}

void addEvaluations(std::string& card, const Json& given)
{
    if (!given.is_object() || !given.contains("evaluations") || !given["evaluations"].is_array() ||
        given["evaluations"].empty())
        return;
    card += "## Measured\n\nPerplexity over all predicted tokens of disjoint windows of the text, tokenised once; "
            "measured with the compressed weights before this export.\n\n"
            "| text | window | windows | original | compressed |\n|---|---|---|---|---|\n";
    for (const Json& entry : given["evaluations"]) {
        const auto number = [&](const char* key) {
            return entry.contains(key) && entry[key].is_number_float() ? fmt::format("{:.4f}", entry[key].get<double>())
                                                                       : textOf(entry, key);
        };
        card += fmt::format("| {} | {} | {} | {} | {} |\n", textOf(entry, "text"), number("window"), number("windows"),
                            number("originalPerplexity"), number("compressedPerplexity"));
    }
    card += "\n";
}

void addLoading(std::string& card, bool factored)
{
    card += fmt::format("## Loading\n\n```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
                        "model = AutoModelForCausalLM.from_pretrained(\"path/to/this/folder\"{0})\n"
                        "tokenizer = AutoTokenizer.from_pretrained(\"path/to/this/folder\"{0})\n```\n\n",
                        factored ? ", trust_remote_code=True" : "");
    if (factored)
        card += "`modeling_rankwright.py` swaps the linears named under `rankwright` in `config.json` for "
                "factored ones and leaves the rest to the stock classes. `save_pretrained` keeps the factors. "
                "Read the file before you trust it.\n\n";
}

void addLicence(std::string& card, const CardFacts& facts)
{
    card += "## Licence\n\nThe weights are derived from the original model and stay under its licence";
    if (!facts.statedLicence.empty())
        card += fmt::format(", which it states as `{}`", facts.statedLicence);
    card += ".";
    if (!facts.licences.empty()) {
        card += " Copied from it:";
        for (const std::string& name : facts.licences)
            card += fmt::format("{} `{}`", name == facts.licences.front() ? "" : ",", name);
        card += ".";
    } else if (facts.statedLicence.empty()) {
        card += " The original states none in its files: find it out before you pass this folder on.";
    }
    card += "\n";
}

} // namespace

std::string modelCard(const Model& model, const ExportOptions& options, const CardFacts& facts)
{
    const bool factored = options.format == ExportFormat::Factored;
    const bool custom = !facts.structures.empty();
    const std::string name = textOf(options.card, "model");
    std::string card;
    addFrontMatter(card, facts, custom);
    card += fmt::format("# {}, compressed with Rankwright\n\n", name.empty() ? "A language model" : name);
    if (!factored)
        card +=
            "**Dense export: it saves nothing.** Every linear holds the full product of its factors, so this folder "
            "has the size and speed of the original and loads without custom code. Take the factored export to "
            "save memory.\n\n";
    else if (!custom)
        card += "**No linear is stored in factors:** this folder has the size of the original and loads without custom "
                "code.\n\n";
    else
        card += fmt::format("Linears are stored as products of low-rank factors{} and run that way.\n\n",
                            hasSparseParts(facts.structures) ? " with a few single weights beside them" : "");
    addParameters(card, facts, options.dtype, custom);
    addMethod(card, options.card);
    addEvaluations(card, options.card);
    card += fmt::format("## Files\n\nWritten by Rankwright {}. {} The folder was reopened before it was given its "
                        "name: on 16 tokens its logits differed from those of the model in memory by at most {} of the "
                        "largest.\n\n",
                        version(), facts.tokenizer, exportLogitBound(options.dtype));
    if (model.config().ropeScaling && model.config().ropeScaling->kind == "factors")
        card += "The rotary scaling is the llama3 one whose divisors the GGUF file lists.\n\n";
    if (facts.stock.architecture != model.config().architecture)
        card +=
            fmt::format("The classes of {} have no such biases as the linears got; those of {} have them and compute "
                        "the same beside, so that `config.json` names these.\n\n",
                        architectureOf(model.config()).stem, architectureOf(facts.stock).stem);
    // The modeling file mends this; without it nothing can speak up when the folder is loaded.
    if (model.config().ropeScaling && facts.stock.architecture == "mistral" && !custom)
        card += "**Needs transformers 4.48 or later:** the Mistral classes of earlier versions take no notice of the "
                "rotary scaling in `config.json` and give other logits.\n\n";
    const ModelConfig& config = model.config();
    if (facts.stock.architecture == "qwen2" && config.heads * config.headWidth != config.hiddenSize)
        card += "**Needs transformers 4.48 or later:** the Qwen2 classes of earlier versions take no notice of "
                "`head_dim` in `config.json` and cannot load the weights.\n\n";
    addLoading(card, custom);
    addLicence(card, facts);
    return card;
}

} // namespace rankwright
