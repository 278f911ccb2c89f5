#include "core/export/export.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/paths.h"
#include "core/export/export_config.h"
#include "core/export/exported_files.h"
#include "core/export/exported_weights.h"
#include "core/export/model_card.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

constexpr std::size_t probeTokens = 16;

std::vector<std::int32_t> probe(const ModelConfig& config)
{
    // Spread over the vocabulary by a prime, the same for every export of a model.
    constexpr std::size_t step = 7919;
    std::vector<std::int32_t> ids(std::min(probeTokens, config.contextLength));
    for (std::size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<std::int32_t>((1 + i * step) % config.vocabularySize);
    return ids;
}

std::vector<float> probeLogits(const Model& model, const Device& device, const ExportOptions& options,
                               const TaskContext& context)
{
    const PassOptions pass{.threads = options.threads, .memoryLimit = options.memoryLimit, .scratchFolder = {}};
    const std::vector<std::vector<std::int32_t>> windows{probe(model.config())};
    const Head head(model, device, effectiveMemoryLimit(pass));
    std::vector<float> result;
    // The progress of the pass belongs to another stage.
    const TaskContext quiet{.stop = context.stop, .progress = {}, .event = context.event};
    forwardWindows(model, device, windows, pass, quiet,
                   [&](std::size_t, std::size_t, ConstMatrixView<float> hidden, ForwardScratch& scratch) {
                       head.logits(hidden, scratch, [&](std::size_t, MatrixView<float> logits) {
                           for (std::size_t row = 0; row < logits.rows; ++row)
                               result.insert(result.end(), logits.row(row), logits.row(row) + logits.columns);
                       });
                   });
    return result;
}

double relativeDifference(const std::vector<float>& expected, const std::vector<float>& found)
{
    double largest = 0.0;
    double difference = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
        difference = std::max(difference, std::abs(static_cast<double>(expected[i]) - static_cast<double>(found[i])));
    }
    return difference == 0.0 ? 0.0 : difference / largest;
}

void checkOptions(const std::filesystem::path& folder, const ExportOptions& options)
{
    if (folder.empty())
        throw Error(ErrorKind::InvalidArgument, "an export needs the name of a folder");
    if (options.dtype != DType::F32 && options.dtype != DType::F16 && options.dtype != DType::BF16)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("weights cannot be exported as {}; take F32, F16 or BF16", dtypeName(options.dtype)));
    if (options.shardBytes == 0)
        throw Error(ErrorKind::InvalidArgument, "shards of 0 bytes cannot hold weights");
}

void copyModelingFiles(const std::filesystem::path& folder)
{
    const std::filesystem::path name = "modeling_rankwright.py";
    writeFileAtomically(folder / name, readFile(resourcesFolder() / "python" / name));
}

/// What the reopened folder has to show before it gets its name.
double verify(const Model& model, const Model& reopened, const Device& device, const ExportOptions& options,
              const TaskContext& context)
{
    context.report("export", "comparing logits", 0, 1);
    const double difference = relativeDifference(probeLogits(model, device, options, context),
                                                 probeLogits(reopened, device, options, context));
    const double bound = exportLogitBound(options.dtype);
    if (!(difference <= bound))
        throw Error(ErrorKind::Mismatch,
                    fmt::format("the reopened export gives logits that differ by {:.3g} of the largest from those of "
                                "the model in memory, more than {} for {}; nothing was kept{}",
                                difference, bound, dtypeName(options.dtype),
                                options.dtype == DType::F32 ? "" : ". Try F32"),
                    {.file = reopened.checkpoint().path()});
    context.report("export", "comparing logits", 1, 1);
    return difference;
}

void listFiles(const std::filesystem::path& folder, ExportResult& result)
{
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        result.files.push_back(entry.path().filename().string());
        result.bytes += entry.file_size();
        if (entry.path().extension() == ".safetensors")
            result.weightBytes += entry.file_size();
    }
    std::sort(result.files.begin(), result.files.end());
}

} // namespace

std::string_view exportFormatName(ExportFormat format)
{
    return format == ExportFormat::Factored ? "factored" : "dense";
}

ExportFormat exportFormatFromName(std::string_view name)
{
    for (const ExportFormat format : {ExportFormat::Factored, ExportFormat::Dense}) {
        if (exportFormatName(format) == name)
            return format;
    }
    throw Error(ErrorKind::InvalidArgument, fmt::format("export format \"{}\"; known are factored and dense", name));
}

double exportLogitBound(DType dtype)
{
    switch (dtype) {
    case DType::F16:
        return 0.02;
    case DType::BF16:
        return 0.1;
    default:
        return 1e-4;
    }
}

ExportResult exportModel(const Model& model, const Device& device, const std::filesystem::path& folder,
                         const ExportOptions& options, const TaskContext& context)
{
    checkOptions(folder, options);
    context.checkStop();
    AtomicFolder target(folder);
    const std::filesystem::path& files = target.temporary();
    const BlasThreads oneBlasThread(1);

    CardFacts facts;
    {
        ExportedWeights weights(model, device, options, context);
        facts.parameters = weights.parameters();
        facts.structures = weights.structures();
        facts.factored = weights.factored();
        facts.stock = weights.stockConfig();
        weights.write(files);
    }
    facts.tokenizer = exportTokenizer(model, files);
    facts.licences = exportLicences(model, files);
    facts.statedLicence = statedLicence(model);
    if (!facts.structures.empty())
        copyModelingFiles(files);
    const auto writeText = [&](const char* name, const std::string& text) { writeFileAtomically(files / name, text); };
    writeText("README.md", modelCard(model, options, facts));
    writeText("generation_config.json", dumpJson(exportedGenerationConfig(model), 2) + "\n");
    // Last, because a folder without it is no model.
    writeText("config.json", dumpJson(exportedConfig(model, facts.stock, options.dtype, facts.structures), 2) + "\n");

    ExportResult result;
    result.folder = folder.has_filename() ? folder : folder.parent_path();
    result.largestLogitDifference = verify(model, Model::open(files), device, options, context);
    context.checkStop();
    listFiles(files, result);
    target.commit();
    return result;
}

} // namespace rankwright
