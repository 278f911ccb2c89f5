#pragma once

#include "core/base/json.h"
#include "core/model/forward.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

enum class ExportFormat {
    Factored, ///< factors + modeling file: smaller; transformers needs trust_remote_code
    Dense     ///< the product of the factors in the stock layout: loads anywhere, saves nothing
};
std::string_view exportFormatName(ExportFormat format);
ExportFormat exportFormatFromName(std::string_view name);

struct ExportOptions
{
    ExportFormat format = ExportFormat::Factored;
    DType dtype = DType::F32;                       ///< F32, F16 or BF16, of every weight written
    std::size_t shardBytes = std::size_t{4} << 30U; ///< largest safetensors file
    Json card = {}; ///< what the model card states: method, parameters, calibration text, ratios, measured figures
    std::size_t threads = 0;
    std::size_t memoryLimit = 0;
};

struct ExportResult
{
    std::filesystem::path folder;
    std::vector<std::string> files;
    std::size_t bytes = 0;               ///< all files
    std::size_t weightBytes = 0;         ///< safetensors files
    double largestLogitDifference = 0.0; ///< reopened export against the model in memory, over the largest |logit|
};

/// Writes `model` (with its replaced linears) as a Hugging Face folder: safetensors shards with index, config.json,
/// generation_config.json, tokenizer files (copied, or an equivalent tokenizer.json for GGUF), modeling and
/// configuration file of resources/python (factored), README.md as model card. The folder appears only when it is whole
/// and when the reopened export gives the same logits on a few tokens (relative 1e-4 in F32; the bound for F16 and BF16
/// is stated in the result's card). Throws Error; then nothing is left.
ExportResult exportModel(const Model& model, const Device& device, const std::filesystem::path& folder,
                         const ExportOptions& options, const TaskContext& context);

} // namespace rankwright
