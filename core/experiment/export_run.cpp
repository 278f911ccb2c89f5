#include "core/experiment/export_run.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/paths.h"
#include "core/experiment/runner.h"

#include <cerrno>
#include <fmt/format.h>
#include <system_error>
#include <unistd.h>

namespace rankwright {

void requireFreeTarget(const std::filesystem::path& out)
{
    if (out.empty())
        return;
    std::error_code failure;
    std::filesystem::path parent = std::filesystem::absolute(freeFolder(out)).parent_path();
    while (!isPresent(parent))
        parent = parent.parent_path();
    if (!std::filesystem::is_directory(parent, failure))
        throw Error(ErrorKind::Io, "is no folder, and an export is to go into it; choose another place",
                    {.file = parent});
    if (::access(parent.c_str(), W_OK | X_OK) != 0)
        throw Error(ErrorKind::Io,
                    fmt::format("no export can be written into this folder: {}; choose another place",
                                std::generic_category().message(errno)),
                    {.file = parent});
}

Json runCard(const Recipe& recipe, const RunResult& result, std::size_t calibrationWindows)
{
    const Method& method = findMethod(recipe.method);
    Json card = {{"method", method.name()},
                 {"methodTitle", method.title()},
                 {"source", method.source()},
                 {"parameters", parametersToJson(method, recipe.parameters)},
                 {"model", recipe.model.filename().string()},
                 {"structure", structureName(recipe.structure)},
                 {"allocation", recipe.allocation},
                 {"sequential", sequentialModeName(recipe.sequential)},
                 {"targetKeptRatio", recipe.keptRatio},
                 {"keptRatio", result.keptRatio},
                 {"wholeModelRatio", result.wholeModelRatio},
                 {"linears", result.linears.size()},
                 {"storage", dtypeName(recipe.storage)},
                 {"fingerprint", result.fingerprint}};
    if (recipe.calibration) {
        Json calibration = {{"text", recipe.calibration->text.filename().string()},
                            {"rows", recipe.calibration->rows},
                            {"window", recipe.calibration->length},
                            {"order", windowOrderName(recipe.calibration->order)},
                            {"seed", recipe.calibration->seed}};
        if (calibrationWindows > 0)
            calibration["windows"] = calibrationWindows;
        card["calibration"] = std::move(calibration);
    }
    if (const auto distillation = distillationOf(recipe))
        card["distillation"] = fmt::format("{} inputs, {} epochs", distillationInputsName(distillation->inputs),
                                           distillation->training.epochs);
    if (recipe.recovery)
        card["recovery"] = fmt::format("on {}, {} epochs", recoveryTargetName(recipe.recovery->target),
                                       recipe.recovery->training.epochs);
    Json evaluations = Json::array();
    for (const EvaluationOutcome& outcome : result.evaluations)
        evaluations.push_back({{"text", outcome.name},
                               {"window", outcome.windows.length},
                               {"windows", outcome.compressed.windows},
                               {"originalPerplexity", outcome.original.perplexity},
                               {"compressedPerplexity", outcome.compressed.perplexity}});
    card["evaluations"] = std::move(evaluations);
    return card;
}

ExportResult exportRun(Store& store, std::int64_t run, const RunExport& target, const Device& device,
                       const TaskContext& context)
{
    const RunRecord record = store.run(run);
    if (record.summary.state != RunState::Finished)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("run {} is {}; only a finished run can be exported, and the same recipe again goes on "
                                "where it stopped",
                                run, runStateName(record.summary.state)));
    const Recipe recipe = recipeFromJson(record.recipe, {});
    const Model model = compressedModel(Model::open(recipe.model), record);
    const ExportOptions options{.format = target.format,
                                .dtype = target.dtype,
                                .card =
                                    runCard(recipe, record.result, recipe.calibration ? recipe.calibration->count : 0),
                                .threads = target.pass.threads,
                                .memoryLimit = target.pass.memoryLimit};
    ExportResult result = exportModel(model, device, target.folder, options, context);
    if (store.isWritable())
        store.recordArtefact(run, "export", result.folder, result.bytes);
    return result;
}

} // namespace rankwright
