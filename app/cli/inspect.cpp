#include "app/cli/options.h"
#include "app/cli/run_report.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/model/summary.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

namespace rankwright::cli {

namespace {

struct Options
{
    std::string model;
    bool linears = false;
};

std::size_t storedParameters(const LinearInfo& linear)
{
    return parameterCount(linear.stored(), linear.shape);
}

/// Of the structure the linear has; a dense one would be stored in plain factors.
std::size_t breakEvenRankOf(const LinearInfo& linear)
{
    return breakEvenRank(linear.structure == StructureKind::Dense ? StructureKind::Factors : linear.structure,
                         linear.shape);
}

/// What kind of tokenizer, or why it cannot be used: a model without one can still be looked at.
std::string tokenizerText(const Model& model, bool& usable)
{
    try {
        usable = true;
        return model.tokenizer()->description();
    } catch (const Error& error) {
        usable = false;
        return error.what();
    }
}

Json toJson(const Model& model)
{
    const ModelConfig& config = model.config();
    bool usable = false;
    const std::string tokenizer = tokenizerText(model, usable);
    Json linears = Json::array();
    bool compressed = false;
    for (const LinearInfo& linear : model.linears()) {
        compressed = compressed || linear.structure != StructureKind::Dense;
        linears.push_back({{"name", linear.name},
                           {"block", linear.block},
                           {"role", roleName(linear.role)},
                           {"rows", linear.shape.rows},
                           {"columns", linear.shape.columns},
                           {"dtype", dtypeName(linear.dtype)},
                           {"parameters", storedParameters(linear)},
                           {"denseParameters", linear.shape.parameters()},
                           {"breakEvenRank", breakEvenRankOf(linear)},
                           {"structure", structureName(linear.structure)},
                           {"rank", linear.rank},
                           {"sparseEntries", linear.entries}});
    }
    return {{"model", model.checkpoint().path().string()},
            {"format", model.checkpoint().format() == CheckpointFormat::Gguf ? "gguf" : "safetensors"},
            {"files", model.checkpoint().files().size()},
            {"architecture", config.architecture},
            {"vocabulary", config.vocabularySize},
            {"blocks", config.blocks},
            {"hiddenSize", config.hiddenSize},
            {"intermediateSize", config.intermediateSize},
            {"heads", config.heads},
            {"keyValueHeads", config.keyValueHeads},
            {"headWidth", config.headWidth},
            {"contextLength", config.contextLength},
            {"tiedHead", config.tiedHead},
            {"tokenizer", usable ? Json(tokenizer) : Json()},
            {"tokenizerError", usable ? Json() : Json(tokenizer)},
            {"dtype", weightTypes(model)},
            {"parameters", model.parameterCount()},
            {"linearParameters", model.linearParameterCount()},
            {"bytes", weightBytes(model)},
            {"compressed", compressed},
            {"keyValueCache", cacheToJson(cacheWidth(model))},
            {"linears", std::move(linears)}};
}

/// One line per role, shape, dtype and structure; or per linear.
std::string linearTable(const Model& model, bool each)
{
    struct Group
    {
        std::set<std::size_t> blocks;
        std::size_t count = 0, parameters = 0, lowRank = SIZE_MAX, highRank = 0;
        const LinearInfo* first = nullptr;
    };
    std::map<std::tuple<Role, std::size_t, std::size_t, DType, StructureKind>, Group> groups;
    for (const LinearInfo& linear : model.linears()) {
        Group& group = groups[{linear.role, linear.shape.rows, linear.shape.columns, linear.dtype, linear.structure}];
        group.first = group.first == nullptr ? &linear : group.first;
        group.blocks.insert(linear.block);
        ++group.count;
        group.parameters += storedParameters(linear);
        group.lowRank = std::min(group.lowRank, linear.rank);
        group.highRank = std::max(group.highRank, linear.rank);
    }
    const auto cells = [](const LinearInfo& linear, const std::string& ranks, std::size_t parameters) {
        return std::vector<std::string>{fmt::format("{} x {}", linear.shape.rows, linear.shape.columns),
                                        std::string(dtypeName(linear.dtype)),
                                        std::string(structureName(linear.structure)),
                                        linear.structure == StructureKind::Dense ? "" : ranks,
                                        std::to_string(breakEvenRankOf(linear)),
                                        grouped(parameters)};
    };
    std::vector<Table::Column> columns = {
        {"rows x columns"}, {"dtype", Table::Align::Left}, {"structure", Table::Align::Left},
        {"rank"},           {"break-even rank"},           {"parameters"}};
    if (each) {
        columns.insert(columns.begin(), {"linear", Table::Align::Left});
        Table table(columns);
        for (const LinearInfo& linear : model.linears()) {
            auto row = cells(linear, std::to_string(linear.rank), storedParameters(linear));
            row.insert(row.begin(), linear.name);
            table.row(row);
        }
        return table.text();
    }
    columns.insert(columns.begin(), {{"role", Table::Align::Left}, {"blocks"}});
    Table table(columns);
    for (const auto& [key, group] : groups) {
        auto row = cells(*group.first, rangeText(std::to_string(group.lowRank), std::to_string(group.highRank)),
                         group.parameters);
        const bool contiguous = *group.blocks.rbegin() - *group.blocks.begin() + 1 == group.blocks.size();
        row.insert(row.begin(),
                   contiguous ? rangeText(std::to_string(*group.blocks.begin()), std::to_string(*group.blocks.rbegin()))
                              : fmt::format("{} blocks", group.blocks.size()));
        row.insert(row.begin(), std::string(roleName(group.first->role)));
        table.row(row);
    }
    return table.text();
}

std::string toText(const Model& model, bool each)
{
    const ModelConfig& config = model.config();
    bool usable = false;
    const std::string tokenizer = tokenizerText(model, usable);
    const double share =
        static_cast<double>(model.linearParameterCount()) / static_cast<double>(model.parameterCount());
    std::string result = oneLine(model.checkpoint().path().string()) + '\n';
    result += facts(
        {{"architecture", fmt::format("{}: {} blocks, hidden size {}, feed-forward {}, {} heads of {} ({} key/value)",
                                      config.architecture, config.blocks, config.hiddenSize, config.intermediateSize,
                                      config.heads, config.headWidth, config.keyValueHeads)},
         {"vocabulary", fmt::format("{}; {}", grouped(config.vocabularySize),
                                    config.tiedHead ? "the head is the embedding" : "the head has weights of its own")},
         {"tokenizer", usable ? tokenizer : "none that can be used: " + tokenizer},
         {"context", grouped(config.contextLength) + " tokens"},
         {"parameters", fmt::format("{}, of them {} ({}) in {} linears", grouped(model.parameterCount()),
                                    grouped(model.linearParameterCount()), percent(share), model.linears().size())},
         {"weights",
          fmt::format("{} in {} {} file{}, {}", formatBytes(weightBytes(model)), model.checkpoint().files().size(),
                      model.checkpoint().format() == CheckpointFormat::Gguf ? "GGUF" : "safetensors",
                      model.checkpoint().files().size() == 1 ? "" : "s", weightTypes(model))}});
    return result + '\n' + linearTable(model, each);
}

} // namespace

void addInspect(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = addVerb(app, session, "inspect", "Show what a checkpoint holds: architecture, sizes, linears",
                                "Examples:\n"
                                "  rankwright-cli inspect resources/demo/stories260K\n"
                                "  rankwright-cli inspect model.gguf --linears\n"
                                "  rankwright-cli inspect model.gguf --json | python3 -m json.tool");
    addModel(*command, options->model);
    command->add_flag("--linears", options->linears, "List every linear, not one line per role and shape")
        ->group("Options");
    command->callback([&session, options] {
        session.work = [&session, options] {
            const Model model = Model::open(options->model);
            if (session.json)
                session.out.json(toJson(model));
            else
                session.out.write(toText(model, options->linears));
        };
    });
}

} // namespace rankwright::cli
